package dev.edgepack.demo;

import android.net.LocalSocket;
import android.net.LocalSocketAddress;
import dev.edgepack.core.Connector;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;

/** A Unix socket in the app's own directory: no other app reaches it, and no permission is needed. */
final class Sockets implements Connector {
    private final String path;

    Sockets(String path) {
        this.path = path;
    }

    @Override
    public Connection connect() throws IOException {
        LocalSocket socket = new LocalSocket();
        try {
            socket.connect(new LocalSocketAddress(path, LocalSocketAddress.Namespace.FILESYSTEM));
        } catch (IOException error) {
            socket.close();
            throw error;
        }
        return new Open(socket);
    }

    private static final class Open implements Connection {
        private final LocalSocket socket;

        Open(LocalSocket socket) {
            this.socket = socket;
        }

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
            try {
                // close() alone does not wake a thread that reads.
                socket.shutdownInput();
            } finally {
                socket.close();
            }
        }
    }
}
