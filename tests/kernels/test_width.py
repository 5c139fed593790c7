# SPDX-License-Identifier: Apache-2.0
"""Lane conversion: the same channels on other beats."""

from pathlib import Path

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.hls.kernels import Width
from framegate.rtl_sim.bench.simulator import Simulator

from tests.kernels.bench import check_kernel, each, in_whole_networks_too, random_clips, stream

CASES = {
    "up": Width(name="u", input=stream(), lanes=4),
    "down": Width(name="u", input=stream(lanes=4), lanes=1),
    "up-by-3": Width(name="u", input=stream(channels=6), lanes=6),
    "down-by-3": Width(name="u", input=stream(channels=6, lanes=6, signed=True), lanes=2),
    "down-by-5": Width(name="u", input=stream(channels=10, lanes=5, bits=1), lanes=1),
    "same": Width(name="u", input=stream(), lanes=2),
}


@each(CASES)
def test_values_and_cycles(kernel: Width, tmp_path: Path, icarus: Simulator) -> None:
    check_kernel(kernel, tmp_path, simulator=icarus)


@in_whole_networks_too
def test_values_and_cycles_in_verilator(tmp_path: Path) -> None:
    check_kernel(CASES["down"], tmp_path, simulator="verilator")


def test_reference_is_the_input() -> None:
    values = random_clips(stream(), 2, 0)
    assert np.array_equal(CASES["up"].reference(values), values)


@pytest.mark.parametrize(("offered", "wanted"), [(2, 3), (3, 2), (6, 4)])
def test_a_broken_ratio_is_refused(offered: int, wanted: int) -> None:
    with pytest.raises(
        UsageError,
        match=rf"^u: {offered} lanes do not convert to {wanted}; one must be a multiple of the other$",
    ):
        Width(name="u", input=stream(channels=12, lanes=offered), lanes=wanted)
