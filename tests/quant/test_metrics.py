# SPDX-License-Identifier: Apache-2.0
"""Figures on logits that can be worked out by hand, and on files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from framegate.errors import UsageError
from framegate.quant.clips import Clip
from framegate.quant.metrics import alarm, best_threshold, evaluate, scores, threshold_beside
from framegate.quant.networks import Network, NetworkConfig


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


def test_auc_needs_both_sides() -> None:
    truth = torch.tensor([True, False, True])
    assert alarm(torch.tensor([0.9, 0.1, 0.4]), truth, 0.5)["auc"] == 1.0
    assert alarm(torch.tensor([0.9, 0.1, 0.4]), torch.ones(3).bool(), 0.5)["auc"] is None


def test_the_best_threshold_lies_between_the_sides() -> None:
    probability = torch.tensor([0.1, 0.2, 0.3, 0.7, 0.8])
    assert best_threshold(probability, probability > 0.5) == pytest.approx(0.5)
    assert best_threshold(probability, probability > 0.25) == pytest.approx(0.25)


def test_a_threshold_beside_the_checkpoint_is_used(tmp_path: Path) -> None:
    assert threshold_beside(tmp_path / "checkpoint.pt") == 0.5
    (tmp_path / "threshold.json").write_text(json.dumps({"threshold": 0.3}))
    assert threshold_beside(tmp_path / "checkpoint.pt") == 0.3


@pytest.fixture
def named(video: Callable[..., Path]) -> Callable[..., list[Clip]]:
    def make(*labels: str | None) -> list[Clip]:
        return [Clip(video(f"{n}.mp4", frames=4 + 5 * n), label, str(n)) for n, label in enumerate(labels)]

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
    assert evaluate(network, named("0", "1", "1"), "mine", threshold=0.0)["accuracy"] == pytest.approx(2 / 3)
    assert evaluate(network, named("0", "1", "1"), "mine", threshold=1.1)["accuracy"] == pytest.approx(1 / 3)


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
