package dev.edgepack.core;

import java.io.IOException;
import java.io.InputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Locale;

/** A running sha256. */
public final class Digest {
    static final int CHUNK = 1 << 16;

    private final MessageDigest running = sha256();

    public void add(byte[] bytes, int count) {
        running.update(bytes, 0, count);
    }

    /** Read to the end; `before` bytes of `total` were heard of already. The number of bytes read. */
    public long addAll(InputStream in, long before, long total, Progress progress, Cancel cancel)
            throws IOException, Problem {
        byte[] chunk = new byte[CHUNK];
        long done = 0;
        for (int count = in.read(chunk); count >= 0; count = in.read(chunk)) {
            cancel.check();
            add(chunk, count);
            done += count;
            progress.moved(before + done, total);
        }
        return done;
    }

    /** In lower-case hexadecimal; the digest begins anew. */
    public String hex() {
        StringBuilder hex = new StringBuilder();
        for (byte value : running.digest()) {
            hex.append(String.format(Locale.ROOT, "%02x", value));
        }
        return hex.toString();
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException error) {
            throw new AssertionError("every Java has SHA-256", error);
        }
    }
}
