# SPDX-License-Identifier: Apache-2.0
"""`framegate train`: options from a file and flags, and what it leaves for `framegate evaluate`."""

from collections.abc import Callable
from pathlib import Path

from framegate.quant.clips.shop import generate

CONFIG = """
float_epochs = 1
quantized_epochs = 1
batch = 4
threads = 1

[network]
frames = 4
size = 16
widths = [8, 8]
strides = [2, 2]
act_bits = 8
"""


def test_a_run_can_be_evaluated(framegate: Callable, tmp_path: Path) -> None:
    clips = generate(tmp_path / "clips", 2, seed=0)
    (tmp_path / "options.toml").write_text(CONFIG)
    options = ("--recipe", tmp_path / "options.toml", "--weight-bits", 3, "--positive", "conceal")
    metrics = framegate("train", clips, "--run", tmp_path / "run", *options, "--json").json
    assert metrics["quantized"]["validation"]["precision"] == "w3a8"
    result = framegate(
        "evaluate", "--clips", clips, "--model", tmp_path / "run" / "checkpoint.pt", "--json"
    ).json
    assert (result["clips"], result["precision"]) == (10, "w3a8")
    assert result["threshold"] == metrics["quantized"]["validation"]["threshold"]


def test_odd_bit_widths_are_refused_by_name(framegate: Callable, tmp_path: Path) -> None:
    clips = generate(tmp_path / "clips", 1, seed=0)
    result = framegate("train", clips, "--run", tmp_path / "run", "--weight-bits", 9)
    assert result.code == 2
    assert "weight_bits='9': Input should be less than or equal to 8" in result.err
    assert not (tmp_path / "run").exists()


def test_an_inflated_network_starts_from_a_picture_network(framegate: Callable, tmp_path: Path) -> None:
    clips = generate(tmp_path / "clips", 2, seed=0)
    (tmp_path / "options.toml").write_text(CONFIG)
    options = ("--recipe", tmp_path / "options.toml", "--model", "i3d-lite", "--causal")
    start = ("--inflate", tmp_path / "frames" / "float.pt")
    framegate("train", clips, "--run", tmp_path / "frames", *options[:2], "--model", "tsn-lite")
    result = framegate("train", clips, "--run", tmp_path / "run", *options, *start)
    assert "over 3 frames" in result.err
    assert "causal = true" in (tmp_path / "run" / "config.toml").read_text()
    result = framegate("train", clips, "--run", tmp_path / "other", *options[:2], *start)
    assert result.code == 2
    assert "inflate: tsm-lite has no temporal kernels to fill; use --model i3d-lite" in result.err
