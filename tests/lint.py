# SPDX-License-Identifier: Apache-2.0
"""Verilator's opinion of all our SystemVerilog: `python -m tests.lint` prints the warnings, fails if there are any."""

import importlib
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from framegate.errors import FramegateError
from framegate.hls import flows
from framegate.hls.emission.emit import TOP, emit, image, image_name, image_parameters, image_prefix
from framegate.hls.flows.flow import own_multiplier
from framegate.hls.folding.ultra_ram import in_ultra_ram
from framegate.hls.kernels import Add, Kernel, hardware
from framegate.hls.schedule.schedule import schedule
from framegate.hls.targets import load_target
from framegate.hls.tools import find
from framegate.rtl_sim.bench.simulator import HARNESS, SIMULATORS, Bench, Simulator, Sink, Source

from tests.dataflows import folded_residual

TESTS = Path(__file__).parent


def warnings(sources: Iterable[Path], top: str, *options: str) -> list[str]:
    """The warnings, all of Verilator's kinds, on module `top` of the files; in the folder of the first of them."""
    paths = [path.resolve() for path in sources]
    tool = find("verilator")
    command = [*tool.command, "--lint-only", "-Wall", *options, "--top-module", top, *map(str, paths)]
    done = subprocess.run(
        command, cwd=paths[0].parent, env=tool.environ(), capture_output=True, text=True, check=False
    )
    found = [line for line in done.stderr.splitlines() if line.startswith(("%Warning", "%Error"))]
    if done.returncode and not found:
        raise FramegateError(f"verilator ended with {done.returncode}: {done.stderr.strip()}")
    return found


def kernels() -> Iterator[Kernel]:
    """Every kernel that the kernels' own tests simulate: all that their parameters switch on and off."""
    for path in sorted((TESTS / "kernels").glob("test_*.py")):
        yield from getattr(importlib.import_module(f"tests.kernels.{path.stem}"), "CASES", {}).values()


def gallery(shown: Iterable[Kernel], folder: Path) -> list[Path]:
    """Write module `gallery`, with an instance of each kernel and all its pins, and what it needs to `folder`."""
    ports, instances, files = ["input wire logic clk, rst"], [], {}
    for number, kernel in enumerate(shown):
        instance = kernel.instance()
        files |= {path.name: path for path in hardware(kernel)}
        images = image_parameters(instance.memories, f"{number}_{image_prefix(kernel)}")
        for memory in instance.memories:
            (folder / f"{number}_{image_name(kernel, memory)}").write_text(image(memory))
        pins = ["clk", "rst"]
        for port, stream in zip(kernel.ports, (*kernel.inputs, *kernel.outputs), strict=True):
            into, back = (
                ("input wire", "output")
                if port in kernel.ports[: len(kernel.inputs)]
                else ("output", "input wire")
            )
            ports += [
                f"{into} logic k{number}_{port}_valid",
                f"{back} logic k{number}_{port}_ready",
                f"{into} logic [{stream.beat_bits - 1}:0] k{number}_{port}_data",
            ]
            pins += [f"{port}_{pin}" for pin in ("valid", "ready", "data")]
        if kernel.LOADABLE:
            ports += [
                f"input wire logic k{number}_load_rst",
                f"input wire logic [{max(len(kernel.load_words), 1) - 1}:0] k{number}_load",
                f"input wire logic [31:0] k{number}_load_data",
            ]
            pins += ["load_rst", "load", "load_data"]
        parameters = ", ".join(f".{name}({value})" for name, value in (instance.parameters | images).items())
        wired = ", ".join(f".{pin}({pin if pin in ('clk', 'rst') else f'k{number}_{pin}'})" for pin in pins)
        instances.append(f"    {instance.module} #({parameters}) u_{number} ({wired});\n")
    top = folder / "gallery.sv"
    listed = ",\n    ".join(ports)
    top.write_text(f"module gallery (\n    {listed}\n);\n{''.join(instances)}endmodule\n")
    return [top, *files.values()]


def designs(folder: Path) -> Iterator[list[Path]]:
    """Emit a network, and one whose memories are loaded; the files of each, the top's first."""
    complete, times = schedule(folded_residual(), 50)
    full = load_target("kv260").model_copy(update={"bram": 0})
    for name, dataflow in {"plain": complete, "loaded": in_ultra_ram(complete, full)}.items():
        rtl = emit(dataflow, times, folder / name)
        yield [rtl / f"{TOP}.sv", *sorted(rtl.glob("fg_*.sv"))]


def board_parts(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """What the flows put around a design or in the place of its multipliers: top and files."""
    own, cells = Path(flows.__file__).parent / "boards", TESTS / "hls" / "flows"
    link = [own / f"fg_{name}.sv" for name in ("serial_link", "uart_rx", "uart_tx")]
    design = cells / "tiny" / "framegate.sv"
    yield "fg_ulx3s", [own / "fg_ulx3s.sv", *link, design, cells / "ehxplll.sv"]
    inferred = own.parents[1] / "kernels" / "parts" / "fg_inferred_multiplier.sv"
    for family, cell in {"ecp5": "mult18x18d", "xilinx": "dsp48e2"}.items():
        yield "fg_multiplier", [own_multiplier(family, folder), inferred, cells / f"{cell}.sv"]


def bench(folder: Path, simulator: Simulator) -> list[Path]:
    """Write what surrounds a module in a simulation to `folder`; the files, module `bench` first."""
    kernel = next(kernel for kernel in kernels() if isinstance(kernel, Add))
    instance, none = kernel.instance(), np.zeros(2, dtype=np.int64)
    bits = {
        port: taken.beat_bits
        for port, taken in zip(kernel.ports, (*kernel.inputs, *kernel.outputs), strict=True)
    }
    drawn = Bench(
        module=instance.module,
        rtl=folder,
        pins={
            f"{port}_{pin}": f"{port}_{pin}" for port in kernel.ports for pin in ("valid", "ready", "data")
        },
        inputs=tuple(
            Source(name=port, bits=bits[port], words=[0, 1], offers=none) for port in kernel.ports[:-1]
        ),
        outputs=(Sink(name="out", bits=bits["out"], beats=2),),
        work=folder,
        parameters=instance.parameters,
        simulator=simulator,
    )
    top = folder / "bench.sv"
    top.write_text(drawn.render())
    return [top, *hardware(kernel), *HARNESS]


def all_warnings(folder: Path) -> Iterator[str]:
    """Every warning on every module, with files written to `folder`."""
    yield from warnings(gallery(kernels(), folder), "gallery")
    for files in designs(folder):
        yield from warnings(files, TOP)
    for simulator in SIMULATORS:
        yield from warnings(bench(folder, simulator), "bench", "--timing")
    for top, files in board_parts(folder):
        ours = {path.name for path in files if not path.is_relative_to(TESTS)}
        # The stand-in's result has 72 bits; a vendor's multiplier has pins that are left open on purpose.
        settings = ["-GRESULT_BITS=72"] if top == "fg_ulx3s" else ["-Wno-PINMISSING"]
        yield from (
            line for line in warnings(files, top, *settings) if any(f"{name}:" in line for name in ours)
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as drafts:
        said = list(all_warnings(Path(drafts)))
    print("\n".join([*said, f"verilator --lint-only -Wall: {len(said)} warnings"]))
    sys.exit(bool(said))
