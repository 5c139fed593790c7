# SPDX-License-Identifier: Apache-2.0
"""Training: reproducible, continued after an interruption, and refused where it would mix things up."""

import shutil
from pathlib import Path

import pytest
import torch
from framegate.errors import UsageError
from framegate.quant.clips import Clip, find_clips
from framegate.quant.networks import load
from framegate.quant.train import TrainConfig, augment, split, train

TINY = {"size": 16, "frames": 4, "widths": (8, 8, 16), "strides": (2, 2, 2), "positive": "conceal"}
QUICK = TrainConfig(network=TINY, float_epochs=2, quantized_epochs=2, batch=8, threads=1, accelerator="cpu")


class InterruptedRunError(Exception):
    """Stands for whatever ends a process."""


def quiet(_: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def finished(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("train") / "run"
    train(QUICK, shop, run, test=shop, say=quiet)
    return run


def same_weights(one: Path, other: Path) -> bool:
    first, second = load(one).state_dict(), load(other).state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_a_run_leaves_what_the_next_steps_read(finished: Path, shop: Path) -> None:
    assert {file.name for file in finished.iterdir()} == {
        "config.toml", "float.pt", "checkpoint.pt", "threshold.json", "metrics.json",
    }  # fmt: skip
    assert load(finished / "checkpoint.pt").config.precision == "w4a4"
    assert load(finished / "float.pt").config.precision == "float"
    metrics = train(QUICK, shop, finished, say=quiet)  # finished: returns the figures it has
    assert metrics["quantized"]["test"]["clips"] == 30
    assert set(metrics) == {"float", "quantized"}


@pytest.mark.parametrize("moment", ["float epoch 1/2", "float epoch 2/2", "quantized epoch 1/2"])
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    moment: str, finished: Path, shop: Path, tmp_path: Path
) -> None:
    def stop(message: str) -> None:
        if message.startswith(moment):
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        train(QUICK, shop, tmp_path / "run", say=stop)
    assert not (tmp_path / "run" / "checkpoint.pt").exists()
    train(QUICK, shop, tmp_path / "run", say=quiet)
    for name in ("float.pt", "checkpoint.pt"):
        assert same_weights(tmp_path / "run" / name, finished / name)


def test_another_seed_is_another_network(finished: Path, shop: Path, tmp_path: Path) -> None:
    train(
        QUICK.override({"seed": 1, "float_epochs": 1, "quantized_epochs": 1}, {}), shop, tmp_path, say=quiet
    )
    assert not same_weights(tmp_path / "checkpoint.pt", finished / "checkpoint.pt")


def test_a_run_of_other_options_is_not_overwritten(finished: Path, shop: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"run: was trained with other options or clips .*; choose another folder"
    ):
        train(QUICK.override({"batch": 4}, {}), shop, finished, say=quiet)
    shutil.copytree(shop, tmp_path / "others")
    with pytest.raises(UsageError, match=r"run: was trained with other options or clips"):
        train(QUICK, tmp_path / "others", finished, say=quiet)


def test_clips_without_classes_cannot_be_trained_on(shop: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"take: its clips are not in two or more classes"):
        train(QUICK, shop / "take", tmp_path / "run", say=quiet)


def test_options_survive_the_toml_file(tmp_path: Path) -> None:
    config = QUICK.override({"seed": 4}, {"weight_bits": None, "act_bits": "float"})
    (tmp_path / "config.toml").write_text(config.toml())
    again = TrainConfig.read(tmp_path / "config.toml")
    assert again.toml() == config.toml()
    assert again.seed == 4
    assert again.network["act_bits"] == "float"


def test_odd_options_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^float_epochs=0: .*greater than or equal to 1"):
        TrainConfig(float_epochs=0)
    with pytest.raises(UsageError, match=r"^epochs=3: Extra inputs are not permitted"):
        TrainConfig(epochs=3)
    (tmp_path / "bad.toml").write_text("seed = ")
    with pytest.raises(UsageError, match=r"bad\.toml: not a readable TOML file"):
        TrainConfig.read(tmp_path / "bad.toml")


def test_a_source_is_on_one_side_of_the_split(shop: Path) -> None:
    fitting, held_out = split(find_clips(shop), 0.25, 0, shop)
    assert len(fitting) + len(held_out) == 30
    assert not {clip.source for clip in fitting} & {clip.source for clip in held_out}
    assert len({clip.source for clip in held_out}) == 6
    assert split(find_clips(shop), 0.25, 1, shop)[1] != held_out
    with pytest.raises(UsageError, match="all clips are of one source"):
        split([Clip(Path("a"), "x", "s"), Clip(Path("b"), "y", "s")], 0.5, 0, shop)


def test_augmentation_keeps_pixels_whole_and_treats_a_clip_alike() -> None:
    still = torch.randint(0, 256, (3, 1, 16, 16, 3), dtype=torch.uint8).expand(3, 4, 16, 16, 3)
    varied = augment(still, 3, torch.Generator().manual_seed(0))
    assert varied.shape == (12, 3, 16, 16)
    assert torch.equal(varied * 256, (varied * 256).round().clamp(0, 255))
    frames = varied.unflatten(0, (3, 4))
    assert torch.equal(frames, frames[:, :1].expand_as(frames))
    plain = still.flatten(0, 1).permute(0, 3, 1, 2) / 256
    assert not torch.equal(varied, plain)
