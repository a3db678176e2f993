package dev.edgepack.core;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;

/** What the kernel says of our processes, in /proc, where an app sees its own and no other's. */
public final class Usage {
    private final File proc;

    public Usage(File proc) {
        this.proc = proc;
    }

    /** Resident bytes of the process that runs `program`; -1 where none does. */
    public long residentBytes(String program) {
        File[] processes = proc.listFiles((directory, name) -> name.matches("[0-9]+"));
        for (File process : processes == null ? new File[0] : processes) {
            if (read(new File(process, "cmdline")).contains(program)) {
                return kibibytes(read(new File(process, "status")), "VmRSS:") * 1024;
            }
        }
        return -1;
    }

    /** Bytes that a new program could use; -1 where nobody says. */
    public long availableBytes() {
        long kibibytes = kibibytes(read(new File(proc, "meminfo")), "MemAvailable:");
        return kibibytes < 0 ? -1 : kibibytes * 1024;
    }

    private static long kibibytes(String text, String key) {
        for (String line : text.split("\n")) {
            if (line.startsWith(key)) {
                return Long.parseLong(line.replaceAll("[^0-9]", ""));
            }
        }
        return -1;
    }

    /** "" where it may not be read, or has just ended. */
    private static String read(File file) {
        try {
            return new String(Files.readAllBytes(file.toPath()), StandardCharsets.UTF_8);
        } catch (IOException error) {
            return "";
        }
    }
}
