# SPDX-License-Identifier: Apache-2.0
"""How a benchmark's figures are kept: as JSON, with the machine and the date that they belong to."""

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from framegate import __version__
from framegate.files import write_json


def keep(
    name: str, rows: list[dict[str, Any]], folder: Path | None, device: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The rows with where and when they were measured; written to `folder`/`name`.json if there is one.

    `device`: what else is known of the machine.
    """
    result = {
        "benchmark": name,
        "framegate": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            **(device or {}),
        },
        "rows": rows,
    }
    if folder is not None:
        result["path"] = str(write_json(folder / f"{name}.json", result))
    return result


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
