# SPDX-License-Identifier: Apache-2.0
"""Which pictures there are, and that the band of a curve holds the curve."""

from pathlib import Path

import numpy as np
import pytest
from framegate.quant.measures.alarm_threshold import sweep
from framegate.quant.measures.bootstrap import Resample
from framegate.quant.measures.plots import _GRID, _band, _line, draw
from PIL import Image

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.random(80) < 0.4
SCORES = RANDOM.normal(size=80) + 1.5 * TRUTH
SOURCES = [str(n % 25) for n in range(80)]


def test_pictures_of_several_alarms_and_of_classes(tmp_path: Path) -> None:
    cases = {"theft": (SCORES, TRUTH), "smoke": (-SCORES, TRUTH), "never": (SCORES, np.zeros(80, dtype=bool))}
    made = draw(tmp_path, cases, {}, SOURCES, (("a", "b"), [[3, 1], [0, 5]]))
    assert sorted(path.name for path in made) == [
        "confusion.png",
        "precision_recall.png",
        "roc.png",
        "scores_smoke.png",
        "scores_theft.png",
        "thresholds_smoke.png",
        "thresholds_theft.png",
    ]
    for path in made:
        with Image.open(path) as picture:
            assert min(picture.size) > 300
            assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 20, "something was drawn"


@pytest.mark.parametrize("kind", ["roc", "precision_recall"])
def test_a_band_holds_its_curve(kind: str) -> None:
    low, high = _band(SCORES, TRUTH, Resample.of(SOURCES), kind)
    x, y = _line(sweep(SCORES, TRUTH).counts, kind)
    inside = _GRID[20:-20]
    line = np.interp(inside, x, y) if kind == "roc" else y[np.searchsorted(x, inside)]
    assert ((low[20:-20] <= line + 1e-9) & (line <= high[20:-20] + 1e-9)).mean() > 0.97
    assert (high - low)[20:-20].mean() > 0.05
