package dev.edgepack.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.junit.Test;

public final class ChatTest {
    private static final String CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

    private static String chunk(String text) {
        return Integer.toHexString(text.length()) + ";x=y\r\n" + text + "\r\n";
    }

    private static Chat.Answer ask(Served server, List<String> heard) throws IOException, Problem {
        return new Chat(server).ask("hello", 10, heard::add, new Cancel());
    }

    private static Problem.Kind refused(String answer) throws IOException {
        try (Served server = new Served(answer)) {
            return assertThrows(Problem.class, () -> ask(server, new ArrayList<>())).kind();
        }
    }

    private static void lost(String answer) throws IOException {
        try (Served server = new Served(answer)) {
            assertThrows(answer, IOException.class, () -> ask(server, new ArrayList<>()));
        }
    }

    @Test
    public void piecesComeAsTheyAreSaid() throws Exception {
        List<String> heard = new ArrayList<>();
        String empty = "data: {\"choices\":[{\"delta\":{\"content\":null}},{\"delta\":{\"content\":\"\"}}]}\n\n";
        try (Served server = new Served(
                Served.EVENTS + ": a comment\n\n" + empty + Served.piece("Hel") + Served.piece("lo") + Served.end())) {
            Chat.Answer answer = ask(server, heard);
            assertEquals("Hello", answer.text);
            assertEquals(7, answer.tokens);
            assertEquals(3.5, answer.tokensPerSecond, 0);
            assertTrue(answer.millisToFirst >= 0);
            assertTrue(server.asked.get(0).contains("\"max_tokens\":10,\"temperature\":0,\"stream\":true"));
        }
        assertEquals("[Hel, lo]", heard.toString());
    }

    @Test
    public void chunksAreNoPartOfTheText() throws Exception {
        String one = Served.piece("a");
        String two = Served.piece("b") + Served.end();
        String wire = CHUNKED + chunk(one.substring(0, 9)) + chunk(one.substring(9)) + chunk(two) + "0\r\n\r\n";
        try (Served server = new Served(wire)) {
            assertEquals("ab", ask(server, new ArrayList<>()).text);
        }
    }

    @Test
    public void aRefusalIsToldInTheServersWords() throws Exception {
        assertEquals(Problem.Kind.REFUSED, refused(Served.body("400 Bad", "{\"error\":{\"message\":\"too long\"}}")));
        assertEquals(Problem.Kind.REFUSED, refused(Served.body("500 Bad", "no json")));
        assertEquals(Problem.Kind.REFUSED, refused(Served.EVENTS + "error: {\"message\":\"late\"}\n\n"));
        assertEquals(Problem.Kind.REFUSED, refused(Served.EVENTS + "data: {\"error\":{\"message\":\"late\"}}\n\n"));
    }

    @Test
    public void aConnectionThatEndsIsALostOne() throws Exception {
        lost("");
        lost("HTTP/1.1 200 OK\r\nX: y");
        lost(Served.EVENTS + Served.piece("Hel"));
        lost(CHUNKED + "ff\r\ndata");
        lost("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ndata");
    }

    @Test
    public void whatIsNoAnswerIsALostOne() throws Exception {
        lost("SSH-2.0\r\n\r\n");
        lost("HTTP/1.1\r\n\r\n");
        lost("HTTP/1.1 x\r\n\r\n");
        lost(CHUNKED + "zz\r\n");
        lost(Served.EVENTS + "data: {\n\n");
        lost(Served.EVENTS + "data: {\"choices\":[{}]}\n\n");
        lost(Served.EVENTS + "data: {\"choices\":[],\"timings\":{}}\n\n");
        lost("HTTP/1.1 200 OK\r\n" + String.join("", Collections.nCopies(200, "X: y\r\n")));
        lost("HTTP/1.1 200 OK\r\nX: " + String.join("", Collections.nCopies(70_000, "y")));
    }

    @Test
    public void healthIsTheServersWord() throws Exception {
        Served server = new Served();
        assertTrue(new Chat(server).healthy());
        server.setHealthy(false);
        assertFalse(new Chat(server).healthy());
        server.close();
        assertFalse(new Chat(server).healthy());
    }

    @Test
    public void cancellingEndsAnAnswerOnItsWay() throws Exception {
        try (Served server = new Served(Served.EVENTS + Served.piece("Hel") + Served.piece("lo") + Served.end())) {
            Cancel cancel = new Cancel();
            Problem problem = assertThrows(Problem.class,
                    () -> new Chat(server).ask("x", 1, text -> cancel.cancel(), cancel));
            assertEquals(Problem.Kind.CANCELLED, problem.kind());
        }
    }

    @Test
    public void whatIsCancelledBeforeIsNotAsked() throws Exception {
        try (Served server = new Served()) {
            Cancel cancel = new Cancel();
            cancel.cancel();
            assertEquals(Problem.Kind.CANCELLED, assertThrows(Problem.class,
                    () -> new Chat(server).ask("x", 1, text -> { }, cancel)).kind());
        }
    }

    @Test
    public void aBodyWithoutALengthEndsWithTheConnection() throws Exception {
        try (Served server = new Served("HTTP/1.1 200 OK\nno header at all\n\nall of it")) {
            assertEquals("all of it", Http.send(server, "/", null, new Cancel()).text());
        }
        try (Served server = new Served(CHUNKED + chunk("ab") + "0\r\n\r\n")) {
            Http answer = Http.send(server, "/", "{}", new Cancel());
            assertEquals('a', answer.body().read());
        }
        try (Served server = new Served(Served.body("200 OK", "é"))) {
            Http answer = Http.send(server, "/", "{}", new Cancel());
            InputStream body = answer.body();
            assertEquals(0xc3, body.read());
            assertEquals(0xa9, body.read());
            assertEquals(-1, body.read());
        }
    }
}
