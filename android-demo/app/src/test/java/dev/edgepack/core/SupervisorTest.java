package dev.edgepack.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.function.BooleanSupplier;
import org.junit.After;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public final class SupervisorTest {
    private static final long LONG = 20_000;

    @Rule
    public final TemporaryFolder folder = new TemporaryFolder();

    private final List<Supervisor.State> heard = Collections.synchronizedList(new ArrayList<>());
    private Supervisor supervisor;

    private Supervisor of(String script, BooleanSupplier healthy, Supervisor.Patience patience) {
        supervisor = new Supervisor(Arrays.asList("/bin/sh", "-c", script), folder.getRoot(), socket(), healthy,
                patience, (state, why) -> heard.add(state));
        return supervisor;
    }

    private File socket() {
        return new File(folder.getRoot(), "socket");
    }

    private File file(String name) {
        return new File(folder.getRoot(), name);
    }

    private void until(BooleanSupplier happened) throws InterruptedException {
        for (int look = 0; look < 1000 && !happened.getAsBoolean(); look++) {
            Thread.sleep(10);
        }
        assertTrue(happened.getAsBoolean());
    }

    @After
    public void stop() {
        if (supervisor != null) {
            supervisor.stop();
        }
    }

    @Test
    public void aServerIsReadyWhenItIsHealthyAndStopsWhenItIsTold() throws Exception {
        of("touch up; exec sleep 1000", () -> file("up").exists(), Programs.QUICK).start();
        supervisor.awaitReady(LONG, new Cancel());
        supervisor.start();
        assertEquals(Supervisor.State.READY, supervisor.state());
        supervisor.stop();
        assertEquals(Supervisor.State.STOPPED, supervisor.state());
        assertEquals("[STARTING, READY, STOPPED]", heard.toString());
        assertTrue(supervisor.log(), supervisor.log().contains("ended with"));
    }

    @Test
    public void aServerThatDiesIsStartedAgainWithoutTheSocketThatItLeft() throws Exception {
        assertTrue(socket().createNewFile());
        of("test -e socket && exit 9; touch socket; echo $$ >pid; echo x >>lives; exec sleep 1000",
                () -> file("lives").exists(), Programs.QUICK).start();
        supervisor.awaitReady(LONG, new Cancel());
        until(() -> file("lives").length() == 2);
        new ProcessBuilder("/bin/sh", "-c", "kill -9 $(cat pid)").directory(folder.getRoot()).start().waitFor();
        until(() -> file("lives").length() == 4);
        supervisor.awaitReady(LONG, new Cancel());
        assertTrue(heard.toString(), heard.toString().startsWith("[STARTING, READY, STARTING"));
    }

    @Test
    public void aServerThatDiesAgainAndAgainIsGivenUpWithItsWords() {
        of("echo I cannot; exit 3", () -> false, Programs.QUICK).start();
        Problem problem = assertThrows(Problem.class, () -> supervisor.awaitReady(LONG, new Cancel()));
        assertEquals(Problem.Kind.RUNTIME_ENDED, problem.kind());
        assertTrue(problem.getMessage(), problem.getMessage().contains("I cannot"));
        assertEquals(Supervisor.State.FAILED, supervisor.state());
    }

    @Test
    public void aFailedOneCanBeStartedAgain() throws Exception {
        of("test -e ready || exit 3; exec sleep 1000", () -> file("ready").exists(), Programs.QUICK).start();
        assertThrows(Problem.class, () -> supervisor.awaitReady(LONG, new Cancel()));
        assertTrue(file("ready").createNewFile());
        supervisor.start();
        supervisor.awaitReady(LONG, new Cancel());
    }

    @Test
    public void aProgramThatIsNotThereIsGivenUp() {
        supervisor = new Supervisor(Collections.singletonList("/no/such/program"), folder.getRoot(), socket(),
                () -> true, Programs.QUICK, (state, why) -> heard.add(state));
        supervisor.start();
        Problem problem = assertThrows(Problem.class, () -> supervisor.awaitReady(LONG, new Cancel()));
        assertTrue(problem.getMessage(), problem.getMessage().contains("/no/such/program"));
    }

    @Test
    public void aServerThatIsNeverHealthyIsEnded() {
        of("exec sleep 1000", () -> false, new Supervisor.Patience(100, 5, 5_000, 2)).start();
        assertEquals(Problem.Kind.RUNTIME_ENDED,
                assertThrows(Problem.class, () -> supervisor.awaitReady(LONG, new Cancel())).kind());
    }

    @Test
    public void waitingEnds() {
        of("exec sleep 1000", () -> false, Programs.QUICK).start();
        assertEquals(Problem.Kind.RUNTIME_SILENT,
                assertThrows(Problem.class, () -> supervisor.awaitReady(60, new Cancel())).kind());
        Cancel cancel = new Cancel();
        cancel.cancel();
        assertEquals(Problem.Kind.CANCELLED,
                assertThrows(Problem.class, () -> supervisor.awaitReady(LONG, cancel)).kind());
        Thread.currentThread().interrupt();
        assertEquals(Problem.Kind.CANCELLED,
                assertThrows(Problem.class, () -> supervisor.awaitReady(LONG, new Cancel())).kind());
        assertTrue(Thread.interrupted());
    }

    @Test
    public void whatWasNeverStartedIsNotWaitedFor() throws Exception {
        of("exit 0", () -> true, Programs.QUICK).stop();
        assertEquals(Problem.Kind.RUNTIME_SILENT,
                assertThrows(Problem.class, () -> supervisor.awaitReady(LONG, new Cancel())).kind());
        supervisor.awaitNews(LONG);
        assertFalse(file("lives").exists());
    }

    @Test
    public void newsIsNotWaitedForForEver() throws Exception {
        of("exec sleep 1000", () -> true, Programs.QUICK).start();
        supervisor.awaitReady(LONG, new Cancel());
        supervisor.awaitNews(10);
        Thread.currentThread().interrupt();
        assertThrows(Problem.class, () -> supervisor.awaitNews(LONG));
        assertTrue(Thread.interrupted());
    }

    @Test
    public void stoppingWhileItRestsIsNotHeldUp() throws Exception {
        of("exit 1", () -> false, new Supervisor.Patience(1_000, 600_000, 5_000, 100)).start();
        until(() -> supervisor.log().contains("ended with"));
        supervisor.stop();
        assertEquals(Supervisor.State.STOPPED, supervisor.state());
    }
}
