# SPDX-License-Identifier: Apache-2.0
"""Random networks as training could leave them, and their graphs, which are exported once for all tests of a run."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from framegate.quant.networks.checkpoint import Network, NetworkConfig, load, save, to_input
from framegate.quant.networks.export import export_qonnx
from framegate.quant.networks.layers import Bias
from torch import nn


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


def random_network(config: NetworkConfig, seed: int) -> Network:
    """Weights, BatchNorm (some scales negative, one zero) and learned scales as training could leave them."""
    torch.manual_seed(seed)
    network = Network(config).train()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        for norm in norms:
            norm.weight.uniform_(0.5, 1.5)
            norm.bias.uniform_(-0.3, 0.3)
            norm.weight[::3] *= -1
            norm.weight[1] = 0
        for bias in (module for module in network.modules() if isinstance(module, Bias)):
            bias.value.uniform_(-0.3, 0.3)
        for _ in range(65):  # until every activation scale has been initialised
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


def exported(config: NetworkConfig, seed: int, factory: pytest.TempPathFactory) -> Exported:
    """`random_network` in files. To export a small one takes up to 20 seconds: one process does it, others wait."""
    of_this_run = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        of_this_run = of_this_run.parent  # of all processes
    name = hashlib.sha256(f"{seed} {config.model_dump_json()}".encode()).hexdigest()[:16]
    made = Exported(of_this_run / "exported" / f"{name}.pt", of_this_run / "exported" / f"{name}.qonnx.onnx")
    made.qonnx.parent.mkdir(exist_ok=True)
    with FileLock(made.qonnx.with_suffix(".lock")):
        if not made.qonnx.exists():
            save(random_network(config, seed), made.checkpoint)
            export_qonnx(made.network, made.qonnx)
    return made
