# SPDX-License-Identifier: Apache-2.0
"""Our hardware beside NNgen's: the same small network, the same integers; cycles by Icarus, area by the ECP5 flow.

Two convolutions of 3x3 pixels, each with a bias, a rounded right shift that is clipped to 0 … 127, and a pooling of
2x2 behind it, then a matrix product. Both sides hold the same weights and must give the same logits.

NNgen's cycles are from its start register to the end seen in its busy register. They include the transfers of frame,
parameters and layers over its AXI port of 32 bits, with its own model of a memory: one that never pauses here, where
NNgen's examples let it pause 4 cycles of 20. Ours are from the first pixel accepted to the logits, over AXI4-Stream.
"""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from framegate.errors import FramegateError, UsageError
from framegate.files import write_json
from framegate.hls import tools
from framegate.hls.dataflow.graph import PIXELS, Dataflow, Link
from framegate.hls.emission.emit import emit
from framegate.hls.flows.flow import DESIGN
from framegate.hls.flows.utilization import utilization
from framegate.hls.kernels import Decide, Kernel, MatVec, Pool, Threshold, Width, Window
from framegate.hls.schedule.schedule import schedule
from framegate.hls.stream import Stream
from framegate.hls.targets import load_target
from framegate.hls.tools import find
from framegate.rtl_sim.verify import Verdict, verify

VERSION = "1.3.4"
PEER = f"NNgen {VERSION}"
PACKAGES = (f"nngen=={VERSION}", "veriloggen==2.3.0", "pyverilog==1.3.0")
CLASSES = 10
_ACTIVATION_BITS = 7  # without a sign: a signed byte of the peer's
SIZE = 16  # pixels of a side
TARGET = "ulx3s-85f"
_CLOCK_MHZ = 50.0
_FRAMES = 4  # ours, back to back; the peer takes the first
_SCRIPT = Path(__file__).with_name("nngen_cnn.py")
_RATIOS = ("cycles", "lut", "ff", "dsp")  # ours / peer


@dataclass(frozen=True)
class Sides:
    """How both sides do the network."""

    bits: int  # of the weights
    shifts: tuple[int, int]  # right shifts behind the convolutions
    first: tuple[int, int] = (8, 3)  # rows and columns per cycle of our products
    second: tuple[int, int] = (4, 8)
    head: tuple[int, int] = (2, 8)
    par_ich: int = 2  # channels in and out per cycle of the peer's, for all 9 pixels of a convolution
    par_och: int = 4

    @property
    def work(self) -> str:
        """The network in words."""
        layers = f"{SIZE}x{SIZE}x3, conv 3x3 to 8, pool 2x2, conv 3x3 to 16, pool 2x2, {CLASSES} logits"
        return f"{layers}; {self.bits}-bit weights, {self.products} products per cycle"

    @property
    def products(self) -> int:
        """Our products per cycle."""
        return sum(rows * columns for rows, columns in (self.first, self.second, self.head))

    @property
    def peer_products(self) -> int:
        """The peer's products per cycle, in a convolution; its layers take turns on one set of multipliers."""
        return 9 * self.par_ich * self.par_och


# As many products per cycle on both sides; last, ours with more of them on fewer multipliers.
SIDES = (Sides(8, (9, 9)), Sides(4, (5, 5)), Sides(4, (5, 5), second=(8, 8)))


def measure(folder: Path, say: Callable[[str], None], pairs: Sequence[Sides] = SIDES) -> list[dict[str, Any]]:
    """A row per pair of sides, with ratios ours / peer; NNgen gets an environment of its own in `folder`.

    Raises UsageError when NNgen cannot be installed or Icarus is missing, FramegateError when the logits differ.
    """
    find("iverilog")
    folder = folder.resolve()  # the peer's tools run inside
    python = environment(folder / f"nngen-{VERSION}", say)
    return [_row(sides, python, folder / f"{sides.bits}-bit", say) for sides in pairs]


def environment(folder: Path, say: Callable[[str], None]) -> Path:
    """The python of a virtual environment with NNgen in `folder`, made unless it is there (or UsageError)."""
    python, made = folder / "bin" / "python", folder / "installed.json"
    if made.is_file():
        return python
    say(f"install {PEER} …")
    log = folder.with_name(f"{folder.name}.log")  # beside it: it is made anew
    log.unlink(missing_ok=True)
    make = [sys.executable, "-m", "venv", "--clear", str(folder)]
    for command in (make, [str(python), "-m", "pip", "install", "--quiet", *PACKAGES]):
        if tools.run(command, log.parent, os.environ, log):
            raise UsageError(
                f"{PEER}: cannot be installed in {folder}: {_last_line(log.read_text(errors='replace'))}; connect to "
                f"a package index and run it again (log: {log})"
            )
    write_json(made, PACKAGES)
    return python


def _row(sides: Sides, python: Path, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    ours = _ours(sides, folder / "ours", say)
    peer = _peer(sides, python, folder / "peer", say)
    expect_equal(ours["logits"], peer["logits"])
    row: dict[str, Any] = {"peer": PEER, "work": sides.work, "interval": ours.pop("interval")}
    for prefix, side in (("", ours), ("peer_", peer)):
        row |= {f"{prefix}{name}": value for name, value in side.items() if name != "logits"}
    for name in _RATIOS:
        row[f"{name}_ratio"] = row[name] / row[f"peer_{name}"] if row[f"peer_{name}"] else None
    note = f"{sides.products} and {sides.peer_products} products per cycle; ours simulates {_FRAMES} frames, it one"
    return row | {"speed_ratio": row["peer_cycles"] / row["cycles"], "note": note}


def expect_equal(ours: list[int], peer: list[int]) -> None:
    """Raise FramegateError naming the first logit that the two do not share."""
    for place, (mine, theirs) in enumerate(zip(ours, peer, strict=True)):
        if mine != theirs:
            raise FramegateError(f"logit {place}: {mine}, {PEER} gives {theirs}")


def random_network(sides: Sides) -> dict[str, np.ndarray]:
    """Weights (out, height, width, in), of the head (out, in), and biases."""
    rng, limit = np.random.default_rng(0), (1 << (sides.bits - 1)) - 1
    return {
        "first_weights": rng.integers(-limit, limit + 1, (8, 3, 3, 3)),
        "first_bias": rng.integers(-300, 301, 8),
        "second_weights": rng.integers(-limit, limit + 1, (16, 3, 3, 8)),
        "second_bias": rng.integers(-300, 301, 16),
        "head_weights": rng.integers(-limit, limit + 1, (CLASSES, (SIZE // 4) ** 2 * 16)),
    }


def random_pixels() -> np.ndarray:
    """Frames (N, 1, height, width, 3)."""
    rng = np.random.default_rng(1)
    return rng.integers(0, 128, (_FRAMES, 1, SIZE, SIZE, 3), dtype=np.uint8)  # the peer's are signed bytes


def build_dataflow(sides: Sides, arrays: Mapping[str, np.ndarray]) -> Dataflow:
    """The network of our kernels."""
    chain = _Chain(Stream(frames=1, height=SIZE, width=SIZE, channels=3, bits=8, signed=False, lanes=3))
    for name, fold, shift in zip(("first", "second"), (sides.first, sides.second), sides.shifts, strict=True):
        chain.product(name, fold, arrays[f"{name}_weights"], arrays[f"{name}_bias"])
        # Rows come once in several cycles: one search for thresholds serves them all.
        chain.lanes(f"{name}_narrow", 1)
        chain.shift(f"{name}_act", shift, _ACTIVATION_BITS)
        chain.pool(f"{name}_pool", 2)
    chain.product("head", sides.head, arrays["head_weights"].reshape(CLASSES, SIZE // 4, SIZE // 4, -1), None)
    chain.add(Decide(name="decide", input=chain.stream))
    return chain.dataflow()


class _Chain:
    """Kernels one behind the other."""

    def __init__(self, pixels: Stream) -> None:
        self._pixels = self.stream = pixels
        self._kernels: list[Kernel] = []

    def add(self, kernel: Kernel) -> None:
        self._kernels.append(kernel)
        self.stream = kernel.outputs[0]

    def lanes(self, name: str, lanes: int) -> None:
        """So many channels on a beat."""
        if self.stream.lanes != lanes:
            self.add(Width(name=name, input=self.stream, lanes=lanes))

    def product(self, name: str, fold: tuple[int, int], weights: np.ndarray, bias: np.ndarray | None) -> None:
        """A product with weights (out, height, width, in), `fold` rows and columns per cycle; with a bias, padded."""
        rows, height, width, _ = weights.shape
        self.lanes(f"{name}_width", fold[1])
        padding = (0 if bias is None else height // 2,) * 4
        self._window(name, (height, width), stride=(1, 1), padding=padding, repeat=rows // fold[0])
        flat = weights.reshape(rows, -1)
        self.add(MatVec(name=name, input=self.stream, weights=flat, pe=fold[0], bias=bias))

    def shift(self, name: str, shift: int, bits: int) -> None:
        """Right shift, half rounded up, clipped to 0 … 2^bits-1: the accumulators from which it reaches each level."""
        levels = np.arange(1, 1 << bits, dtype=np.int64)[None]
        steps = (levels << shift) - (1 << (shift - 1))
        self.add(Threshold(name=name, input=self.stream, thresholds=steps, bits=bits, base=0))

    def pool(self, name: str, size: int) -> None:
        """The largest of each square of `size` pixels."""
        self._window(name, (size, size), stride=(size, size), padding=(0,) * 4, depthwise=True)
        self.add(Pool(name=name, input=self.stream, taps=size * size))

    def _window(self, name: str, kernel: tuple[int, int], **choices: Any) -> None:
        self.add(Window(name=f"{name}_window", input=self.stream, kernel=kernel, **choices))

    def dataflow(self) -> Dataflow:
        names = [PIXELS, *(kernel.name for kernel in self._kernels)]
        links = tuple(Link(producer, 0, consumer, 0) for producer, consumer in pairwise(names))
        classes = tuple(map(str, range(CLASSES)))
        return Dataflow("cnn", classes, 1.0, self._pixels, tuple(self._kernels), links).check("building")


def _ours(sides: Sides, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Our figures, by the names of the row's keys, and the logits of the first frame."""
    say(f"{sides.bits} bits, ours: generate, simulate …")
    started = time.perf_counter()
    complete, times = schedule(build_dataflow(sides, random_network(sides)), _CLOCK_MHZ)
    emit(complete, times, folder / "rtl")
    generated, started = time.perf_counter() - started, time.perf_counter()
    verdict = simulate(complete, folder, random_pixels())
    simulated = time.perf_counter() - started
    return {
        "macs_per_cycle": sides.products,
        "cycles": verdict.measured[0],
        "interval": times.initiation_interval,
        **_area(folder, say),
        "generate_seconds": generated,
        "simulate_seconds": simulated,
        "logits": verdict.logits[0].tolist(),
    }


def simulate(complete: Dataflow, folder: Path, pixels: np.ndarray) -> Verdict:
    """Our run in `folder`. Raises FramegateError when a value or a cycle is not as predicted."""
    verdict = verify(complete, folder / "rtl", pixels, folder / "sim", simulator="icarus")
    if not verdict.bit_exact or not verdict.on_time:
        late = f"{verdict.measured} cycles, predicted {verdict.predicted}"
        raise FramegateError(f"our hardware: {verdict.first_mismatch or late}")
    return verdict


def _peer(sides: Sides, python: Path, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """The peer's figures, by the names of the row's keys, and the logits of the first frame."""
    say(f"{sides.bits} bits, {PEER}: generate …")
    (folder / "rtl").mkdir(parents=True, exist_ok=True)
    arrays = {**random_network(sides), "pixels": random_pixels()[0]}
    np.savez(folder / "network.npz", allow_pickle=False, **arrays)
    write_json(folder / "network.json", {**asdict(sides), "module": DESIGN})
    made = generate(python, folder)
    say(f"{sides.bits} bits, {PEER}: simulate …")
    started = time.perf_counter()
    cycles, logits = read_bench(_run_bench(folder))
    simulated = time.perf_counter() - started
    if logits != made["logits"]:
        raise FramegateError(f"{PEER}: its hardware gives {logits}, its own evaluation {made['logits']}")
    return {
        "macs_per_cycle": sides.peer_products,
        "cycles": cycles,
        **_area(folder, say),
        "generate_seconds": made["seconds"],
        "simulate_seconds": simulated,
        "logits": logits,
    }


def generate(python: Path, folder: Path) -> dict[str, Any]:
    """Let NNgen make the hardware and its bench of what is in `folder`; `seconds` and the `logits` that it expects."""
    return json.loads(_last_line(_run([str(python), "-I", str(_SCRIPT), "."], folder)))


def _run_bench(folder: Path) -> str:
    """What the bench prints under Icarus."""
    _run([*find("iverilog").command, "-s", "bench", "-o", "bench.vvp", "bench.v"], folder)
    return _run([*find("vvp").command, "-n", "bench.vvp"], folder)


def _run(command: list[str], folder: Path) -> str:
    """What `command` prints in `folder`. Raises FramegateError when it fails."""
    log = folder / f"{Path(command[0]).name}.log"
    log.unlink(missing_ok=True)
    failed = tools.run(command, folder, os.environ, log)
    printed = log.read_text(errors="replace")
    if failed:
        raise FramegateError(f"{PEER}: {_last_line(printed)} (log: {log})")
    return printed


def read_bench(printed: str) -> tuple[int, list[int]]:
    """Cycles and logits that the peer's bench printed. Raises FramegateError when it did not reach its end."""
    cycles = re.search(r"^cycles\s+(\d+)$", printed, re.MULTILINE)
    found = re.findall(r"^logit\s+(\d+)\s+(-?\d+)$", printed, re.MULTILINE)
    logits = {int(place): int(value) for place, value in found}
    if cycles is None or sorted(logits) != list(range(CLASSES)):
        raise FramegateError(f"{PEER}: its simulation ended early: {_last_line(printed)}")
    return int(cycles[1]), [logits[place] for place in range(CLASSES)]


def _area(folder: Path, say: Callable[[str], None]) -> dict[str, int]:
    """What the design in `folder`/rtl takes, as Yosys maps and nextpnr packs it."""
    found = utilization(folder / "rtl", load_target(TARGET), folder / "flow", say)
    return {name: getattr(found, name) for name in ("lut", "ff", "dsp", "bram")}


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2] or "it prints nothing"
