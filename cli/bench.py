# SPDX-License-Identifier: Apache-2.0
"""`framegate bench`: every claim of speed, measured beside what it is compared with."""

from pathlib import Path
from typing import Annotated, Any

import typer
from framegate.console import Json, say, show

app = typer.Typer(help="Measure, and print ratios against the named peer.", no_args_is_help=True)
Model = Annotated[str, typer.Option(help="A checkpoint.pt or the name of a built-in network.")]
Build = Annotated[Path, typer.Option(help="Folder to build in.")]
Keep = Annotated[Path | None, typer.Option(help="Folder to keep the figures in, with machine and date.")]


@app.command(epilog="Example: `framegate bench reference --clips 64`")
def reference(
    model: Model = "tsm-lite",
    clips: Annotated[int, typer.Option(min=1, help="Clips per turn.")] = 64,
    build: Build = Path("build/bench"),
    keep: Keep = None,
    json: Json = False,
) -> None:
    """Integer reference against Brevitas in eval mode: clips per second."""
    from framegate.benchmarks import reference as benchmark

    _show("reference", benchmark.measure(model, clips, build, say), keep, json)


@app.command(epilog="Example: `framegate bench chain --json`")
def chain(
    model: Model = "tsm-lite", build: Build = Path("build/bench"), keep: Keep = None, json: Json = False
) -> None:
    """QONNX to RTL, and RTL simulation of one clip with its build: seconds."""
    from framegate.benchmarks import chain as benchmark

    _show("chain", benchmark.measure(model, build, say), keep, json)


@app.command(epilog="Example: `framegate bench area build/demo`")
def area(
    build: Annotated[Path, typer.Argument(help="A build with a bitstream.")],
    keep: Keep = None,
    json: Json = False,
) -> None:
    """The cost model against what place and route counted."""
    from framegate.benchmarks import area as benchmark

    _show("area", benchmark.measure(build), keep, json)


def _show(name: str, rows: list[dict[str, Any]], keep: Path | None, as_json: bool) -> None:
    from framegate.benchmarks.results import keep as kept

    result = kept(name, rows, keep)
    lines = [", ".join(f"{key} {_short(value)}" for key, value in row.items()) for row in rows]
    show(result, [*lines, *([f"wrote {result['path']}"] if keep else [])], as_json)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
