# SPDX-License-Identifier: Apache-2.0
"""Our kernels beside FINN+'s RTL: the same layer, folding and integers; cycles by Verilator, area by Yosys, fmax by
nextpnr.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from framegate.benchmarks.peers.finn_layer import TOP, WEIGHT_BITS, Layer, Part, render_top
from framegate.benchmarks.peers.finn_rtl import generate
from framegate.errors import FramegateError, UsageError
from framegate.hls.emission.emit import image, image_name, image_parameters, image_prefix, load_pins
from framegate.hls.flows.ecp5 import ecp5, ecp5_block_ram
from framegate.hls.flows.flow import MANY_READERS, Flow, last_error, own_multiplier
from framegate.hls.flows.xilinx import xilinx
from framegate.hls.kernels import hardware
from framegate.hls.stream import to_beats
from framegate.hls.targets import load_target
from framegate.hls.tools import find
from framegate.rtl_sim.bench.simulator import Bench, Recording, Sink, Source
from framegate.rtl_sim.compare import compare_words

LAYERS: Mapping[str, Layer] = {
    "3x3": Layer(kernel=3, padding=1, channels=16, filters=32, size=16, pe=8, simd=16),
    "1x1": Layer(kernel=1, channels=32, filters=32, size=16, pe=8, simd=16),
    "strided": Layer(kernel=3, stride=2, padding=1, channels=16, filters=32, size=16, pe=8, simd=16),
    "first": Layer(kernel=3, padding=1, channels=3, filters=16, size=32, pe=8, simd=3, in_bits=8),
}
FAMILIES = {"ecp5": "ulx3s-85f", "xcup": "zcu102"}  # and a target of each
PEER = f"FINN+ RTL {version('finn-plus')}"
_CYCLE_LIMIT = 1_000_000
_RATIOS = ("cycles", "lut", "ff", "dsp")  # ours / peer

# Cells as Yosys names them: what each adds to a count. A CCU2C is the carry chain of two LUT4s.
# "lutram", memory in LUTs, is part of "lut" on xcup alone; "carry" there counts chains of four.
_CELLS: Mapping[str, Mapping[str, Mapping[str, int]]] = {
    "ecp5": {
        "lut": {"LUT4": 1, "CCU2C": 2},
        "lut4": {"LUT4": 1},
        "carry": {"CCU2C": 1},
        "ff": {"TRELLIS_FF": 1},
        "dsp": {"MULT18X18D": 1},
        "bram": {"DP16KD": 1},
        "lutram": {"TRELLIS_DPR16X4": 1},
    },
    "xcup": {
        "lut": {**xilinx._CELLS["lut"], "LUT6_2": 1},
        "lut4": {},  # no such cells
        "carry": {"CARRY4": 1, "CARRY8": 2},
        **{name: xilinx._CELLS[name] for name in ("ff", "dsp", "bram")},
        "lutram": {cell: n for cell, n in xilinx._CELLS["lut"].items() if cell.startswith("RAM")},
    },
}


@dataclass(frozen=True)
class Run:
    """What passed: the words of all frames, cycles per frame once it flows, cycles from first input to first output."""

    words: list[int]
    cycles: int
    first_output: int


def measure(
    folder: Path, say: Callable[[str], None], layers: Sequence[str] = tuple(LAYERS)
) -> list[dict[str, Any]]:
    """A row per layer and family, with ratios ours / peer; both are simulated on the same three frames.

    Raises UsageError for an unknown layer, FramegateError when any output integer of the two differs.
    """
    for name in layers:
        if name not in LAYERS:
            raise UsageError(f"layer {name!r}: unknown; choose one of {', '.join(LAYERS)}")
    return [row for name in layers for row in _rows(LAYERS[name], folder / name, say)]


def _rows(layer: Layer, folder: Path, say: Callable[[str], None]) -> list[dict[str, Any]]:
    rows = []
    for family, target in FAMILIES.items():
        say(f"{layer.title}: simulate, count for {family} …")
        ours, peer = folder / family / "ours", folder / family / "peer"
        runs = compare(replace(layer, target=target), ours, peer)
        counts = [_count(rtl, family, kind) for rtl, kind in ((ours, _own), (peer, _peers))]
        rows.append(_row(layer, family, runs, counts))
    say(f"{layer.title}: route with PE {layer.pe // 2} …")
    for row, (ours_mhz, peer_mhz) in zip(rows, (_fmax(layer, folder / "routed"), (None, None)), strict=True):
        row |= {"fmax_mhz": ours_mhz, "peer_fmax_mhz": peer_mhz}
        row["fmax_ratio"] = ours_mhz / peer_mhz if ours_mhz and peer_mhz else None
    return rows


def _row(
    layer: Layer, family: str, runs: Sequence[Run], counts: Sequence[Mapping[str, int | None]]
) -> dict[str, Any]:
    row: dict[str, Any] = {"peer": PEER, "work": f"{layer.title}, {family}"}
    for prefix, run, count in zip(("", "peer_"), runs, counts, strict=True):
        measured = {"cycles": run.cycles, "first_output": run.first_output, **count}
        row |= {f"{prefix}{name}": value for name, value in measured.items()}
    for name in _RATIOS:
        row[f"{name}_ratio"] = row[name] / row[f"peer_{name}"] if row[f"peer_{name}"] else None
    row["speed_ratio"] = row["peer_cycles"] / row["cycles"]
    row["note"] = _note(layer, family)
    return row


def _note(layer: Layer, family: str) -> str:
    if family == "xcup":
        return "the peer's multipliers are the DSP48E2 and LUT6_2 that its RTL instantiates"
    return (
        f"the peer's multipliers are inferred from its behavioural RTL; {_lane_checks(layer)} of them make the 2-bit "
        f"products that check its lanes, LUTs elsewhere"
    )


def _lane_checks(layer: Layer) -> int:
    """Two-bit products in FINN's matrix: per column one for each row but the lowest that share a 27-bit factor."""
    lanes = 1 + (26 - WEIGHT_BITS) // (WEIGHT_BITS + layer.in_bits - 1)
    return layer.simd * (layer.pe - -(-layer.pe // lanes))


def compare(layer: Layer, ours: Path, peer: Path) -> tuple[Run, Run]:
    """Make both and run both on the layer's pixels, our run first.

    Raises FramegateError naming the first pixel and channel in which either is not what the kernels define.
    """
    for rtl, make in ((ours, make_own), (peer, generate)):
        shutil.rmtree(rtl, ignore_errors=True)
        make(layer, rtl)
    expected = layer.pixels
    for kernel in layer.kernels:
        expected = kernel.reference(expected)
    runs = _simulate(layer, ours), _simulate(layer, peer)
    for name, run in zip(("framegate", PEER), runs, strict=True):
        expect_equal(name, layer, expected, run.words)
    return runs


def expect_equal(name: str, layer: Layer, expected: np.ndarray, words: list[int]) -> None:
    """Raise FramegateError naming the first pixel and channel of `words` that is not as expected."""
    difference = compare_words(name, expected, words, layer.kernels[-1].outputs[0])
    if difference.first:
        raise FramegateError(f"{layer.title}: {difference.first}")


def make_own(layer: Layer, rtl: Path) -> None:
    """Write our layer to `rtl`: framegate.sv, the sources of its kernels and their memory images."""
    rtl.mkdir(parents=True, exist_ok=True)
    names = [kernel.name for kernel in layer.kernels]
    nets = {kernel.name: kernel.outputs[0].beat_bits for kernel in layer.kernels[:-1]}
    parts = []
    for kernel, source, target in zip(layer.kernels, ["in", *names[:-1]], [*names[:-1], "out"], strict=True):
        instance = kernel.instance()
        images = image_parameters(instance.memories, image_prefix(kernel))
        pins = {"clk": "clk", "rst": "rst"}
        for port, net in zip(kernel.ports, (source, target), strict=True):
            pins |= {f"{port}_{pin}": f"{net}_{pin}" for pin in ("valid", "ready", "data")}
        pins |= load_pins() if kernel.LOADABLE else {}
        parts.append(Part(instance.module, {**instance.parameters, **images}, pins))
        for path in hardware(kernel):
            shutil.copy(path, rtl)
        for memory in instance.memories:
            (rtl / image_name(kernel, memory)).write_text(image(memory))
    (rtl / f"{TOP}.sv").write_text(render_top(layer, nets, parts))


def _simulate(layer: Layer, rtl: Path) -> Run:
    """The layer's frames back to back, into a sink that never stalls."""
    taken, driven = layer.input, layer.kernels[-1].outputs[0]
    bench = Bench(
        module=TOP,
        rtl=rtl,
        pins={
            f"{port}_{pin}": f"{port}_{pin}" for port in ("in", "out") for pin in ("valid", "ready", "data")
        },
        inputs=(
            Source(
                name="in",
                bits=taken.beat_bits,
                words=to_beats(layer.pixels, taken),
                offers=np.zeros(taken.beats, dtype=np.int64),
            ),
        ),
        outputs=(Sink(name="out", bits=driven.beat_bits, beats=driven.beats),),
        work=rtl / "sim",
        simulator="fast",
    )
    bench.build()
    return _run(bench.run(_CYCLE_LIMIT), driven.beats_per_frame)


def _run(recorded: Mapping[str, Recording], beats_per_frame: int) -> Run:
    cycles = recorded["out"].cycles
    ends = cycles[beats_per_frame - 1 :: beats_per_frame]
    return Run(recorded["out"].words, int(ends[-1] - ends[-2]), int(cycles[0] - recorded["in"].cycles[0]))


def _fmax(layer: Layer, folder: Path) -> tuple[float, float]:
    """MHz by nextpnr of ours and the peer's, alone on a ULX3S-85F, seed 1. Both with half the PE: of 128 products
    per cycle the peer's take more multipliers than the largest ECP5 has.
    """
    half = replace(layer, pe=layer.pe // 2)
    found = []
    for name, make, elaborate in (("ours", make_own, _own), ("peer", generate, _peers)):
        rtl = folder / name
        shutil.rmtree(rtl, ignore_errors=True)
        make(half, rtl)
        found.append(_route(rtl, elaborate))
    return found[0], found[1]


def _route(rtl: Path, elaborate: Callable[[Flow, str], list[str]]) -> float:
    """MHz of the top in `rtl`, its pins wherever nextpnr likes."""
    flow = _flow(rtl, "ecp5")
    netlist, timing, log = flow.out / "netlist.json", flow.out / "timing.json", flow.out / "nextpnr.log"
    commands = [
        *_mapped(flow, "ecp5", elaborate),
        f"setparam{ecp5._REGISTERS} a:registered",
        f"write_json {flow.names([netlist])}",
    ]
    flow.yosys(find("yosys"), flow.out / "yosys.log", commands, quiet=True)
    ecp5_block_ram.use_output_registers(netlist)
    board = load_target("ulx3s-85f")
    arguments = [
        *f"--{board.device} --package {board.package} --speed {board.speed} --seed 1".split(),
        *("--lpf-allow-unconstrained", "--timing-allow-fail"),
        *("--json", flow.name(netlist), "--report", flow.name(timing)),
    ]
    if flow.run(find("nextpnr-ecp5"), arguments, log):
        raise FramegateError(last_error("nextpnr", log))
    return min(clock["achieved"] for clock in json.loads(timing.read_text())["fmax"].values())


def _flow(rtl: Path, family: str) -> Flow:
    # `out` inside `rtl`: Yosys then runs in `rtl`, where both sides name their memory images from.
    flow = Flow(rtl.resolve(), load_target("zcu102"), rtl.resolve() / family, lambda step: None)
    flow.out.mkdir(parents=True, exist_ok=True)
    return flow


def _mapped(flow: Flow, family: str, elaborate: Callable[[Flow, str], list[str]]) -> list[str]:
    """The Yosys commands to the top's cells, for both sides the flows' own."""
    return [*elaborate(flow, family), "chformal -remove", *_synthesis(family)]


def _count(rtl: Path, family: str, elaborate: Callable[[Flow, str], list[str]]) -> dict[str, int | None]:
    """What Yosys maps the top in `rtl` to."""
    flow = _flow(rtl, family)
    statistics = flow.out / "statistics.json"
    commands = [
        *_mapped(flow, family, elaborate),
        f"tee -q -o {flow.names([statistics])} stat -json -top {TOP}",
    ]
    flow.yosys(find("yosys"), flow.out / "yosys.log", commands, quiet=True)
    found = json.loads(statistics.read_text())["design"]["num_cells_by_type"]
    return {
        resource: sum(number * found.get(cell, 0) for cell, number in cells.items()) if cells else None
        for resource, cells in _CELLS[family].items()
    }


def _synthesis(family: str) -> list[str]:
    if family == "ecp5":
        command = f"{ecp5._SYNTHESIS} -top {TOP}"
        return [f"{command} -run :map_ram", MANY_READERS, f"{command} -run map_ram:"]
    command = xilinx._SYNTHESIS
    return [f"{command} -run :map_memory", *xilinx._MEMORIES, f"{command} -run map_ffram:"]


def _own(flow: Flow, family: str) -> list[str]:
    """The commands that read our layer, with the device's own multiplier."""
    return flow.elaborate([own_multiplier(load_target(FAMILIES[family]).family, flow.out)])


def _peers(flow: Flow, family: str) -> list[str]:
    """The commands that read FINN's layer; on AMD's devices with the multipliers that it instantiates itself."""
    source = flow.name(flow.rtl / f"{TOP}.sv")  # read_slang takes no quotes
    read = f"read_slang -j 1 --top {TOP} --allow-use-before-declare --ignore-timing"
    if family == "ecp5":
        return [f"{read} -D FINN_SIMULATION {source}"]
    return [
        "read_verilog -lib +/xilinx/cells_sim.v +/xilinx/cells_xtra.v",
        f"{read} -Wno-undefined-param-override {source}",  # of those cells' parameters slang sees none
    ]
