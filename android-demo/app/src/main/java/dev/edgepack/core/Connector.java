package dev.edgepack.core;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/** The way to the server: a Unix socket on Android, whatever serves in a test. */
public interface Connector {
    Connection connect() throws IOException;

    /** One connection; closing it ends a read that waits in another thread. */
    interface Connection extends Closeable {
        InputStream in() throws IOException;

        OutputStream out() throws IOException;
    }
}
