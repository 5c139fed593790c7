# SPDX-License-Identifier: Apache-2.0
"""A kernel that was added takes part in a whole design: as JSON, scheduled, emitted, executed, simulated."""

from pathlib import Path

import numpy as np
from framegate.hls.dataflow.graph import PIXELS, Dataflow, load_dataflow
from framegate.hls.emission.emit import emit
from framegate.hls.kernels import KINDS, Decide, Mean
from framegate.hls.schedule.schedule import schedule
from framegate.hls.stream import Stream
from framegate.rtl_sim import reference
from framegate.rtl_sim.bench.simulator import Simulator
from framegate.rtl_sim.verify import verify

from tests.dataflows import Builder, folded, random_pixels


def design(kind: str) -> Dataflow:
    """A convolution, the kernel of that kind, a head; folded."""
    pixels = Stream(frames=2, height=4, width=4, channels=3, bits=8, signed=False, lanes=3)
    net = Builder(pixels, seed=0)
    x = net.conv("conv", (PIXELS, 0), 4, 3, 1, 1)
    x = net.add(KINDS[kind](name="added", input=net.stream(x)), x)
    x = net.add(Mean(name="pool", input=net.stream(x), over="frame"), x)
    x = net.conv("head", x, 3, 1, 1, 0)
    x = net.add(Mean(name="segments", input=net.stream(x), over="clip"), x)
    net.add(Decide(name="decide", input=net.stream(x), positive=2), x)
    return folded(net.dataflow(("a", "b", "c")), conv=(2, 3), head=(1, 1))


def test_it_takes_part_in_a_whole_design(tmp_path: Path, icarus: Simulator) -> None:
    complete, times = schedule(load_dataflow(design("Absolute").save(tmp_path / "dataflow.json")), 50)
    assert type(complete.kernel("added")) is KINDS["Absolute"]
    assert "added" in {kernel.name for kernel in times.kernels}
    rtl = emit(complete, times, tmp_path / "rtl")
    assert (rtl / "fg_absolute.sv").is_file()
    assert "fg_absolute #(" in (rtl / "framegate.sv").read_text()

    pixels = random_pixels(complete, 2)
    values = dict(reference.outputs(complete, pixels))
    assert np.array_equal(values["added"], abs(values["conv"]))
    logits = values[complete.links_into("decide")[0].producer].reshape(2, -1)
    assert np.array_equal(reference.logits(complete, pixels), logits)
    verdict = verify(complete, rtl, pixels, tmp_path / "work", simulator=icarus, probe=True)
    assert (verdict.first_mismatch, verdict.late) == (None, None)
    assert verdict.on_time
    assert np.array_equal(verdict.logits, logits)
