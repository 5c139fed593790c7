# SPDX-License-Identifier: Apache-2.0
"""`framegate report`: a page that shows what a build came to."""

from pathlib import Path
from typing import Annotated

import typer
from framegate.commands.console import Json, say, show

EPILOG = "Example: `framegate report build`"


def command(
    build: Annotated[Path, typer.Argument(help="Folder that `framegate compile` wrote.")],
    evaluation: Annotated[
        Path | None, typer.Option(help="Folder of `framegate evaluate --plots`; by default BUILD/evaluation.")
    ] = None,
    json: Json = False,
) -> None:
    """Write BUILD/report.html: values, latency, clips with scores, pipeline, utilization. Opens offline."""
    from framegate.hls.build.compiler import told_edits
    from framegate.rtl_sim.report.report import render_report

    page = render_report(build, evaluation, say)
    told_edits(build, say)
    show({"report": str(page)}, [f"wrote {page}"], json)
