# SPDX-License-Identifier: Apache-2.0
"""Pooling against torch, behind a depthwise window and behind a depthwise frame gather."""

from pathlib import Path

import numpy as np
import pytest
import torch
from framegate.errors import UsageError
from framegate.hls.kernels import FrameGather, Pool, Window
from framegate.hls.stream import Stream
from framegate.rtl_sim.bench.simulator import Simulator
from torch.nn.functional import avg_pool2d, max_pool2d

from tests.kernels.bench import check_kernel, each, in_whole_networks_too, random_clips, stream


def taken(taps: int, **changes: int | bool) -> Stream:
    return stream(**{"channels": 4 * taps, **changes})


CASES = {
    "max": Pool(name="p", input=taken(4), taps=4),
    "max-signed": Pool(name="p", input=taken(9, signed=True), taps=9),
    "sum": Pool(name="p", input=taken(4, lanes=4), taps=4, of="sum"),
    "sum-signed": Pool(name="p", input=taken(3, signed=True, lanes=1), taps=3, of="sum"),
    "one-tap": Pool(name="p", input=taken(1), taps=1),
}


@each(CASES)
def test_values_and_cycles(kernel: Pool, tmp_path: Path, icarus: Simulator) -> None:
    check_kernel(kernel, tmp_path, simulator=icarus)


@in_whole_networks_too
def test_values_and_cycles_in_verilator(tmp_path: Path) -> None:
    check_kernel(CASES["max-signed"], tmp_path, simulator="verilator")


@pytest.mark.parametrize("of", ["max", "sum"])
@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_behind_a_window_it_is_the_pooling_of_torch(of: str, lanes: int) -> None:
    window = Window(
        name="w",
        input=stream(lanes=lanes),
        kernel=(2, 3),
        stride=(2, 2),
        padding=(0, 0, 0, 0),
        depthwise=True,
    )
    pool = Pool(name="p", input=window.outputs[0], taps=6, of=of)
    values = random_clips(window.input, 2, 0)
    images = torch.from_numpy(values).flatten(0, 1).permute(0, 3, 1, 2).double()
    pooled = max_pool2d(images, (2, 3), 2) if of == "max" else 6 * avg_pool2d(images, (2, 3), 2)
    expected = pooled.permute(0, 2, 3, 1).round().numpy().reshape(2, *pool.outputs[0].shape)
    assert np.array_equal(pool.reference(window.reference(values)), expected)


def test_behind_a_frame_gather_it_is_the_largest_over_frames() -> None:
    gather = FrameGather(
        name="g", input=stream(frames=4), groups=((0, 4, 0), (0, 4, 1)), stride_t=2, depthwise=True
    )
    values = random_clips(gather.input, 2, 0)
    pooled = Pool(name="p", input=gather.outputs[0], taps=2).reference(gather.reference(values))
    assert np.array_equal(pooled, values.reshape(2, 2, 2, *values.shape[2:]).max(axis=2))


@pytest.mark.parametrize("changes", [{"taps": 5}, {"taps": 8, "input": taken(4, lanes=4)}])
def test_taps_that_do_not_divide_are_refused(changes: dict) -> None:
    with pytest.raises(UsageError, match=r"^p: \d taps and \d lanes do not divide 16 values per pixel"):
        Pool(name="p", **{"input": taken(4), **changes})


def test_an_unknown_pool_is_refused() -> None:
    with pytest.raises(UsageError, match=r'^p: a pool of "median" is unknown; use "max" or "sum"$'):
        Pool(name="p", input=taken(4), taps=4, of="median")
