package phone;

import android.app.Activity;
import android.app.Application;
import android.content.Intent;
import android.os.Bundle;
import android.view.View;
import android.widget.TextView;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/**
 * Touches the app as a person does, by lines on stdin: `start [KEY=VALUE …]`, `type ID TEXT`, `click ID`, `text ID`,
 * `shown ID`, `rotate`, `leave`. Each is answered by one line on stdout.
 */
public final class Hand {
    private final Application application;
    private Activity activity;

    private Hand() throws Exception {
        application = (Application) Class.forName("dev.edgepack.demo.DemoApplication").getConstructor().newInstance();
        application.onCreate();
    }

    public static void main(String[] words) throws Exception {
        Hand hand = new Hand();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String asked = line;
            String said = Phone.onMain(() -> hand.obey(asked.split(" ", 3)));
            System.out.println(said.replace("\\", "\\\\").replace("\n", "\\n"));
            System.out.flush();
        }
        System.exit(0);
    }

    private String obey(String[] words) throws Exception {
        switch (words[0]) {
            case "start":
                begin(null, extras(words));
                return "";
            case "rotate":
                Bundle kept = new Bundle();
                activity.save(kept);
                activity.end();
                begin(kept, new Intent());
                return "";
            case "leave":
                activity.end();
                return "";
            case "type":
                ((TextView) view(words[1])).setText(words[2]);
                return "";
            case "click":
                return String.valueOf(view(words[1]).performClick());
            case "text":
                return ((TextView) view(words[1])).getText().toString();
            case "shown":
                return String.valueOf(view(words[1]).isShown());
            default:
                throw new IllegalArgumentException(words[0]);
        }
    }

    private void begin(Bundle kept, Intent intent) throws Exception {
        activity = (Activity) Class.forName("dev.edgepack.demo.MainActivity").getConstructor().newInstance();
        activity.begin(application, intent, kept);
    }

    private static Intent extras(String[] words) {
        Intent intent = new Intent();
        for (int at = 1; at < words.length; at++) {
            for (String pair : words[at].split(" ")) {
                String[] parts = pair.split("=", 2);
                intent.putExtra(parts[0], parts[1].equals("true") ? (Object) true : Integer.valueOf(parts[1]));
            }
        }
        return intent;
    }

    private View view(String name) {
        return activity.findViewById(Phone.id(name));
    }
}
