"""Runs the encoder of the bundle that this file lies in: vectors or classes of texts, a JSON line each.

    python3 encoder.py run ["some text" ...]    texts as arguments, or a line each on stdin
    python3 encoder.py bench [--json]           milliseconds a text
    python3 encoder.py selftest                 files, memory, and what the model gives for known texts

Needs Python 3.11 and, beside its standard library, onnxruntime 1.24, numpy and tokenizers: those in the bundle's
wheels/, unpacked once below EDGEPACK_CACHE (default: edgepack in XDG_CACHE_HOME or ~/.cache), or the Python's own.
Every file is compared with SHA256SUMS before it is first used, and again when it changes.

Settings: EDGEPACK_THREADS, EDGEPACK_CACHE, EDGEPACK_NO_RUN=1 for a self-test without the model.
Exit codes: 0 done, 2 usage, 4 a text that the model does not take, 6 nothing here runs it, 7 a file or an output is
not right, 8 not enough memory.
"""

import fcntl
import hashlib
import json
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from math import exp
from pathlib import Path
from statistics import median
from tempfile import mkdtemp
from time import perf_counter
from typing import Any, NoReturn

Table = dict[str, Any]
"""An object of JSON."""
Row = list[float]

HERE = Path(__file__).resolve().parent
OLDEST = (1, 24)
"""Older versions of onnxruntime read any file that a model names."""
CLEAR = 0.1
"""By which share a label must be ahead of the second for this machine to have to agree on it."""
ROUNDS = 5
BROKEN = "onnxruntime is not right for this CPU, or broken: take another version"
FAILURES = {
    "EPFail", "EngineError", "Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoModel", "NoSuchFile",
    "NotImplemented", "RuntimeException",
}  # fmt: skip
"""By onnxruntime's names."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def fail(code: int, what: str, then: str) -> NoReturn:
    """End with the same two lines as every edgepack error."""
    say(f"error: {what}\n  next: {then}")
    sys.exit(code)


# --- files


def check_files(*, again: bool) -> None:
    """Every payload file against SHA256SUMS; one that was right, and has not changed since, is not read again."""
    try:
        sums = (HERE / "SHA256SUMS").read_bytes()
        stamp = None if again else cache(f"checked-{hashlib.sha256(sums).hexdigest()[:16]}")
        listed = [(line[:64], line[66:]) for line in sums.decode(errors="replace").splitlines()]
        looks = "\n".join(f"{path} {look(HERE / path)}" for _, path in listed)
    except OSError as error:
        fail(7, f"{error.filename}: {error.strerror}", "copy the bundle again")
    if not {"manifest.json", "encoder.py"} <= {path for _, path in listed}:
        fail(7, "SHA256SUMS: does not list the bundle's files", "copy the bundle again")
    if stamp and stamp.is_file() and stamp.read_text() == looks:
        return
    for digest, path in listed:
        with (HERE / path).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                fail(7, f"{path}: not the bytes that SHA256SUMS names", "do not use the bundle; copy it again")
    if stamp:
        half = stamp.with_name(f"{stamp.name}.{os.getpid()}")
        half.write_text(looks)
        half.replace(stamp)


def look(path: Path) -> str:
    """What changes when somebody writes to a file."""
    seen = path.stat()
    return f"{seen.st_ino} {seen.st_size} {seen.st_mtime_ns} {seen.st_ctime_ns}"


def cache(name: str) -> Path | None:
    """A path in the cache's directory; None where there is no place for one."""
    said = os.environ.get("EDGEPACK_CACHE")
    home, homes = os.environ.get("HOME"), os.environ.get("XDG_CACHE_HOME")
    if not said and not homes and not home:
        return None
    root = Path(said or f"{homes or f'{home}/.cache'}/edgepack")
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return root / name if os.access(root, os.W_OK) else None


# --- packages


def find_packages(manifest: Table) -> None:
    """Make numpy, onnxruntime and tokenizers importable: the bundle's wheels, or whatever this Python has."""
    wheels, python = manifest["encoder"]["wheels"], f"{sys.version_info[0]}.{sys.version_info[1]}"
    if wheels and wheels["python"] == python and wheels["architecture"] == os.uname().machine:
        sys.path.insert(0, str(unpacked()))
    try:
        import numpy  # noqa: F401
        import onnxruntime
        import tokenizers  # noqa: F401
    except ImportError as error:
        has = f"; its wheels are for Python {wheels['python']} on {wheels['architecture']}" if wheels else ""
        packages = " ".join(f"{name}=={version}" for name, version in manifest["encoder"]["packages"].items())
        what = f"Python {python} on {os.uname().machine} cannot run the model: {error}{has}"
        fail(6, what, f"name another Python with EDGEPACK_PYTHON, or install: {packages}")
    if tuple(map(int, onnxruntime.__version__.split(".")[:2])) < OLDEST:
        fail(6, f"onnxruntime {onnxruntime.__version__} reads any file that a model names", "install 1.24 or newer")


def unpacked() -> Path:
    """The directory of the unpacked wheels, made whole or not at all."""
    lines = [line for line in (HERE / "SHA256SUMS").read_text().splitlines() if line[66:].startswith("wheels/")]
    wheels = [HERE / line[66:] for line in lines]
    place = cache(f"packages-{hashlib.sha256(' '.join(lines).encode()).hexdigest()[:16]}")
    if place is None:
        fail(6, "no place to unpack the wheels to", "set EDGEPACK_CACHE to a directory that can be written")
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if place.is_dir():
            return place
        for left in place.parent.glob(f"{place.name}-half-*"):  # of somebody who was killed: the lock is ours
            shutil.rmtree(left, ignore_errors=True)
        say(f"unpacking {len(wheels)} wheels to {place}, once")
        half = Path(mkdtemp(prefix=f"{place.name}-half-", dir=place.parent))
        try:
            for wheel in wheels:
                unpack(wheel, half)
            half.rename(place)
        except OSError as error:
            shutil.rmtree(half, ignore_errors=True)
            fail(8, f"{half}: {error.strerror}", "free some space, or set EDGEPACK_CACHE to another disk")
    return place


def unpack(wheel: Path, place: Path) -> None:
    """A wheel is a zip; a name that leads out of the place is no wheel's."""
    with zipfile.ZipFile(wheel) as opened:
        for member in opened.infolist():
            parts = Path(member.filename).parts
            if member.filename.startswith("/") or ".." in parts:
                fail(7, f"{wheel.name}: {member.filename!r} leads out of it", "copy the bundle again")
            opened.extract(member, place)


# --- the model


@contextmanager
def translated() -> Iterator[None]:
    """onnxruntime's failures end as all others do."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    failures = [getattr(state, name) for name in dir(state) if name in FAILURES]
    try:
        yield
    except MemoryError:
        fail(8, "not enough memory for the model", "close other programs")
    except (*failures, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        fail(7, f"onnxruntime does not run the model: {said}", "install another version of it")


class Encoder:
    """The model, loaded."""

    def __init__(self, manifest: Table, threads: int) -> None:
        import numpy
        import onnxruntime
        from tokenizers import Tokenizer

        said = manifest["encoder"]
        self.gives, self.labels, self.vocabulary = said["gives"], said["labels"], said["vocabulary"]
        self.context, self.numpy = manifest["flags"]["context"], numpy
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        # Threads that wait leave the CPU to others.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = str(HERE / manifest["weights"]["path"])
        with translated():
            self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs = [given.name for given in self.session.get_inputs()]
        self.tokenizer = Tokenizer.from_file(str(HERE / "model" / "tokenizer.json"))

    def rows(self, text: str) -> tuple[list[Row], Any]:
        """A row of numbers, or one for each token; and where the tokens are in the text."""
        encoding = self.tokenizer.encode(text.encode(errors="replace").decode())
        if not 0 < len(encoding.ids) <= self.context or max(encoding.ids) >= self.vocabulary:
            what = f"{text[:40]!r}: {len(encoding.ids)} tokens, and the model takes 1 to {self.context}"
            fail(4, what, "cut the text into shorter ones")
        columns = {
            "input_ids": encoding.ids,
            "attention_mask": encoding.attention_mask,
            "token_type_ids": encoding.type_ids,
        }
        fed = {name: self.numpy.array([columns[name]], dtype=self.numpy.int64) for name in self.inputs}
        with translated():
            values = self.session.run(None, fed)[0][0]
        return values.reshape(-1, values.shape[-1]).tolist(), encoding

    def given(self, text: str) -> Table:
        """What is printed of a text."""
        rows, encoding = self.rows(text)
        if self.gives == "vector":
            return {"text": text, "vector": [round(value, 6) for value in rows[0]]}
        if self.gives == "classes":
            return {"text": text, **self.labelled(rows[0], all_labels=True)}
        tokens = [
            {"token": text[begin:end], "begin": begin, "end": end, **self.labelled(row, all_labels=False)}
            for row, (begin, end) in zip(rows, encoding.offsets)
            if end > begin
        ]
        return {"text": text, "tokens": tokens}

    def labelled(self, row: Row, *, all_labels: bool) -> Table:
        """The best label and its share; all shares where a text has one label."""
        found = [round(share, 6) for share in shares(row)]
        best = found.index(max(found))
        more = {"scores": dict(zip(self.labels, found))} if all_labels else {}
        return {"label": self.labels[best], "score": found[best], **more}


def shares(row: Row) -> Row:
    """A softmax."""
    raised = [exp(value - max(row)) for value in row]
    return [value / sum(raised) for value in raised]


# --- the verbs


def run(manifest: Table, words: list[str]) -> None:
    encoder = Encoder(manifest, count_threads(manifest))
    for text in words or (line.rstrip("\n") for line in sys.stdin):
        if text:
            print(json.dumps(encoder.given(text), ensure_ascii=False), flush=True)


def bench(manifest: Table, words: list[str]) -> None:
    if words not in ([], ["--json"]):
        fail(2, f"no arguments wanted but --json, got {words[0][:40]!r}", "call it as ./bench or ./bench --json")
    import onnxruntime

    threads = count_threads(manifest)
    encoder, texts, rounds = Encoder(manifest, threads), golden_texts()["texts"], []
    for _ in range(1 + ROUNDS):  # the first warms up
        began = perf_counter()
        for text in texts:
            encoder.rows(text)
        rounds.append(1e3 * (perf_counter() - began) / len(texts))
    seen = {
        "model": manifest["name"],
        "onnxruntime": onnxruntime.__version__,
        "machine": os.uname().machine,
        "threads": threads,
        "texts": len(texts),
        "ms_per_text": round(median(rounds[1:]), 3),
        "samples": [round(sample, 3) for sample in rounds[1:]],
    }
    if words:
        print(json.dumps(seen))
    else:
        print(f"{seen['ms_per_text']} ms a text (median of {seen['samples']}; {len(texts)} texts, {threads} threads)")


def selftest(manifest: Table, words: list[str]) -> None:
    if words:
        fail(2, f"no arguments wanted, {len(words)} given", "call it as ./selftest")
    say("selftest: every payload file is as SHA256SUMS says")
    check_memory(manifest)
    if os.environ.get("EDGEPACK_NO_RUN"):
        say("selftest: all right, without the model")
        return
    say(f"selftest: all right: {compared(manifest)}")


def check_memory(manifest: Table) -> None:
    need = -(-manifest["plan"]["total_bytes"] // 1024) if manifest["plan"] else 0
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        say(f"selftest: memory: {need} KiB needed; this system does not say what is available")
        return
    free = next((int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), None)
    say(f"selftest: memory: {need} KiB needed, {free} KiB available")
    if free is not None and free < need:
        fail(8, f"{free} KiB of memory available, the model needs {need} KiB", "close other programs")


def compared(manifest: Table) -> str:
    """What the model gives for the golden texts, against what it gave where the bundle was built."""
    golden, encoder, seen, spent = golden_texts(), Encoder(manifest, count_threads(manifest)), [], []
    for text in golden["texts"]:
        began = perf_counter()
        seen.append(encoder.rows(text)[0])
        spent.append(1e3 * (perf_counter() - began))
    time = f"{median(spent):.2f} ms a text"
    try:
        expected = json.loads((HERE / "evidence" / "golden.json").read_text())["outputs"]
    except (OSError, ValueError, LookupError):
        return f"outputs not compared: no evidence/golden.json; {time}"
    worst = 1.0
    if len(expected) != len(seen):
        fail(7, f"evidence/golden.json: {len(expected)} outputs for {len(seen)} texts", "copy the bundle again")
    for text, was, now in zip(golden["texts"], expected, seen):
        worst = min(worst, near(encoder, text, was, now))
    if not worst >= golden["least_cosine"]:
        wanted = f"cosine {worst:.5f}, {golden['least_cosine']} wanted"
        fail(7, f"the model gives other numbers here than where it was built: {wanted}", BROKEN)
    return f"{len(seen)} texts, cosine {worst:.5f} at least; {time}"


def near(encoder: Encoder, text: str, was: list[Row], now: list[Row]) -> float:
    """The least cosine of the rows of a text; a clear label must be the same."""
    if [len(row) for row in was] != [len(row) for row in now]:
        fail(7, f"{text[:40]!r}: {len(now)} rows here, {len(was)} where it was built", "copy the bundle again")
    if encoder.gives == "vector":
        return min(cosine(*pair) for pair in zip(was, now))
    pairs = [(shares(a), shares(b)) for a, b in zip(was, now)]
    for before, here in pairs:
        first, *others = sorted(before, reverse=True)
        if first - max(others, default=0) >= CLEAR and before.index(first) != here.index(max(here)):
            label, other = encoder.labels[here.index(max(here))], encoder.labels[before.index(first)]
            fail(7, f"{text[:40]!r} is {label!r} here and was {other!r} where the bundle was built", BROKEN)
    return min(cosine(*pair) for pair in pairs)


def cosine(one: Row, other: Row) -> float:
    lengths = sum(value * value for value in one) ** 0.5 * sum(value * value for value in other) ** 0.5
    return sum(a * b for a, b in zip(one, other)) / lengths if lengths else 0.0


def golden_texts() -> Table:
    read: Table = json.loads((HERE / "golden" / "texts.json").read_text(encoding="utf-8"))
    return read


def count_threads(manifest: Table) -> int:
    """What the profile says, its big cores, but never more than there are here."""
    said = os.environ.get("EDGEPACK_THREADS", "")
    if said and (not said.isascii() or not said.isdigit() or int(said) < 1):
        fail(2, f"EDGEPACK_THREADS: expected a whole number above 0, got {said!r}", "set it to one, or unset it")
    return int(said) if said else min(manifest["flags"]["threads"], len(os.sched_getaffinity(0)))


VERBS = {"run": run, "bench": bench, "selftest": selftest}


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in VERBS:
        fail(2, f"expected one of {', '.join(VERBS)}", "call ./run, ./bench or ./selftest")
    if sys.version_info < (3, 11):
        fail(6, f"Python {sys.version.split()[0]} is older than 3.11", "name a newer one with EDGEPACK_PYTHON")
    verb = sys.argv[1]
    check_files(again=verb == "selftest")
    manifest = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))
    if verb != "selftest" or not os.environ.get("EDGEPACK_NO_RUN"):
        find_packages(manifest)
    VERBS[verb](manifest, sys.argv[2:])


if __name__ == "__main__":
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # Whoever read is gone; what is left in the buffer must not be tried again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
