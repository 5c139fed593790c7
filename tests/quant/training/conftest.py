# SPDX-License-Identifier: Apache-2.0
"""What makes a training short: few clips, and scales that are in place after a few batches."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from framegate.quant.clips.shop import generate
from framegate.quant.networks import layers
from framegate.quant.training import fit


@pytest.fixture(scope="package")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips of each action."""
    return generate(tmp_path_factory.mktemp("shop") / "clips", 4, seed=3)


@pytest.fixture(scope="package", autouse=True)
def few_calibration_steps() -> Iterator[None]:
    """Of thirty batches before each quantized phase, four: what training does with them is the same."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (layers, fit):
            patch.setattr(module, "CALIBRATION_STEPS", 4)
        yield
