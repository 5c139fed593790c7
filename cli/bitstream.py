# SPDX-License-Identifier: Apache-2.0
"""`framegate bitstream`: from RTL to a file that an FPGA board loads."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from framegate.console import Json, say, show

EPILOG = "Example: `framegate bitstream build --target ulx3s-85f`"


def command(
    build: Annotated[Path, typer.Argument(help="Folder that `framegate compile` wrote.")],
    target: Annotated[str, typer.Option(help="The board.")] = "ulx3s-85f",
    seed: Annotated[int, typer.Option(help="Of the placement; another one may reach a higher clock.")] = 1,
    json: Json = False,
) -> None:
    """Synthesize, place, route and pack; fails when the design does not fit or does not reach its clock."""
    from framegate.pipeline import bitstream_build

    report = bitstream_build(build, target, seed, say)
    used = [
        f"{name} {getattr(report, name):,} of {available:,}" for name, available in report.available.items()
    ]
    clock = f"{report.fmax_mhz:.1f} MHz reached, {report.clock_mhz:g} MHz wanted"
    show(asdict(report), [clock, ", ".join(used), f"wrote {report.path}"], json)
