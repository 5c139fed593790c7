# SPDX-License-Identifier: Apache-2.0
"""The command line: assembles the commands; the one place where failures on purpose become messages."""

import json
import logging
import sys
import warnings

import typer
from framegate import (
    __version__,
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
from framegate.errors import FramegateError
from framegate.extras import missing_extras_named

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
        with missing_extras_named():
            app(prog_name="framegate")
    except FramegateError as error:
        if "--json" in sys.argv:
            print(json.dumps({"error": str(error)}))
        print(f"framegate: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
