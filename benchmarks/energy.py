# SPDX-License-Identifier: Apache-2.0
"""Energy of one clip on an FPGA: the most that the board can draw, and an estimate from how often registers flip."""

from dataclasses import dataclass

import numpy as np
from framegate.hls.dataflow.graph import PIXELS, Dataflow
from framegate.hls.stream import Stream
from framegate.rtl_sim.reference import outputs


@dataclass(frozen=True)
class Device:
    """What somebody measured of a device: watts of the board when nothing happens, joules of one flip of a register."""

    idle_watts: float
    joules_per_flip: float
    source: str


# 83,640 registers in a chain, each flipping in each cycle at 100 MHz, drew 25.1 uW each, measured at the USB port.
MEASURED = {
    "ulx3s-85f": Device(
        idle_watts=0.202,
        joules_per_flip=25.1e-6 / 100e6,
        source="targeted/fpga-reg-power, January 2022, rows of the ULX3S",
    )
}


def most(supply_watts: float, seconds_per_clip: float) -> float:
    """Joules of a clip that nobody can dispute: the board cannot draw more than what feeds it gives."""
    return supply_watts * seconds_per_clip


def estimate(dataflow: Dataflow, pixels: np.ndarray, device: Device, seconds_per_clip: float) -> float:
    """Joules of a clip: idle power all the time, and the flips of registers and LUTs.

    Of every stream the flips of its data are counted, exactly, from the integer reference's values for `pixels`
    (1, T, H, W, C). Registers and LUTs inside a kernel are taken to flip as often as those streams, once per beat, and
    each flip to cost what one of a register and its wire was measured to cost. Block RAMs and multipliers are
    left out: nobody has measured theirs.
    """
    values = {PIXELS: pixels, **dict(outputs(dataflow, pixels))}
    flips = 0.0
    for kernel in dataflow.kernels:
        links = [*dataflow.links_into(kernel.name), *dataflow.links_from(kernel.name)[:1]]
        streams = [dataflow.stream(link) for link in links]
        shares = [
            flip_share(values[link.producer], stream) for link, stream in zip(links, streams, strict=True)
        ]
        cost = kernel.cost()
        beats = max((stream.beats for stream in streams), default=0)
        flips += (cost.ff + cost.lut) * beats * float(np.mean(shares))
    return device.idle_watts * seconds_per_clip + device.joules_per_flip * flips


def flip_share(values: np.ndarray, stream: Stream) -> float:
    """How often a bit of a stream differs from the one in the beat before, 0 … 1, for `values` (clips, T, H, W, C)."""
    beats = values.reshape(-1, 1, stream.beats_per_pixel, stream.lanes)
    sent = np.broadcast_to(beats, (len(beats), stream.repeat, *beats.shape[2:])).reshape(-1, stream.lanes)
    changed = (sent[1:] ^ sent[:-1]) & ((1 << stream.bits) - 1)
    flips = sum(int(((changed >> bit) & 1).sum()) for bit in range(stream.bits))
    return flips / (changed.size * stream.bits) if changed.size else 0.0
