package dev.edgepack.core;

/** An ending that a user can act on: what kind it is, and the technical detail for a report. */
public final class Problem extends Exception {
    private static final long serialVersionUID = 1L;

    /** One for each sentence that an app shows; the words are the app's, in its languages. */
    public enum Kind { NO_SPACE, DAMAGED, NO_MODEL, UNREADABLE, RUNTIME_ENDED, RUNTIME_SILENT, REFUSED, CANCELLED }

    private final Kind kind;

    public Problem(Kind kind, String detail) {
        super(detail);
        this.kind = kind;
    }

    public Problem(Kind kind, String detail, Throwable cause) {
        super(detail, cause);
        this.kind = kind;
    }

    public Kind kind() {
        return kind;
    }
}
