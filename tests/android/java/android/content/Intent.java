package android.content;

import java.util.HashMap;
import java.util.Map;

public class Intent {
    public static final String ACTION_BATTERY_CHANGED = "android.intent.action.BATTERY_CHANGED";

    private final Map<String, Object> extras = new HashMap<>();

    public Intent putExtra(String name, Object value) {
        extras.put(name, value);
        return this;
    }

    public boolean getBooleanExtra(String name, boolean usual) {
        return (Boolean) extras.getOrDefault(name, usual);
    }

    public int getIntExtra(String name, int usual) {
        return (Integer) extras.getOrDefault(name, usual);
    }

    public void removeExtra(String name) {
        extras.remove(name);
    }
}
