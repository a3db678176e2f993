"""Programs: what they leave, that no shell sees their arguments, and how they fail."""

import sys
import time
from pathlib import Path

import pytest

from edgepack.infra.process import (
    Completed,
    ProgramMissing,
    ProgramTimeout,
    Running,
    find_program,
    follow,
    run,
    start,
)


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def test_a_finished_program_leaves_its_status_and_its_text() -> None:
    done = run(python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"))
    assert done == Completed(status=3, stdout="out\n", stderr="err\n")


def test_arguments_reach_the_program_as_they_are() -> None:
    argument = "$(echo no) ; 'x' \"y\" * \\"
    assert run(python("import sys; print(sys.argv[1])", argument)).stdout == f"{argument}\n"


def test_a_program_reads_the_text_it_is_given_and_else_nothing() -> None:
    echo = python("import sys; print(repr(sys.stdin.read()))")
    assert run(echo, text_in="words").stdout == "'words'\n"
    assert run(echo).stdout == "''\n"


def test_a_program_runs_where_and_with_what_it_is_told(tmp_path: Path) -> None:
    code = "import os; print(os.getcwd(), os.environ.get('WORD'), 'HOME' in os.environ)"
    done = run(python(code), cwd=tmp_path, environment={"WORD": "said"})
    assert done.stdout.split() == [str(tmp_path), "said", "False"]


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    assert run(python("import sys; sys.stdout.buffer.write(b'\\xff')")).stdout == "\N{REPLACEMENT CHARACTER}"


def test_a_program_ended_by_a_signal_has_a_negative_status() -> None:
    assert run(python("import os; os.kill(os.getpid(), 9)")).status == -9


def test_a_missing_program_is_named() -> None:
    with pytest.raises(ProgramMissing, match="no-such-program"):
        run(["no-such-program"])


def test_a_program_without_end_is_killed() -> None:
    with pytest.raises(ProgramTimeout, match=r"no end after 0\.2 s"):
        run(python("import time; time.sleep(60)"), timeout=0.2)


def test_programs_are_found_on_the_path() -> None:
    found = find_program("sh")
    assert found
    assert found.name == "sh"
    assert find_program("no-such-program") is None


def heard(running: Running) -> bytes:
    """All that comes on stdout."""
    text = bytearray()
    while not running.ended:
        text += running.exchange(0.1)
    return bytes(text)


def test_a_running_program_takes_and_gives_more_than_a_pipe_holds() -> None:
    """Both ways at once, which blocks whoever only writes or only reads."""
    running = start(python("import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer, 1 << 14)"))
    sent = bytes(range(256)) * (1 << 13)
    running.send(sent)
    got = bytearray()
    while len(got) < len(sent):
        got += running.exchange(0.1)
    assert got == sent
    assert running.unsent == 0
    running.end_input()
    assert (heard(running), running.finish(10)) == (b"", 0)


def test_a_running_program_that_takes_nothing_holds_nobody_up() -> None:
    running = start(python("import time; time.sleep(60)"))
    running.send(bytes(1 << 20))
    assert running.exchange(0.05) == b""
    assert running.unsent > 0
    assert running.wait(0.05) is None
    assert running.finish(0.05) == -9


def test_the_end_of_a_running_program_is_no_error_for_its_speaker() -> None:
    running = start(python("import sys; print('last words', file=sys.stderr); sys.exit(4)"))
    assert heard(running) == b""
    running.send(b"too late")
    running.exchange(0.1)
    assert running.finish(10) == 4
    assert running.complaints == "last words\n"


def test_of_many_complaints_the_last_are_kept() -> None:
    running = start(python("import sys; sys.stderr.write('x' * 300000 + 'end')"))
    heard(running)
    running.finish(10)
    assert len(running.complaints) == 1 << 16
    assert running.complaints.endswith("xend")


def test_a_missing_program_cannot_be_started() -> None:
    with pytest.raises(ProgramMissing, match="no-such-program"):
        start(["no-such-program"])


def test_a_program_s_last_output_does_not_keep_it_from_ending() -> None:
    running = start(python("import sys; sys.stdin.read(); sys.stdout.write('x' * 1000000); sys.exit(3)"))
    assert running.finish(30) == 3


def test_what_a_followed_program_started_ends_with_an_interrupt(tmp_path: Path) -> None:
    """Compilers that a build had started do not go on without it."""
    mark = tmp_path / "late"

    def interrupted(_line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(["sh", "-c", f"(sleep 1; touch {mark}) & echo begun; wait"], on_line=interrupted)
    time.sleep(1.5)
    assert not mark.exists()


def test_a_followed_program_is_heard_line_by_line_to_its_end() -> None:
    heard: list[str] = []
    done = follow(["sh", "-c", "echo one; echo two; echo no >&2; exit 3"], on_line=heard.append)
    assert (heard, done.status, done.stdout, done.stderr) == (["one", "two"], 3, "one\ntwo\n", "no\n")
