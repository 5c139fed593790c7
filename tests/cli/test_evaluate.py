# SPDX-License-Identifier: Apache-2.0
"""`framegate evaluate` on folders and on a single video."""

from collections.abc import Callable
from pathlib import Path

from framegate.quant.clips.shop import generate

PROMISED = {"model", "precision", "clips", "auc", "f1", "precision_score", "recall", "accuracy", "threshold"}


def test_the_builtin_network_on_labelled_clips_and_on_one_video(framegate: Callable, tmp_path: Path) -> None:
    clips = generate(tmp_path / "clips", 2, seed=5)
    result = framegate("evaluate", "--clips", clips, "--json").json
    assert set(result) >= PROMISED
    assert (result["model"], result["precision"], result["clips"]) == ("tsm-lite", "w4a4", 10)
    alone = framegate("evaluate", "--clips", clips / "look" / "00001.mp4", "--json").json
    assert alone["accuracy"] is None
    assert alone["predictions"][0]["logits"] in [row["logits"] for row in result["predictions"]]


def test_text_names_the_figures_and_the_first_clips(framegate: Callable, tmp_path: Path) -> None:
    text = framegate("evaluate", "--clips", generate(tmp_path / "clips", 3, seed=5)).out
    assert "tsm-lite (w4a4) on 15 clips" in text
    assert "accuracy: " in text
    assert "… and 5 more; all with --json" in text


def test_an_unknown_model_lists_the_known_ones(framegate: Callable, tmp_path: Path) -> None:
    result = framegate("evaluate", "--clips", tmp_path, "--model", "tsm-huge")
    assert result.code == 2
    assert "'tsm-huge' does not come with framegate; choose one of ['shoplifting'" in result.err


def test_a_few_unreadable_clips_are_named_and_skipped(framegate: Callable, tmp_path: Path) -> None:
    clips = generate(tmp_path / "clips", 4, seed=0)
    (clips / "take" / "00001.mp4").write_bytes(b"no video")
    result = framegate("evaluate", "--clips", clips, "--json")
    assert result.json["clips"] == 19
    assert "00001.mp4: not a readable video" in result.err
    (clips / "look" / "00001.mp4").write_bytes(b"")
    result = framegate("evaluate", "--clips", clips)
    assert result.code == 2
    assert "2 of 20 clips cannot be used, more than 5%" in result.err
