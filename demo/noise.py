"""What people do to a sentence that keeps its meaning: politeness, missing articles, capitals, typos."""

from __future__ import annotations

import random
import re

PREFIXES = (
    "please", "could you", "can you", "can you please", "could you please", "hey,", "hi,", "hello,", "ok,",
    "house,", "i would like you to", "i want you to", "would you", "quick,", "pls", "hey house,", "kindly",
    "go ahead and",
)  # fmt: skip
GREETINGS = ("hey,", "hi,", "hello,", "ok,", "house,", "hey house,", "listen,", "sorry,")
SUFFIXES = ("please", "thanks", "thank you", "now", "right now", "for me", "pls", "if you can", "asap", "immediately")
# Keys that lie beside each other on a keyboard, for the letters that are missed most often.
NEIGHBOURS = {
    "a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj", "i": "uo",
    "k": "jl",
    "l": "ko", "m": "nj", "n": "bm", "o": "ip", "p": "ol", "r": "et", "s": "ad", "t": "ry", "u": "yi",
    "v": "cb",
}  # fmt: skip
QUESTION = re.compile(r"\b(is|are|did|do|does|will|what|which|who|how|when|where)\b")
CONTRACTIONS = (
    ("what is", "what's"), ("it is", "it's"), ("i am", "i'm"), ("we are", "we're"), ("do not", "don't"),
    ("i would like", "i'd like"), ("who is", "who's"),
)  # fmt: skip
VERBS = frozenset((
    "turn", "switch", "power", "start", "activate", "put", "get", "enable", "fire", "kill", "stop",
    "deactivate", "cut", "disable", "shut", "dim", "set", "brighten", "change", "bring", "adjust", "make",
    "reduce", "increase", "preheat", "heat", "keep", "cool", "warm", "raise", "lower", "give", "paint",
    "open", "roll", "pull", "close", "lock", "secure", "bolt", "unlock", "unbolt", "release", "remove",
    "take", "count", "remind", "play", "pause", "end", "mute", "silence", "check", "tell", "prepare",
    "light", "call", "send", "write", "order", "book", "find", "translate", "teach", "sing", "add",
    "recommend", "show", "read", "move",
))  # fmt: skip


def polite(rng: random.Random, text: str) -> str:
    """The sentence with a greeting, a plea or thanks around it; only a command takes "could you"."""
    command = text.split()[0] in VERBS
    if rng.random() < 0.7:
        text = f"{rng.choice(PREFIXES if command else GREETINGS)} {text}"
    if rng.random() < 0.4:
        text = f"{text}{rng.choice((' ', ', '))}{rng.choice(SUFFIXES)}"
    return text


def misspell(rng: random.Random, text: str) -> str:
    """One or two typos, in words of four letters and more."""
    words = text.split(" ")
    long = [place for place, word in enumerate(words) if len(word) >= 4 and word.isalpha()]
    for place in rng.sample(long, k=min(len(long), rng.choice((1, 1, 2)))):
        words[place] = _typo(rng, words[place])
    return " ".join(words)


def _typo(rng: random.Random, word: str) -> str:
    at = rng.randrange(1, len(word) - 1)
    match rng.choice(("swap", "drop", "double", "miss")):
        case "swap":
            return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        case "drop":
            return word[:at] + word[at + 1 :]
        case "double":
            return word[:at] + word[at] + word[at:]
        case _:
            return word[:at] + rng.choice(NEIGHBOURS.get(word[at], word[at])) + word[at + 1 :]


def casual(rng: random.Random, text: str) -> str:
    """Contractions, capitals and a full stop as some write them, articles left out as others do."""
    if rng.random() < 0.5:
        for long, short in CONTRACTIONS:
            text = text.replace(long, short)
    if rng.random() < 0.08:
        text = " ".join(word for word in text.split(" ") if word != "the")
    if rng.random() < 0.25:
        text = text[0].upper() + text[1:]
    if rng.random() < 0.2 and text[-1].isalpha():
        text += "?" if QUESTION.search(text.lower()) else rng.choice((".", "!", "."))
    return text
