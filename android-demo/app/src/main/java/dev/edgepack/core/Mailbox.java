package dev.edgepack.core;

/**
 * Text on its way from the thread that reads the server to the thread that draws. It holds a bounded number of
 * characters: a reader that is too quick waits, so that a slow screen slows the model and not the memory.
 */
public final class Mailbox {
    private final int limit;
    private final StringBuilder waiting = new StringBuilder();
    private boolean closed;

    public Mailbox(int limit) {
        this.limit = limit;
    }

    /** Put text in as soon as there is room; whether somebody must be told, since the box was empty. */
    public synchronized boolean put(String text) throws Problem {
        try {
            while (waiting.length() >= limit && !closed) {
                wait();
            }
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new Problem(Problem.Kind.CANCELLED, "interrupted", error);
        }
        if (closed) {
            throw new Problem(Problem.Kind.CANCELLED, "nobody reads any more");
        }
        boolean wasEmpty = waiting.length() == 0;
        waiting.append(text);
        return wasEmpty;
    }

    /** All that waits, at once. */
    public synchronized String take() {
        String text = waiting.toString();
        waiting.setLength(0);
        notifyAll();
        return text;
    }

    /** Nobody will take any more: who waits in `put` is told. */
    public synchronized void close() {
        closed = true;
        notifyAll();
    }
}
