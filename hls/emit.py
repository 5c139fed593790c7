# SPDX-License-Identifier: Apache-2.0
"""Emission: one top module with AXI4-Stream ports, the kernels' SystemVerilog and the memory images."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from itertools import takewhile
from pathlib import Path
from typing import Any

from framegate.files import whole
from framegate.hls.dataflow import PIXELS, Dataflow, Link
from framegate.hls.kernels import LOAD_BITS, Decide, Kernel, Memory, packed
from framegate.hls.schedule import Schedule
from framegate.hls.stream import Stream, check_fit
from jinja2 import Environment, StrictUndefined

TOP = "framegate"
_HLS = Path(str(files("framegate.hls")))
STREAM_CHECK = _HLS / "kernels" / "fg_stream_check.sv"  # in every simulation, nothing in a netlist
LOAD = f"{TOP}_load.hex"  # what fills the memories that start empty, a 32-bit beat per line


def emit(dataflow: Dataflow, times: Schedule, target: Path) -> Path:
    """Write folder `target`: framegate.sv, the .sv of every kernel used and a .hex per memory. Return `target`."""
    with whole(target) as draft:
        draft.mkdir()
        (draft / f"{TOP}.sv").write_text(render_top(dataflow, times))
        for kernel in dataflow.kernels:
            for source in hardware(kernel):
                shutil.copy(source, draft)
            for memory in kernel.instance().memories:
                (draft / image_name(kernel, memory)).write_text(image(memory))
        if beats := load_beats(dataflow):
            shutil.copy(_HLS / "fg_loader.sv", draft)
            (draft / LOAD).write_text(image(Memory("load", beats, LOAD_BITS)))
    return target


def load_beats(dataflow: Dataflow) -> list[int]:
    """The 32-bit beats on s_axis_load that fill the memories which start empty, in the order of the kernels."""
    return [beat for kernel in dataflow.kernels for beat in kernel.load()]


def render_top(dataflow: Dataflow, times: Schedule) -> str:
    """The text of the top module."""
    template = (_HLS / "top.sv.j2").read_text()
    last = dataflow.kernels[-1]
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(template).render(
        model=dataflow.model,
        classes=dataflow.classes,
        frames=dataflow.pixels.frames,
        window=dataflow.window,
        pixel_beats=dataflow.pixels.beats_per_pixel,
        height=dataflow.pixels.height,
        width=dataflow.pixels.width,
        interval=times.initiation_interval,
        latency=times.latency_cycles,
        pixel_bits=dataflow.pixels.beat_bits,
        result_bits=last.outputs[0].beat_bits,
        nets=nets(dataflow),
        instances=[_instance(dataflow, kernel) for kernel in dataflow.kernels],
        packed=packed,
        load_file=LOAD,
        loads=[beats for kernel in dataflow.kernels for beats in kernel.load_words],
        result=net_name(dataflow, dataflow.result),
        flag_words=last.words if isinstance(last, Decide) else 0,
        alarms=list(_alarms(dataflow)),
    )


def _alarms(dataflow: Dataflow) -> Iterator[str]:
    """When each alarm is raised, in words."""
    last = dataflow.kernels[-1]
    if not isinstance(last, Decide):
        return
    score = "its logit" if last.independent else "its logit minus the largest other one"
    for (name, logit), integer in zip(dataflow.thresholds.items(), last.thresholds, strict=False):
        yield f"alarm of {name}: {score} >= {integer} ({logit:g} in steps of {dataflow.logit_scale:g})"


@dataclass(frozen=True)
class Net:
    """One stream of the top: the prefix of its valid/ready/data wires, and what it carries."""

    name: str
    producer: str
    stream: Stream

    @property
    def bits(self) -> int:
        """Bits of a beat."""
        return self.stream.beat_bits


def nets(dataflow: Dataflow) -> list[Net]:
    """Every stream of the top in the order of the kernels, the pixels first."""
    found = [Net(PIXELS, PIXELS, dataflow.pixels)]
    for kernel in dataflow.kernels:
        for port, stream in enumerate(kernel.outputs):
            found.append(Net(net_name(dataflow, Link(kernel.name, port, "", 0)), kernel.name, stream))
    return found


def net_name(dataflow: Dataflow, link: Link) -> str:
    """A stream is called after its producer, with the port where there are several."""
    if link.producer == PIXELS:
        return PIXELS
    kernel = dataflow.kernel(link.producer)
    if len(kernel.outputs) == 1:
        return kernel.name
    return f"{kernel.name}_{kernel.ports[len(kernel.inputs) + link.port]}"


def kernel_file(kernel: Kernel) -> str:
    """The stem that a kernel's three files share; its hardware has fg_ before it, as its module."""
    return type(kernel).__module__.rsplit(".", 1)[1]


def hardware(kernel: Kernel) -> list[Path]:
    """The SystemVerilog of a kernel and of the modules that it is made of, with the one that checks its streams."""
    stems = (f"fg_{kernel_file(kernel)}", *kernel.PARTS, STREAM_CHECK.stem)
    return [_HLS / "kernels" / f"{stem}.sv" for stem in stems]


def image_name(kernel: Kernel, memory: Memory) -> str:
    """File name of a memory image."""
    return f"{image_prefix(kernel)}{file_name(memory)}"


def image_prefix(kernel: Kernel) -> str:
    """What the names of a kernel's memory images begin with: the top's name too, as designs may share a folder."""
    return f"{TOP}_{kernel.name}_"


def file_name(memory: Memory) -> str:
    """File name of a memory image, behind its kernel's."""
    return f"{memory.suffix}{'' if memory.bank is None else memory.bank}.hex"


def image_parameters(memories: Iterable[Memory], prefix: str) -> dict[str, str]:
    """The parameters that name a kernel's memory images: a file, or what the files of all banks begin with."""
    return {
        memory.suffix.upper(): f'"{prefix}{memory.suffix if memory.bank is not None else file_name(memory)}"'
        for memory in memories
    }


def image(memory: Memory) -> str:
    """A memory as $readmemh reads it, one word per line. Raises FramegateError when a word has more bits than it."""
    check_fit(memory.suffix, memory.words, memory.bits)
    digits = -(-memory.bits // 4)
    return "".join(f"{word:0{digits}x}\n" for word in memory.words)


def _instance(dataflow: Dataflow, kernel: Kernel) -> dict[str, Any]:
    instance = kernel.instance()
    images = image_parameters(instance.memories, image_prefix(kernel))
    parameters = [f".{name}({value})" for name, value in (instance.parameters | images).items()]
    ports = [net_name(dataflow, link) for link in dataflow.links_into(kernel.name)]
    ports += [net_name(dataflow, Link(kernel.name, port, "", 0)) for port in range(len(kernel.outputs))]
    pins = [
        ", ".join(f".{port}_{pin}({net}_{pin})" for pin in ("valid", "ready", "data"))
        for port, net in zip(kernel.ports, ports, strict=True)
    ]
    if kernel.LOADABLE:
        before = takewhile(lambda other: other.name != kernel.name, dataflow.kernels)
        first = sum(len(other.load_words) for other in before)
        loading = load_pins(first, len(kernel.load_words))
        pins.append(", ".join(f".{pin}({net})" for pin, net in loading.items()))
    return {
        "name": kernel.name,
        "module": instance.module,
        "parameters": parameters,
        "pins": pins,
        "comment": " + ".join(_shape(stream) for stream in kernel.inputs)
        + f" -> {_shape(kernel.outputs[0])}",
    }


def load_pins(first: int = 0, memories: int = 0) -> dict[str, str]:
    """The nets at the pins that load so many memories of a kernel, from the loader's output `first` on."""
    if not memories:
        return {"load_rst": "1'b0", "load": "1'b0", "load_data": "32'd0"}
    return {"load_rst": "rst", "load": f"load[{first} +: {memories}]", "load_data": "load_data"}


def _shape(stream: Stream) -> str:
    kind = "int" if stream.signed else "uint"
    shape = f"{stream.height}x{stream.width}x{stream.channels} {kind}{stream.bits}"
    return f"{shape}, {stream.lanes} lane{'s' if stream.lanes > 1 else ''}"
