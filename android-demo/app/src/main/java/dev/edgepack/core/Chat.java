package dev.edgepack.core;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Answers of llama-server's chat API, streamed as server-sent events; it does not know who reads them. */
public final class Chat {
    /** Takes an answer's pieces; one that blocks holds the server back, through the socket. */
    public interface Sink {
        void piece(String text) throws Problem;
    }

    /** What is known of an answer when it has ended. */
    public static final class Answer {
        public final String text;
        public final long millisToFirst;
        public final long tokens;
        public final double tokensPerSecond;

        Answer(String text, long millisToFirst, long tokens, double tokensPerSecond) {
            this.text = text;
            this.millisToFirst = millisToFirst;
            this.tokens = tokens;
            this.tokensPerSecond = tokensPerSecond;
        }
    }

    private static final int OK = 200;

    private final Connector connector;

    public Chat(Connector connector) {
        this.connector = connector;
    }

    /** Whether the server has loaded its model and answers. */
    public boolean healthy() {
        try (Http answer = Http.send(connector, "/health", null, new Cancel())) {
            return answer.status() == OK;
        } catch (IOException | Problem error) {
            return false;
        }
    }

    /**
     * Ask, and hand on each piece as it comes.
     *
     * Throws IOException where the server is lost on the way, REFUSED where it says no, CANCELLED.
     */
    public Answer ask(String prompt, int mostTokens, Sink sink, Cancel cancel) throws IOException, Problem {
        long asked = System.nanoTime();
        try (Http answer = Http.send(connector, "/v1/chat/completions", request(prompt, mostTokens), cancel)) {
            if (answer.status() != OK) {
                throw new Problem(Problem.Kind.REFUSED, "status " + answer.status() + ": " + reason(answer.text()));
            }
            return new Stream(asked, sink, cancel).read(answer.body());
        } catch (IOException error) {
            cancel.check();
            throw error;
        }
    }

    private static String request(String prompt, int mostTokens) {
        Map<String, Object> message = new LinkedHashMap<>();
        message.put("role", "user");
        message.put("content", prompt);
        Map<String, Object> request = new LinkedHashMap<>();
        request.put("messages", Collections.singletonList(message));
        request.put("max_tokens", mostTokens);
        request.put("temperature", 0);
        request.put("stream", true);
        return Json.write(request);
    }

    /** The server's own words for an error, in {"error": {"message": …}}. */
    private static String reason(String body) {
        try {
            return Json.string(Json.asObject(Json.object(body).get("error")), "message");
        } catch (IllegalArgumentException error) {
            return body.substring(0, Math.min(200, body.length()));
        }
    }

    /** One answer on its way. */
    private static final class Stream {
        private static final List<String> DONE = Arrays.asList("[DONE]", "");

        private final long asked;
        private final Sink sink;
        private final Cancel cancel;
        private final StringBuilder text = new StringBuilder();
        private long first = -1;
        private long tokens;
        private double rate;

        Stream(long asked, Sink sink, Cancel cancel) {
            this.asked = asked;
            this.sink = sink;
            this.cancel = cancel;
        }

        Answer read(InputStream body) throws IOException, Problem {
            while (true) {
                String line = Http.line(body);
                cancel.check();
                if (line.startsWith("error:")) {
                    throw new Problem(Problem.Kind.REFUSED, line);
                }
                if (line.startsWith("data:")) {
                    String data = line.substring("data:".length()).trim();
                    if (DONE.contains(data)) {
                        return new Answer(text.toString(), first, tokens, rate);
                    }
                    take(data);
                }
            }
        }

        private void take(String data) throws IOException, Problem {
            try {
                Map<String, Object> event = Json.object(data);
                if (event.get("error") != null) {
                    throw new Problem(Problem.Kind.REFUSED, reason(data));
                }
                if (event.get("timings") != null) {
                    Map<String, Object> timings = Json.asObject(event.get("timings"));
                    tokens = ((Number) timings.get("predicted_n")).longValue();
                    rate = ((Number) timings.get("predicted_per_second")).doubleValue();
                }
                for (Object choice : Json.asList(event.get("choices"))) {
                    hand(Json.asObject(Json.asObject(choice).get("delta")).get("content"));
                }
            } catch (IllegalArgumentException | ClassCastException | NullPointerException error) {
                throw new IOException("an event that is none: " + data, error);
            }
        }

        private void hand(Object content) throws Problem {
            if (!(content instanceof String) || ((String) content).isEmpty()) {
                return;
            }
            if (first < 0) {
                first = (System.nanoTime() - asked) / 1_000_000;
            }
            text.append((String) content);
            sink.piece((String) content);
        }
    }
}
