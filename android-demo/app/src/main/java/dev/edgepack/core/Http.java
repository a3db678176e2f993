package dev.edgepack.core;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/** One HTTP/1.1 exchange (RFC 9112) on one connection: enough for llama-server, over any Connector. */
public final class Http implements Closeable {
    private static final int LONGEST_LINE = 1 << 16;
    private static final int MOST_HEADERS = 100;
    private static final int LARGEST_TEXT = 1 << 24;

    private final Connector.Connection connection;
    private final InputStream in;
    private final Map<String, String> headers = new HashMap<>();
    private int status;

    private Http(Connector.Connection connection) throws IOException {
        this.connection = connection;
        in = new BufferedInputStream(connection.in());
    }

    /** Send a request and read the answer's head; `body` is JSON, or null for a GET. */
    public static Http send(Connector connector, String path, String body, Cancel cancel)
            throws IOException, Problem {
        Connector.Connection connection = connector.connect();
        cancel.onCancel(() -> close(connection));
        try {
            cancel.check();
            byte[] content = body == null ? new byte[0] : body.getBytes(StandardCharsets.UTF_8);
            String head = (body == null ? "GET " : "POST ") + path + " HTTP/1.1\r\nHost: localhost\r\n"
                    + "Connection: close\r\nContent-Type: application/json\r\nContent-Length: " + content.length
                    + "\r\n\r\n";
            connection.out().write(head.getBytes(StandardCharsets.ISO_8859_1));
            connection.out().write(content);
            connection.out().flush();
            Http answer = new Http(connection);
            answer.readHead();
            return answer;
        } catch (IOException | Problem | RuntimeException error) {
            connection.close();
            throw error;
        }
    }

    public int status() {
        return status;
    }

    /** The body as it comes, without the framing of chunks. */
    public InputStream body() throws IOException {
        if ("chunked".equalsIgnoreCase(headers.get("transfer-encoding"))) {
            return new Chunks(in);
        }
        String length = headers.get("content-length");
        return length == null ? in : new Counted(in, number(length, 10));
    }

    /** The whole body. */
    public String text() throws IOException {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        byte[] chunk = new byte[1 << 13];
        InputStream body = body();
        for (int count = body.read(chunk); count >= 0; count = body.read(chunk)) {
            all.write(chunk, 0, count);
            if (all.size() > LARGEST_TEXT) {
                throw new IOException("a body of more than " + LARGEST_TEXT + " bytes");
            }
        }
        return new String(all.toByteArray(), StandardCharsets.UTF_8);
    }

    @Override
    public void close() {
        close(connection);
    }

    private static void close(Connector.Connection connection) {
        try {
            connection.close();
        } catch (IOException ignored) {
            // It is gone either way.
        }
    }

    private void readHead() throws IOException {
        String[] words = line(in).split(" ", 3);
        if (words.length < 2 || !words[0].startsWith("HTTP/1.")) {
            throw new IOException("no HTTP answer: " + words[0]);
        }
        status = (int) number(words[1], 10);
        for (int count = 0; count <= MOST_HEADERS; count++) {
            String line = line(in);
            if (line.isEmpty()) {
                return;
            }
            int colon = line.indexOf(':');
            if (colon > 0) {
                headers.put(line.substring(0, colon).toLowerCase(Locale.ROOT), line.substring(colon + 1).trim());
            }
        }
        throw new IOException("more than " + MOST_HEADERS + " headers");
    }

    /** Up to the next line feed, which with a carriage return before it is not part of it. */
    static String line(InputStream in) throws IOException {
        ByteArrayOutputStream said = new ByteArrayOutputStream();
        for (int next = in.read(); next != '\n'; next = in.read()) {
            if (next < 0) {
                throw new EOFException("the connection ended");
            }
            if (said.size() >= LONGEST_LINE) {
                throw new IOException("a line of more than " + LONGEST_LINE + " bytes");
            }
            said.write(next);
        }
        String line = new String(said.toByteArray(), StandardCharsets.UTF_8);
        return line.endsWith("\r") ? line.substring(0, line.length() - 1) : line;
    }

    private static long number(String digits, int radix) throws IOException {
        try {
            return Long.parseLong(digits.trim(), radix);
        } catch (NumberFormatException error) {
            throw new IOException("no number: " + digits, error);
        }
    }

    /** So many bytes, and an error where the connection ends before them. */
    private static final class Counted extends InputStream {
        private final InputStream in;
        private long left;

        Counted(InputStream in, long left) {
            this.in = in;
            this.left = left;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] into, int from, int most) throws IOException {
            if (left == 0) {
                return -1;
            }
            int count = in.read(into, from, (int) Math.min(most, left));
            if (count < 0) {
                throw new EOFException("the connection ended " + left + " bytes early");
            }
            left -= count;
            return count;
        }
    }

    /** The bytes of chunks. */
    private static final class Chunks extends InputStream {
        private final InputStream in;
        private InputStream chunk;
        private boolean ended;

        Chunks(InputStream in) {
            this.in = in;
        }

        @Override
        public int read() throws IOException {
            byte[] one = new byte[1];
            return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
        }

        @Override
        public int read(byte[] into, int from, int most) throws IOException {
            while (!ended) {
                if (chunk != null) {
                    int count = chunk.read(into, from, most);
                    if (count >= 0) {
                        return count;
                    }
                    line(in);
                }
                long size = number(line(in).split(";", 2)[0], 16);
                ended = size == 0;
                chunk = new Counted(in, size);
            }
            return -1;
        }
    }
}
