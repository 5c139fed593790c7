# SPDX-License-Identifier: Apache-2.0
"""`framegate data shop` and `framegate data check`."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from framegate.quant.clips.shop import generate

    return generate(tmp_path_factory.mktemp("data") / "clips", 3, seed=2)


def test_what_shop_writes_check_accepts(framegate: Callable, tmp_path: Path) -> None:
    made = framegate("data", "shop", tmp_path / "clips", "--clips-per-class", 1, "--seed", 2, "--json")
    assert made.json["clips"] == 5
    assert f"wrote {tmp_path / 'clips'}" in made.err
    checked = framegate("data", "check", tmp_path / "clips", "--json")
    assert checked.code == 0
    assert checked.json["classes"] == dict.fromkeys(made.json["classes"], 1)
    assert "5 clips can be used" in framegate("data", "check", tmp_path / "clips").out


def test_check_shows_classes_and_folds(framegate: Callable, clips: Path) -> None:
    result = framegate("data", "check", clips, "--folds", 3)
    assert result.code == 0
    assert "fold 3" in result.out
    assert "sizes: 96x96 (15)" in result.out
    chosen = framegate("data", "check", clips, "--only", "take", "--only", "look", "--json")
    assert chosen.json["classes"] == {"look": 3, "take": 3}


def test_check_names_a_broken_clip(framegate: Callable, tmp_path: Path) -> None:
    (tmp_path / "steal").mkdir()
    (tmp_path / "steal" / "1.mp4").write_bytes(b"")
    result = framegate("data", "check", tmp_path)
    assert result.code == 2
    assert "steal/1.mp4: not a readable video" in result.err
    as_json = framegate("data", "check", tmp_path, "--json")
    assert "steal/1.mp4: not a readable video" in as_json.json["error"]  # one object, also on failure


def test_check_refuses_leaks_with_code_1(framegate: Callable, clips: Path, tmp_path: Path) -> None:
    for part, number in (("train", 0), ("train", 1), ("test", 1)):
        target = tmp_path / part / "look" / f"{part}{number}.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(clips / f"look/{number:05}.mp4", target)
    for folders in ([tmp_path], [tmp_path / "train", tmp_path / "test"]):
        result = framegate("data", "check", *folders)
        assert result.code == 1
        assert "leaks: 1" in result.out
        assert " show the same, but one is in " in result.err
    listed = tmp_path / "parts.csv"
    listed.write_text("path,split\nlook/train0.mp4,a\nlook/train1.mp4,b\n")
    assert framegate("data", "check", tmp_path / "train", "--splits", listed).code == 0


def test_check_refuses_more_folds_than_sources(framegate: Callable, clips: Path) -> None:
    result = framegate("data", "check", clips, "--folds", 4, "--json")
    assert result.code == 2
    assert "class 'conceal' comes from 3 sources, fewer than folds=4" in result.json["error"]
