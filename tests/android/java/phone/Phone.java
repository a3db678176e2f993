package phone;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/** The telephone that the fakes of android.* stand for: directories, the APK's resources as text, one main thread. */
public final class Phone {
    public static final File HOME = new File(System.getProperty("phone.home"));
    public static final File APK = new File(System.getProperty("phone.apk"));
    private static final String LANGUAGE = System.getProperty("phone.language", "");
    private static final ExecutorService MAIN = Executors.newSingleThreadExecutor(work -> {
        Thread thread = new Thread(work, "main");
        thread.setDaemon(true);
        return thread;
    });
    private static final Map<Integer, String> STRINGS = new HashMap<>();
    private static final Map<String, Integer> IDS = new HashMap<>();

    private Phone() {
    }

    public static void post(Runnable work) {
        MAIN.execute(work);
    }

    /** Something done on the main thread, and waited for. */
    public static <T> T onMain(Callable<T> work) throws Exception {
        try {
            return MAIN.submit(work).get();
        } catch (ExecutionException error) {
            throw error.getCause() instanceof Exception ? (Exception) error.getCause() : error;
        }
    }

    public static File directory(String name) {
        File directory = new File(HOME, name);
        directory.mkdirs();
        return directory;
    }

    /** Lines of tab-separated words: what aapt2 says of the APK. */
    public static List<String[]> table(String name) {
        try {
            List<String[]> rows = new ArrayList<>();
            for (String line : Files.readAllLines(new File(HOME, name).toPath())) {
                rows.add(line.split("\t", -1));
            }
            return rows;
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    public static synchronized String string(int id) {
        if (STRINGS.isEmpty()) {
            for (String[] row : table("strings.tsv")) {
                if (row[1].isEmpty() || row[1].equals(LANGUAGE)) {
                    STRINGS.put(Integer.decode(row[0]), row[2]);
                }
            }
        }
        return STRINGS.get(id);
    }

    public static synchronized int id(String name) {
        if (IDS.isEmpty()) {
            for (String[] row : table("ids.tsv")) {
                IDS.put(row[1], Integer.decode(row[0]));
            }
        }
        return IDS.get(name);
    }
}
