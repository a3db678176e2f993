package android.net;

public class LocalSocketAddress {
    public enum Namespace { ABSTRACT, RESERVED, FILESYSTEM }

    final String path;

    public LocalSocketAddress(String name, Namespace namespace) {
        if (namespace != Namespace.FILESYSTEM) {
            throw new IllegalArgumentException("only paths here");
        }
        path = name;
    }
}
