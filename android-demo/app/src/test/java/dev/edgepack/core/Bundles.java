package dev.edgepack.core;

import java.io.ByteArrayInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/** A small bundle in memory: its manifest, its settings and its weights. */
final class Bundles implements BundleFiles.Source {
    static final byte[] WEIGHTS = "GGUF and then some bytes of weights".getBytes(StandardCharsets.UTF_8);

    final Map<String, byte[]> files = new HashMap<>();

    Bundles() {
        files.put("manifest.json", bytes(manifest()));
        files.put("app.json", bytes(settings()));
        files.put("model/tiny.gguf", WEIGHTS);
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static String sha256(byte[] content) {
        Digest digest = new Digest();
        digest.add(content, content.length);
        return digest.hex();
    }

    static String manifest() {
        String file = "{\"path\":\"model/tiny.gguf\",\"size\":" + WEIGHTS.length + ",\"sha256\":\"" + sha256(WEIGHTS) + "\"}";
        return "{\"schema\":\"edgepack.bundle/1\",\"name\":\"tiny-q4_0\",\"quantization\":\"Q4_0\","
                + "\"model\":{\"name\":\"tiny\",\"architecture\":\"llama\",\"parameters\":1000},"
                + "\"sample_prompt\":\"Say hello.\",\"weights\":" + file + ",\"files\":[" + file + "]}";
    }

    static String settings() {
        return "{\"schema\":\"edgepack.app/1\",\"server\":[\"-c\",\"512\"],\"bench\":[\"-t\",\"2\"],\"threads\":2,"
                + "\"batch\":2048,\"micro_batch\":512}";
    }

    @Override
    public InputStream open(String path) throws IOException {
        if (!files.containsKey(path)) {
            throw new FileNotFoundException(path);
        }
        return new ByteArrayInputStream(files.get(path));
    }
}
