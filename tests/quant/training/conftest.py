# SPDX-License-Identifier: Apache-2.0
"""What makes a training short: few clips, and scales that are in place after a few batches."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from framegate.quant.clips.shop import generate

from tests.networks import soon_calibrated


@pytest.fixture(scope="package")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four clips of each action."""
    return generate(tmp_path_factory.mktemp("shop") / "clips", 4, seed=3)


@pytest.fixture(scope="module", autouse=True)  # a folder without __init__.py is no package: it would stay
def few_calibration_steps() -> Iterator[None]:
    """What training does with the batches before a quantized phase is the same for few of them."""
    with soon_calibrated():
        yield
