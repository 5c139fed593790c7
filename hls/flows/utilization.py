# SPDX-License-Identifier: Apache-2.0
"""What a design takes on a target, by synthesis alone: no board, no placement, minutes instead of tens of them."""

from dataclasses import asdict, dataclass
from pathlib import Path

from framegate.files import read_json, write_json
from framegate.hls.flows.ecp5 import ecp5
from framegate.hls.flows.flow import COUNTS, Flow, Progress
from framegate.hls.flows.xilinx import xilinx
from framegate.hls.targets import Target

_COUNT = {"ecp5": ecp5.count, "xilinx": xilinx.count}


@dataclass(frozen=True)
class Utilization:
    """What the design itself takes after synthesis; the keys of utilization.json."""

    target: str
    lut: int  # of 4 inputs as nextpnr packs them (ecp5), of 6 inputs before Vivado would pair small ones (xilinx)
    ff: int
    dsp: int  # multipliers
    bram: int  # blocks of 18 kbit
    uram: int  # blocks of 288 kbit
    available: dict[str, int]  # lut, ff, dsp, bram, uram of the whole device
    seconds: float  # of the synthesis, when it last ran


def utilization(rtl: Path, target: Target, out: Path, progress: Progress) -> Utilization:
    """Synthesize the design in `rtl` for `target` and count; write `out`/utilization.json. Reused if unchanged.

    Raises UsageError when there is no design or a tool is missing, FramegateError when a tool fails. A design that
    is too large for `target` is counted like any other.
    """
    step = _COUNT[target.family](Flow(rtl.resolve(), target, out.resolve(), progress))
    counts = read_json(step.folder / COUNTS, f"delete {step.folder}")
    available = {name: getattr(target, name) for name in ("lut", "ff", "dsp", "bram", "uram")}
    found = Utilization(target=target.name, **counts, available=available, seconds=step.seconds)
    write_json(out / "utilization.json", asdict(found))
    return found
