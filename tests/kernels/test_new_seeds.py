# SPDX-License-Identifier: Apache-2.0
"""Kernels drawn from a new seed each time, which pytest prints first: beside the fixed examples of their own tests."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from framegate.hls.kernels import Kernel
from framegate.rtl_sim.bench.simulator import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import NEW_SEEDS
from tests.kernels import test_frame_gather, test_shift, test_slide, test_window
from tests.kernels.bench import check_kernel

KINDS: dict[str, Callable[[], st.SearchStrategy[Kernel]]] = {
    "frame_gather": test_frame_gather.gathers,
    "shift": test_shift.gathers,
    "slide": test_slide.slides,
    "window": test_window.windows,
}


@pytest.mark.slow
@pytest.mark.parametrize("kernels", list(KINDS.values()), ids=list(KINDS))
@settings(NEW_SEEDS, max_examples=60)
@given(data=st.data())
def test_any_kernel_of_a_new_seed(
    kernels: Callable[[], st.SearchStrategy[Kernel]], data: st.DataObject, quick: Simulator
) -> None:
    with tempfile.TemporaryDirectory() as work:
        check_kernel(data.draw(kernels()), Path(work), simulator=quick)
