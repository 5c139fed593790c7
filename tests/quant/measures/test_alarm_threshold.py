# SPDX-License-Identifier: Apache-2.0
"""The sweep against counting by hand, the choices by each rule, and the file."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.quant.measures import alarm_threshold
from framegate.quant.measures.alarm_threshold import Choice, Rule, choose, given, load, logit_of, save, sweep
from framegate.quant.networks.checkpoint import NetworkConfig
from hypothesis import assume
from hypothesis import given as drawn
from hypothesis import strategies as st

CONFIG = NetworkConfig(classes=("pay", "look", "steal"), positive="steal")
SCORES = np.array([2.0, 1.0, 0.5, -0.5, -1.0, -3.0])
TRUTH = np.array([True, False, True, True, False, False])
SECONDS = [10.0] * 3 + [10.0, 1200.0, 590.0]  # half an hour of video without the class


@drawn(st.lists(st.tuples(st.floats(-9, 9, width=32), st.booleans()), min_size=2, max_size=30))
def test_every_threshold_counts_the_clips_that_reach_it(clips: list[tuple[float, bool]]) -> None:
    scores, truth = np.array([score for score, _ in clips]), np.array([side for _, side in clips])
    assume(truth.any() and not truth.all())
    found = sweep(scores, truth)
    assert len(found.logits) == len(np.unique(scores)) + 1
    assert (np.diff(found.logits) < 0).all()
    for logit, counts in zip(found.logits, found.counts.T, strict=True):
        raised = scores >= logit
        by_hand = [(raised & truth), (raised & ~truth), (~raised & truth), (~raised & ~truth)]
        assert counts.tolist() == [cell.sum() for cell in by_hand]


def test_best_f_beta_weighs_recall_by_beta() -> None:
    found = sweep(SCORES, TRUTH)
    assert choose(found, Rule()).logit == -0.75  # 3 of 3 with one false alarm
    assert choose(found, Rule(beta=0.1)).logit == 1.5  # 1 of 3 without any
    wide = choose(found, Rule(beta=9))
    assert wide.reached["f9"] == pytest.approx(82 * 3 / (82 * 3 + 1))
    assert wide.chosen_by == "best F9"


def test_among_equals_the_middle_threshold_is_taken() -> None:
    scores = np.array([3.0, 2.0, 0.0])
    assert choose(sweep(scores, np.array([True, True, False])), Rule()).logit == 1.0


def test_a_promised_recall_is_kept_with_the_fewest_false_alarms() -> None:
    found = sweep(SCORES, TRUTH)
    assert choose(found, Rule(min_recall=0.3)).logit == 1.5
    assert choose(found, Rule(min_recall=0.5)).logit == 0.0
    assert choose(found, Rule(min_recall=1)).reached["recall"] == 1


def test_few_false_alarms_per_hour_are_kept_with_the_highest_recall() -> None:
    seconds = [10.0, 600.0, 10.0, 10.0, 1200.0, 1800.0]  # an hour without the class
    found = sweep(SCORES, TRUTH, seconds)
    chosen = choose(found, Rule(max_false_alarms=1))
    assert (chosen.logit, chosen.reached["recall"], chosen.reached["false_alarms_per_hour"]) == (
        -0.75,
        1.0,
        1.0,
    )
    assert choose(found, Rule(max_false_alarms=0.5)).logit == 1.5
    assert choose(sweep(SCORES, TRUTH, SECONDS), Rule(max_false_alarms=2.1)).reached["recall"] == 1


def test_what_cannot_be_kept_says_what_can() -> None:
    scores = np.array([3.0, 2.0, 1.0])
    found = sweep(scores, np.array([False, True, False]), [1800, 10, 1800])
    with pytest.raises(
        UsageError,
        match=r"^max_false_alarms=0\.5: not reachable on these clips; the first right alarm comes with 1 false",
    ):
        choose(found, Rule(max_false_alarms=0.5))
    with pytest.raises(UsageError, match="need the length of the clips"):
        choose(sweep(SCORES, TRUTH), Rule(max_false_alarms=1))
    with pytest.raises(
        UsageError, match=r"^all 3 clips are with the class of the alarm; a threshold needs clips of both"
    ):
        sweep(scores, np.ones(3, dtype=bool))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"beta": 0}, "beta=0: must be above 0"),
        ({"min_recall": 1.1}, r"min_recall=1\.1: give a share above 0, at most 1"),
        ({"max_false_alarms": -1}, "max_false_alarms=-1: give false alarms per hour"),
        ({"min_recall": 1, "max_false_alarms": 1}, "a threshold can keep one promise"),
    ],
)
def test_impossible_rules_are_refused(options: dict[str, float], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Rule(**options)


def test_the_file_keeps_the_logit_exactly(tmp_path: Path) -> None:
    choice = choose(sweep(SCORES / 3, TRUTH, SECONDS), Rule(beta=2))
    file = save(tmp_path / alarm_threshold.FILE, CONFIG, {"steal": choice})
    assert load(file, CONFIG) == {"steal": choice}
    plain = json.loads(file.read_text())
    assert (plain["positive"], plain["chosen_by"]) == ("steal", "best F2")
    assert plain["threshold"] == pytest.approx(1 / (1 + math.exp(-plain["logit"])))


def test_a_file_with_a_probability_only_is_read(tmp_path: Path) -> None:
    file = tmp_path / alarm_threshold.FILE
    file.write_text(json.dumps({"positive": "steal", "threshold": 0.3}))
    assert load(file, CONFIG)["steal"].probability == pytest.approx(0.3)
    assert alarm_threshold.of_model(str(tmp_path / "checkpoint.pt"), CONFIG) == load(file, CONFIG)
    assert alarm_threshold.of_model("tsm-lite", CONFIG) == {}


@pytest.mark.parametrize(
    ("plain", "sentence"),
    [
        ({"positive": "pay", "threshold": 0.3}, "is for the alarm 'pay', but the network's is 'steal'"),
        ({"threshold": 0.3}, "not thresholds; delete it, or choose"),
        ({"positive": "steal", "threshold": 0}, "not thresholds"),
        ({"positive": "steal", "threshold": 0.5, "classes": {"dog": {"logit": 0}}}, "'dog' is not a class"),
    ],
)
def test_a_file_of_another_network_is_refused(plain: dict, sentence: str, tmp_path: Path) -> None:
    (tmp_path / alarm_threshold.FILE).write_text(json.dumps(plain))
    with pytest.raises(UsageError, match=rf"threshold\.json: {sentence}"):
        load(tmp_path / alarm_threshold.FILE, CONFIG)


def test_a_threshold_may_be_given_as_a_probability_or_a_file(tmp_path: Path) -> None:
    assert given("0.5", CONFIG)["steal"].logit == 0
    file = save(tmp_path / "mine.json", CONFIG, {"steal": Choice(1.25)})
    assert given(str(file), CONFIG)["steal"].logit == 1.25
    for text, sentence in {"1": "give a probability between 0 and 1", "gone.json": "not there"}.items():
        with pytest.raises(UsageError, match=sentence):
            given(text, CONFIG)
    with pytest.raises(
        UsageError, match=r"--threshold 0\.5: the network has no alarm; name a positive class"
    ):
        given("0.5", NetworkConfig(classes=("a", "b")))


@drawn(st.floats(1e-6, 1 - 1e-6))
def test_probability_and_logit_are_inverse(probability: float) -> None:
    assert Choice(logit_of(probability)).probability == pytest.approx(probability)
