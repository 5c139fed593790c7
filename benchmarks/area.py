# SPDX-License-Identifier: Apache-2.0
"""The kernels' cost model beside what place and route counted."""

from pathlib import Path
from typing import Any

from framegate.errors import UsageError
from framegate.files import read_json
from framegate.hls.compiler import read_report

RESOURCES = ("lut", "ff", "bram", "dsp")


def measure(build: Path) -> list[dict[str, Any]]:
    """A row per resource of a build that has a bitstream: estimated, counted, and estimated / counted."""
    report = read_report(build)
    counted = read_json(
        build / "flow" / report.target / "report.json", f"run `framegate bitstream {build}` first"
    )
    if not all(counted[name] for name in RESOURCES):
        raise UsageError(
            f"{build}: the flow's report counts no {', '.join(RESOURCES)}; run the bitstream again"
        )
    return [
        {
            "peer": "nextpnr",
            "work": f"{report.model}: {name}",
            "estimated": getattr(report, name),
            "counted": counted[name],
            "ratio": getattr(report, name) / counted[name],
        }
        for name in RESOURCES
    ]
