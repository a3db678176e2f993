package dev.edgepack.core;

/** Says once, from any thread, that work shall end; the work asks, or is told through one action. */
public final class Cancel {
    private boolean wanted;
    private Runnable action;

    public synchronized boolean isWanted() {
        return wanted;
    }

    /** What ends work that waits, such as closing its socket; run at once where cancelling came first. */
    public void onCancel(Runnable action) {
        synchronized (this) {
            this.action = action;
            if (!wanted) {
                return;
            }
        }
        action.run();
    }

    public void cancel() {
        Runnable now;
        synchronized (this) {
            wanted = true;
            now = action;
        }
        if (now != null) {
            now.run();
        }
    }

    public void check() throws Problem {
        if (isWanted()) {
            throw new Problem(Problem.Kind.CANCELLED, "cancelled");
        }
    }
}
