# SPDX-License-Identifier: Apache-2.0
"""`framegate crossvalidate`: a table per precision, pictures, and the area of the hardware."""

from collections.abc import Callable
from pathlib import Path

import pytest
from framegate.quant.clips.shop import generate

RECIPE = """
float_epochs = 1
quantized_epochs = 1
batch = 4
threads = 1
validation = 0

[network]
frames = 4
size = 16
widths = [8, 8]
strides = [2, 2]
positive = "conceal"
"""


@pytest.fixture
def options(tmp_path: Path) -> tuple:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return (generate(tmp_path / "clips", 2, seed=0), "--recipe", tmp_path / "recipe.toml", "--folds", 2)


def test_figures_pictures_and_area(framegate: Callable, options: tuple, tmp_path: Path) -> None:
    more = ("--bits", "float,3", "--target", "ulx3s-85f")
    table = framegate("crossvalidate", *options, "--run", tmp_path / "folds", *more, "--json").json
    assert [row["bits"] for row in table["rows"]] == ["float", "3"]
    assert table["rows"][0]["lut"] is None  # float networks are not built
    assert table["rows"][1]["lut"] > 0
    assert table["clips"] == 10
    for name in ("bits.png", "errors-3.png", "threshold-3.json", "scores.csv", "folds.json"):
        assert (tmp_path / "folds" / name).stat().st_size > 0


def test_bits_and_folds_that_make_no_sense(framegate: Callable, options: tuple, tmp_path: Path) -> None:
    result = framegate("crossvalidate", *options, "--run", tmp_path / "one", "--bits", "four")
    assert result.code == 2
    assert "bits='four': give numbers from 2 to 8, or float" in result.err
    result = framegate("crossvalidate", *options, "--run", tmp_path / "two", "--folds", 9)
    assert result.code == 2
    assert "fewer than folds=9" in result.err
