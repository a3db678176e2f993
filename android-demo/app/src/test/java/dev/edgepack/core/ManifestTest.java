package dev.edgepack.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;

import org.junit.Test;

public final class ManifestTest {
    @Test
    public void itSaysWhatTheBundleIs() throws Problem {
        Manifest manifest = Manifest.parse(Bundles.manifest());
        assertEquals("tiny-q4_0", manifest.name);
        assertEquals("tiny", manifest.model);
        assertEquals("Q4_0", manifest.quantization);
        assertEquals(1000, manifest.parameters);
        assertEquals("Say hello.", manifest.samplePrompt);
        assertEquals("model/tiny.gguf", manifest.weights.path);
        assertEquals(1, manifest.files.size());
    }

    @Test
    public void whatIsWrongIsUnreadable() {
        String good = Bundles.manifest();
        String digest = Bundles.sha256(Bundles.WEIGHTS);
        for (String bad : new String[] {"", "[]", good.replace("bundle/1", "bundle/2"), good.replace(digest, "x"),
            good.replace("model/tiny.gguf", "../tiny.gguf"), good.replace("model/tiny.gguf", "/etc/passwd"),
            good.replace("\"size\":", "\"size\":-"), good.replace("\"Q4_0\"", "4"), good.replace("1000", "\"x\""),
            good.replace("\"files\":[{\"path\":\"model/tiny.gguf\"", "\"files\":[{\"path\":\"model/other.gguf\"")}) {
            Problem problem = assertThrows(bad, Problem.class, () -> Manifest.parse(bad));
            assertEquals(Problem.Kind.UNREADABLE, problem.kind());
        }
    }

    @Test
    public void settingsAreArguments() throws Problem {
        Settings settings = Settings.parse(Bundles.settings());
        assertEquals("[-c, 512]", settings.server.toString());
        assertEquals("[-t, 2]", settings.bench.toString());
    }

    @Test
    public void wrongSettingsAreUnreadable() {
        String good = Bundles.settings();
        for (String bad : new String[] {"x", good.replace("app/1", "app/9"), good.replace("\"-c\"", "1"),
            good.replace("\"threads\":2", "\"threads\":null")}) {
            assertEquals(Problem.Kind.UNREADABLE, assertThrows(Problem.class, () -> Settings.parse(bad)).kind());
        }
    }

    @Test
    public void anIntentHasItsSlotsInOrder() throws Problem {
        Intent intent = Intent.parse(" {\"intent\":\"set_brightness\",\"room\":\"kitchen\",\"value\":30}\n");
        assertEquals("set_brightness", intent.name);
        assertEquals("{room=kitchen, value=30}", intent.slots.toString());
    }

    @Test
    public void anAnswerThatIsNoIntentIsUnreadable() {
        for (String answer : new String[] {"hello", "{}", "{\"intent\":3}", "{\"intent\":\"x\",\"a\":[]}", "[]"}) {
            assertEquals(Problem.Kind.UNREADABLE, assertThrows(Problem.class, () -> Intent.parse(answer)).kind());
        }
    }
}
