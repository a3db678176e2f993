// One address before a small and a larger model: the small one answers, and where it is not sure enough of what it
// writes, the larger one is asked. Everything but chat completions is the small one's.
//
//   router --host HOST --port PORT [--api-prefix PREFIX] [--log-json] --route ROUTE.json
//       [-- LARGE SERVER...] -- SMALL SERVER...
//
// It starts both servers on UNIX sockets in a directory of its own, and ends them when it ends. Keys are theirs to
// check. What ROUTE.json says is computed as edgepack/domain/confidence.py computes it.
// An answer's headers say who gave it: X-Edgepack-Model (small, large), X-Edgepack-Confidence of the small one, and
// X-Edgepack-Fallback with the reason where the larger one should have answered and could not.

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <string>
#include <thread>
#include <vector>

#include "confidence.hpp"
#include "httplib.h"
#include "servers.hpp"

namespace {

constexpr size_t kLargestBody = 4 << 20;  // as of the servers behind it
constexpr int kDeepest = 64;              // of a body's arrays and objects; writing JSON takes stack for each
const char *const kKey = "EDGEPACK_LARGE_API_KEY";

Route route;
Place small_one, large_one;
bool log_json = false;

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
    const Upstream upstream = ask(small_one, request, path, body.dump());
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
            const bool unsure = answer.signals.tokens && answer.signals.confidence(route) < route.threshold;
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
    const std::string where = large_one.is_ours() ? path : large_one.base + "/chat/completions";
    return ask(large_one, request, where, body.dump());
}

void log(const char *model, double confidence, const std::string &why, std::chrono::steady_clock::time_point began) {
    const auto took = std::chrono::steady_clock::now() - began;
    const long ms = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
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
    const Upstream upstream = ask(small_one, request, path, request.body);
    if (!*upstream) return fail(response, 503, "the small model's server is not there");
    copy_headers(upstream->headers(), response);
    pass(upstream, request, response);
}

// Up when both are, or when the one that is left is: who asks before would get the small model's answers alone.
void health(const httplib::Request &request, const std::string &path, httplib::Response &response) {
    if (large_one.process > 0) {
        const Upstream upstream = ask(large_one, request, path, "");
        if (!*upstream || upstream->status() != 200) {
            return fail(response, 503, "the large model's server is starting");
        }
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
        if (request.is_connection_closed()) return;  // nobody waits any more
    } else if (large_one.is_ours()) {
        answer.status = 200;  // the larger one's server checks the key as well
    } else {
        return pass_on(request, path, response);
    }
    const double confidence = answer.signals.confidence(route);
    std::string why;
    if (answer.status == 200 && (!answer.whole || confidence < route.threshold)) {
        const Upstream upstream = ask_large(request, path, body);
        if (*upstream && upstream->status() == 200) {
            copy_headers(large_one.is_ours() ? upstream->headers() : answer.headers, response);
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

// Where the route leads, if that is elsewhere.
void set_address() {
    if (route.address.empty()) return;
    const size_t path = route.address.find('/', std::string("http://").size());
    if (route.address.rfind("http://", 0) != 0 || path == std::string::npos) {
        throw std::invalid_argument("an address that is not http://…/v1: " + route.address);
    }
    large_one.host = route.address.substr(0, path);
    large_one.base = route.address.substr(path);
    if (const char *key = std::getenv(kKey)) large_one.key = key;
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
        route = read_route(path);
        set_address();
    } catch (const std::exception &error) {
        return std::fprintf(stderr, "router: %s: %s\n", path.c_str(), error.what()), 2;
    }
    unsetenv(kKey);
    const size_t wanted = large_one.is_ours() ? 2 : 1;
    if (servers.size() != wanted || servers.front().empty() || servers.back().empty()) {
        return std::fprintf(stderr, "router: expected a small server, and a large one or an address\n"), 2;
    }
    const char *temporary = std::getenv("TMPDIR");
    std::string place = std::string(temporary && *temporary ? temporary : "/tmp") + "/edgepack-XXXXXX";
    if (!mkdtemp(place.data())) return std::perror(place.c_str()), 6;
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&signals, signal);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    start(small_one, servers.back(), place + "/small.sock");
    if (wanted == 2) start(large_one, servers.front(), place + "/large.sock");
    const int status = serve(host, std::atoi(port.c_str()), prefix, signals);
    end(small_one);
    end(large_one);
    rmdir(place.c_str());
    return status;
}
