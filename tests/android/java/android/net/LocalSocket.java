package android.net;

import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;

public class LocalSocket implements Closeable {
    private final SocketChannel channel;

    public LocalSocket() {
        try {
            channel = SocketChannel.open(StandardProtocolFamily.UNIX);
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    public void connect(LocalSocketAddress address) throws IOException {
        channel.connect(UnixDomainSocketAddress.of(address.path));
    }

    public InputStream getInputStream() throws IOException {
        return Channels.newInputStream(channel);
    }

    public OutputStream getOutputStream() throws IOException {
        return Channels.newOutputStream(channel);
    }

    public void shutdownInput() throws IOException {
        channel.shutdownInput();
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }
}
