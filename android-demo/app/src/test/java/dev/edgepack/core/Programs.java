package dev.edgepack.core;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;

/** Programs of the shell in the runtime's place, and other things that tests of processes need. */
final class Programs {
    static final Supervisor.Patience QUICK = new Supervisor.Patience(20_000, 5, 5_000, 3);
    static final Executor AT_ONCE = Runnable::run;
    static final String BENCH = "{\"n_threads\":2,\"build_number\":0,\"build_commit\":\"0c1e570\",\"cpu_info\":\"%s\","
            + "\"backends\":\"CPU\",\"samples_ns\":[1000000000,%d]}";

    private Programs() {
    }

    static File script(File directory, String text) throws IOException {
        File script = new File(directory, "program-" + text.hashCode());
        Files.write(script.toPath(), Bundles.bytes("#!/bin/sh\n" + text));
        if (!script.setExecutable(true)) {
            throw new IOException("not executable");
        }
        return script;
    }

    /** A runtime: a server that lives until it is killed, and llama-bench. */
    static File runtime(File directory) throws IOException {
        String row = String.format(BENCH, "ARM", 1_010_000_000);
        return script(directory, "case $1 in\nserver) echo serving; exec sleep 1000;;\nbench) echo noise; echo '"
                + row + "';;\nesac\n");
    }

    /** The phone around a test. */
    static Benchmark.Conditions conditions() {
        AtomicInteger asked = new AtomicInteger();
        return new Benchmark.Conditions() {
            @Override
            public String machine() {
                return "test bench";
            }

            @Override
            public String system() {
                return "Android 15";
            }

            @Override
            public Double celsius() {
                return asked.getAndIncrement() == 0 ? 30.5 : null;
            }
        };
    }
}
