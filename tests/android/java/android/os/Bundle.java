package android.os;

import java.util.HashMap;
import java.util.Map;

public final class Bundle {
    private final Map<String, Object> values = new HashMap<>();

    public void putInt(String key, int value) {
        values.put(key, value);
    }

    public int getInt(String key) {
        return (Integer) values.getOrDefault(key, 0);
    }

    public void putString(String key, String value) {
        values.put(key, value);
    }

    public String getString(String key) {
        return (String) values.get(key);
    }
}
