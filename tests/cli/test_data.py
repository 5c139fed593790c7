# SPDX-License-Identifier: Apache-2.0
"""`framegate data shop` and `framegate data check`."""

from collections.abc import Callable
from pathlib import Path


def test_what_shop_writes_check_accepts(framegate: Callable, tmp_path: Path) -> None:
    made = framegate("data", "shop", tmp_path / "clips", "--clips-per-class", 1, "--seed", 2, "--json")
    assert made.json["clips"] == 5
    assert f"wrote {tmp_path / 'clips'}" in made.err
    checked = framegate("data", "check", tmp_path / "clips", "--json")
    assert checked.json["classes"] == dict.fromkeys(made.json["classes"], 1)
    assert "5 clips can be used" in framegate("data", "check", tmp_path / "clips").out


def test_check_names_a_broken_clip(framegate: Callable, tmp_path: Path) -> None:
    (tmp_path / "steal").mkdir()
    (tmp_path / "steal" / "1.mp4").write_bytes(b"")
    result = framegate("data", "check", tmp_path)
    assert result.code == 2
    assert "steal/1.mp4: not a readable video" in result.err
