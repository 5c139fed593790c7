# SPDX-License-Identifier: Apache-2.0
"""`framegate report`: a page that shows what a build came to."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from framegate.commands.console import Json, say, show

if TYPE_CHECKING:  # importing it takes seconds
    from framegate.rtl_sim.report.report import Comparison

EPILOG = "Example: `framegate report build`"


def command(
    build: Annotated[Path, typer.Argument(help="Folder that `framegate compile` wrote.")],
    evaluation: Annotated[
        Path | None, typer.Option(help="Folder of `framegate evaluate --plots`; by default BUILD/evaluation.")
    ] = None,
    comparison: Annotated[
        Path | None, typer.Option(help="What `framegate bench compare --keep` wrote: compare.json.")
    ] = None,
    json: Json = False,
) -> None:
    """Write BUILD/report.html: values, latency, clips with scores, pipeline, utilization. Opens offline."""
    from framegate.hls.build.compiler import told_edits
    from framegate.rtl_sim.report.report import render_report

    page = render_report(build, evaluation, say, _compared(comparison) if comparison else None)
    told_edits(build, say)
    show({"report": str(page)}, [f"wrote {page}"], json)


def _compared(file: Path) -> "Comparison":
    """The rows of `file` and their picture."""
    from framegate.benchmarks.compare import draw, read
    from framegate.rtl_sim.report.report import Comparison

    rows = read(file)
    with TemporaryDirectory() as folder:
        return Comparison(rows, draw(Path(folder) / "compare.png", rows).read_bytes())
