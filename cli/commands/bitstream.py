# SPDX-License-Identifier: Apache-2.0
"""`framegate bitstream`: from RTL to a file that an FPGA board loads, or to what it would take of the FPGA."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from framegate.commands.console import Json, say, show

EPILOG = "Example: `framegate bitstream build --target ulx3s-85f`"


def command(
    build: Annotated[Path, typer.Argument(help="Folder that `framegate compile` wrote.")],
    target: Annotated[str, typer.Option(help="The board; AMD's kv260 and zcu102 need Vivado.")] = "ulx3s-85f",
    seed: Annotated[
        int,
        typer.Option(
            min=0, max=2**31 - 1, help="Of the placement by nextpnr; another one may reach a higher clock."
        ),
    ] = 1,
    synthesis_only: Annotated[
        bool, typer.Option("--synthesis-only", help="Only count LUTs, FFs, DSPs and BRAMs after Yosys.")
    ] = False,
    json: Json = False,
) -> None:
    """Synthesize, place, route and pack; fails when the design does not fit or does not reach its clock."""
    from framegate.hls.build.build import bitstream_build, synthesize_build
    from framegate.hls.build.compiler import edits

    if synthesis_only:
        counted = synthesize_build(build, target, say)
        words = f"{target} after synthesis ({counted.seconds:.0f} s)"
        show({**asdict(counted), "edits": edits(build)}, [words, _used(asdict(counted))], json)
        return
    report = bitstream_build(build, target, seed, say)
    clock = f"{report.fmax_mhz:.1f} MHz reached, {report.clock_mhz:g} MHz wanted"
    lines = [clock, _used(asdict(report)), f"wrote {report.path}"]
    show({**asdict(report), "edits": edits(build)}, lines, json)


def _used(report: dict[str, Any]) -> str:
    available = report["available"].items()
    return ", ".join(f"{name} {report[name]:,} of {count:,}" for name, count in available if count)
