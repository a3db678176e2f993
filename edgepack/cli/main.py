"""The command and its verbs; each verb's file is imported only when that verb is called."""

import errno
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

import edgepack as edgepack_package
from edgepack import __version__
from edgepack.cli.output import show_error
from edgepack.domain.errors import EdgepackError, ExitCode, NoSpaceError, UsageError

# verb -> one line of help. The file is edgepack/cli/<verb>.py and holds `command`.
VERBS = {
    "build": "Make a verified bundle: profile, model, quantization, weights, measurement.",
    "pick": "Rank the models for a device and a kind of task, before any download.",
    "profile": "List, show, check or probe device profiles.",
    "model": "List or show the catalogue's models.",
    "task": "List, show or check what models are asked to do.",
    "fetch": "Bring a checkpoint into the store.",
    "convert": "Make one quantized GGUF from a checkpoint.",
    "runtime": "Build llama.cpp's programs for a device.",
    "bench": "Measure tokens/s of a GGUF on this machine.",
    "eval": "Measure how well a GGUF does a task, or how near it is to its full precision.",
    "tune": "Search the flags that run a GGUF fastest on a device.",
    "verify": "Check every byte of a bundle, and run its model.",
    "package": "Wrap a bundle for Debian, OCI registries, RAUC, SWUpdate, or as a squashfs.",
    "sign": "Sign a bundle with an Ed25519 key.",
    "report": "Write one HTML page about a bundle or evaluations.",
    "deploy": "Bring a bundle to a device, test it there, and switch to it.",
    "delta": "Write what turns one bundle into another, as a small file.",
    "apply": "Make a bundle out of an older one and a delta.",
    "cache": "List, explain or prune the store.",
}


class LazyGroup(click.Group):
    """A group that knows its verbs' names and help without importing them: --help stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command = import_module(f"edgepack.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


def _print_path(context: click.Context, _parameter: click.Parameter, what: str | None) -> None:
    if what is None:
        return
    # A build system that includes "" goes on without a word: the file must be there.
    click.echo(Path(edgepack_package.__file__).parent / _PARTS[what])
    context.exit()


_PARTS = {"make-include": Path("data", "make", "edgepack.mk")}
"""What --print knows, below the package's directory."""


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edgepack")
@click.option(
    "--print", type=click.Choice(list(_PARTS)), expose_value=False, is_eager=True, callback=_print_path,
    help="Print where a part of edgepack lies: make-include, the file for your Makefile to include.",
)  # fmt: skip
def edgepack() -> None:
    """Language models under 3 billion parameters on small devices.

    From a device profile to a verified, measured, deployable bundle:

      edgepack build --profile rpi5 --model qwen2.5-0.5b-instruct

    Exit codes: 0 done, 1 bug, 2 usage, 3 nothing fits, 4 bad input, 5 network,
    6 device, 7 verification failed, 8 out of space or memory, 130 interrupted.
    """


def main() -> NoReturn:
    """Run the command line; every ending is a documented exit code."""
    # A build system's SIGTERM and a closed terminal clean up like ^C: compilers and devices are told to stop.
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    code = run(sys.argv[1:])
    # All is done and said: a ^C while the interpreter takes itself apart must not change the exit code.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        edgepack.main(args=arguments, prog_name="edgepack", standalone_mode=False)
    except EdgepackError as error:
        show_error(error)
        return error.exit_code
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.ClickException as error:
        show_error(_usage(error))
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("\ninterrupted; finished steps stay in the store, run the same command to go on", err=True)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader (head, grep -q) went away; point stdout elsewhere so that the interpreter's flush is quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.DONE
    except OSError as error:
        return _disk_error_or_raise(error)
    except MemoryError:
        show_error(NoSpaceError("out of memory", hint="close other programs, or lower --threads, and run it again"))
        return ExitCode.NO_SPACE
    return ExitCode.DONE


def _usage(error: click.ClickException) -> UsageError:
    context = error.ctx if isinstance(error, click.UsageError) else None
    path = context.command_path if context else "edgepack"
    return UsageError(error.format_message(), hint=f"{path} --help shows what it takes")


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP)


def _disk_error_or_raise(error: OSError) -> int:
    """What a disk refuses is the user's to mend; any other failure of the system is a bug until it is understood."""
    where = error.filename or "a file"
    if error.errno in _FULL:
        hint = "free some space, or point EDGEPACK_HOME or --out at a larger disk, and run it again"
        show_error(NoSpaceError(f"no space left while writing {where}", hint=hint))
        return ExitCode.NO_SPACE
    if error.errno in _NOT_OURS:
        hint = "check the path and its permissions, or choose another with EDGEPACK_HOME or --out"
        show_error(UsageError(f"{where}: {error.strerror}", hint=hint))
        return ExitCode.USAGE
    raise error
