// When the small model is sure enough: computed as edgepack/domain/confidence.py computes it.

#pragma once

#include <algorithm>
#include <cmath>
#include <fstream>
#include <stdexcept>
#include <string>

#include "nlohmann/json.hpp"

using json = nlohmann::ordered_json;

constexpr double kCut = 10;  // domain/confidence.py: CUT

// route.json: weights of the signals, the threshold, and where the larger model is, if it is elsewhere.
struct Route {
    double threshold = 1, intercept = 0, product = 0, weakest = 0, margin = 0;
    std::string address, model;
};

inline Route read_route(const std::string &path) {
    std::ifstream file(path);
    const json found = json::parse(file);
    Route route;
    route.threshold = found.at("threshold");
    route.intercept = found.at("calibration").at("intercept");
    for (const auto &[name, weight] : found.at("calibration").at("weights").items()) {
        if (name == "product") route.product = weight;
        else if (name == "weakest") route.weakest = weight;
        else if (name == "margin") route.margin = weight;
        else throw std::invalid_argument("a signal that is not known: " + name);
    }
    if (found.at("address").is_string()) route.address = found["address"];
    if (found.at("model").is_string()) route.model = found["model"];
    return route;
}

inline double cut(double logit) { return std::max(-kCut, std::min(kCut, logit)); }

inline double sigmoid(double logit) { return 1 / (1 + std::exp(-logit)); }

inline double logit(double log_probability) {
    const double beside = -std::expm1(log_probability);
    return beside > 0 ? cut(log_probability - std::log(beside)) : kCut;
}

// What the tokens of an answer say, as it grows: domain/confidence.py's signals.
struct Signals {
    double product = 0, weakest = 0, margin = INFINITY;
    int tokens = 0;

    void add(const json &entry) {
        const double log_probability = entry.at("logprob");
        for (const json &other : entry.at("top_logprobs")) {
            if (other.at("id") != entry.at("id")) {
                margin = std::min(margin, log_probability - other.at("logprob").get<double>());
                break;
            }
        }
        product += log_probability;
        weakest = std::min(weakest, log_probability);
        ++tokens;
    }

    double confidence(const Route &route) const {
        if (!tokens) return sigmoid(route.intercept - kCut * (route.product + route.weakest + route.margin));
        return sigmoid(route.intercept + route.product * logit(product) + route.weakest * logit(weakest) +
                       route.margin * cut(margin));
    }
};
