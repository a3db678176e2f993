package dev.edgepack.core;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/** What an app needs of a bundle's manifest.json (edgepack.bundle/1): names, and its files with their digests. */
public final class Manifest {
    public static final String SCHEMA = "edgepack.bundle/1";

    /** One file: path in the bundle, bytes, sha256. */
    public static final class Entry {
        public final String path;
        public final long size;
        public final String sha256;

        public Entry(String path, long size, String sha256) {
            this.path = path;
            this.size = size;
            this.sha256 = sha256;
        }
    }

    public final String name;
    public final String model;
    public final String architecture;
    public final long parameters;
    public final String quantization;
    public final String samplePrompt;
    public final Entry weights;
    public final List<Entry> files;

    private Manifest(Map<String, Object> top) {
        Map<String, Object> described = Json.asObject(top.get("model"));
        name = Json.string(top, "name");
        model = Json.string(described, "name");
        architecture = Json.string(described, "architecture");
        parameters = Json.whole(described, "parameters");
        quantization = (String) top.get("quantization");
        samplePrompt = Json.string(top, "sample_prompt");
        List<Entry> listed = new ArrayList<>();
        for (Object file : Json.asList(top.get("files"))) {
            listed.add(entry(Json.asObject(file)));
        }
        files = Collections.unmodifiableList(listed);
        weights = file(entry(Json.asObject(top.get("weights"))).path);
    }

    /** Read it strictly. Throws UNREADABLE that names the place. */
    public static Manifest parse(String text) throws Problem {
        try {
            Map<String, Object> top = Json.object(text);
            if (!SCHEMA.equals(top.get("schema"))) {
                throw new IllegalArgumentException("schema: expected " + SCHEMA + ", got " + top.get("schema"));
            }
            return new Manifest(top);
        } catch (IllegalArgumentException | ClassCastException error) {
            throw new Problem(Problem.Kind.UNREADABLE, "manifest.json: " + error.getMessage(), error);
        }
    }

    /** The file at that path. Throws IllegalArgumentException where the manifest lists none. */
    public Entry file(String path) {
        for (Entry file : files) {
            if (file.path.equals(path)) {
                return file;
            }
        }
        throw new IllegalArgumentException("files: " + path + " is not listed");
    }

    private static Entry entry(Map<String, Object> values) {
        String path = Json.string(values, "path");
        String sha256 = Json.string(values, "sha256");
        long size = Json.whole(values, "size");
        if (!path.matches("([A-Za-z0-9][A-Za-z0-9._+-]*/)*[A-Za-z0-9][A-Za-z0-9._+-]*")) {
            throw new IllegalArgumentException("path: " + path + " could lead out of the bundle");
        }
        if (size < 0 || !sha256.matches("[0-9a-f]{64}")) {
            throw new IllegalArgumentException(path + ": no size and sha256");
        }
        return new Entry(path, size, sha256);
    }
}
