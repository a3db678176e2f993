package dev.edgepack.core;

import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;

/**
 * A bundle's files on disk, whole and checked. They come out of the app's assets, since a runtime maps files and not
 * parts of an APK, or they were pushed beside the app. A copy that was cut goes on where it stopped; a file has its
 * name only when its sha256 is the manifest's.
 */
public final class BundleFiles {
    private static final String PART = ".part";
    private static final String CHECKED = ".checked";
    /** Bytes that stay free: an app that fills the disk takes the phone down with it. */
    private static final long SPARE = 64L << 20;

    /** Where files come from. */
    public interface Source {
        /** The file's bytes; FileNotFoundException where it has none of that name. */
        InputStream open(String path) throws IOException;
    }

    private final Source source;
    private final File root;
    private final File beside;

    /** `root` is the app's own directory; `beside` is where large files may have been pushed, or null. */
    public BundleFiles(Source source, File root, File beside) {
        this.source = source;
        this.root = root;
        this.beside = beside;
    }

    /** The file, checked against its digest once; until it is changed, its size and time are believed. */
    public File bring(Manifest.Entry wanted, Progress progress, Cancel cancel) throws Problem {
        File pushed = beside == null ? null : new File(beside, wanted.path);
        try {
            if (pushed != null && pushed.isFile()) {
                return checked(wanted, pushed, progress, cancel);
            }
            File place = new File(root, wanted.path);
            if (!place.isFile()) {
                copy(wanted, place, progress, cancel);
                remember(wanted, place);
            }
            return checked(wanted, place, progress, cancel);
        } catch (IOException error) {
            throw new Problem(Problem.Kind.UNREADABLE, wanted.path + ": " + error.getMessage(), error);
        }
    }

    /** Forget what was believed, so that the next `bring` reads every byte again. */
    public void doubt(Manifest.Entry file) {
        marker(file).delete();
    }

    private File checked(Manifest.Entry wanted, File place, Progress progress, Cancel cancel)
            throws IOException, Problem {
        if (belief(wanted, place).equals(read(marker(wanted)))) {
            return place;
        }
        Digest digest = new Digest();
        try (InputStream in = new FileInputStream(place)) {
            digest.addAll(in, 0, wanted.size, progress, cancel);
        }
        require(wanted, place, digest);
        remember(wanted, place);
        return place;
    }

    private void copy(Manifest.Entry wanted, File place, Progress progress, Cancel cancel) throws IOException, Problem {
        File part = new File(place.getPath() + PART);
        place.getParentFile().mkdirs();
        try (InputStream in = opened(wanted)) {
            Digest digest = new Digest();
            long begun = resumed(part, wanted, in, digest, progress, cancel);
            requireSpace(wanted, wanted.size - begun);
            append(part, begun, wanted, in, digest, progress, cancel);
            require(wanted, part, digest);
        }
        if (!part.renameTo(place)) {
            throw new IOException("cannot be renamed");
        }
    }

    private InputStream opened(Manifest.Entry wanted) throws Problem {
        try {
            return source.open(wanted.path);
        } catch (IOException error) {
            throw new Problem(Problem.Kind.NO_MODEL, wanted.path + ": not in the app, nor beside it", error);
        }
    }

    /** How much of a part from an earlier run stands, after `in` has been brought to the same place. */
    private static long resumed(File part, Manifest.Entry wanted, InputStream in, Digest digest, Progress progress,
            Cancel cancel) throws IOException, Problem {
        long stands = part.length();
        if (stands > wanted.size) {
            part.delete();
            return 0;
        }
        if (stands == 0) {
            return 0;
        }
        try (InputStream earlier = new FileInputStream(part)) {
            digest.addAll(earlier, 0, wanted.size, progress, cancel);
        }
        long left = stands;
        while (left > 0) {
            long passed = in.skip(left);
            if (passed <= 0 && in.read() < 0) {
                throw new IOException("ends after " + (stands - left) + " bytes");
            }
            left -= Math.max(1, passed);
        }
        return stands;
    }

    private static void append(File part, long begun, Manifest.Entry wanted, InputStream in, Digest digest,
            Progress progress, Cancel cancel) throws IOException, Problem {
        byte[] chunk = new byte[Digest.CHUNK];
        long done = begun;
        try (FileOutputStream out = new FileOutputStream(part, true)) {
            for (int count = in.read(chunk); count >= 0; count = in.read(chunk)) {
                cancel.check();
                out.write(chunk, 0, count);
                digest.add(chunk, count);
                done += count;
                progress.moved(done, wanted.size);
            }
            out.getFD().sync();
        }
    }

    private void requireSpace(Manifest.Entry wanted, long needed) throws Problem {
        long free = root.getUsableSpace();
        if (needed + SPARE > free) {
            long megabytes = (needed + SPARE - free) / 1_000_000 + 1;
            throw new Problem(Problem.Kind.NO_SPACE, wanted.path + ": " + megabytes + " MB too little");
        }
    }

    /** The file is deleted where it is another: it would never become the right one. */
    private static void require(Manifest.Entry wanted, File place, Digest digest) throws Problem {
        long size = place.length();
        String found = digest.hex();
        if (size != wanted.size || !found.equals(wanted.sha256)) {
            place.delete();
            throw new Problem(Problem.Kind.DAMAGED, wanted.path + ": " + size + " bytes with sha256 " + found
                    + ", the manifest says " + wanted.size + " with " + wanted.sha256);
        }
    }

    private File marker(Manifest.Entry file) {
        return new File(root, file.path + CHECKED);
    }

    private void remember(Manifest.Entry wanted, File place) throws IOException {
        File marker = marker(wanted);
        marker.getParentFile().mkdirs();
        Files.write(marker.toPath(), belief(wanted, place).getBytes(StandardCharsets.UTF_8));
    }

    private static String belief(Manifest.Entry wanted, File place) {
        return wanted.sha256 + " " + place.length() + " " + place.lastModified() + " " + place.getPath();
    }

    private static String read(File marker) throws IOException {
        return marker.isFile() ? new String(Files.readAllBytes(marker.toPath()), StandardCharsets.UTF_8) : "";
    }
}
