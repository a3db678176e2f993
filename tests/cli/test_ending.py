"""A command that is told to end: by a build system or a closed terminal as by ^C."""

import signal
import sys
from subprocess import PIPE, Popen, TimeoutExpired

import pytest

from edgepack.domain.errors import ExitCode


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_waits_ends_with_130(ending: signal.Signals) -> None:
    command = [sys.executable, "-m", "edgepack", "profile", "check", "/dev/stdin"]
    with Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as running:
        assert running.stdin
        running.stdin.write("schema = 1\n")  # its reader waits for the rest, in the midst of the verb
        running.stdin.flush()
        with pytest.raises(TimeoutExpired):
            running.wait(2)
        running.send_signal(ending)
        assert running.wait(20) == ExitCode.INTERRUPTED
        assert running.stderr
        assert "interrupted; finished steps stay in the store" in running.stderr.read()
