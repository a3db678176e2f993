package dev.edgepack.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.Collections;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public final class SmallPartsTest {
    @Rule
    public final TemporaryFolder folder = new TemporaryFolder();

    @Test
    public void aMailboxHoldsTheWriterBackUntilSomebodyReads() throws Exception {
        Mailbox box = new Mailbox(4);
        assertTrue(box.put("abcd"));
        AtomicReference<Boolean> second = new AtomicReference<>();
        Thread writer = new Thread(() -> {
            try {
                second.set(box.put("ef"));
            } catch (Problem error) {
                throw new AssertionError(error);
            }
        });
        writer.start();
        while (writer.getState() != Thread.State.WAITING) {
            Thread.yield();
        }
        assertEquals("abcd", box.take());
        writer.join();
        assertEquals(true, second.get());
        assertFalse(box.put("g"));
        assertEquals("efg", box.take());
    }

    @Test
    public void aClosedMailboxEndsTheWriter() throws Exception {
        Mailbox box = new Mailbox(1);
        box.put("a");
        AtomicReference<Problem> ended = new AtomicReference<>();
        Thread writer = new Thread(() -> ended.set(assertThrows(Problem.class, () -> box.put("b"))));
        writer.start();
        while (writer.getState() != Thread.State.WAITING) {
            Thread.yield();
        }
        box.close();
        writer.join();
        assertEquals(Problem.Kind.CANCELLED, ended.get().kind());
    }

    @Test
    public void anInterruptedWriterIsCancelled() throws Exception {
        Mailbox box = new Mailbox(1);
        box.put("a");
        Thread.currentThread().interrupt();
        assertEquals(Problem.Kind.CANCELLED, assertThrows(Problem.class, () -> box.put("b")).kind());
        assertTrue(Thread.interrupted());
    }

    @Test
    public void cancellingRunsItsActionWhicheverComesFirst() {
        AtomicInteger ran = new AtomicInteger();
        Cancel before = new Cancel();
        before.onCancel(ran::incrementAndGet);
        before.cancel();
        Cancel after = new Cancel();
        after.cancel();
        after.onCancel(ran::incrementAndGet);
        assertEquals(2, ran.get());
        assertThrows(Problem.class, after::check);
    }

    @Test
    public void aLogKeepsItsLastLines() {
        LogTail log = new LogTail(2);
        log.add("one");
        log.add("two");
        log.add(String.join("", Collections.nCopies(600, "x")));
        assertEquals("two\n" + String.join("", Collections.nCopies(500, "x")), log.text());
    }

    @Test
    public void statisticsAreEdgepacks() {
        assertEquals(2.5, Statistics.median(Arrays.asList(4.0, 1.0, 2.0, 3.0)), 1e-12);
        assertEquals(2.5, Statistics.mean(Arrays.asList(4.0, 1.0, 2.0, 3.0)), 1e-12);
        assertEquals(1.2909944487, Statistics.deviation(Arrays.asList(4.0, 1.0, 2.0, 3.0)), 1e-9);
        assertEquals(0, Statistics.deviation(Arrays.asList(4.0)), 0);
        assertEquals(0.6, Statistics.spread(Arrays.asList(4.0, 1.0, 2.0, 3.0)), 1e-12);
        assertEquals(0, Statistics.spread(Arrays.asList(4.0)), 0);
    }

    @Test
    public void memoryIsReadFromProc() throws Exception {
        File process = folder.newFolder("42");
        folder.newFolder("self");
        folder.newFolder("43");
        Files.write(new File(process, "cmdline").toPath(), Bundles.bytes("/lib/server\0-m\0x"));
        Files.write(new File(process, "status").toPath(), Bundles.bytes("Name:\tx\nVmRSS:\t  1234 kB\n"));
        Files.write(folder.newFile("meminfo").toPath(), Bundles.bytes("MemFree: 1 kB\nMemAvailable:  2048 kB\n"));
        Usage usage = new Usage(folder.getRoot());
        assertEquals(1234 * 1024, usage.residentBytes("/lib/server"));
        assertEquals(-1, usage.residentBytes("/lib/other"));
        assertEquals(2048 * 1024, usage.availableBytes());
        Usage nothing = new Usage(new File(folder.getRoot(), "none"));
        assertEquals(-1, nothing.residentBytes("x"));
        assertEquals(-1, nothing.availableBytes());
    }
}
