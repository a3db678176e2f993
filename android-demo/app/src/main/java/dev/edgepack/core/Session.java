package dev.edgepack.core;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * A bundle at work in an app: its files are brought and checked, its server runs, questions are answered. It lives as
 * long as the process, so that a screen that turns finds it as it was. Every method that works may take minutes:
 * call it on a thread of your own.
 */
public final class Session {
    private static final String MANIFEST = "manifest.json";
    private static final String SETTINGS = "app.json";
    private static final int LARGEST_TEXT = 16 << 20;
    private static final long NEWS = 2_000;

    /** Hears what a question's answer does; on the thread that asks. */
    public interface Listener extends Chat.Sink {
        /** The server died and lives again: what was handed over is void, the answer begins anew. */
        void again();
    }

    private final Environment environment;
    private final Chat chat;
    private final BundleFiles files;
    private final Supervisor.Listener states;
    private final Supervisor.Patience patience;
    private Manifest manifest;
    private Settings settings;
    private File weights;
    private Supervisor supervisor;

    /** Where an app keeps things, and how it reaches its server. */
    public static final class Environment {
        final BundleFiles.Source assets;
        final Connector connector;
        final File program;
        final File data;
        final File scratch;
        final File beside;
        final String address;

        /**
         * `program` is the runtime in the app's library directory; `data` keeps the bundle's files; `scratch` is for
         * temporary ones; `beside` is where large files may have been pushed, or null; `address` is the socket that
         * `connector` leads to.
         */
        public Environment(BundleFiles.Source assets, Connector connector, File program, File data, File scratch,
                File beside, String address) {
            this.assets = assets;
            this.connector = connector;
            this.program = program;
            this.data = data;
            this.scratch = scratch;
            this.beside = beside;
            this.address = address;
        }
    }

    public Session(Environment environment, Supervisor.Patience patience, Supervisor.Listener states) {
        this.environment = environment;
        this.patience = patience;
        this.states = states;
        chat = new Chat(environment.connector);
        files = new BundleFiles(environment.assets, environment.data, environment.beside);
    }

    /** Bring and check the files, start the server, and wait until it answers; at once where it does already. */
    public void prepare(Progress progress, Cancel cancel) throws Problem {
        Supervisor started = brought(progress, cancel);
        started.start();
        started.awaitReady(patience.toStart, cancel);
    }

    /** Read every byte again before the next use. Only while no server runs. */
    public synchronized void doubt() throws Problem {
        readHead();
        files.doubt(manifest.weights);
        supervisor = null;
    }

    /** The answer; once more from the beginning where the server died over it. */
    public Chat.Answer ask(String prompt, int mostTokens, Listener listener, Cancel cancel) throws Problem {
        Supervisor now = brought((done, total) -> { }, cancel);
        now.start();
        now.awaitReady(patience.toStart, cancel);
        try {
            return chat.ask(prompt, mostTokens, listener, cancel);
        } catch (IOException lost) {
            now.awaitNews(NEWS);
            now.awaitReady(patience.toStart, cancel);
            listener.again();
        }
        try {
            return chat.ask(prompt, mostTokens, listener, cancel);
        } catch (IOException lost) {
            throw new Problem(Problem.Kind.RUNTIME_ENDED, lost + "\n" + now.log(), lost);
        }
    }

    /** A measurement's values, for Json.write; the server stands still meanwhile. */
    public Map<String, Object> measure(Benchmark.Workload workload, Benchmark.Conditions conditions, Cancel cancel)
            throws Problem {
        Supervisor server = brought((done, total) -> { }, cancel);
        server.stop();
        List<String> command = Arrays.asList(environment.program.getPath(), "bench", "-m", weights.getPath());
        Usage usage = new Usage(new File("/proc"));
        return new Benchmark(command, environment.scratch, settings, conditions, usage).run(manifest, workload, cancel);
    }

    /** Stop the server. */
    public void close() {
        Supervisor now;
        synchronized (this) {
            now = supervisor;
        }
        if (now != null) {
            now.stop();
        }
    }

    /** The bundle's manifest. */
    public synchronized Manifest manifest() throws Problem {
        readHead();
        return manifest;
    }

    /** What the app was built with. */
    public synchronized Settings settings() throws Problem {
        readHead();
        return settings;
    }

    /** The last words of the server. */
    public synchronized String log() {
        return supervisor == null ? "" : supervisor.log();
    }

    /** Resident bytes of the server; -1 where none runs. */
    public long residentBytes() {
        return new Usage(new File("/proc")).residentBytes(environment.program.getPath());
    }

    private synchronized Supervisor brought(Progress progress, Cancel cancel) throws Problem {
        if (supervisor == null) {
            readHead();
            weights = files.bring(manifest.weights, progress, cancel);
            // The listener may ask about the session, so it must not be called under its lock: the supervisor does.
            supervisor = new Supervisor(command(), environment.scratch, new File(environment.address), chat::healthy,
                    patience, states);
        }
        return supervisor;
    }

    private List<String> command() {
        List<String> words = new ArrayList<>();
        words.add(environment.program.getPath());
        words.addAll(Arrays.asList("server", "-m", weights.getPath(), "--host", environment.address));
        words.addAll(settings.server);
        return words;
    }

    private void readHead() throws Problem {
        if (manifest == null) {
            settings = Settings.parse(text(SETTINGS));
            manifest = Manifest.parse(text(MANIFEST));
        }
    }

    private String text(String path) throws Problem {
        try (InputStream in = environment.assets.open(path)) {
            byte[] chunk = new byte[Digest.CHUNK];
            ByteArrayOutputStream all = new ByteArrayOutputStream();
            for (int count = in.read(chunk); count >= 0 && all.size() <= LARGEST_TEXT; count = in.read(chunk)) {
                all.write(chunk, 0, count);
            }
            return new String(all.toByteArray(), StandardCharsets.UTF_8);
        } catch (IOException error) {
            throw new Problem(Problem.Kind.UNREADABLE, path + ": " + error.getMessage(), error);
        }
    }
}
