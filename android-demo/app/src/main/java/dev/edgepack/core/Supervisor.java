package dev.edgepack.core;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/**
 * Keeps one server process: starts it, waits until it is healthy, starts it again when it dies (Android ends children
 * of its own accord), and stops it. After too many deaths in a row it gives up and says so.
 */
public final class Supervisor {
    /** What the server is doing. */
    public enum State { STOPPED, STARTING, READY, FAILED }

    /** Hears every change, on the supervisor's own thread. */
    public interface Listener {
        void changed(State state, Problem why);
    }

    /** How patient it is, in milliseconds. */
    public static final class Patience {
        final long toStart;
        final long firstWait;
        final long grace;
        final int deaths;

        /** Time to be healthy in; the pause after the first death, doubled with each; time to stop in; most deaths. */
        public Patience(long toStart, long firstWait, long grace, int deaths) {
            this.toStart = toStart;
            this.firstWait = firstWait;
            this.grace = grace;
            this.deaths = deaths;
        }
    }

    /** For a phone: a large model takes a minute from slow storage. */
    public static final Patience PATIENT = new Patience(120_000, 250, 3_000, 5);
    private static final long LOOK = 50;
    private static final int LOG_LINES = 200;

    private final List<String> command;
    private final File directory;
    private final File socket;
    private final BooleanSupplier healthy;
    private final Patience patience;
    private final Listener listener;
    private final LogTail log = new LogTail(LOG_LINES);
    private State state = State.STOPPED;
    private Problem problem;
    private boolean wanted;
    private Process process;
    private Thread keeper;

    /** `command` is run in `directory`, where it may also put temporary files; it listens at `socket`. */
    public Supervisor(List<String> command, File directory, File socket, BooleanSupplier healthy, Patience patience,
            Listener listener) {
        this.command = command;
        this.directory = directory;
        this.socket = socket;
        this.healthy = healthy;
        this.patience = patience;
        this.listener = listener;
    }

    /** Start it, unless it runs. */
    public synchronized void start() {
        if (wanted && state != State.FAILED) {
            return;
        }
        wanted = true;
        problem = null;
        state = State.STARTING;
        keeper = new Thread(this::keep, "edgepack-supervisor");
        keeper.setDaemon(true);
        keeper.start();
    }

    /** Stop it and wait for its end. */
    public void stop() {
        Thread waiting;
        synchronized (this) {
            wanted = false;
            waiting = keeper;
            if (process != null) {
                process.destroyForcibly();
            }
            notifyAll();
        }
        try {
            if (waiting != null) {
                waiting.join(patience.grace);
            }
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
        }
    }

    /** Wait until it is ready. Throws what it failed of, or RUNTIME_SILENT after `millis`. */
    public synchronized void awaitReady(long millis, Cancel cancel) throws Problem {
        long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
        try {
            while (state != State.READY) {
                cancel.check();
                if (state == State.FAILED) {
                    throw problem;
                }
                if (System.nanoTime() > until || !wanted) {
                    throw new Problem(Problem.Kind.RUNTIME_SILENT, log.text());
                }
                wait(LOOK);
            }
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new Problem(Problem.Kind.CANCELLED, "interrupted", error);
        }
    }

    /** After its connection was lost: wait until its death has been noticed, or it turns out to live. */
    public synchronized void awaitNews(long millis) throws Problem {
        try {
            if (state == State.READY) {
                wait(millis);
            }
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new Problem(Problem.Kind.CANCELLED, "interrupted", error);
        }
    }

    public synchronized State state() {
        return state;
    }

    /** The last lines that it wrote. */
    public String log() {
        return log.text();
    }

    private void keep() {
        long pause = patience.firstWait;
        int deaths = 0;
        while (isWanted()) {
            change(State.STARTING, null);
            boolean wasReady = runOnce();
            setState(State.STARTING);
            if (!isWanted()) {
                break;
            }
            deaths = wasReady ? 1 : deaths + 1;
            pause = wasReady ? patience.firstWait : pause * 2;
            if (deaths >= patience.deaths) {
                change(State.FAILED, new Problem(Problem.Kind.RUNTIME_ENDED, log.text()));
                return;
            }
            rest(pause);
        }
        change(State.STOPPED, null);
    }

    /** One life of the server; whether it was ever healthy. */
    private boolean runOnce() {
        boolean ready = false;
        Process started;
        try {
            started = launch();
        } catch (IOException error) {
            log.add(String.valueOf(error.getMessage()));
            return false;
        }
        try {
            long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(patience.toStart);
            while (!started.waitFor(LOOK, TimeUnit.MILLISECONDS)) {
                if (!ready && healthy.getAsBoolean()) {
                    ready = true;
                    change(State.READY, null);
                }
                if (!isWanted() || !ready && System.nanoTime() > until) {
                    break;
                }
            }
            end(started);
        } catch (InterruptedException error) {
            started.destroyForcibly();
            Thread.currentThread().interrupt();
        }
        return ready;
    }

    private Process launch() throws IOException {
        // A server that was killed leaves its socket, and the next one could not bind to it.
        socket.delete();
        Process started = start(command, directory);
        synchronized (this) {
            process = started;
        }
        Thread reader = new Thread(() -> read(started), "edgepack-log");
        reader.setDaemon(true);
        reader.start();
        return started;
    }

    /** A native program with its output in one stream; a phone's app has no temporary folder but its own. */
    static Process start(List<String> command, File directory) throws IOException {
        ProcessBuilder builder = new ProcessBuilder(command);
        builder.directory(directory);
        builder.redirectErrorStream(true);
        Map<String, String> environment = builder.environment();
        environment.put("TMPDIR", directory.getPath());
        environment.put("HOME", directory.getPath());
        return builder.start();
    }

    private void read(Process started) {
        try (BufferedReader lines = reader(started)) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                log.add(line);
            }
        } catch (IOException error) {
            log.add("no more output: " + error.getMessage());
        }
    }

    static BufferedReader reader(Process started) {
        return new BufferedReader(new InputStreamReader(started.getInputStream(), StandardCharsets.UTF_8));
    }

    /** By SIGKILL: nothing is to be saved, and musl's accept4 makes a call that Android forbids once a socket is shut. */
    private void end(Process started) throws InterruptedException {
        started.destroyForcibly();
        log.add("ended with " + started.waitFor());
    }

    private synchronized boolean isWanted() {
        return wanted;
    }

    /** At once, so that nobody takes a dead server for a ready one; it is told with the next life. */
    private synchronized void setState(State now) {
        state = now;
        notifyAll();
    }

    /** The listener first: whoever waits for a state finds that it has been told. */
    private void change(State now, Problem why) {
        listener.changed(now, why);
        synchronized (this) {
            state = now;
            problem = why;
            notifyAll();
        }
    }

    private synchronized void rest(long millis) {
        long until = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millis);
        try {
            for (long left = millis; wanted && left > 0; left = (until - System.nanoTime()) / 1_000_000) {
                wait(left);
            }
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            wanted = false;
        }
    }
}
