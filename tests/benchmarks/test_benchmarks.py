# SPDX-License-Identifier: Apache-2.0
"""The benchmarks run on little work and print ratios; their figures are for a quiet machine to tell."""

import json
from pathlib import Path

import pytest
from framegate.benchmarks import area, chain, reference, results
from framegate.errors import UsageError


def test_reference_against_brevitas(tmp_path: Path) -> None:
    (row,) = reference.measure("tsm-lite", 2, tmp_path, lambda _: None)
    assert row["speed_ratio"] == pytest.approx(row["clips_per_second"] / row["peer_clips_per_second"])


def test_chain_measures_from_nothing(tmp_path: Path) -> None:
    rows = chain.measure("tsm-lite", tmp_path / "build", lambda _: None)
    assert [row["work"] for row in rows] == [
        "synthetic shop, mp4 files",
        "QONNX to RTL",
        "RTL simulation of one clip, with the build",
    ]
    assert all(row["seconds"] > 0.1 for row in rows[1:]), "a kept step measures nothing"


def test_area_needs_a_bitstream(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="run `framegate compile` first"):
        area.measure(tmp_path)


def test_figures_are_kept_with_machine_and_date(tmp_path: Path) -> None:
    kept = results.keep("some", [{"speed_ratio": 2.0}], tmp_path)
    assert json.loads(Path(kept["path"]).read_text())["machine"]["cores"] >= 1
