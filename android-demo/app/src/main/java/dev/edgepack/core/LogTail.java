package dev.edgepack.core;

import java.util.ArrayDeque;
import java.util.Deque;

/** The last lines that a process wrote. */
public final class LogTail {
    private static final int LONGEST = 500;

    private final int most;
    private final Deque<String> lines = new ArrayDeque<>();

    public LogTail(int most) {
        this.most = most;
    }

    public synchronized void add(String line) {
        lines.addLast(line.length() > LONGEST ? line.substring(0, LONGEST) : line);
        if (lines.size() > most) {
            lines.removeFirst();
        }
    }

    public synchronized String text() {
        return String.join("\n", lines);
    }
}
