// One address before a small and a larger model: the small one answers, and where it is not sure enough of what it
// writes, the larger one is asked. Everything but chat completions is the small one's.
//
//   router --host HOST --port PORT [--api-prefix PREFIX] [--log-json] --route ROUTE.json [-- LARGE SERVER...] -- SMALL SERVER...
//
// It starts both servers on UNIX sockets in a directory of its own, and ends them when it ends. Keys are theirs to
// check. What ROUTE.json says is computed as edgepack/domain/confidence.py computes it.
// An answer's headers say who gave it: X-Edgepack-Model (small, large), X-Edgepack-Confidence of the small one, and
// X-Edgepack-Fallback with the reason where the larger one should have answered and could not.

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "httplib.h"
#include "nlohmann/json.hpp"

namespace {

using json = nlohmann::ordered_json;
using Upstream = std::shared_ptr<httplib::stream::Result>;
using Words = std::vector<std::string>;

constexpr size_t kLargestBody = 4 << 20;  // as of the servers behind it
constexpr int kDeepest = 64;              // of a body's arrays and objects; writing JSON takes stack for each
constexpr int kSeconds = 600;             // without a byte from a server
constexpr double kCut = 10;               // domain/confidence.py: CUT
const char *const kKey = "EDGEPACK_LARGE_API_KEY";

struct Route {
    double threshold = 1, intercept = 0, product = 0, weakest = 0, margin = 0;
    std::string address, model;
};

struct Place {
    std::string host;  // of an address, else empty
    std::string base;  // what stands before /chat/completions there
    std::string socket;
    std::string key;
    std::atomic<pid_t> process{-1};
    std::atomic<bool> told{false};  // to end

    void tell() {
        const pid_t child = process;
        if (child > 0 && !told.exchange(true)) kill(child, SIGTERM);
    }
};

Route route;
Place small_one, large_one;
std::string place;  // of the sockets
bool log_json = false;

double cut(double logit) { return std::max(-kCut, std::min(kCut, logit)); }

double logit(double log_probability) {
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

    double confidence() const {
        const double sum = tokens ? route.intercept + route.product * logit(product) + route.weakest * logit(weakest) +
                                        route.margin * cut(margin)
                                  : route.intercept - kCut * (route.product + route.weakest + route.margin);
        return 1 / (1 + std::exp(-sum));
    }
};

// The small model's answer, as far as it was read.
struct Answer {
    int status = 0;  // 0: not reached
    std::string refusal;
    std::vector<json> chunks;
    std::vector<json> tokens;
    Signals signals;
    bool whole = false;
    httplib::Headers headers;
};

// Bytes of others may be no UTF-8.
std::string dumped(const json &value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

void fail(httplib::Response &response, int status, const std::string &message) {
    const char *type = status < 500 ? "invalid_request_error" : "unavailable_error";
    response.status = status;
    const json error = {{"error", {{"code", status}, {"message", message}, {"type", type}}}};
    response.set_content(dumped(error), "application/json");
}

// The body, or an exception: JSON, an object, not too deep.
json parsed(const std::string &body) {
    json value = json::parse(body, [](int depth, json::parse_event_t, json &) {
        if (depth > kDeepest) throw std::invalid_argument("too deep");
        return true;
    });
    if (!value.is_object()) throw std::invalid_argument("expected an object");
    return value;
}

std::unique_ptr<httplib::Client> client_of(const Place &where) {
    auto client = std::make_unique<httplib::Client>(where.host.empty() ? where.socket : where.host);
    if (where.host.empty()) client->set_address_family(AF_UNIX);
    client->set_connection_timeout(5);
    client->set_read_timeout(kSeconds);
    client->set_write_timeout(kSeconds);
    return client;
}

// What a server behind this one may see of a request's headers. A client's key goes to no address.
httplib::Headers onward(const httplib::Request &request, const Place &where) {
    httplib::Headers headers{{"Accept-Encoding", "identity"}};
    for (const char *name : {"Accept", "Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"}) {
        if (request.has_header(name)) headers.emplace(name, request.get_header_value(name));
    }
    for (const char *name : {"Authorization", "X-Api-Key"}) {
        if (where.host.empty() && request.has_header(name)) headers.emplace(name, request.get_header_value(name));
    }
    if (!where.key.empty()) headers.emplace("Authorization", "Bearer " + where.key);
    if (where.host.empty()) headers.emplace("Host", "localhost");
    return headers;
}

Upstream open(const Place &where, const httplib::Request &request, const std::string &path, const std::string &body) {
    const auto type = request.get_header_value("Content-Type", "application/json");
    auto client = client_of(where);
    return std::make_shared<httplib::stream::Result>(
        client->open_stream(request.method, path, {}, onward(request, where), body, body.empty() ? "" : type));
}

void copy_headers(const httplib::Headers &headers, httplib::Response &response) {
    for (const auto &[name, value] : headers) {
        if (strcasecmp(name.c_str(), "Content-Type") && strcasecmp(name.c_str(), "Content-Length") &&
            strcasecmp(name.c_str(), "Transfer-Encoding") && strcasecmp(name.c_str(), "Connection") &&
            strcasecmp(name.c_str(), "Keep-Alive")) {
            response.set_header(name, value);
        }
    }
}

// Pass a server's answer on as it comes.
void pass(const Upstream &upstream, const httplib::Request &request, httplib::Response &response) {
    response.status = upstream->status();
    copy_headers(upstream->headers(), response);
    const std::string type = upstream->get_header_value("Content-Type", "application/json");
    if (request.method == "HEAD") return;
    if (type.rfind("text/event-stream", 0) != 0) {
        response.set_content(upstream->read_all(), type);
        return;
    }
    response.set_chunked_content_provider(type, [upstream](size_t, httplib::DataSink &sink) {
        if (upstream->next()) return sink.write(upstream->data(), upstream->size());
        if (upstream->has_read_error()) return false;  // cut here too, so that nobody takes it for the end
        sink.done();
        return true;
    });
}

void take(const std::string &line, Answer &answer) {
    if (line.rfind("data: {", 0) != 0) return;
    json chunk = json::parse(line.substr(6));
    for (json &choice : chunk.at("choices")) {
        if (choice.contains("logprobs") && choice["logprobs"].is_object()) {
            for (json &token : choice["logprobs"].at("content")) {
                if (choice.at("delta").contains("content")) answer.signals.add(token);
                answer.tokens.push_back(token);
            }
        }
    }
    answer.chunks.push_back(std::move(chunk));
}

// Let the small model write; until it is done, or, unless `to_the_end`, until it has become too unsure.
Answer ask_small(const httplib::Request &request, const std::string &path, json body, bool to_the_end) {
    body["stream"] = true;
    body["stream_options"] = {{"include_usage", true}};
    body["logprobs"] = true;
    if (!body.contains("top_logprobs") || !body["top_logprobs"].is_number_integer() || body["top_logprobs"] < 2) {
        body["top_logprobs"] = 2;
    }
    Answer answer;
    const Upstream upstream = open(small_one, request, path, body.dump());
    if (!*upstream) return answer;
    answer.status = upstream->status();
    answer.headers = upstream->headers();
    if (answer.status != 200) {
        answer.refusal = upstream->read_all();
        return answer;
    }
    std::string text;
    while (upstream->next()) {
        text.append(upstream->data(), upstream->size());
        for (size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
            take(text.substr(0, end), answer);
            const bool unsure = answer.signals.tokens && answer.signals.confidence() < route.threshold;
            if (unsure && !to_the_end) return answer;  // its server stops as well
        }
        if (request.is_connection_closed()) return answer;
    }
    answer.whole = !upstream->has_read_error();
    return answer;
}

// The chunks as one completion: what a client gets that asked for no stream.
json whole_answer(const Answer &answer, bool with_tokens) {
    json message = {{"role", "assistant"}, {"content", ""}}, said;
    json finish = nullptr;
    for (const json &chunk : answer.chunks) {
        for (const char *name : {"id", "created", "model", "system_fingerprint", "usage", "timings"}) {
            if (chunk.contains(name) && !chunk[name].is_null()) said[name] = chunk[name];
        }
        for (const json &choice : chunk.at("choices")) {
            for (const auto &[name, value] : choice.at("delta").items()) {
                if (name == "role" || !value.is_string()) continue;
                message[name] = message.value(name, std::string()) + value.get<std::string>();
            }
            if (!choice.value("finish_reason", json()).is_null()) finish = choice["finish_reason"];
        }
    }
    json choice = {{"index", 0}, {"message", message}, {"finish_reason", finish}};
    if (with_tokens) choice["logprobs"] = {{"content", answer.tokens}};
    said["object"] = "chat.completion";
    said["choices"] = json::array({choice});
    return said;
}

void give_small(const Answer &answer, const json &body, httplib::Response &response) {
    copy_headers(answer.headers, response);
    const bool with_tokens = body.value("logprobs", json()) == true;
    if (body.value("stream", json()) != true) {
        response.set_content(dumped(whole_answer(answer, with_tokens)), "application/json");
        return;
    }
    const json options = body.value("stream_options", json());
    const bool with_usage = options.is_object() && options.value("include_usage", json()) == true;
    std::string text;
    for (json chunk : answer.chunks) {
        if (chunk.at("choices").empty() && !with_usage) continue;
        if (!with_tokens) {
            for (json &choice : chunk["choices"]) choice.erase("logprobs");
        }
        text += "data: " + dumped(chunk) + "\n\n";
    }
    response.set_content(text + "data: [DONE]\n\n", "text/event-stream");
}

Upstream ask_large(const httplib::Request &request, const std::string &path, json body) {
    if (!route.model.empty()) body["model"] = route.model;
    const std::string where = large_one.host.empty() ? path : large_one.base + "/chat/completions";
    return open(large_one, request, where, body.dump());
}

void log(const char *model, double confidence, const std::string &why, std::chrono::steady_clock::time_point began) {
    const long ms = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began).count();
    char now[32];
    const std::time_t time = std::time(nullptr);
    std::tm parts{};
    std::strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&time, &parts));
    if (log_json) {
        json line = {{"time", now}, {"model", model}, {"confidence", confidence}, {"ms", ms}};
        if (!why.empty()) line["fallback"] = why;
        std::fprintf(stderr, "%s\n", line.dump().c_str());
    } else {
        std::fprintf(stderr, "router: %s, confidence %.4f, %ld ms%s%s\n", model, confidence, ms,
                     why.empty() ? "" : ", instead of the large one: ", why.c_str());
    }
}

// Everything that is not routed.
void pass_on(const httplib::Request &request, const std::string &path, httplib::Response &response) {
    const Upstream upstream = open(small_one, request, path, request.body);
    if (!*upstream) return fail(response, 503, "the small model's server is not there");
    pass(upstream, request, response);
}

// Up when both are, or when the one that is left is: who asks before would get the small model's answers alone.
void health(const httplib::Request &request, const std::string &path, httplib::Response &response) {
    if (large_one.process > 0) {
        const Upstream upstream = open(large_one, request, path, "");
        if (!*upstream || upstream->status() != 200) return fail(response, 503, "the large model's server is starting");
    }
    pass_on(request, path, response);
}

// Whether its tokens can be judged: one answer in words. Tools, and several answers at once, go up unasked.
bool judgeable(const json &body) {
    const json tools = body.value("tools", json()), count = body.value("n", json(1));
    return (tools.is_null() || tools.empty()) && (count.is_null() || count == 1);
}

void chat(const httplib::Request &request, const std::string &path, httplib::Response &response) {
    json body;
    try {
        body = parsed(request.body);
    } catch (const std::exception &error) {
        return fail(response, 400, std::string("the body is no JSON object: ") + error.what());
    }
    const auto began = std::chrono::steady_clock::now();
    Answer answer;
    if (judgeable(body)) {
        answer = ask_small(request, path, body, false);
    } else if (large_one.host.empty()) {
        answer.status = 200;  // the larger one's server checks the key as well
    } else {
        return pass_on(request, path, response);
    }
    const double confidence = answer.signals.confidence();
    std::string why;
    if (answer.status == 200 && (!answer.whole || confidence < route.threshold)) {
        const Upstream upstream = ask_large(request, path, body);
        if (*upstream && upstream->status() == 200) {
            pass(upstream, request, response);
            response.set_header("X-Edgepack-Model", "large");
            response.set_header("X-Edgepack-Confidence", std::to_string(confidence));
            return log("large", confidence, "", began);
        }
        why = *upstream ? std::to_string(upstream->status()) : httplib::to_string(upstream->error());
        if (!judgeable(body)) return pass_on(request, path, response);
        if (!answer.whole) answer = ask_small(request, path, body, true);
    }
    if (answer.status == 0) return fail(response, 503, "the small model's server is not there");
    if (answer.status != 200) {
        copy_headers(answer.headers, response);
        response.status = answer.status;
        return response.set_content(answer.refusal, "application/json");
    }
    if (!answer.whole) return fail(response, 502, "the small model's server broke off");
    give_small(answer, body, response);
    response.set_header("X-Edgepack-Model", "small");
    response.set_header("X-Edgepack-Confidence", std::to_string(confidence));
    if (!why.empty()) response.set_header("X-Edgepack-Fallback", why);
    log("small", confidence, why, began);
}

void read_route(const std::string &path) {
    std::ifstream file(path);
    const json found = json::parse(file);
    route.threshold = found.at("threshold");
    route.intercept = found.at("calibration").at("intercept");
    for (const auto &[name, weight] : found.at("calibration").at("weights").items()) {
        if (name == "product") route.product = weight;
        else if (name == "weakest") route.weakest = weight;
        else if (name == "margin") route.margin = weight;
        else throw std::invalid_argument("a signal that is not known: " + name);
    }
    if (found.at("address").is_null()) return;
    const std::string address = found["address"];
    const size_t path_at = address.find('/', std::string("http://").size());
    if (address.rfind("http://", 0) != 0 || path_at == std::string::npos) {
        throw std::invalid_argument("an address that is not http://…/v1: " + address);
    }
    large_one.host = address.substr(0, path_at);
    large_one.base = address.substr(path_at);
    if (found.at("model").is_string()) route.model = found["model"];
    if (const char *key = std::getenv(kKey)) large_one.key = key;
}

// A server as a child that ends with this process, however that ends.
void start(Place &where, Words words, const char *name) {
    where.socket = place + "/" + name + ".sock";
    words.insert(words.end(), {"--host", where.socket, "--port", "8080"});
    std::vector<char *> raw;
    for (std::string &word : words) raw.push_back(word.data());
    raw.push_back(nullptr);
    const pid_t here = getpid(), child = fork();
    if (child == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() == here) execv(raw[0], raw.data());
        std::perror(raw[0]);
        _exit(127);
    }
    where.process = child;
}

void end(Place &where) {
    where.tell();
    if (where.process > 0) waitpid(where.process, nullptr, 0);
    if (!where.socket.empty()) unlink(where.socket.c_str());
}

// Children that ended. The small one's end is the end of all; without the large one, the small one answers alone.
bool small_ended() {
    int status = 0;
    for (pid_t child; (child = waitpid(-1, &status, WNOHANG)) > 0;) {
        const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        const bool is_small = child == small_one.process;
        std::fprintf(stderr, "router: the %s model's server ended with %d\n", is_small ? "small" : "large", code);
        (is_small ? small_one : large_one).process = -1;
        if (is_small) return true;
    }
    return false;
}

int served(httplib::Server &server, const std::string &host, int port, const sigset_t &signals) {
    if (host.size() > 5 && host.compare(host.size() - 5, 5, ".sock") == 0) server.set_address_family(AF_UNIX);
    if (!server.bind_to_port(host, port)) {
        std::fprintf(stderr, "router: nothing can listen at %s, port %d\n", host.c_str(), port);
        return 1;
    }
    std::atomic<int> status{0};
    std::atomic<bool> over{false};
    std::thread watch([&] {
        for (int signal = 0; !over;) {
            sigwait(&signals, &signal);
            if (signal == SIGCHLD && !small_ended()) continue;
            if (signal == SIGCHLD) status = 1;
            // First the children: what is being answered ends with them.
            small_one.tell();
            large_one.tell();
            server.stop();
            return;
        }
    });
    server.listen_after_bind();
    over = true;
    kill(getpid(), SIGTERM);
    watch.join();
    return status;
}

int serve(const std::string &host, int port, const std::string &prefix, const sigset_t &signals) {
    httplib::Server server;
    server.new_task_queue = [] { return new httplib::ThreadPool(16); };
    server.set_payload_max_length(kLargestBody);
    server.set_read_timeout(60);
    server.set_write_timeout(60);
    server.set_keep_alive_timeout(60);
    server.set_error_handler([](const httplib::Request &, httplib::Response &response) {
        if (response.body.empty()) fail(response, response.status, httplib::status_message(response.status));
    });
    server.set_exception_handler([](const httplib::Request &, httplib::Response &response, std::exception_ptr) {
        fail(response, 500, "the small model's server said something unexpected");
    });
    const auto any = [&prefix](const httplib::Request &request, httplib::Response &response) {
        if (request.path.compare(0, prefix.size(), prefix) != 0) return fail(response, 404, "not here");
        const std::string path = request.path.substr(prefix.size());
        const bool asks = path == "/v1/chat/completions" || path == "/chat/completions";
        if (request.method == "POST" && asks) chat(request, path, response);
        else if (path == "/health" || path == "/v1/health") health(request, path, response);
        else pass_on(request, request.target.substr(prefix.size()), response);
    };
    server.Get(".*", any).Post(".*", any).Put(".*", any).Patch(".*", any).Delete(".*", any).Options(".*", any);
    return served(server, host, port, signals);
}

}  // namespace

int main(int argc, char **argv) {
    std::string host = "127.0.0.1", port = "8080", prefix, path;
    std::vector<Words> servers;
    for (int at = 1; at < argc; ++at) {
        const std::string word = argv[at];
        if (word == "--") servers.emplace_back();
        else if (!servers.empty()) servers.back().push_back(word);
        else if (word == "--log-json") log_json = true;
        else if (at + 1 == argc) return std::fprintf(stderr, "router: %s: a value is missing\n", argv[at]), 2;
        else if (word == "--host") host = argv[++at];
        else if (word == "--port") port = argv[++at];
        else if (word == "--api-prefix") prefix = argv[++at];
        else if (word == "--route") path = argv[++at];
        else return std::fprintf(stderr, "router: %s: not known\n", argv[at]), 2;
    }
    try {
        read_route(path);
    } catch (const std::exception &error) {
        return std::fprintf(stderr, "router: %s: %s\n", path.c_str(), error.what()), 2;
    }
    unsetenv(kKey);
    const size_t wanted = large_one.host.empty() ? 2 : 1;
    if (servers.size() != wanted || servers.front().empty() || servers.back().empty()) {
        return std::fprintf(stderr, "router: expected a small server, and a large one or an address\n"), 2;
    }
    const char *temporary = std::getenv("TMPDIR");
    place = std::string(temporary && *temporary ? temporary : "/tmp") + "/edgepack-XXXXXX";
    if (!mkdtemp(place.data())) return std::perror(place.c_str()), 6;
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&signals, signal);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    start(small_one, servers.back(), "small");
    if (wanted == 2) start(large_one, servers.front(), "large");
    const int status = serve(host, std::atoi(port.c_str()), prefix, signals);
    end(small_one);
    end(large_one);
    rmdir(place.c_str());
    return status;
}
