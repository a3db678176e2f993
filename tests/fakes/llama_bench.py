"""A program that says what llama-bench says, at a speed of its own: it is quick with one thread, slow with more."""

from pathlib import Path

SCRIPT = r"""#!/bin/sh
threads=2 prompt=0 generated=0 repeats=1 prio=0
while [ $# -gt 0 ]; do
    case $1 in
    --help) echo "  -t, --threads <n>                                 (default: 2)"; exit 0 ;;
    -t) threads=$2 ;; -p) prompt=$2 ;; -n) generated=$2 ;; -r) repeats=$2 ;; --prio) prio=$2 ;;
    esac
    shift
done
[ "$prio" = 0 ] || { echo "error: failed to set process priority" >&2; exit 1; }
spent=$(((prompt + generated) * 1000000 * threads))
samples=$spent
while [ "$repeats" -gt 1 ]; do samples="$samples, $spent"; repeats=$((repeats - 1)); done
printf '{"build_commit": "0", "build_number": 1, "cpu_info": "", "backends": "CPU", "n_threads": %s, ' "$threads"
printf '"n_prompt": %s, "n_gen": %s, "samples_ns": [%s]}\n' "$prompt" "$generated" "$samples"
"""


def write_llama_bench(directory: Path) -> Path:
    """Put it into `directory`, as a runtime has it."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "llama-bench"
    path.write_text(SCRIPT, encoding="utf-8")
    path.chmod(0o755)
    return path
