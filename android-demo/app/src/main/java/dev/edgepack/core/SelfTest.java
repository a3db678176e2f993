package dev.edgepack.core;

import java.util.LinkedHashMap;
import java.util.Map;

/** Whether the app that is installed works on this phone: every byte, one answer, one measurement. */
final class SelfTest {
    private static final int MOST_TOKENS = 48;

    private SelfTest() {
    }

    /** edgepack.selftest/1, whether it passed or failed. */
    static String run(Session session, Benchmark.Workload workload, Benchmark.Conditions conditions, Cancel cancel) {
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("schema", "edgepack.selftest/1");
        try {
            session.close();
            session.doubt();
            session.prepare((done, total) -> { }, cancel);
            Manifest manifest = session.manifest();
            Chat.Answer answer = session.ask(manifest.samplePrompt, MOST_TOKENS, new Nobody(), cancel);
            if (answer.text.trim().isEmpty()) {
                throw new Problem(Problem.Kind.UNREADABLE, "the model says nothing");
            }
            found.put("bundle", manifest.name);
            found.put("weights", manifest.weights.sha256);
            found.put("prompt", manifest.samplePrompt);
            found.put("answer", answer.text);
            found.put("milliseconds_to_first_token", answer.millisToFirst);
            found.put("measurement", session.measure(workload, conditions, cancel));
            session.prepare((done, total) -> { }, cancel);
            found.put("passed", true);
        } catch (Problem why) {
            found.put("passed", false);
            found.put("problem", why.kind().name());
            found.put("detail", String.valueOf(why.getMessage()));
        }
        return Json.write(found);
    }

    /** Reads nothing. */
    private static final class Nobody implements Session.Listener {
        @Override
        public void piece(String text) {
            // The whole answer comes at the end.
        }

        @Override
        public void again() {
            // Nothing was kept.
        }
    }
}
