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
from framegate.quant.networks.checkpoint import NetworkConfig, logits
from qonnx.core.modelwrapper import ModelWrapper

from tests.networks import exported, random_clips

torch.set_num_threads(1)  # small networks; threads only get in the way of other processes

SMALL = {"classes": ("a", "b", "c"), "positive": "c", "frames": 4, "size": 16, "widths": (8, 8, 16)}
NETWORKS = {
    "projections": {"widths": (8, 16), "strides": (2, 2)},
    "identity-online-3bit": {"strides": (2, 1, 2), "shift": "online", "weight_bits": 3, "act_bits": 3},
    "identity-8bit": {"strides": (2, 1, 2), "size": 8, "weight_bits": 8, "act_bits": 8},
    "no-shift-uneven": {
        "widths": (8, 16),
        "strides": (1, 2),
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


@pytest.fixture(scope="session")
def lowered(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Lowered]:
    """One of NETWORKS, exported and lowered, by name."""
    done: dict[str, Lowered] = {}

    def get(name: str) -> Lowered:
        if name not in done:
            config = NetworkConfig(**SMALL | NETWORKS[name])
            seed = list(NETWORKS).index(name)
            folder, made = tmp_path_factory.mktemp(name), exported(config, seed, tmp_path_factory)
            clips = random_clips(config, 3, seed + 100)
            qonnx = made.copied(folder / "model.qonnx.onnx")
            lower(qonnx, folder)
            done[name] = Lowered(qonnx, folder, clips, logits(made.network, torch.from_numpy(clips)).numpy())
        return done[name]

    return get
