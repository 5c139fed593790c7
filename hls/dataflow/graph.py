# SPDX-License-Identifier: Apache-2.0
"""The dataflow: a small typed graph of kernels and streams, on which everything after FINN works."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from framegate.errors import UsageError
from framegate.files import read_json, write_json
from framegate.hls.kernels import KINDS, Kernel
from framegate.hls.stream import Stream

PIXELS = "pixels"  # the producer of the stream that enters at s_axis


@dataclass(frozen=True, order=True)
class Link:
    """One stream: from output `port` of kernel `producer` to input `slot` of kernel `consumer`."""

    producer: str  # PIXELS for the input of the design
    port: int
    consumer: str
    slot: int

    def __str__(self) -> str:
        return f"{self.producer}.{self.port} -> {self.consumer}.{self.slot}"


@dataclass(frozen=True)
class Dataflow:
    """Kernels in topological order and the links between them; the last kernel drives the result."""

    model: str
    classes: tuple[str, ...]
    logit_scale: float  # value of one integer logit step
    pixels: Stream  # what enters
    kernels: tuple[Kernel, ...]
    links: tuple[Link, ...]
    network: dict[str, Any] = field(default_factory=dict)  # the network's own configuration
    thresholds: dict[str, float] = field(default_factory=dict)  # of the alarms, by class: logits
    window: int = 0  # frames that a score covers in a design that runs for ever; 0: the design takes clips

    @property
    def result(self) -> Link:
        """The stream that leaves the design: it has no consumer inside."""
        return Link(self.kernels[-1].name, 0, "", 0)

    def taken(self, clips: np.ndarray) -> np.ndarray:
        """Clips (N, T, H, W, C) as the design takes them: whole, or if it runs for ever in steps of few frames."""
        return clips.reshape(-1, *self.pixels.shape)

    @cached_property
    def _kernels_by_name(self) -> dict[str, Kernel]:
        return {kernel.name: kernel for kernel in self.kernels}

    @cached_property
    def _links_by_kernel(self) -> tuple[dict[str, list[Link]], dict[str, list[Link]]]:
        """Into and out of each kernel, by slot and by port."""
        into: dict[str, list[Link]] = {}
        out_of: dict[str, list[Link]] = {}
        for link in sorted(self.links, key=lambda link: (link.slot, link.port)):
            into.setdefault(link.consumer, []).append(link)
            out_of.setdefault(link.producer, []).append(link)
        return into, {name: sorted(links, key=lambda link: link.port) for name, links in out_of.items()}

    def kernel(self, name: str) -> Kernel:
        """The kernel of that name."""
        return self._kernels_by_name[name]

    def links_into(self, name: str) -> list[Link]:
        """Links into a kernel, by slot."""
        return self._links_by_kernel[0].get(name, [])

    def links_from(self, name: str) -> list[Link]:
        """Links out of a kernel (or PIXELS), by port."""
        return self._links_by_kernel[1].get(name, [])

    def stream(self, link: Link) -> Stream:
        """What the link's producer drives."""
        return self.pixels if link.producer == PIXELS else self.kernel(link.producer).outputs[link.port]

    def check(self, step: str) -> "Dataflow":
        """Return self if the graph's rules hold after `step`; a broken rule is a bug of ours."""
        for problem in self._problems():
            raise AssertionError(f"after {step}: {problem}")
        return self

    def _problems(self) -> Iterator[str]:
        names = [kernel.name for kernel in self.kernels]
        if len(set(names)) != len(names):
            yield "two kernels share a name"
        place = {name: index for index, name in enumerate([PIXELS, *names])}
        for link in self.links:
            if place[link.producer] >= place[link.consumer]:
                yield f"{link} runs against the order of the kernels"
            takes = self.kernel(link.consumer).inputs[link.slot]
            if self.stream(link) != takes:
                yield f"{link} carries {self.stream(link)} but its consumer takes {takes}"
        for kernel in self.kernels:
            if [link.slot for link in self.links_into(kernel.name)] != list(range(len(kernel.inputs))):
                yield f"{kernel.name} must have one producer per input"
            ports = [] if kernel is self.kernels[-1] else list(range(len(kernel.outputs)))
            if [link.port for link in self.links_from(kernel.name)] != ports:
                yield f"{kernel.name} must have one consumer per output (put a fork there)"

    def save(self, target: Path) -> Path:
        """Write dataflow.json."""
        kernels = [{"kind": type(kernel).__name__, **_plain(kernel)} for kernel in self.kernels]
        links = [asdict(link) for link in self.links]
        plain = {
            "model": self.model,
            "classes": self.classes,
            "logit_scale": self.logit_scale,
            "network": self.network,
            "thresholds": self.thresholds,
            "window": self.window,
            "pixels": asdict(self.pixels),
            "kernels": kernels,
            "links": links,
        }
        return write_json(target, plain)


def load_dataflow(source: Path) -> Dataflow:
    """Read dataflow.json. Raises UsageError when it is absent or not one."""
    plain = read_json(source, "run `framegate compile` first")
    try:
        return Dataflow(
            model=plain["model"],
            classes=tuple(plain["classes"]),
            logit_scale=plain["logit_scale"],
            pixels=Stream(**plain["pixels"]),
            kernels=tuple(_kernel(entry) for entry in plain["kernels"]),
            links=tuple(Link(**entry) for entry in plain["links"]),
            network=plain["network"],
            thresholds=plain["thresholds"],
            window=plain["window"],
        )
    except (KeyError, TypeError) as error:
        raise UsageError(
            f"{source}: not a dataflow of this version ({error}); run `framegate compile` again"
        ) from None


def _plain(kernel: Kernel) -> dict[str, Any]:
    values = {entry.name: getattr(kernel, entry.name) for entry in fields(kernel)}
    return {name: _jsonable(value) for name, value in values.items()}


def _jsonable(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"array": value.tolist()}
    if is_dataclass(value) and not isinstance(value, type):
        return {"stream": asdict(value)}
    return value


def _kernel(entry: dict[str, Any]) -> Kernel:
    kind = KINDS[entry["kind"]]
    return kind(**{name: _native(value) for name, value in entry.items() if name != "kind"})


def _native(value: Any) -> Any:
    if isinstance(value, dict) and "array" in value:
        return np.array(value["array"], dtype=np.int64)
    if isinstance(value, dict) and "stream" in value:
        return Stream(**value["stream"])
    if isinstance(value, list):
        return tuple(_native(item) for item in value)
    return value
