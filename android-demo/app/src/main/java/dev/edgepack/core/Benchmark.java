package dev.edgepack.core;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.text.SimpleDateFormat;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TimeZone;

/**
 * llama-bench run as a program of its own, one phase after the other, and what it printed as a measurement
 * (edgepack.measurement/1): the JSON that edgepack reads, compares and draws.
 */
public final class Benchmark {
    /** The phone around the measurement; a null where nobody says. */
    public interface Conditions {
        String machine();

        String system();

        Double celsius();
    }

    /** How much is run: tokens of the prompt, tokens generated, repeats. */
    public static final class Workload {
        final int prompt;
        final int generated;
        final int repeats;

        public Workload(int prompt, int generated, int repeats) {
            this.prompt = prompt;
            this.generated = generated;
            this.repeats = repeats;
        }
    }

    /** llama-bench's own. */
    public static final Workload USUAL = new Workload(512, 128, 5);
    private static final double SPREAD_LIMIT = 0.05;

    private final List<String> command;
    private final File directory;
    private final Settings settings;
    private final Conditions conditions;
    private final Usage usage;

    /** `command` is llama-bench and its model; `directory` where it runs. */
    public Benchmark(List<String> command, File directory, Settings settings, Conditions conditions, Usage usage) {
        this.command = command;
        this.directory = directory;
        this.settings = settings;
        this.conditions = conditions;
        this.usage = usage;
    }

    /** Measure, as plain values for Json.write. Throws RUNTIME_ENDED with the program's words. */
    public Map<String, Object> run(Manifest manifest, Workload workload, Cancel cancel) throws Problem {
        Double before = conditions.celsius();
        long free = usage.availableBytes();
        String date = date();
        Map<String, Object> prefill = phase("-p", workload.prompt, "-n", workload, cancel);
        Map<String, Object> decode = phase("-n", workload.generated, "-p", workload, cancel);
        List<Object> series = new ArrayList<>();
        List<String> unstable = new ArrayList<>();
        series.add(series("pp", workload.prompt, prefill, unstable));
        series.add(series("tg", workload.generated, decode, unstable));
        Map<String, Object> all = new LinkedHashMap<>();
        all.put("schema", "edgepack.measurement/1");
        all.put("date", date);
        all.put("weights", weights(manifest));
        all.put("runtime", runtime(decode));
        all.put("conditions", around(before, free));
        all.put("workload", described(workload));
        all.put("threads", settings.threads);
        all.put("cpus", null);
        all.put("stable", unstable.isEmpty());
        all.put("unstable_because", unstable);
        all.put("series", series);
        all.put("sweep", Collections.emptyList());
        all.put("rejected", Collections.emptyList());
        all.put("device", "app");
        all.put("sustained", null);
        return all;
    }

    /** The row that llama-bench prints for one phase. */
    private Map<String, Object> phase(String flag, int tokens, String other, Workload workload, Cancel cancel)
            throws Problem {
        List<String> words = new ArrayList<>(command);
        words.addAll(Arrays.asList(flag, String.valueOf(tokens), other, "0", "-r", String.valueOf(workload.repeats)));
        words.addAll(Arrays.asList("-o", "jsonl"));
        words.addAll(settings.bench);
        LogTail said = new LogTail(20);
        Map<String, Object> row = null;
        try {
            Process running = Supervisor.start(words, directory);
            cancel.onCancel(running::destroyForcibly);
            try (BufferedReader lines = Supervisor.reader(running)) {
                for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                    said.add(line);
                    row = line.startsWith("{") ? Json.object(line) : row;
                }
            }
            int status = running.waitFor();
            cancel.check();
            if (status != 0 || row == null) {
                throw new Problem(Problem.Kind.RUNTIME_ENDED, "status " + status + "\n" + said.text());
            }
            return row;
        } catch (IOException | IllegalArgumentException error) {
            cancel.check();
            throw new Problem(Problem.Kind.RUNTIME_ENDED, error + "\n" + said.text(), error);
        } catch (InterruptedException error) {
            Thread.currentThread().interrupt();
            throw new Problem(Problem.Kind.CANCELLED, "interrupted", error);
        }
    }

    private Map<String, Object> series(String phase, int tokens, Map<String, Object> row, List<String> unstable) {
        List<Double> rates = new ArrayList<>();
        List<Object> samples = new ArrayList<>();
        for (Object nanos : Json.asList(row.get("samples_ns"))) {
            double seconds = ((Number) nanos).doubleValue() / 1e9;
            rates.add(tokens / seconds);
            Map<String, Object> sample = new LinkedHashMap<>();
            sample.put("seconds", seconds);
            sample.put("busy", null);
            samples.add(sample);
        }
        double spread = Statistics.spread(rates);
        if (spread > SPREAD_LIMIT) {
            unstable.add(String.format(Locale.ROOT, "%s%d: spread %.1f %%", phase, tokens, 100 * spread));
        }
        Map<String, Object> rate = new LinkedHashMap<>();
        rate.put("median", Statistics.median(rates));
        rate.put("mean", Statistics.mean(rates));
        rate.put("stddev", Statistics.deviation(rates));
        rate.put("spread", spread);
        Map<String, Object> series = new LinkedHashMap<>();
        series.put("test", phase + tokens);
        series.put("phase", phase);
        series.put("tokens", tokens);
        series.put("threads", Json.whole(row, "n_threads"));
        series.put("tokens_per_second", rate);
        series.put("samples", samples);
        return series;
    }

    private static Map<String, Object> weights(Manifest manifest) {
        Map<String, Object> weights = new LinkedHashMap<>();
        weights.put("name", manifest.model);
        weights.put("sha256", manifest.weights.sha256);
        weights.put("size", manifest.weights.size);
        weights.put("quant", manifest.quantization);
        weights.put("architecture", manifest.architecture);
        weights.put("parameters", manifest.parameters);
        weights.put("adapter", null);
        weights.put("synthetic", false);
        return weights;
    }

    private static Map<String, Object> runtime(Map<String, Object> row) {
        Map<String, Object> runtime = new LinkedHashMap<>();
        runtime.put("name", "llama-bench");
        runtime.put("version", "build " + row.get("build_number") + " (" + row.get("build_commit") + ")");
        runtime.put("build", String.valueOf(row.get("backends")));
        String cpu = String.valueOf(row.get("cpu_info"));
        runtime.put("system_info", cpu.isEmpty() ? "not told by llama-bench" : cpu);
        return runtime;
    }

    private Map<String, Object> around(Double before, long free) {
        Map<String, Object> around = new LinkedHashMap<>();
        around.put("machine", conditions.machine());
        around.put("cpu", Runtime.getRuntime().availableProcessors() + " CPUs");
        around.put("system", conditions.system());
        around.put("governor", null);
        around.put("celsius_before", before);
        around.put("celsius_after", conditions.celsius());
        around.put("mhz_after", null);
        around.put("mhz_limit", null);
        around.put("throttled", null);
        around.put("busy_before", null);
        around.put("memory_free_before", free < 0 ? null : free);
        around.put("peak_rss", null);
        return around;
    }

    private Map<String, Object> described(Workload workload) {
        Map<String, Object> described = new LinkedHashMap<>();
        described.put("prompt_tokens", workload.prompt);
        described.put("generated_tokens", workload.generated);
        described.put("repeats", workload.repeats);
        described.put("warm_up", true);
        described.put("batch", settings.batch);
        described.put("micro_batch", settings.microBatch);
        described.put("least_seconds", 0.0);
        described.put("most_repeats", workload.repeats);
        return described;
    }

    private static String date() {
        SimpleDateFormat format = new SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ss'+00:00'", Locale.ROOT);
        format.setTimeZone(TimeZone.getTimeZone("UTC"));
        return format.format(new Date());
    }
}
