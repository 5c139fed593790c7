# SPDX-License-Identifier: Apache-2.0
"""Networks as training could leave them, their graphs and their builds, which are made once for all tests of a run."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from framegate.hls.build.build import compile_model
from framegate.quant.clips.shop import ACTIONS
from framegate.quant.networks import export, layers
from framegate.quant.networks.checkpoint import Network, NetworkConfig, load, save, to_input
from framegate.quant.networks.export import export_qonnx
from framegate.quant.networks.layers import Bias
from framegate.quant.training import fit
from torch import nn

from tests import foreign, sooner  # noqa: F401  by the import alone
from tests.once import once


@dataclass(frozen=True)
class Exported:
    """A random network and its QONNX graph, which nobody may change."""

    checkpoint: Path
    qonnx: Path

    @property
    def network(self) -> Network:
        """In eval mode, anew each time."""
        return load(self.checkpoint)

    def copied(self, target: Path) -> Path:
        """The graph once more, at `target`."""
        return Path(shutil.copyfile(self.qonnx, target))


def soon_settled(network: Network) -> Network:
    """The same network, whose scales and statistics settle within ten clips in training mode instead of sixty."""
    for module in network.modules():
        if hasattr(module, "collect_stats_steps"):
            module.collect_stats_steps //= 6
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.5
    return network


def random_network(config: NetworkConfig, seed: int) -> Network:
    """Weights, BatchNorm (some scales negative, one zero) and learned scales as training could leave them."""
    torch.manual_seed(seed)
    network = soon_settled(Network(config)).train()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.3, 0.3)
            norm.weight[::3] *= -1
            norm.weight[1] = 0
        for bias in (module for module in network.modules() if isinstance(module, Bias)):
            bias.value.uniform_(-0.3, 0.3)
        for _ in range(11):
            network(to_input(torch.from_numpy(random_clips(config, 1, seed))))
    return network.eval()


def random_clips(config: NetworkConfig, count: int, seed: int) -> np.ndarray:
    """Smooth noise with black and white corners, (count, T, S, S, 3), uint8."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (count, config.frames, config.size // 4, config.size // 4, 3))
    clips = coarse.repeat(4, axis=2).repeat(4, axis=3) + generator.integers(
        -20, 21, (config.size, config.size, 3)
    )
    clips[:, :, :2, :2], clips[:, :, -2:, -2:] = 0, 255
    return np.clip(clips, 0, 255).astype(np.uint8)


def small(target: Path, **options: object) -> Path:
    """The checkpoint of a small network that has seen four batches of noise and no clip."""
    torch.manual_seed(3)
    sizes = {"frames": 4, "size": 16, "widths": (8, 16), "strides": (2, 2)}
    network = Network(
        NetworkConfig(**{"classes": ACTIONS, "positive": "conceal", **sizes, **options})
    ).train()
    for _ in range(4):  # gives BatchNorm and the quantizers' scales something to stand on
        network(torch.rand(8, 3, 16, 16))
    return save(network.eval(), target)


def exported(config: NetworkConfig, seed: int, factory: pytest.TempPathFactory) -> Exported:
    """`random_network` in files, made once: to export a small one takes up to 20 seconds."""

    def fill(folder: Path) -> None:
        save(random_network(config, seed), folder / "checkpoint.pt")
        export_qonnx(load(folder / "checkpoint.pt"), folder / "model.qonnx.onnx")

    name = hashlib.sha256(f"{seed} {config.model_dump_json()}".encode()).hexdigest()[:16]
    folder = once(factory, name, fill)
    return Exported(folder / "checkpoint.pt", folder / "model.qonnx.onnx")


@contextmanager
def soon_calibrated() -> Iterator[None]:
    """Of thirty batches before each quantized phase, four."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (layers, fit):
            patch.setattr(module, "CALIBRATION_STEPS", 4)
        yield


@contextmanager
def exports_once(factory: pytest.TempPathFactory) -> Iterator[None]:
    """Brevitas' exporter, which takes up to 20 seconds for a small network, runs once for each one and file name."""
    exporter = export.brevitas_export

    def shared(network: nn.Module, args: torch.Tensor, export_path: str) -> None:
        target = Path(export_path)
        digest = hashlib.sha256(f"{target.name} {args.shape} {network}".encode())
        if isinstance(network, Network):
            digest.update(network.config.model_dump_json().encode())
        for name, values in network.state_dict().items():
            digest.update(name.encode() + values.numpy().tobytes())

        def fill(folder: Path) -> None:
            exporter(network, args=args, export_path=str(folder / target.name))

        shutil.copytree(once(factory, digest.hexdigest()[:16], fill), target.parent, dirs_exist_ok=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "brevitas_export", shared)
        patch.setattr(foreign, "export_qonnx", shared)
        yield


def compiled(model: str, rate: str, factory: pytest.TempPathFactory, target: Path) -> Path:
    """A build folder of a built-in network or of the "small" one at `target`; what was compiled once is copied."""

    def fill(folder: Path) -> None:
        network = str(small(folder / "checkpoint.pt")) if model == "small" else model
        compile_model(network, folder / "build", "ulx3s-85f", rate, None, lambda _: None)

    return Path(shutil.copytree(once(factory, f"{model}-{rate}", fill) / "build", target))
