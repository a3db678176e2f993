package dev.edgepack.demo;

import android.app.Activity;
import android.os.Bundle;
import android.view.View;
import android.widget.EditText;
import android.widget.ProgressBar;
import android.widget.TextView;
import dev.edgepack.core.Benchmark;
import dev.edgepack.core.Chat;
import dev.edgepack.core.Desk;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.StandardCopyOption;
import java.util.Map;

/** The one screen: an intents form, a chat, a benchmark. It draws what the desk says and tells it what was touched. */
public final class MainActivity extends Activity implements Desk.View {
    private static final String SHOWN = "shown";
    private static final String SELFTEST = "selftest";
    private static final int[] TABS = {R.id.tab_intents, R.id.tab_chat, R.id.tab_benchmark};
    private static final int[] PANELS = {R.id.panel_intents, R.id.panel_chat, R.id.panel_benchmark};
    private static final double MEGA = 1e6;

    private Desk desk;
    private int shown;

    @Override
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        setContentView(R.layout.main);
        desk = ((DemoApplication) getApplication()).desk();
        shown = state == null ? 0 : state.getInt(SHOWN);
        for (int tab = 0; tab < TABS.length; tab++) {
            int wanted = tab;
            on(TABS[tab], () -> turnTo(wanted));
        }
        on(R.id.command_send, () -> desk.ask(typed(R.id.command), true));
        on(R.id.chat_send, () -> desk.ask(typed(R.id.chat_text), false));
        on(R.id.benchmark_run, () -> desk.measure(Benchmark.USUAL, new Phone(this)));
        on(R.id.stop, desk::stop);
        on(R.id.retry, desk::open);
        turnTo(shown);
    }

    @Override
    protected void onStart() {
        super.onStart();
        desk.show(this);
        if (getIntent() != null && getIntent().getBooleanExtra(SELFTEST, false)) {
            getIntent().removeExtra(SELFTEST);
            selfTest();
        } else {
            desk.open();
        }
    }

    @Override
    protected void onStop() {
        desk.show(null);
        super.onStop();
    }

    @Override
    protected void onSaveInstanceState(Bundle state) {
        super.onSaveInstanceState(state);
        state.putInt(SHOWN, shown);
    }

    @Override
    public void refresh() {
        boolean busy = desk.isBusy();
        text(R.id.status, status());
        text(R.id.problem, desk.problem() == null ? "" : getString(Words.of(desk.problem())));
        show(R.id.problem, desk.problem() != null);
        show(R.id.retry, desk.status() == Desk.Status.FAILED && !busy);
        show(R.id.stop, busy);
        ProgressBar progress = (ProgressBar) findViewById(R.id.progress);
        progress.setProgress(desk.percent());
        show(R.id.progress, desk.status() == Desk.Status.COPYING);
        for (int button : new int[] {R.id.command_send, R.id.chat_send, R.id.benchmark_run}) {
            findViewById(button).setEnabled(!busy);
        }
        text(R.id.answer, desk.answer());
        text(R.id.question, desk.question());
        text(R.id.intent, intent());
        text(R.id.figures, figures());
        text(R.id.measurement, desk.measurement());
    }

    private void turnTo(int wanted) {
        shown = wanted;
        for (int panel = 0; panel < PANELS.length; panel++) {
            show(PANELS[panel], panel == wanted);
            findViewById(TABS[panel]).setSelected(panel == wanted);
        }
    }

    private String status() {
        switch (desk.status()) {
            case COPYING:
                return getString(R.string.status_copying, desk.percent());
            case STARTING:
                return getString(desk.lives() > 1 ? R.string.status_restarting : R.string.status_starting);
            case READY:
                return getString(desk.isBusy() ? R.string.status_working : R.string.status_ready);
            case FAILED:
                return getString(R.string.status_failed);
            default:
                return getString(R.string.status_idle);
        }
    }

    private String intent() {
        if (desk.intent() == null) {
            return "";
        }
        StringBuilder lines = new StringBuilder(desk.intent().name);
        for (Map.Entry<String, String> slot : desk.intent().slots.entrySet()) {
            lines.append('\n').append(slot.getKey()).append(": ").append(slot.getValue());
        }
        return lines.toString();
    }

    private String figures() {
        Chat.Answer answer = desk.figures();
        if (answer == null) {
            return "";
        }
        Double celsius = new Phone(this).celsius();
        return getString(R.string.figures, answer.millisToFirst, answer.tokensPerSecond,
                desk.residentBytes() / MEGA, celsius == null ? getString(R.string.unknown) : celsius.toString());
    }

    /** For whoever starts the app by adb: the result becomes a file that adb can pull. */
    private void selfTest() {
        Benchmark.Workload workload = new Benchmark.Workload(getIntent().getIntExtra("prompt", 512),
                getIntent().getIntExtra("generate", 128), getIntent().getIntExtra("repeats", 5));
        File place = new File(getExternalFilesDir(null), "selftest.json");
        place.delete();
        desk.selfTest(workload, new Phone(this), json -> {
            File written = new File(place.getPath() + ".part");
            try {
                Files.write(written.toPath(), json.getBytes(StandardCharsets.UTF_8));
                Files.move(written.toPath(), place.toPath(), StandardCopyOption.REPLACE_EXISTING);
            } catch (IOException error) {
                runOnUiThread(() -> text(R.id.status, String.valueOf(error.getMessage())));
            }
        });
    }

    private void on(int id, Runnable action) {
        findViewById(id).setOnClickListener(touched -> action.run());
    }

    private String typed(int id) {
        return ((EditText) findViewById(id)).getText().toString();
    }

    private void text(int id, String text) {
        TextView view = (TextView) findViewById(id);
        // What did not change is not read out again.
        if (!text.contentEquals(view.getText())) {
            view.setText(text);
        }
    }

    private void show(int id, boolean visible) {
        findViewById(id).setVisibility(visible ? View.VISIBLE : View.GONE);
    }
}
