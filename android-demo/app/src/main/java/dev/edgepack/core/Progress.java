package dev.edgepack.core;

/** Hears how far long work is, in bytes; called on the thread that works. */
public interface Progress {
    void moved(long done, long total);
}
