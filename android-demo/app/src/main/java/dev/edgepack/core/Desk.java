package dev.edgepack.core;

import java.util.Map;
import java.util.concurrent.Executor;

/**
 * What a screen shows and what its buttons do, without a screen: it outlives the one that turns. Its fields are read
 * and its methods called on the main thread alone; work is done on the worker's.
 */
public final class Desk {
    /** What the user is told of the runtime. */
    public enum Status { IDLE, COPYING, STARTING, READY, FAILED }

    /** The screen, while there is one. */
    public interface View {
        /** Something changed: read it all again. */
        void refresh();
    }

    private static final int MOST_TOKENS = 256;
    private static final int MAILBOX = 4096;

    private final Session session;
    private final Executor worker;
    private final Executor main;
    private View view;
    private Cancel cancel = new Cancel();
    private Mailbox mailbox = new Mailbox(MAILBOX);
    private final StringBuilder answer = new StringBuilder();

    private Status status = Status.IDLE;
    private Problem problem;
    private int percent;
    private boolean busy;
    private int lives;
    private String question = "";
    private Chat.Answer figures;
    private Intent intent;
    private long resident = -1;
    private String measurement = "";

    /** Builds the session, which speaks of its server to a listener. */
    public interface Sessions {
        Session make(Supervisor.Listener states);
    }

    public Desk(Sessions sessions, Executor worker, Executor main) {
        this.worker = worker;
        this.main = main;
        session = sessions.make((state, why) -> main.execute(() -> changed(state, why)));
    }

    /** The screen that shows it now; null where there is none. */
    public void show(View view) {
        this.view = view;
        refresh();
    }

    /** Get everything ready; after a problem, try again. */
    public void open() {
        if (busy || status == Status.READY) {
            return;
        }
        status = Status.COPYING;
        work(now -> session.prepare((done, total) -> {
            int share = (int) (100 * done / Math.max(1, total));
            main.execute(() -> moved(share));
        }, now));
    }

    /** Ask the model; what it answers is an intent, or plain text. */
    public void ask(String text, boolean asIntent) {
        if (busy || text.trim().isEmpty()) {
            return;
        }
        question = text;
        answer.setLength(0);
        figures = null;
        intent = null;
        Mailbox box = new Mailbox(MAILBOX);
        mailbox = box;
        work(now -> {
            now.onCancel(box::close);
            Chat.Answer said = session.ask(text, MOST_TOKENS, new Pieces(box), now);
            long bytes = session.residentBytes();
            Intent understood = asIntent ? Intent.parse(said.text) : null;
            main.execute(() -> answered(said, understood, bytes));
        });
    }

    /** Measure the runtime with llama-bench. */
    public void measure(Benchmark.Workload workload, Benchmark.Conditions conditions) {
        if (busy) {
            return;
        }
        measurement = "";
        work(now -> {
            Map<String, Object> values = session.measure(workload, conditions, now);
            String text = Json.write(values);
            main.execute(() -> {
                measurement = text;
                refresh();
            });
            session.prepare((done, total) -> { }, now);
        });
    }

    /**
     * Check every byte, ask the model the bundle's question, measure, and hand on what was found as
     * edgepack.selftest/1; whoever started the app by adb reads it from a file.
     */
    public void selfTest(Benchmark.Workload workload, Benchmark.Conditions conditions, Report report) {
        work(now -> report.finished(SelfTest.run(session, workload, conditions, now)));
    }

    /** Takes a self-test's JSON, on the worker's thread. */
    public interface Report {
        void finished(String json);
    }

    /** End what is being done. */
    public void stop() {
        cancel.cancel();
    }

    public Status status() {
        return status;
    }

    /** What went wrong last; null where nothing did. */
    public Problem problem() {
        return problem;
    }

    /** How much of the files has been brought. */
    public int percent() {
        return percent;
    }

    public boolean isBusy() {
        return busy;
    }

    /** How often the server was started. */
    public int lives() {
        return lives;
    }

    public String question() {
        return question;
    }

    public String answer() {
        return answer.toString();
    }

    /** Of the last answer, when it is whole. */
    public Chat.Answer figures() {
        return figures;
    }

    /** The last answer understood; null where it is not. */
    public Intent intent() {
        return intent;
    }

    /** Bytes of memory that the server had after the last answer; -1 where nobody knows. */
    public long residentBytes() {
        return resident;
    }

    /** The last measurement, as edgepack reads it. */
    public String measurement() {
        return measurement;
    }

    /** Something that takes long, and may end in a problem. */
    private interface Job {
        void run(Cancel now) throws Problem;
    }

    /** Pieces on their way to the screen. */
    private final class Pieces implements Session.Listener {
        private final Mailbox box;

        Pieces(Mailbox box) {
            this.box = box;
        }

        @Override
        public void piece(String text) throws Problem {
            if (box.put(text)) {
                main.execute(() -> drain(box));
            }
        }

        @Override
        public void again() {
            box.take();
            main.execute(() -> {
                answer.setLength(0);
                refresh();
            });
        }
    }

    private void work(Job job) {
        Cancel now = new Cancel();
        cancel = now;
        busy = true;
        problem = null;
        refresh();
        worker.execute(() -> {
            Problem failed = null;
            try {
                job.run(now);
            } catch (Problem why) {
                failed = why;
            }
            Problem what = failed;
            main.execute(() -> ended(what));
        });
    }

    private void ended(Problem why) {
        busy = false;
        if (why != null && why.kind() != Problem.Kind.CANCELLED) {
            problem = why;
        }
        if (why != null && status != Status.READY) {
            status = Status.FAILED;
        }
        refresh();
    }

    private void drain(Mailbox box) {
        String text = box.take();
        if (box == mailbox) {
            answer.append(text);
            refresh();
        }
    }

    private void answered(Chat.Answer said, Intent understood, long bytes) {
        answer.setLength(0);
        answer.append(said.text);
        figures = said;
        intent = understood;
        resident = bytes;
        refresh();
    }

    private void moved(int share) {
        if (share != percent) {
            percent = share;
            refresh();
        }
    }

    private void changed(Supervisor.State state, Problem why) {
        switch (state) {
            case STARTING:
                status = Status.STARTING;
                lives++;
                break;
            case READY:
                status = Status.READY;
                break;
            case FAILED:
                status = Status.FAILED;
                problem = why;
                break;
            default:
                status = Status.IDLE;
        }
        refresh();
    }

    private void refresh() {
        if (view != null) {
            view.refresh();
        }
    }
}
