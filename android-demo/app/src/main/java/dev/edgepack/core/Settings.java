package dev.edgepack.core;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;

/** app.json (edgepack.app/1): the bundle's flags as the runtime's arguments, written when the app was built. */
public final class Settings {
    public static final String SCHEMA = "edgepack.app/1";

    public final List<String> server;
    public final List<String> bench;
    public final int threads;
    public final int batch;
    public final int microBatch;

    private Settings(Map<String, Object> top) {
        server = words(top, "server");
        bench = words(top, "bench");
        threads = (int) Json.whole(top, "threads");
        batch = (int) Json.whole(top, "batch");
        microBatch = (int) Json.whole(top, "micro_batch");
    }

    public static Settings parse(String text) throws Problem {
        try {
            Map<String, Object> top = Json.object(text);
            if (!SCHEMA.equals(top.get("schema"))) {
                throw new IllegalArgumentException("schema: expected " + SCHEMA + ", got " + top.get("schema"));
            }
            return new Settings(top);
        } catch (IllegalArgumentException error) {
            throw new Problem(Problem.Kind.UNREADABLE, "app.json: " + error.getMessage(), error);
        }
    }

    private static List<String> words(Map<String, Object> top, String key) {
        List<String> words = new ArrayList<>();
        for (Object word : Json.asList(top.get(key))) {
            if (!(word instanceof String)) {
                throw new IllegalArgumentException(key + ": expected strings");
            }
            words.add((String) word);
        }
        return Collections.unmodifiableList(words);
    }
}
