# SPDX-License-Identifier: Apache-2.0
"""Training: reproducible, continued after an interruption, and refused where it would mix things up."""

import csv
import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from framegate.errors import FramegateError, UsageError
from framegate.quant.clips.layouts import find_clips
from framegate.quant.measures.predict import clip_logits
from framegate.quant.networks.checkpoint import Network, NetworkConfig, load
from framegate.quant.training import train as train_module
from framegate.quant.training.crossval import cross_validate
from framegate.quant.training.fit import class_weights
from framegate.quant.training.recipe import Recipe
from framegate.quant.training.train import train

TINY = {"size": 16, "frames": 4, "widths": (8, 8, 16), "strides": (2, 2, 2), "positive": "conceal"}
QUICK = Recipe(network=TINY, float_epochs=2, quantized_epochs=2, batch=8, threads=1, accelerator="cpu")


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
        "config.toml", "float.pt", "checkpoint.pt", "threshold.json", "metrics.json", "logs",
    }  # fmt: skip
    assert load(finished / "checkpoint.pt").config.precision == "w4a4"
    assert load(finished / "float.pt").config.precision == "float"
    metrics = train(QUICK, shop, finished, say=quiet)  # finished: returns the figures it has
    assert metrics["quantized"]["test"]["clips"] == 20
    assert set(metrics) == {"float", "quantized"}


@pytest.mark.parametrize(
    "moment", ["float epoch 1/2", pytest.param("float epoch 2/2", marks=pytest.mark.slow), "w4a4 epoch 1/2"]
)
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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "gone.h5"}, r"gone\.h5: "),
        ({"inflate": "gone.pt"}, r"gone\.pt: cannot be read"),
        ({"weights": "a" * 6000}, "cannot be read"),
        ({"validation": 0.9}, r"share=0\.9: "),
    ],
)
def test_a_run_that_failed_before_it_trained_may_be_tried_again_with_other_options(
    options: dict, message: str, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=message):
        train(QUICK.override(options, {}), shop, tmp_path / "run", say=quiet)

    def reached(*_: object, **__: object) -> None:
        raise InterruptedRunError

    monkeypatch.setattr(train_module, "fit", reached)
    with pytest.raises(InterruptedRunError):
        train(QUICK, shop, tmp_path / "run", say=quiet)
    assert QUICK.toml() in (tmp_path / "run" / "config.toml").read_text()


@pytest.mark.parametrize(
    "left", ["float.pt", ".resume/float.ckpt", "fold2/w4a4.pt", "fold1/.resume/float.ckpt"]
)
def test_what_was_trained_keeps_its_folder(left: str, tmp_path: Path) -> None:
    train_module.claim(tmp_path, "one")
    train_module.claim(tmp_path, "another")
    (tmp_path / left).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / left).touch()
    train_module.claim(tmp_path, "another")
    with pytest.raises(UsageError, match="was trained with other options"):
        train_module.claim(tmp_path, "one")


def test_clips_without_classes_cannot_be_trained_on(shop: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"take: its clips are not in two or more classes"):
        train(QUICK, shop / "take", tmp_path / "run", say=quiet)


def test_options_survive_the_toml_file(tmp_path: Path) -> None:
    config = QUICK.override({"seed": 4}, {"weight_bits": None, "act_bits": "float"})
    (tmp_path / "config.toml").write_text(config.toml())
    again = Recipe.read(tmp_path / "config.toml")
    assert again.toml() == config.toml()
    assert again.seed == 4
    assert again.network["act_bits"] == "float"


def test_odd_options_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^float_epochs=0: .*greater than or equal to 1"):
        Recipe(float_epochs=0)
    with pytest.raises(UsageError, match=r"^epochs=3: Extra inputs are not permitted"):
        Recipe(epochs=3)
    (tmp_path / "bad.toml").write_text("seed = ")
    with pytest.raises(UsageError, match=r"bad\.toml: not a readable TOML file"):
        Recipe.read(tmp_path / "bad.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batch = 0", r"mine\.toml: batch=0: .*greater than or equal to 1"),
        ("epochs = 3", r"mine\.toml: epochs=3: Extra inputs are not permitted"),
        ('weights = "a"\ninflate = "b"', r"mine\.toml: weights=a and inflate=b both say where to start"),
        ("[augment]\nflip = 2", r"mine\.toml: flip=2: "),
        ("float_rate = inf", r"mine\.toml: float_rate=inf: "),
        ("network = 3", r"mine\.toml: network=3: "),
        ("a = " + "[" * 9000, r"mine\.toml: not a readable TOML file"),
        ("[network]\nsize = 7", r"size=7: .*the recipe is .*mine\.toml\)$"),
        ("[network]\nwidths = [8, 1000000]", r"widths\.1=1000000: .*the recipe is .*mine\.toml\)$"),
        ('[network]\ntransform = "best"', r"preset='best' is not .*the recipe is .*mine\.toml\)$"),
        ("[network]\nalpha = 0.25", r"alpha=0\.25 is not of tsm-lite .*the recipe is .*mine\.toml\)$"),
    ],
)
def test_a_wrong_recipe_is_named_with_its_file(text: str, message: str, shop: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        train(Recipe.find(str(tmp_path / "mine.toml")).override({"batch": 2}, {}), shop, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["gone.toml", "a" * 6000 + ".toml", "a\0.toml", "."])
def test_a_recipe_that_cannot_be_read_is_one_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a readable TOML file") as caught:
        Recipe.read(tmp_path / name)
    assert len(str(caught.value)) < 1000


def independent(**network: object) -> Recipe:
    """A recipe of one class that a clip has or not."""
    shape = {**TINY, "classes": ("conceal",), "labels": "independent"} | network
    return QUICK.override({"average": 0.9, "distillation": 0.5}, shape)


@pytest.fixture(scope="module")
def binary(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shop as a list of clips that conceal (1) or not (0)."""
    folder = tmp_path_factory.mktemp("binary")
    rows = [
        f"{clip.path},{int(clip.label == 'conceal')},{clip.source}"
        for clip in find_clips(shop)
        if clip.label in ("conceal", "take")
    ]
    (folder / "clips.csv").write_text("path,label,source\n" + "\n".join(rows))
    return folder


@pytest.fixture(scope="module")
def alarm(binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of averages, dropout and a teacher."""
    run = tmp_path_factory.mktemp("alarm") / "run"
    train(independent(dropout=0.5), binary, run, test=binary, say=quiet)
    return run


@pytest.mark.parametrize(
    "moment", [pytest.param("float epoch 1/2", marks=pytest.mark.slow), "w4a4 epoch 1/2"]
)
def test_averages_dropout_and_teacher_survive_an_interruption(
    moment: str, alarm: Path, binary: Path, tmp_path: Path
) -> None:
    recipe = independent(dropout=0.5)

    def stop(message: str) -> None:
        if message.startswith(moment):
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        train(recipe, binary, tmp_path / "run", say=stop)
    train(recipe, binary, tmp_path / "run", say=quiet)
    for name in ("float.pt", "checkpoint.pt"):
        assert same_weights(tmp_path / "run" / name, alarm / name)


def test_the_same_seed_writes_the_same_file(alarm: Path, binary: Path, tmp_path: Path) -> None:
    train(independent(dropout=0.5), binary, tmp_path, say=quiet)
    one, two = ((run / "checkpoint.pt").read_bytes() for run in (alarm, tmp_path))
    assert hashlib.sha256(one).digest() == hashlib.sha256(two).digest()


def test_the_alarm_of_an_independent_class_gets_a_threshold(alarm: Path) -> None:
    assert json.loads((alarm / "threshold.json").read_text())["positive"] == "conceal"
    metrics = json.loads((alarm / "metrics.json").read_text())
    assert metrics["quantized"]["test"]["clips"] == 8
    assert load(alarm / "checkpoint.pt").config.classes == ("conceal",)


def test_a_loss_that_is_no_number_stops_with_its_clips(binary: Path, tmp_path: Path) -> None:
    recipe = independent().override({"float_rate": 1e30, "float_epochs": 8}, {})
    with pytest.raises(
        FramegateError, match=r"float epoch \d: the loss became \w+ in the batch of .*\.mp4, .*lower"
    ):
        train(recipe, binary, tmp_path / "run", say=quiet)
    assert not (tmp_path / "run" / "float.pt").exists()


def test_a_frozen_backbone_stays_as_it_was(binary: Path, tmp_path: Path) -> None:
    recipe = Recipe.find("course").override(
        {"weights": None, "batch": 4, "float_epochs": 1, "quantized_epochs": 1, "threads": 1, "freeze": True},
        {"name": "tsm-lite", "head_hidden": (8,), "positive": "conceal", "classes": ("conceal",)}
        | {key: TINY[key] for key in ("size", "frames", "widths", "strides")},
    )
    recipe = recipe.model_copy(update={"weights": None})
    before = {}

    def start(network: Network) -> None:
        before.update({key: value.clone() for key, value in network.state_dict().items()})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_module, "Network", watched(start))
        train(recipe, binary, tmp_path / "run", say=quiet)
    after = load(tmp_path / "run" / "float.pt").state_dict()
    moved = {key.split(".")[0] for key in after if not torch.equal(before[key], after[key])}
    assert moved == {"hidden", "head"} or moved == {"hidden", "head", "head_bias"}


def watched(start: Callable[[Network], None]) -> Callable[[NetworkConfig], Network]:
    """A Network that shows its first float instance to `start`."""
    seen = []

    def make(config: NetworkConfig) -> Network:
        network = Network(config)
        if not seen:
            seen.append(network)
            start(network)
        return network

    return make


def test_training_stops_when_the_score_does_not_rise(binary: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    recipe = independent().override(
        {"patience": 1, "float_epochs": 30, "float_rate": 1e-12, "average": 0.0, "validation": 0.3}, {}
    )
    train(recipe, binary, tmp_path / "run", say=lines.append)
    epochs = [line for line in lines if line.startswith("float epoch")]
    assert len(epochs) < 30
    assert "validation AUC" in epochs[0]


def test_rare_classes_weigh_more() -> None:
    assert class_weights(torch.tensor([0, 0, 0, 1]), 2).tolist() == pytest.approx([2 / 3, 2.0])
    assert class_weights(torch.tensor([[1.0], [0.0], [0.0], [0.0]]), 1).tolist() == [3.0]


def test_folds_are_scored_by_networks_that_have_not_seen_them(binary: Path, tmp_path: Path) -> None:
    recipe = independent().override({"quantized_epochs": 1, "float_epochs": 1}, {})
    table = cross_validate(recipe, binary, tmp_path / "folds", 2, ("float", "4"), 1, quiet)
    assert [row["bits"] for row in table["rows"]] == ["float", "4"]
    assert table["clips"] == 8
    low, high = table["rows"][1]["auc"]["interval"]
    assert low <= table["rows"][1]["auc"]["value"] <= high
    rows = list(csv.DictReader((tmp_path / "folds" / "scores.csv").open()))
    assert len({row["path"] for row in rows}) == 8
    folds = defaultdict(set)
    for row in rows:
        folds[row["source"]].add(row["fold"])
    assert all(len(where) == 1 for where in folds.values())
    assert (tmp_path / "folds" / "errors-4.png").is_file()
    network = load(tmp_path / "folds" / "fold1" / "w4a4.pt")
    scored = next(row for row in rows if row["fold"] == "1")
    clip = next(clip for clip in find_clips(binary) if str(clip.path) == scored["path"])
    assert float(scored["score_4"]) == clip_logits(network, [clip])[0, 0].item()
    again = cross_validate(recipe, binary, tmp_path / "folds", 2, ("float", "4"), 1, quiet)
    assert again == table


def test_recipes_come_with_the_package(tmp_path: Path) -> None:
    assert Recipe.find("course").freeze
    assert Recipe.find("shoplifting").network["name"] == "tsm-mobilenet"
    with pytest.raises(
        UsageError, match=r"recipe 'best' does not come with framegate; choose one of \['course'"
    ):
        Recipe.find("best")
    (tmp_path / "mine.toml").write_text(Recipe.find("shoplifting").toml())
    assert Recipe.find(str(tmp_path / "mine.toml")).toml() == Recipe.find("shoplifting").toml()
