package dev.edgepack.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.After;
import org.junit.Before;
import org.junit.Rule;
import org.junit.Test;
import org.junit.function.ThrowingRunnable;
import org.junit.rules.TemporaryFolder;

public final class SessionTest {
    private static final Benchmark.Workload SHORT = new Benchmark.Workload(16, 8, 2);
    private static final Progress NOBODY = (done, total) -> { };

    @Rule
    public final TemporaryFolder folder = new TemporaryFolder();

    private final Bundles bundle = new Bundles();
    private final List<String> heard = new ArrayList<>();
    private final ExecutorService worker = Executors.newSingleThreadExecutor();
    private Served server;
    private Session session;
    private Desk desk;

    /** Notes what an answer does. */
    private final class Notes implements Session.Listener {
        @Override
        public void piece(String text) {
            heard.add(text);
        }

        @Override
        public void again() {
            heard.add("again");
        }
    }

    @Before
    public void begin() throws Exception {
        server = new Served();
        session = make(Programs.runtime(folder.getRoot()), (state, why) -> { });
    }

    @After
    public void end() throws Exception {
        session.close();
        server.close();
        worker.shutdownNow();
    }

    private Session make(File program, Supervisor.Listener states) {
        File data = new File(folder.getRoot(), "data");
        data.mkdir();
        Session.Environment environment = new Session.Environment(bundle, server, program, data, folder.getRoot(), null,
                new File(folder.getRoot(), "x.sock").getPath());
        return new Session(environment, Programs.QUICK, states);
    }

    private static String said(String text) {
        return Served.EVENTS + Served.piece(text) + Served.end();
    }

    private static Problem.Kind kindOf(ThrowingRunnable work) {
        return assertThrows(Problem.class, work).kind();
    }

    @Test
    public void aQuestionIsAnswered() throws Exception {
        session.prepare(NOBODY, new Cancel());
        server.next(said("yes"));
        assertEquals("yes", session.ask("is it?", 5, new Notes(), new Cancel()).text);
        assertEquals("[yes]", heard.toString());
        assertTrue(session.log(), session.log().contains("serving"));
        assertEquals("tiny-q4_0", session.manifest().name);
        assertEquals(2, session.settings().threads);
        assertTrue(session.residentBytes() != 0);
    }

    @Test
    public void anAnswerThatIsLostIsAskedForAgain() throws Exception {
        server.next(Served.EVENTS + Served.piece("hal"));
        server.next(said("whole"));
        assertEquals("whole", session.ask("x", 5, new Notes(), new Cancel()).text);
        assertEquals("[hal, again, whole]", heard.toString());
    }

    @Test
    public void anAnswerThatIsLostTwiceIsAProblem() {
        server.next(Served.EVENTS + Served.piece("a"));
        server.next(Served.EVENTS + Served.piece("b"));
        assertEquals(Problem.Kind.RUNTIME_ENDED, kindOf(() -> session.ask("x", 5, new Notes(), new Cancel())));
    }

    @Test
    public void aBundleThatIsNotThereIsUnreadable() {
        bundle.files.remove("app.json");
        assertEquals(Problem.Kind.UNREADABLE, kindOf(session::manifest));
        assertEquals("", session.log());
        session.close();
    }

    @Test
    public void aMeasurementHasWhatEdgepackReads() throws Exception {
        Map<String, Object> found = session.measure(SHORT, Programs.conditions(), new Cancel());
        assertEquals("edgepack.measurement/1", found.get("schema"));
        assertEquals(true, found.get("stable"));
        Map<String, Object> series = Json.asObject(Json.asList(found.get("series")).get(0));
        assertEquals("pp16", series.get("test"));
        assertEquals(15.92, (Double) Json.asObject(series.get("tokens_per_second")).get("median"), 0.01);
        Map<String, Object> around = Json.asObject(found.get("conditions"));
        assertEquals(30.5, around.get("celsius_before"));
        assertNull(around.get("celsius_after"));
        assertEquals("ARM", Json.asObject(found.get("runtime")).get("system_info"));
    }

    private Map<String, Object> measured(String script) throws Exception {
        session = make(Programs.script(folder.getRoot(), script), (state, why) -> { });
        return session.measure(SHORT, Programs.conditions(), new Cancel());
    }

    @Test
    public void aMeasurementThatWaversSaysSo() throws Exception {
        Map<String, Object> found = measured("echo '" + String.format(Programs.BENCH, "", 3_000_000_000L) + "'\n");
        assertEquals(false, found.get("stable"));
        assertEquals(2, Json.asList(found.get("unstable_because")).size());
        assertEquals("not told by llama-bench", Json.asObject(found.get("runtime")).get("system_info"));
    }

    @Test
    public void aBenchmarkThatFailsIsTold() {
        assertEquals(Problem.Kind.RUNTIME_ENDED, kindOf(() -> measured("echo no memory; exit 1\n")));
        assertEquals(Problem.Kind.RUNTIME_ENDED, kindOf(() -> measured("echo nothing\n")));
        assertEquals(Problem.Kind.RUNTIME_ENDED, kindOf(() -> measured("echo '{broken'\n")));
    }

    @Test
    public void aBenchmarkCanBeCancelled() throws Exception {
        session = make(Programs.script(folder.getRoot(), "exec sleep 1000\n"), (state, why) -> { });
        Cancel cancel = new Cancel();
        new Thread(() -> {
            try {
                Thread.sleep(100);
            } catch (InterruptedException error) {
                return;
            }
            cancel.cancel();
        }).start();
        assertEquals(Problem.Kind.CANCELLED, kindOf(() -> session.measure(SHORT, Programs.conditions(), cancel)));
    }

    private Desk desk() {
        // The worker's thread is the main one too: the desk only asks that nothing is done at once.
        desk = new Desk(states -> {
            session = makeQuietly(states);
            return session;
        }, worker, Programs.AT_ONCE);
        return desk;
    }

    private Session makeQuietly(Supervisor.Listener states) {
        try {
            return make(Programs.runtime(folder.getRoot()), states);
        } catch (IOException error) {
            throw new AssertionError(error);
        }
    }

    private void done() throws Exception {
        for (int look = 0; look < 1000; look++) {
            worker.submit(() -> { }).get(20, TimeUnit.SECONDS);
            if (!desk.isBusy()) {
                return;
            }
            Thread.sleep(10);
        }
        throw new AssertionError("still busy");
    }

    @Test
    public void theDeskShowsAnIntent() throws Exception {
        int[] drawn = {0};
        desk().show(() -> drawn[0]++);
        desk.open();
        done();
        desk.open();
        assertEquals(Desk.Status.READY, desk.status());
        assertEquals(100, desk.percent());
        assertEquals(1, desk.lives());
        server.next(said("{\"intent\":\"open\",\"device\":\"door\"}"));
        desk.ask("open the door", true);
        done();
        assertEquals("open", desk.intent().name);
        assertEquals("open the door", desk.question());
        assertEquals(7, desk.figures().tokens);
        assertTrue(desk.residentBytes() != 0);
        assertNull(desk.problem());
        assertTrue(drawn[0] > 5);
        desk.show(null);
    }

    @Test
    public void theDeskShowsTextAsItComesAndAnewAfterADeath() throws Exception {
        desk().open();
        done();
        server.next(Served.EVENTS + Served.piece("hal"));
        server.next(said("whole"));
        desk.ask("x", false);
        done();
        assertEquals("whole", desk.answer());
        assertNull(desk.intent());
        desk.ask("   ", false);
        assertFalse(desk.isBusy());
    }

    @Test
    public void theDeskShowsAProblem() throws Exception {
        desk().open();
        done();
        server.next(said("no intent at all"));
        desk.ask("x", true);
        done();
        assertEquals(Problem.Kind.UNREADABLE, desk.problem().kind());
        assertEquals("no intent at all", desk.answer());
        assertEquals(Desk.Status.READY, desk.status());
    }

    @Test
    public void theDeskCanTryAgain() throws Exception {
        byte[] good = bundle.files.put("model/tiny.gguf", new byte[5]);
        desk().open();
        done();
        assertEquals(Desk.Status.FAILED, desk.status());
        assertEquals(Problem.Kind.DAMAGED, desk.problem().kind());
        bundle.files.put("model/tiny.gguf", good);
        desk.open();
        done();
        assertEquals(Desk.Status.READY, desk.status());
    }

    @Test
    public void theDeskMeasures() throws Exception {
        desk().open();
        done();
        desk.measure(SHORT, Programs.conditions());
        done();
        assertEquals("edgepack.measurement/1", Json.object(desk.measurement()).get("schema"));
        assertEquals(Desk.Status.READY, desk.status());
    }

    @Test
    public void theDeskDoesOneThingAtATimeAndStopsIt() throws Exception {
        desk().open();
        done();
        server.setHealthy(false);
        session.close();
        desk.ask("first", false);
        desk.ask("second", false);
        desk.measure(SHORT, Programs.conditions());
        desk.open();
        assertEquals("first", desk.question());
        assertTrue(desk.isBusy());
        desk.stop();
        done();
        assertNull("who stops it knows", desk.problem());
    }

    @Test
    public void theDeskSaysWhenTheServerIsGivenUp() throws Exception {
        File program = Programs.script(folder.getRoot(), "echo broken; exit 1\n");
        desk = new Desk(states -> {
            session = make(program, states);
            return session;
        }, worker, Programs.AT_ONCE);
        desk.open();
        done();
        assertEquals(Desk.Status.FAILED, desk.status());
        assertEquals(Problem.Kind.RUNTIME_ENDED, desk.problem().kind());
        assertEquals(3, desk.lives());
    }

    private Map<String, Object> selfTested() throws Exception {
        List<String> reports = new ArrayList<>();
        desk().selfTest(SHORT, Programs.conditions(), reports::add);
        done();
        return Json.object(reports.get(0));
    }

    @Test
    public void aSelfTestPasses() throws Exception {
        server.next(said("hello"));
        Map<String, Object> found = selfTested();
        assertEquals(true, found.get("passed"));
        assertEquals("hello", found.get("answer"));
        assertEquals("edgepack.measurement/1", Json.asObject(found.get("measurement")).get("schema"));
    }

    @Test
    public void aSelfTestAsksAgainAfterADeath() throws Exception {
        server.next(Served.EVENTS + Served.piece("hal"));
        server.next(said("hello"));
        assertEquals("hello", selfTested().get("answer"));
    }

    @Test
    public void aSelfTestOfASilentModelFails() throws Exception {
        server.next(said(" "));
        Map<String, Object> found = selfTested();
        assertEquals(Arrays.asList(false, "UNREADABLE"), Arrays.asList(found.get("passed"), found.get("problem")));
    }
}
