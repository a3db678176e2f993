package dev.edgepack.core;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public final class BundleFilesTest {
    private static final Progress NOBODY = (done, total) -> { };

    @Rule
    public final TemporaryFolder folder = new TemporaryFolder();

    private final Bundles source = new Bundles();

    private Manifest.Entry weights() throws Problem {
        return Manifest.parse(Bundles.manifest()).weights;
    }

    private BundleFiles files() {
        return new BundleFiles(source, folder.getRoot(), null);
    }

    private File place() {
        return new File(folder.getRoot(), "model/tiny.gguf");
    }

    private File part() {
        return new File(folder.getRoot(), "model/tiny.gguf.part");
    }

    private Problem.Kind kindOf(BundleFiles files, Cancel cancel) {
        return assertThrows(Problem.class, () -> files.bring(weights(), NOBODY, cancel)).kind();
    }

    @Test
    public void aFileIsCopiedWithItsProgress() throws Exception {
        List<Long> heard = new ArrayList<>();
        File place = files().bring(weights(), (done, total) -> heard.add(done), new Cancel());
        assertEquals(place(), place);
        assertArrayEquals(Bundles.WEIGHTS, Files.readAllBytes(place.toPath()));
        assertEquals(Bundles.WEIGHTS.length, (long) heard.get(heard.size() - 1));
        assertFalse(part().exists());
    }

    @Test
    public void aCopyThatWasCutGoesOn() throws Exception {
        part().getParentFile().mkdirs();
        Files.write(part().toPath(), Arrays.copyOf(Bundles.WEIGHTS, 10));
        source.files.put("model/tiny.gguf", Bundles.WEIGHTS);
        BundleFiles.Source stingy = path -> new ByteArrayInputStream(source.files.get(path)) {
            @Override
            public synchronized long skip(long count) {
                return 0; // some streams skip nothing, and must be read instead
            }
        };
        new BundleFiles(stingy, folder.getRoot(), null).bring(weights(), NOBODY, new Cancel());
        assertArrayEquals(Bundles.WEIGHTS, Files.readAllBytes(place().toPath()));
    }

    @Test
    public void aPartOfSomethingElseIsFoundOut() throws Exception {
        part().getParentFile().mkdirs();
        Files.write(part().toPath(), Bundles.bytes("something"));
        assertEquals(Problem.Kind.DAMAGED, kindOf(files(), new Cancel()));
        assertFalse(part().exists());
        files().bring(weights(), NOBODY, new Cancel());
        assertTrue(place().exists());
    }

    @Test
    public void aPartThatIsTooLongIsBegunAnew() throws Exception {
        part().getParentFile().mkdirs();
        Files.write(part().toPath(), new byte[1000]);
        files().bring(weights(), NOBODY, new Cancel());
        assertArrayEquals(Bundles.WEIGHTS, Files.readAllBytes(place().toPath()));
    }

    @Test
    public void aSourceShorterThanThePartIsUnreadable() throws Exception {
        part().getParentFile().mkdirs();
        Files.write(part().toPath(), Arrays.copyOf(Bundles.WEIGHTS, 20));
        source.files.put("model/tiny.gguf", new byte[3]);
        assertEquals(Problem.Kind.UNREADABLE, kindOf(files(), new Cancel()));
    }

    @Test
    public void aDamagedSourceGivesNoFile() {
        source.files.put("model/tiny.gguf", new byte[Bundles.WEIGHTS.length]);
        assertEquals(Problem.Kind.DAMAGED, kindOf(files(), new Cancel()));
        assertFalse(place().exists());
    }

    @Test
    public void aShortSourceGivesNoFile() {
        source.files.put("model/tiny.gguf", new byte[3]);
        assertEquals(Problem.Kind.DAMAGED, kindOf(files(), new Cancel()));
    }

    @Test
    public void aFileThatWasChangedIsFoundOutAndRemoved() throws Exception {
        files().bring(weights(), NOBODY, new Cancel());
        byte[] other = Bundles.WEIGHTS.clone();
        other[5] ^= 1;
        Files.write(place().toPath(), other);
        assertTrue(place().setLastModified(1_000_000));
        assertEquals(Problem.Kind.DAMAGED, kindOf(files(), new Cancel()));
        assertFalse(place().exists());
    }

    @Test
    public void whatWasCheckedIsBelievedUntilItIsDoubted() throws Exception {
        files().bring(weights(), NOBODY, new Cancel());
        long time = place().lastModified();
        byte[] other = Bundles.WEIGHTS.clone();
        other[5] ^= 1;
        Files.write(place().toPath(), other);
        assertTrue(place().setLastModified(time));
        files().bring(weights(), NOBODY, new Cancel());
        files().doubt(weights());
        assertEquals(Problem.Kind.DAMAGED, kindOf(files(), new Cancel()));
    }

    @Test
    public void aFileThatWasPushedBesideIsUsedWhereItLies() throws Exception {
        File beside = folder.newFolder("beside");
        File pushed = new File(beside, "model/tiny.gguf");
        pushed.getParentFile().mkdirs();
        Files.write(pushed.toPath(), Bundles.WEIGHTS);
        source.files.clear();
        BundleFiles files = new BundleFiles(source, folder.newFolder("own"), beside);
        assertEquals(pushed, files.bring(weights(), NOBODY, new Cancel()));
    }

    @Test
    public void aFileThatIsNowhereIsTold() throws Exception {
        source.files.clear();
        BundleFiles files = new BundleFiles(source, folder.getRoot(), folder.newFolder("beside"));
        assertEquals(Problem.Kind.NO_MODEL, kindOf(files, new Cancel()));
    }

    @Test
    public void cancellingKeepsThePart() {
        Cancel cancel = new Cancel();
        cancel.cancel();
        assertEquals(Problem.Kind.CANCELLED, kindOf(files(), cancel));
    }

    @Test
    public void aFullDiskIsToldBeforeAnythingIsWritten() {
        File full = new File(folder.getRoot(), "full") {
            private static final long serialVersionUID = 1L;

            @Override
            public long getUsableSpace() {
                return 1 << 20;
            }
        };
        Problem problem = assertThrows(Problem.class,
                () -> new BundleFiles(source, full, null).bring(weights(), NOBODY, new Cancel()));
        assertEquals(Problem.Kind.NO_SPACE, problem.kind());
        assertTrue(problem.getMessage(), problem.getMessage().contains("MB too little"));
    }

    @Test
    public void aDirectoryThatCannotBeIsUnreadable() throws Exception {
        File blocked = folder.newFile("blocked");
        assertEquals(Problem.Kind.UNREADABLE, kindOf(new BundleFiles(source, blocked, null) , new Cancel()));
    }

    @Test
    public void aPlaceThatIsTakenIsUnreadable() throws Exception {
        assertTrue(new File(place(), "in the way").mkdirs());
        assertEquals(Problem.Kind.UNREADABLE, kindOf(files(), new Cancel()));
    }

    @Test
    public void aSourceThatBreaksIsUnreadable() {
        BundleFiles.Source broken = path -> new InputStream() {
            @Override
            public int read() throws IOException {
                throw new IOException("broken");
            }
        };
        assertEquals(Problem.Kind.UNREADABLE, kindOf(new BundleFiles(broken, folder.getRoot(), null), new Cancel()));
    }
}
