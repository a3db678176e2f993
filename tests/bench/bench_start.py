"""Start-up: `edgepack --help` as a fresh process, in turns with an interpreter that does nothing.

    python tests/bench/bench_start.py [RUNS]

Prints the least and the median of both in milliseconds, and what edgepack adds; the target is a median of 150 ms.
The command is the installed one beside the interpreter, as a user's shell finds it.
"""

import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

TARGET = 150.0
"""Milliseconds."""
_USUAL_RUNS = 25


def milliseconds(arguments: list[str]) -> float:
    """Of one run from its start to its end."""
    started = perf_counter()
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    return (perf_counter() - started) * 1000


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else _USUAL_RUNS
    nothing = [sys.executable, "-c", "pass"]
    help_ = [str(Path(sys.executable).with_name("edgepack")), "--help"]
    for arguments in (nothing, help_):
        milliseconds(arguments)  # files into the page cache
    times = [(milliseconds(nothing), milliseconds(help_)) for _ in range(runs)]
    floor, total = ([one[index] for one in times] for index in (0, 1))
    print(
        f"python -c pass   min {min(floor):6.1f} ms   median {median(floor):6.1f} ms   ({runs} runs each, in turns)"
    )
    print(f"edgepack --help  min {min(total):6.1f} ms   median {median(total):6.1f} ms")
    added = median(after - before for before, after in times)
    print(f"edgepack adds    min {min(total) - min(floor):6.1f} ms   median {added:6.1f} ms")
    print(f"target           median {TARGET:.0f} ms: {'met' if median(total) <= TARGET else 'MISSED'}")


if __name__ == "__main__":
    main()
