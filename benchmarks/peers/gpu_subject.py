# SPDX-License-Identifier: Apache-2.0
"""A float network ready to run on a device, and the ways to run it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from framegate.quant.networks.checkpoint import Network, NetworkConfig, find, to_input
from framegate.quant.networks.complexity import complexity
from framegate.quant.networks.presets import FAMILIES
from torch import Tensor

CLASSES = 10  # of networks that are taken by name alone
PRECISIONS = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
Step = Callable[[], None]


@dataclass(frozen=True)
class Subject:
    """A network of random or trained weights in eval mode, and noise for clips."""

    name: str
    network: Network  # float32, on the CPU

    @property
    def facts(self) -> dict[str, Any]:
        """What makes it large or small."""
        config = self.network.config
        parameters, macs = complexity(self.network)
        return {"frames": config.frames, "size": config.size, "parameters": parameters, "mmac": macs / 1e6}

    def clips(self, batch: int) -> Tensor:
        """Noise (batch, T, S, S, 3), uint8, in host memory."""
        config = self.network.config
        return torch.randint(0, 256, (batch, config.frames, config.size, config.size, 3), dtype=torch.uint8)


def subject(name: str) -> Subject:
    """The float network of a name of the zoo or the papers with random weights, or of a checkpoint.

    Raises UsageError for a name that is neither.
    """
    torch.manual_seed(0)
    if name in FAMILIES:
        config = NetworkConfig(name=name, classes=tuple(f"class{number}" for number in range(CLASSES)))
    else:
        config = find(name).config
    return Subject(name, Network(config.as_float()).eval())


class OnDevice:
    """The network on a device in a precision, with a clip (or several) on the device and in host memory."""

    def __init__(self, subject: Subject, device: torch.device, precision: str, batch: int = 1) -> None:
        self.device = device
        self.dtype = PRECISIONS[precision]
        own = deepcopy(subject.network)
        self.network = own.to(device=device, dtype=self.dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        clips = subject.clips(batch)
        self.in_host = clips.pin_memory() if device.type == "cuda" else clips
        self.on_device = self.input(self.in_host.to(device))
        self.out = torch.empty_like(self.network(self.on_device), device="cpu")
        if device.type == "cuda":
            self.out = self.out.pin_memory()

    def input(self, clips: Tensor) -> Tensor:
        """What the network takes, of pixels on the device."""
        return to_input(clips).to(self.dtype)

    def synchronize(self) -> None:
        """Wait until the device has nothing left to do."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def eager(self) -> None:
        """One kernel after the other, from a clip on the device to logits there."""
        self.network(self.on_device)
        self.synchronize()

    def compiled(self) -> Step:
        """The same by torch.compile."""
        torch.compiler.reset()  # else the next network counts as one more variant of the last
        network = torch.compile(self.network)

        def step() -> None:
            network(self.on_device)
            self.synchronize()

        return step

    def from_host(self) -> None:
        """From pixels in host memory to logits in host memory."""
        self._host_to_host()
        self.synchronize()

    def _host_to_host(self) -> None:
        clips = self.in_host.to(self.device, non_blocking=True)
        self.out.copy_(self.network(self.input(clips)), non_blocking=True)

    def graph(self, *, from_host: bool = False) -> Step:
        """One CUDA graph: the device launches all kernels by itself."""
        run: Callable[[], object] = self._host_to_host if from_host else lambda: self.network(self.on_device)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):  # what is allocated and tuned once is not to be part of it
                run()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            run()

        def step() -> None:
            graph.replay()
            self.synchronize()

        return step


@contextmanager
def arithmetic(precision: str) -> Iterator[None]:
    """TF32 where it is wanted, and nowhere else.

    cuDNN chooses its algorithms by rule: those that it finds by trying (cudnn.benchmark) made an H100 slower, one clip
    of tsm-lite 0.23 ms instead of 0.16.
    """
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
