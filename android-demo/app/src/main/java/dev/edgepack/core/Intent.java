package dev.edgepack.core;

import java.util.LinkedHashMap;
import java.util.Map;

/** What the demo models answer: one flat JSON object, whose "intent" says what shall be done. */
public final class Intent {
    public final String name;
    /** Slots in the model's order: device, room, value, unit, … */
    public final Map<String, String> slots;

    private Intent(String name, Map<String, String> slots) {
        this.name = name;
        this.slots = slots;
    }

    /** Throws UNREADABLE where the answer is no intent, as a model may answer anything. */
    public static Intent parse(String answer) throws Problem {
        try {
            Map<String, Object> object = Json.object(answer.trim());
            Map<String, String> slots = new LinkedHashMap<>();
            for (Map.Entry<String, Object> slot : object.entrySet()) {
                Object value = slot.getValue();
                if (!(value instanceof String || value instanceof Number)) {
                    throw new IllegalArgumentException(slot.getKey() + ": neither text nor number");
                }
                slots.put(slot.getKey(), value.toString());
            }
            String name = Json.string(object, "intent");
            slots.remove("intent");
            return new Intent(name, slots);
        } catch (IllegalArgumentException error) {
            throw new Problem(Problem.Kind.UNREADABLE, answer, error);
        }
    }
}
