// The servers behind the router: what is sent on to them, what of their answers is passed on, their begin and end.

#pragma once

#include <signal.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "httplib.h"

using Upstream = std::shared_ptr<httplib::stream::Result>;
using Words = std::vector<std::string>;

constexpr int kSeconds = 600;               // without a byte from a server
constexpr size_t kLargestAnswer = 16 << 20;  // an address might never end

// One of them: a child of this process, or an address.
struct Place {
    std::string host;  // of an address, else empty
    std::string base;  // what stands before /chat/completions there
    std::string socket;
    std::string key;
    std::atomic<pid_t> process{-1};
    std::atomic<bool> told{false};  // to end

    bool is_ours() const { return host.empty(); }

    void tell() {
        const pid_t child = process;
        if (child > 0 && !told.exchange(true)) kill(child, SIGTERM);
    }
};

// What a server behind this one may see of a request's headers. A client's key goes to no address.
inline httplib::Headers onward(const httplib::Request &request, const Place &where) {
    httplib::Headers headers{{"Accept-Encoding", "identity"}};
    if (!where.is_ours()) {
        if (!where.key.empty()) headers.emplace("Authorization", "Bearer " + where.key);
        return headers;
    }
    headers.emplace("Host", "localhost");
    for (const char *name : {"Accept", "Authorization", "X-Api-Key", "Origin", "Access-Control-Request-Method",
                             "Access-Control-Request-Headers"}) {
        if (request.has_header(name)) headers.emplace(name, request.get_header_value(name));
    }
    return headers;
}

// Ask a server; its answer is read as it comes, over a connection that ends with it.
inline Upstream ask(const Place &where, const httplib::Request &request, const std::string &path,
                    const std::string &body) {
    httplib::Client client(where.is_ours() ? where.socket : where.host);
    if (where.is_ours()) client.set_address_family(AF_UNIX);
    client.set_connection_timeout(5);
    client.set_read_timeout(kSeconds);
    client.set_write_timeout(kSeconds);
    client.set_payload_max_length(kLargestAnswer);
    const std::string type = body.empty() ? "" : request.get_header_value("Content-Type", "application/json");
    return std::make_shared<httplib::stream::Result>(
        client.open_stream(request.method, path, {}, onward(request, where), body, type));
}

inline void copy_headers(const httplib::Headers &headers, httplib::Response &response) {
    for (const auto &[name, value] : headers) {
        if (strcasecmp(name.c_str(), "Content-Type") && strcasecmp(name.c_str(), "Content-Length") &&
            strcasecmp(name.c_str(), "Transfer-Encoding") && strcasecmp(name.c_str(), "Connection") &&
            strcasecmp(name.c_str(), "Keep-Alive")) {
            response.set_header(name, value);
        }
    }
}

// Pass a server's answer on as it comes.
inline void pass(const Upstream &upstream, const httplib::Request &request, httplib::Response &response) {
    response.status = upstream->status();
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

// A server as a child that ends with this process, however that ends.
inline void start(Place &where, Words words, const std::string &socket) {
    where.socket = socket;
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

inline void end(Place &where) {
    where.tell();
    if (where.process > 0) waitpid(where.process, nullptr, 0);
    if (!where.socket.empty()) unlink(where.socket.c_str());
}
