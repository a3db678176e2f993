package dev.edgepack.core;

import java.io.BufferedReader;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.List;

/** A server on loopback that gives the next answer it was told to, byte for byte, and hangs up. */
final class Served implements Connector, Closeable {
    static final String EVENTS = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

    final List<String> asked = Collections.synchronizedList(new ArrayList<>());
    private final ServerSocket listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    private final Deque<String> answers = new ArrayDeque<>();
    private volatile boolean healthy = true;

    Served(String... answers) throws IOException {
        Collections.addAll(this.answers, answers);
        Thread thread = new Thread(this::serve);
        thread.setDaemon(true);
        thread.start();
    }

    static String body(String status, String text) {
        return "HTTP/1.1 " + status + "\r\nContent-Length: " + text.getBytes(StandardCharsets.UTF_8).length + "\r\n\r\n"
                + text;
    }

    static String piece(String text) {
        return "data: {\"choices\":[{\"delta\":{\"content\":" + Json.write(text) + "}}]}\n\n";
    }

    static String end() {
        return "data: {\"choices\":[{\"delta\":{}}],\"timings\":{\"predicted_n\":7,\"predicted_per_second\":3.5}}\n\n"
                + "data: [DONE]\n\n";
    }

    synchronized void next(String answer) {
        answers.add(answer);
    }

    void setHealthy(boolean healthy) {
        this.healthy = healthy;
    }

    private synchronized String answer() {
        return answers.isEmpty() ? body("500 No", "nothing more to say") : answers.remove();
    }

    private void serve() {
        while (!listener.isClosed()) {
            try (Socket peer = listener.accept()) {
                BufferedReader in = new BufferedReader(
                        new InputStreamReader(peer.getInputStream(), StandardCharsets.UTF_8));
                String request = in.readLine();
                if (request == null) {
                    continue;
                }
                int length = 0;
                for (String line = in.readLine(); line != null && !line.isEmpty(); line = in.readLine()) {
                    if (line.startsWith("Content-Length: ")) {
                        length = Integer.parseInt(line.substring(16));
                    }
                }
                char[] body = new char[length];
                for (int at = 0; at < length; at += in.read(body, at, length - at)) {
                    // until all is there
                }
                asked.add(request + "\n" + new String(body));
                boolean health = request.startsWith("GET /health");
                String said = health ? body(healthy ? "200 OK" : "503 Loading", "{}") : answer();
                peer.getOutputStream().write(said.getBytes(StandardCharsets.UTF_8));
            } catch (IOException error) {
                // The client hung up, or the test is over.
            }
        }
    }

    @Override
    public Connection connect() throws IOException {
        Socket socket = new Socket(listener.getInetAddress(), listener.getLocalPort());
        return new Connection() {
            @Override
            public InputStream in() throws IOException {
                return socket.getInputStream();
            }

            @Override
            public OutputStream out() throws IOException {
                return socket.getOutputStream();
            }

            @Override
            public void close() throws IOException {
                socket.close();
            }
        };
    }

    @Override
    public void close() throws IOException {
        listener.close();
    }
}
