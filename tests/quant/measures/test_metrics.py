# SPDX-License-Identifier: Apache-2.0
"""Figures on logits that can be worked out by hand, and on files."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
import torch
from framegate.errors import UsageError
from framegate.quant.clips.video import Clip
from framegate.quant.measures.alarm_threshold import Choice, Rule
from framegate.quant.measures.evaluate import choose_for, evaluate, figures
from framegate.quant.measures.metrics import alarm_scores, binary_figures, class_scores, scores
from framegate.quant.networks.checkpoint import Network, NetworkConfig


def test_confusion_and_alarm_of_four_clips() -> None:
    config = NetworkConfig(classes=("pay", "look", "steal"), positive="steal")
    values = torch.tensor([[9.0, 0, 0], [0, 0, 9.0], [0, 0, 9.0], [0, 9.0, 0]])
    found = scores(values, torch.tensor([0, 1, 2, 2]), config)
    assert found["accuracy"] == 0.5
    assert found["confusion"] == [[1, 0, 0], [0, 0, 1], [0, 1, 1]]  # rows: truth, columns: prediction
    assert (found["precision_score"], found["recall"], found["f1"]) == (0.5, 0.5, 0.5)
    assert found["auc"] == pytest.approx((0.5 + 1 + 0.5 + 0) / 4, abs=0.13)
    assert found["threshold"] == 0.5


def test_without_a_positive_class_figures_are_means_over_classes() -> None:
    config = NetworkConfig(classes=("a", "b"))
    values = torch.tensor([[2.0, 0], [2.0, 0], [0, 2.0], [2.0, 0]])
    found = scores(values, torch.tensor([0, 0, 1, 1]), config)
    assert found["recall"] == pytest.approx((1 + 0.5) / 2)
    assert found["precision_score"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["auc"] == pytest.approx(0.75)
    assert found["threshold"] is None


@pytest.mark.parametrize("seed", range(4))
def test_an_alarm_score_is_the_distance_to_the_best_other_class(seed: int) -> None:
    values = np.random.default_rng(seed).integers(-3, 4, (200, 4)).astype(np.float32)  # with many ties
    config = NetworkConfig(classes=tuple("abcd"), positive="c")
    expected = values[:, 2] - np.delete(values, 2, axis=1).max(axis=1)
    assert np.array_equal(alarm_scores(torch.from_numpy(values), config), expected)
    assert np.array_equal(class_scores(values, config)[:, 2], expected)


def random_alarm(seed: int, clips: int = 60) -> tuple[np.ndarray, np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    truth = rng.random(clips) < 0.4
    return np.round(rng.normal(size=clips) + truth, 1), truth, [f"s{n}" for n in rng.integers(0, 15, clips)]


def test_figures_of_an_alarm_are_those_of_scikit_learn() -> None:
    values, truth, sources = random_alarm(0)
    found = binary_figures(values, truth, sources, 0.3)
    raised = values >= 0.3
    assert found["auc"]["value"] == sklearn.metrics.roc_auc_score(truth, values)
    assert found["average_precision"]["value"] == sklearn.metrics.average_precision_score(truth, values)
    assert found["f1"]["value"] == sklearn.metrics.f1_score(truth, raised)
    assert found["specificity"]["value"] == (~raised & ~truth).sum() / (~truth).sum()
    assert found["confusion"] == sklearn.metrics.confusion_matrix(truth, raised).tolist()
    for name in ("auc", "average_precision", "f1", "precision_score", "recall", "specificity", "accuracy"):
        low, high = found[name]["interval"]
        assert low < found[name]["value"] < high
    assert (found["clips"], found["sources"], found["draws"]) == (60, len(set(sources)), 1000)
    assert found == binary_figures(values, truth, sources, 0.3), "seeded"
    json.dumps(found)


def test_pooled_folds_have_a_threshold_each() -> None:
    values, truth, sources = random_alarm(1)
    limits = np.where(np.arange(60) < 30, 0.0, 10.0)
    found = binary_figures(values, truth, sources, limits)
    assert found["recall"]["value"] == (truth & (values >= limits)).sum() / truth.sum()
    assert sum(found["confusion"][1]) == truth.sum()


def test_one_side_only_gives_no_auc_but_the_other_figures() -> None:
    found = binary_figures(np.array([1.0, -1.0, 0.5]), np.ones(3, dtype=bool), list("abc"))
    assert found["auc"] == {"value": None, "interval": None}
    assert found["recall"]["value"] == pytest.approx(2 / 3)
    assert found["recall"]["interval"] is not None
    assert found["degenerate"] == 1000


def test_figures_of_each_class_and_their_mean_have_intervals() -> None:
    config = NetworkConfig(classes=("a", "b", "c"))
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 3, 90)
    values = rng.normal(size=(90, 3)) + 1.5 * np.eye(3)[targets]
    found = scores(values, targets, config, sources=[str(n % 30) for n in range(90)])
    assert set(found["per_class"]) == {"a", "b", "c"}
    for k, name in enumerate("abc"):
        entry = found["per_class"][name]
        assert entry["recall"] == pytest.approx(
            ((values.argmax(1) == k) & (targets == k)).sum() / (targets == k).sum()
        )
        assert entry["clips"] == (targets == k).sum()
        assert entry["intervals"]["auc"][0] < entry["auc"] < entry["intervals"]["auc"][1]
    assert (
        found["macro"]["f1"]
        == found["f1"]
        == pytest.approx(sklearn.metrics.f1_score(targets, values.argmax(1), average="macro"))
    )
    low, high = found["intervals"]["auc"]
    assert low < found["auc"] < high
    assert found["intervals"]["accuracy"][0] < found["accuracy"] < found["intervals"]["accuracy"][1]


def test_top_5_of_seven_classes() -> None:
    config = NetworkConfig(classes=tuple("abcdefg"))
    values = -np.arange(7.0)[None].repeat(7, axis=0)
    assert scores(values, np.arange(7), config)["top5"] == pytest.approx(5 / 7)
    assert scores(values, np.arange(7), config)["accuracy"] == pytest.approx(1 / 7)


@pytest.fixture
def named(video: Callable[..., Path]) -> Callable[..., list[Clip]]:
    def make(*labels: str | None) -> list[Clip]:
        return [
            Clip(video(f"{n}.mp4", frames=4 + 5 * n), label and (label,), str(n))
            for n, label in enumerate(labels)
        ]

    return make


def test_evaluation_has_the_promised_keys(tiny: NetworkConfig, named: Callable[..., list[Clip]]) -> None:
    result = evaluate(Network(tiny), named("left", "right"), "mine")
    assert {
        "model",
        "precision",
        "clips",
        "auc",
        "f1",
        "precision_score",
        "recall",
        "accuracy",
        "threshold",
    } <= set(result)
    assert (result["model"], result["precision"], result["clips"]) == ("mine", "w4a4", 2)
    assert [row["label"] for row in result["predictions"]] == ["left", "right"]
    json.dumps(result)


def test_clips_labelled_0_and_1_are_judged_by_the_alarm(
    tiny: NetworkConfig, named: Callable[..., list[Clip]]
) -> None:
    network = Network(tiny.model_copy(update={"positive": "right"}))
    always, never = {"right": Choice(-99.0)}, {"right": Choice(99.0)}
    assert evaluate(network, named("0", "1", "1"), "mine", always)["accuracy"] == pytest.approx(2 / 3)
    assert evaluate(network, named("0", "1", "1"), "mine", never)["accuracy"] == pytest.approx(1 / 3)
    assert [row["alarm"] for row in evaluate(network, named("0", "1"), "mine", always)["predictions"]] == [
        True,
        True,
    ]


def test_clips_without_labels_are_predicted_only(
    tiny: NetworkConfig, named: Callable[..., list[Clip]]
) -> None:
    result = evaluate(Network(tiny), named(None), "mine")
    assert result["accuracy"] is None
    assert result["predictions"][0]["prediction"] in tiny.classes


def test_other_labels_are_refused(tiny: NetworkConfig, named: Callable[..., list[Clip]]) -> None:
    with pytest.raises(
        UsageError, match=r"^classes \['dog', 'left'\]: the network knows \['left', 'middle', 'right'\];"
    ):
        evaluate(Network(tiny), named("left", "dog"), "mine")


def test_several_labels_of_a_clip_need_independent_ones(tiny: NetworkConfig) -> None:
    clips = [Clip(Path("a.mp4"), ("left", "right"), "a")]
    with pytest.raises(
        UsageError, match=r"^a\.mp4: has the labels \['left', 'right'\], the network tells one of"
    ):
        figures(torch.zeros(1, 3), clips, tiny)


def test_a_clip_whose_logits_are_no_numbers_is_named(
    tiny: NetworkConfig, named: Callable[..., list[Clip]]
) -> None:
    network = Network(tiny)
    torch.nn.init.constant_(network.head.weight, float("nan"))
    with pytest.raises(
        UsageError, match=r"0\.mp4: the network gives \[nan, nan, nan\], which are no numbers"
    ):
        evaluate(network, named("left", "right"), "mine")


def test_independent_labels_are_decisions_of_their_own() -> None:
    config = NetworkConfig(classes=("theft", "smoke", "fight"), labels="independent", positive="theft")
    values = torch.tensor([[2.0, -1, -1], [2.0, 3, -1], [-2.0, -1, 0.5], [1.0, -3, -1]])
    clips = [
        Clip(Path(f"{n}.mp4"), labels, str(n))
        for n, labels in enumerate([("theft",), ("theft", "smoke"), (), ("smoke",)])
    ]
    found = figures(values, clips, config, {"theft": Choice(1.5), "fight": Choice(1.0)})
    assert found["accuracy"] == pytest.approx(11 / 12), "smoke of the last clip is missed"
    assert found["exact_match"] == 0.75
    assert (found["recall"], found["precision_score"], found["auc"]) == (1.0, 1.0, 1.0)
    assert found["per_class"]["smoke"]["recall"] == 0.5
    assert found["per_class"]["fight"]["auc"] is None, "no clip of it"
    assert found["macro"]["auc"] is None
    assert found["confusion"] is None
    assert found["threshold"] == pytest.approx(1 / (1 + np.exp(-1.5)))


def test_one_independent_class_takes_labels_0_and_1() -> None:
    config = NetworkConfig(classes=("theft",), labels="independent", positive="theft")
    clips = [Clip(Path(f"{n}.mp4"), (str(n % 2),), str(n)) for n in range(4)]
    found = figures(torch.tensor([[-1.0], [1.0], [0.5], [2.0]]), clips, config)
    assert (found["accuracy"], found["auc"], found["alarm"]["confusion"]) == (0.75, 1.0, [[1, 1], [0, 2]])


def test_clips_with_and_without_labels_do_not_mix(tiny: NetworkConfig) -> None:
    clips = [Clip(Path("a.mp4"), ("left",), "a"), Clip(Path("b.mp4"), None, "b")]
    with pytest.raises(
        UsageError, match=r"^b\.mp4: has no label, other clips have; label all of them or none$"
    ):
        figures(torch.zeros(2, 3), clips, tiny)


def test_thresholds_are_chosen_per_class_and_name_the_one_that_cannot() -> None:
    config = NetworkConfig(classes=("theft", "smoke"), labels="independent")
    clips = [Clip(Path(f"{n}.mp4"), labels, str(n)) for n, labels in enumerate([("theft",), ("smoke",), ()])]
    values = torch.tensor([[2.0, 0], [1.0, 3], [0.0, -3]])
    assert {name: c.logit for name, c in choose_for(values, clips, config, Rule()).items()} == {
        "theft": 1.5,
        "smoke": 1.5,
    }
    with pytest.raises(UsageError, match=r"^threshold of 'smoke': all 1 clips are without the class"):
        choose_for(
            values[:1], clips[:1], NetworkConfig(classes=("smoke", "theft"), labels="independent"), Rule()
        )
