package android.app;

import android.content.Context;
import android.content.Intent;
import android.os.Bundle;
import android.view.View;
import android.widget.EditText;
import android.widget.TextView;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.Map;
import phone.Phone;

public class Activity extends Context {
    private final Map<Integer, View> views = new HashMap<>();
    private Application application;
    private Intent intent;

    protected void onCreate(Bundle state) {
    }

    protected void onStart() {
    }

    protected void onStop() {
    }

    protected void onDestroy() {
    }

    protected void onSaveInstanceState(Bundle state) {
        for (Map.Entry<Integer, View> entry : views.entrySet()) {
            if (entry.getValue() instanceof EditText) {
                state.putString("view " + entry.getKey(), ((EditText) entry.getValue()).getText().toString());
            }
        }
    }

    public final Application getApplication() {
        return application;
    }

    public Intent getIntent() {
        return intent;
    }

    public final void runOnUiThread(Runnable work) {
        Phone.post(work);
    }

    /** The views of the APK's layout: its elements with their parents, ids, visibility and texts. */
    public void setContentView(int layout) {
        Deque<View> parents = new ArrayDeque<>();
        for (String[] row : Phone.table("layout.tsv")) {
            int depth = Integer.parseInt(row[0]);
            while (parents.size() > depth) {
                parents.pop();
            }
            View view = make(row[1]);
            view.parent = parents.peek();
            view.setVisibility(row[3].equals("2") ? View.GONE : View.VISIBLE);
            if (view instanceof TextView && !row[4].isEmpty()) {
                ((TextView) view).setText(Phone.string(Integer.decode(row[4])));
            }
            if (!row[2].isEmpty()) {
                views.put(Integer.decode(row[2]), view);
            }
            parents.push(view);
        }
    }

    public View findViewById(int id) {
        return views.get(id);
    }

    private static View make(String tag) {
        try {
            return (View) Class.forName("android.widget." + tag).getConstructor().newInstance();
        } catch (ReflectiveOperationException error) {
            throw new IllegalStateException("no fake of " + tag, error);
        }
    }

    /** What Android does when a screen appears. */
    public final void begin(Application owner, Intent with, Bundle kept) {
        application = owner;
        intent = with;
        onCreate(kept);
        onStart();
        if (kept != null) {
            for (Map.Entry<Integer, View> entry : views.entrySet()) {
                String text = kept.getString("view " + entry.getKey());
                if (text != null) {
                    ((EditText) entry.getValue()).setText(text);
                }
            }
        }
    }

    public final void save(Bundle kept) {
        onSaveInstanceState(kept);
    }

    /** What it does when one goes. */
    public final void end() {
        onStop();
        onDestroy();
    }
}
