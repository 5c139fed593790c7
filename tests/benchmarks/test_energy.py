# SPDX-License-Identifier: Apache-2.0
"""Energy of a clip: the bound, the flips that are counted, and what the estimate is made of."""

import numpy as np
import pytest
from framegate.benchmarks import energy
from framegate.hls.folding.fold import fold
from framegate.hls.schedule.schedule import schedule
from framegate.hls.stream import Stream
from framegate.hls.targets import load_target

from tests.dataflows import random_pixels, residual

BOARD = load_target("ulx3s-85f")
BITS = 4


def stream(lanes: int, repeat: int = 1) -> Stream:
    return Stream(
        frames=1, height=1, width=4, channels=2, bits=BITS, signed=False, lanes=lanes, repeat=repeat
    )


def pixels(*values: tuple[int, int]) -> np.ndarray:
    return np.array(values).reshape(1, 1, 1, 4, 2)


@pytest.mark.parametrize(
    ("values", "lanes", "repeat", "share"),
    [
        (pixels((0, 0), (0, 0), (0, 0), (0, 0)), 2, 1, 0.0),
        (pixels((0, 0), (15, 15), (0, 0), (15, 15)), 2, 1, 1.0),
        (pixels((0, 0), (15, 15), (0, 0), (15, 15)), 1, 1, 3 / 7),  # each pixel is two beats alike
        (pixels((0, 15), (0, 15), (0, 15), (0, 15)), 1, 1, 1.0),
        (pixels((0, 0), (15, 15), (0, 0), (15, 15)), 2, 2, 3 / 7),  # each pixel is sent twice
        (pixels((0, 0), (1, 0), (3, 0), (7, 0)), 2, 1, 1 / (2 * BITS)),
    ],
)
def test_flips_are_counted_bit_by_bit(values: np.ndarray, lanes: int, repeat: int, share: float) -> None:
    assert energy.flip_share(values, stream(lanes, repeat)) == pytest.approx(share)


def test_a_negative_value_flips_its_own_bits_only() -> None:
    signed = Stream(frames=1, height=1, width=2, channels=1, bits=BITS, signed=True)
    assert energy.flip_share(np.array([0, -1]).reshape(1, 1, 1, 2, 1), signed) == 1.0


def test_the_estimate_lies_between_idling_and_all_that_the_board_is_fed() -> None:
    assert BOARD.supply_watts == 2.5
    complete, times = schedule(fold(residual(size=16), BOARD, 50, 20_000), 50)
    seconds = 1 / times.clips_per_second
    device = energy.MEASURED["ulx3s-85f"]
    still = np.zeros((1, *complete.pixels.shape), dtype=np.int64)
    moving = random_pixels(complete, 1)
    of_still, of_moving = (energy.estimate(complete, clip, device, seconds) for clip in (still, moving))
    assert device.idle_watts * seconds < of_still < of_moving < energy.most(BOARD.supply_watts, seconds)


def test_more_clips_in_a_second_take_less_each() -> None:
    assert energy.most(2.5, 1e-3) == pytest.approx(2.5e-3)
    assert energy.most(2.5, 5e-4) < energy.most(2.5, 1e-3)
