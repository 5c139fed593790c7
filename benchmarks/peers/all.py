# SPDX-License-Identifier: Apache-2.0
"""Every named peer in one run: FINN+ RTL, NNgen, Brevitas and QONNX, Verilator alone."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from framegate.benchmarks.peers import finn, nngen, simulation, software
from framegate.errors import UsageError

_MODEL, _CLIPS = "tsm-lite", 64
PEERS: dict[str, Callable[[Path, Callable[[str], None]], list[dict[str, Any]]]] = {
    "finn": finn.measure,
    "nngen": nngen.measure,
    "software": lambda folder, say: software.measure(_MODEL, _CLIPS, folder, say),
    "simulation": lambda folder, say: simulation.measure(_MODEL, folder, say),
}


def measure(folder: Path, say: Callable[[str], None], names: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of each peer in `names`; ratios are ours / peer, of speed how many times as fast.

    Raises UsageError for an unknown peer, FramegateError when ours and a peer's integers differ.
    """
    if unknown := [name for name in names if name not in PEERS]:
        raise UsageError(f"peers: {', '.join(unknown)} unknown; choose of {', '.join(PEERS)}")
    return [row for name in names for row in PEERS[name](folder / name, say)]
