import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.util.Locale;
import org.jacoco.core.analysis.Analyzer;
import org.jacoco.core.analysis.CoverageBuilder;
import org.jacoco.core.analysis.IClassCoverage;
import org.jacoco.core.analysis.ICounter;
import org.jacoco.core.data.ExecutionDataStore;
import org.jacoco.core.data.SessionInfoStore;
import org.jacoco.core.instr.Instrumenter;
import org.jacoco.core.runtime.IRuntime;
import org.jacoco.core.runtime.LoggerRuntime;
import org.jacoco.core.runtime.RuntimeData;
import org.junit.internal.TextListener;
import org.junit.runner.JUnitCore;
import org.junit.runner.Result;

/**
 * JUnit and JaCoCo in one process, since Debian's package has no agent: `Coverage CLASSES MARKED TESTS NAME…`. Lines of
 * branches covered and in all follow JUnit's words, one for each class, the sum last; the status is that of the tests.
 */
public final class Coverage {
    private Coverage() {
    }

    public static void main(String[] words) throws Exception {
        File classes = new File(words[0]);
        File marked = new File(words[1]);
        IRuntime runtime = new LoggerRuntime();
        mark(new Instrumenter(runtime), classes, marked);
        RuntimeData notes = new RuntimeData();
        runtime.startup(notes);
        Result result = test(marked, new File(words[2]), words);
        ExecutionDataStore seen = new ExecutionDataStore();
        notes.collect(seen, new SessionInfoStore(), false);
        runtime.shutdown();
        tell(seen, classes);
        System.exit(result.wasSuccessful() ? 0 : 1);
    }

    private static Result test(File marked, File tests, String[] words) throws Exception {
        URL[] places = {marked.toURI().toURL(), tests.toURI().toURL()};
        try (URLClassLoader loader = new URLClassLoader(places)) {
            Class<?>[] wanted = new Class<?>[words.length - 3];
            for (int at = 0; at < wanted.length; at++) {
                wanted[at] = loader.loadClass(words[at + 3]);
            }
            JUnitCore core = new JUnitCore();
            core.addListener(new TextListener(System.out));
            return core.run(wanted);
        }
    }

    private static void mark(Instrumenter instrumenter, File classes, File marked) throws IOException {
        marked.mkdirs();
        for (File file : classes.listFiles()) {
            File place = new File(marked, file.getName());
            if (file.isDirectory()) {
                mark(instrumenter, file, place);
            } else {
                try (InputStream in = Files.newInputStream(file.toPath());
                        OutputStream out = Files.newOutputStream(place.toPath())) {
                    instrumenter.instrument(in, out, file.getName());
                }
            }
        }
    }

    private static void tell(ExecutionDataStore seen, File classes) throws IOException {
        CoverageBuilder found = new CoverageBuilder();
        new Analyzer(seen, found).analyzeAll(classes);
        int covered = 0;
        int total = 0;
        for (IClassCoverage one : found.getClasses()) {
            ICounter branches = one.getBranchCounter();
            covered += branches.getCoveredCount();
            total += branches.getTotalCount();
            System.out.printf(Locale.ROOT, "branches %s %d %d%n", one.getName(), branches.getCoveredCount(),
                    branches.getTotalCount());
        }
        System.out.printf(Locale.ROOT, "branches all %d %d%n", covered, total);
    }
}
