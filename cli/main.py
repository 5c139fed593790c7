# SPDX-License-Identifier: Apache-2.0
"""The command line: assembles the commands; the one place where failures on purpose become messages."""

import errno
import json
import logging
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from framegate import __version__
from framegate.commands import (
    bench,
    bitstream,
    compile,
    crossvalidate,
    data,
    demo,
    evaluate,
    explore,
    report,
    simulate,
    train,
)
from framegate.commands.extras import missing_extras_named
from framegate.errors import FramegateError, Interrupted, UsageError

app = typer.Typer(
    name="framegate",
    help="Frames in, gates out: video-action classifiers as verified FPGA hardware with a fixed latency.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.add_typer(data.app, name="data")
app.add_typer(bench.app, name="bench")
for module in (demo, train, crossvalidate, evaluate, explore, compile, simulate, bitstream, report):
    app.command(module.__name__.rpartition(".")[2], epilog=module.EPILOG)(module.command)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"framegate {__version__}")
        raise typer.Exit


@app.callback()
def main(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True)) -> None:
    """Frames in, gates out: video-action classifiers as verified FPGA hardware with a fixed latency."""


def run() -> None:
    """The `framegate` command. With --json a failure is also a JSON object on stdout."""
    warnings.filterwarnings("ignore", module=r"(torch|brevitas|lightning|qonnx|finn)\b.*")
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # that it finds no GPU compiler
    try:
        with _end_on_signals(), missing_extras_named():
            _refuse_empty(sys.argv[1:])
            app(prog_name="framegate")
    except FramegateError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        if error.errno not in _OF_PATHS:
            raise
        path = error.filename2 or error.filename or "a path"
        _fail(f"{path}: {error.strerror}; {_OF_PATHS[error.errno]}", UsageError.exit_code)
    except Interrupted as end:
        _fail("interrupted", end.exit_code)


def _fail(message: str, exit_code: int) -> None:
    if "--json" in sys.argv:
        print(json.dumps({"error": message}))
    print(f"framegate: {message}", file=sys.stderr)
    sys.exit(exit_code)


# What the system says of a path, or of the disk, that cannot be what was meant; the rest are bugs of ours.
_ANOTHER, _ROOM = "give another path", "free some space or choose another folder"
_OF_PATHS = {
    errno.ENOTDIR: "a part of the path is a file where a folder is due; give another path",
    errno.EISDIR: "a folder is there; give the name of a file",
    errno.EEXIST: "something else is there; remove it or give another path",
    errno.ENAMETOOLONG: "give a shorter path",
    errno.ELOOP: "links lead in a circle; give another path",
    errno.EACCES: "give a path that you may use",
    errno.EPERM: "give a path that you may use",
    errno.EROFS: "choose a folder that can be written",
    errno.ENXIO: _ANOTHER,
    errno.ENODEV: _ANOTHER,
    errno.ENOTEMPTY: "give another folder",
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: _ROOM,
    errno.EIO: "the disk or the device does not work; choose another folder",
}


@contextmanager
def _end_on_signals() -> Iterator[None]:
    """In the block, end in order, with what we started, when asked to from outside; at once when asked again."""

    def end(number: int, frame: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        raise Interrupted(number)

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    before = {number: was for number, was in before.items() if was is not signal.SIG_IGN}  # as under nohup
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _refuse_empty(words: list[str]) -> None:
    """Raise UsageError for an empty value: as a path it would be the current folder."""
    for before, word in zip(["", *words], words, strict=False):
        if not word.strip() or (word.startswith("--") and word.endswith("=")):
            name = word.rstrip("=") if word.strip() else before
            raise UsageError(f"{name or 'the first argument'}: an empty value; give one, or leave it out")
