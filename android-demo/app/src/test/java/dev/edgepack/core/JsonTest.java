package dev.edgepack.core;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.Test;

public final class JsonTest {
    @Test
    public void everyKindOfValueIsRead() {
        Map<String, Object> wanted = new LinkedHashMap<>();
        wanted.put("a", Arrays.asList(1L, -2.5, true, false, null));
        wanted.put("b", Collections.emptyMap());
        wanted.put("c", Collections.emptyList());
        wanted.put("d", 1e3);
        assertEquals(wanted, Json.parse(" {\"a\" : [1, -2.5,true,false , null], \"b\":{ }, \"c\":[ ],\t\"d\":1e3}\r\n"));
    }

    @Test
    public void escapesAreRead() {
        assertEquals("\b\f\n\r\t\"\\/ä", Json.parse("\"\\b\\f\\n\\r\\t\\\"\\\\\\/\\u00e4\""));
        assertEquals("\ud83d\ude00", Json.parse("\"\\uD83D\\ude00\""));
    }

    @Test
    public void whatIsWrongIsTold() {
        for (String text : new String[] {"", "{", "[1", "{\"a\"}", "{\"a\":1,}", "{1:2}", "[1 2]", "01", "-", "1.", "tru",
            "\"\n\"", "\"\\x\"", "\"\\u12g4\"", "\"abc", "1 2", "nul", "{\"a\":1,\"a\":2}", "+1", "{\"a\" 1}", "\"\\u12"}) {
            IllegalArgumentException wrong =
                    assertThrows(text, IllegalArgumentException.class, () -> Json.parse(text));
            assertTrue(wrong.getMessage(), wrong.getMessage().startsWith("JSON, character "));
        }
    }

    @Test
    public void depthIsBounded() {
        String deep = String.join("", Collections.nCopies(100, "["));
        assertThrows(IllegalArgumentException.class, () -> Json.parse(deep));
    }

    @Test
    public void largeNumbersAreDoubles() {
        assertEquals(1e30, Json.parse("1000000000000000000000000000000"));
    }

    @Test
    public void typesAreAskedFor() {
        Map<String, Object> object = Json.object("{\"text\":\"x\",\"whole\":3,\"none\":null}");
        assertEquals("x", Json.string(object, "text"));
        assertEquals(3, Json.whole(object, "whole"));
        assertThrows(IllegalArgumentException.class, () -> Json.string(object, "whole"));
        assertThrows(IllegalArgumentException.class, () -> Json.whole(object, "none"));
        assertThrows(IllegalArgumentException.class, () -> Json.object("[]"));
        assertThrows(IllegalArgumentException.class, () -> Json.asObject("x"));
        assertThrows(IllegalArgumentException.class, () -> Json.asList(null));
    }

    @Test
    public void whatIsWrittenIsReadAgain() {
        String text = "{\"a\":[1,2.5,true,null],\"b\":{},\"c\":[],\"d\":\"\\\"\\\\\\u000a\\u0001ä\"}";
        assertEquals(text, Json.write(Json.parse(text)));
    }
}
