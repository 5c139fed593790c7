# SPDX-License-Identifier: Apache-2.0
"""Names of views and of float twins; the table itself is tested with the command."""

from pathlib import Path

import pytest
from framegate.errors import UsageError
from framegate.quant.clips.transforms import TransformConfig
from framegate.quant.measures.compare import views_of, with_twins


def test_views_are_clips_by_crops() -> None:
    found = views_of("10x3", TransformConfig())
    assert (found.num_clips, found.num_crops) == (10, 3)
    for text in ("10", "0x1", "1x2", "ax3"):
        with pytest.raises(UsageError, match=rf"^--views {text}: give clips x crops, the crops being 1 or 3"):
            views_of(text, TransformConfig())


def test_a_quantized_network_brings_its_float_twin_once(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    for name in ("checkpoint.pt", "float.pt"):
        (tmp_path / name).touch()
    assert with_twins(["tsm-lite", "tsm-lite.float"]) == ["tsm-lite", "tsm-lite.float"]
    assert with_twins([str(checkpoint)]) == [str(checkpoint), str(tmp_path / "float.pt")]
    assert with_twins([str(tmp_path / "float.pt")]) == [str(tmp_path / "float.pt")]
