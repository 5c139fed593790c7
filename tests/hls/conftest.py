# SPDX-License-Identifier: Apache-2.0
"""Random networks, exported once per session, and clips for them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from framegate.hls.lowering.graphs import LOGIT_SCALE, metadata
from framegate.hls.lowering.lower import lower
from framegate.quant.networks.checkpoint import Network, NetworkConfig, logits, to_input
from framegate.quant.networks.export import export_qonnx
from framegate.quant.networks.layers import Bias
from qonnx.core.modelwrapper import ModelWrapper
from torch import nn

torch.set_num_threads(1)  # small networks; threads only get in the way of other processes

SMALL = {"classes": ("a", "b", "c"), "positive": "c", "frames": 4, "size": 16, "widths": (8, 8, 16)}
NETWORKS = {
    "projections": {"strides": (2, 2, 2)},
    "identity-online-3bit": {"strides": (2, 1, 2), "shift": "online", "weight_bits": 3, "act_bits": 3},
    "identity-8bit": {"strides": (2, 1, 2), "size": 8, "weight_bits": 8, "act_bits": 8},
    "no-shift-uneven": {
        "strides": (1, 2, 2),
        "shift": "none",
        "name": "tsn-lite",
        "frames": 3,
        "act_bits": 2,
    },
    "separable": {
        "name": "tsm-mobilenet",
        "strides": (2, 1, 2),
        "widths": (8, 8, 16),
        "head_hidden": (6,),
        "shift_blocks": (1,),
    },
}


@dataclass(frozen=True)
class Lowered:
    """A random network on its way down, with clips and what Brevitas says about them."""

    qonnx: Path
    build: Path
    pixels: np.ndarray  # (clips, T, H, W, 3), uint8
    logits: np.ndarray  # (clips, K), float32, of Brevitas in eval mode

    def model(self, name: str) -> ModelWrapper:
        """A graph below the build folder."""
        return ModelWrapper(str(self.build / name))

    @property
    def logit_scale(self) -> float:
        """Value of one integer logit."""
        return float(metadata(self.model("hardware.onnx"))[LOGIT_SCALE])


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


@pytest.fixture(scope="session")
def lowered(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Lowered]:
    """One of NETWORKS, exported and lowered, by name."""
    done: dict[str, Lowered] = {}

    def get(name: str) -> Lowered:
        if name not in done:
            config = NetworkConfig(**SMALL | NETWORKS[name])
            seed = list(NETWORKS).index(name)
            network, folder = random_network(config, seed), tmp_path_factory.mktemp(name)
            clips = random_clips(config, 3, seed + 100)
            qonnx = export_qonnx(network, folder / "model.qonnx.onnx")
            lower(qonnx, folder)
            done[name] = Lowered(qonnx, folder, clips, logits(network, torch.from_numpy(clips)).numpy())
        return done[name]

    return get
