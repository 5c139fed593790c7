# SPDX-License-Identifier: Apache-2.0
"""Figures of random networks on random clips against scikit-learn's, and thresholds against trying each of them."""

import math
from pathlib import Path

import numpy as np
import pytest
from framegate.errors import UsageError
from framegate.quant.clips.video import Clip
from framegate.quant.measures import bootstrap
from framegate.quant.measures.alarm_threshold import Choice, Rule, choose, logit_of, sweep
from framegate.quant.measures.bootstrap import Resample, fbeta, interval, rates
from framegate.quant.measures.labels import alarm_cases, alarm_truth, class_targets
from framegate.quant.measures.metrics import binary_figures, class_scores, scores
from framegate.quant.networks.checkpoint import NetworkConfig
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics

from tests.conftest import FIXED_SEED

CLASSES = ("a", "b", "c", "d", "e", "f", "g")
# Scores with ties, and the truth of each clip.
CASES = st.lists(st.tuples(st.integers(-6, 6), st.booleans()), min_size=2, max_size=30)


def network(classes: int, **options: object) -> NetworkConfig:
    return NetworkConfig(classes=CLASSES[:classes], **options)  # type: ignore[arg-type]


@settings(FIXED_SEED, max_examples=12)
@given(classes=st.integers(2, 7), clips=st.integers(8, 40), seed=st.integers(0, 999))
def test_figures_of_classes(classes: int, clips: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    targets = np.concatenate([np.arange(classes), rng.integers(0, classes, clips)])
    values = np.round(rng.normal(size=(len(targets), classes)) + np.eye(classes)[targets], 2)
    found, said = scores(values, targets, network(classes)), values.argmax(1)
    assert found["accuracy"] == found["top1"] == pytest.approx(metrics.accuracy_score(targets, said))
    assert found["confusion"] == metrics.confusion_matrix(targets, said, labels=range(classes)).tolist()
    plain = {"average": "macro", "labels": list(range(classes)), "zero_division": 0}
    assert found["f1"] == pytest.approx(metrics.f1_score(targets, said, **plain))
    assert found["recall"] == pytest.approx(metrics.recall_score(targets, said, **plain))
    assert found["precision_score"] == pytest.approx(metrics.precision_score(targets, said, **plain))
    if classes > 5:
        best = metrics.top_k_accuracy_score(targets, values, k=5, labels=range(classes))
        assert found["top5"] == pytest.approx(best)
    else:
        assert found["top5"] == 1
    margins = class_scores(values, network(classes))
    each = [metrics.roc_auc_score(targets == k, margins[:, k]) for k in range(classes)]
    assert found["auc"] == pytest.approx(np.mean(each))


@settings(FIXED_SEED, max_examples=25)
@given(classes=st.integers(2, 5), clips=st.integers(4, 30), seed=st.integers(0, 999))
def test_figures_of_independent_classes(classes: int, clips: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.random((clips, classes)) < 0.4
    truth[0], truth[1] = True, False
    values = rng.normal(size=truth.shape) + truth
    limits = {name: Choice(float(rng.normal())) for name in CLASSES[:classes]}
    said = values >= [limits[name].logit for name in CLASSES[:classes]]
    found = scores(values, truth, network(classes, labels="independent"), limits)
    assert found["accuracy"] == pytest.approx((said == truth).mean())
    assert found["exact_match"] == pytest.approx(metrics.accuracy_score(truth, said))
    assert found["confusion"] is None
    matrices = metrics.multilabel_confusion_matrix(truth, said)
    for k, name in enumerate(CLASSES[:classes]):
        entry = found["per_class"][name]
        assert entry["confusion"] == matrices[k].tolist()
        assert entry["threshold"] == pytest.approx(1 / (1 + math.exp(-limits[name].logit)))
        assert entry["auc"] == pytest.approx(metrics.roc_auc_score(truth[:, k], values[:, k]))


@settings(FIXED_SEED, max_examples=60)
@given(cases=CASES, threshold=st.integers(-7, 7))
def test_figures_of_an_alarm(cases: list[tuple[int, bool]], threshold: int) -> None:
    values, truth = np.array([case[0] for case in cases], float), np.array([case[1] for case in cases])
    found, raised = binary_figures(values, truth, None, threshold), values >= threshold
    assert found["confusion"] == metrics.confusion_matrix(truth, raised, labels=[False, True]).tolist()
    assert found["f1"]["value"] == pytest.approx(metrics.f1_score(truth, raised, zero_division=0))
    assert found["accuracy"]["value"] == pytest.approx((truth == raised).mean())
    quiet = (~truth).sum()
    assert found["specificity"]["value"] == pytest.approx((~raised & ~truth).sum() / quiet if quiet else 0)
    if truth.all() or not truth.any():
        assert found["auc"]["value"] is None
    else:
        pairs = [(p > n) + (p == n) / 2 for p in values[truth] for n in values[~truth]]
        assert found["auc"]["value"] == pytest.approx(np.mean(pairs)), "the share of pairs in the right order"
    assert all(entry["interval"] is None for entry in found.values() if isinstance(entry, dict))


@settings(FIXED_SEED, max_examples=60)
@given(cases=CASES, beta=st.sampled_from([0.5, 1.0, 2.0]))
def test_no_threshold_is_better_than_the_chosen(cases: list[tuple[int, bool]], beta: float) -> None:
    values, truth = np.array([case[0] for case in cases], float), np.array([case[1] for case in cases])
    assume(truth.any() and not truth.all())
    found = choose(sweep(values, truth), Rule(beta=beta))
    reached = metrics.fbeta_score(truth, values >= found.logit, beta=beta, zero_division=0)
    best = 0.0
    for limit in {value + step for value in values for step in (-0.5, 0, 0.5)}:
        hit, wrong = ((values >= limit) & truth).sum(), ((values >= limit) != truth).sum()
        missed = (~(values >= limit) & truth).sum()
        best = max(best, (1 + beta**2) * hit / ((1 + beta**2) * hit + wrong - missed + beta**2 * missed))
    assert reached == pytest.approx(best)
    assert found.reached[f"f{beta:g}"] == pytest.approx(best)


@settings(FIXED_SEED, max_examples=60)
@given(cases=CASES, promised=st.sampled_from([0.25, 0.5, 0.9, 1.0]))
def test_a_promised_recall_costs_the_fewest_false_alarms(
    cases: list[tuple[int, bool]], promised: float
) -> None:
    values, truth = np.array([case[0] for case in cases], float), np.array([case[1] for case in cases])
    assume(truth.any() and not truth.all())
    found = choose(sweep(values, truth), Rule(min_recall=promised))
    raised = values >= found.logit
    assert raised[truth].mean() >= promised
    kept = [limit for limit in values if (values >= limit)[truth].mean() >= promised]
    assert (raised & ~truth).sum() == min(((values >= limit) & ~truth).sum() for limit in kept)


@settings(FIXED_SEED, max_examples=60)
@given(cases=CASES, most=st.sampled_from([0.0, 30.0, 120.0, 1e6]))
def test_a_promise_of_few_false_alarms_finds_the_most(cases: list[tuple[int, bool]], most: float) -> None:
    values, truth = np.array([case[0] for case in cases], float), np.array([case[1] for case in cases])
    assume(truth.any() and not truth.all())
    hours = (~truth).sum() * 60 / 3600  # of clips of a minute
    within = [limit for limit in values if ((values >= limit) & ~truth).sum() / hours <= most]
    best = max(((values >= limit) & truth).sum() for limit in within) if within else 0
    swept, rule = sweep(values, truth, [60.0] * len(values)), Rule(max_false_alarms=most)
    if not best:
        with pytest.raises(UsageError, match="not reachable"):
            choose(swept, rule)
        return
    found = choose(swept, rule)
    raised = values >= found.logit
    assert (raised & ~truth).sum() / hours <= most
    assert (raised & truth).sum() == best


@settings(FIXED_SEED, max_examples=40)
@given(counts=st.tuples(*[st.integers(0, 20)] * 4), beta=st.sampled_from([0.5, 1.0, 3.0]))
def test_rates_from_counts(counts: tuple[int, int, int, int], beta: float) -> None:
    hit, false, missed, quiet = counts
    assume(sum(counts))
    found = {name: float(values) for name, values in rates(np.array(counts, float)).items()}
    assert found["recall"] == pytest.approx(hit / (hit + missed) if hit + missed else 0)
    assert found["precision_score"] == pytest.approx(hit / (hit + false) if hit + false else 0)
    assert found["specificity"] == pytest.approx(quiet / (quiet + false) if quiet + false else 0)
    assert found["accuracy"] == pytest.approx((hit + quiet) / sum(counts))
    below = beta**2 * found["precision_score"] + found["recall"]
    expected = (1 + beta**2) * found["precision_score"] * found["recall"] / below if below else 0
    assert float(fbeta(np.array(counts, float), beta)) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_draws_are_of_the_seed_and_hold_the_figure(seed: int) -> None:
    sources = [f"s{n // 3}" for n in range(30)]
    one, same, other = (Resample.of(sources, 50, s).weights for s in (seed, seed, seed + 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert (one.sum(axis=1) == 30).all(), "as many clips, where all sources have as many"
    right = np.random.default_rng(seed).random(30)
    low, high = interval(Resample.of(sources, 400, seed).mean(right)) or (1, 0)
    assert low < right.mean() < high
    assert bootstrap.LEVEL == 0.95


def clips(*labels: tuple[str, ...] | None) -> list[Clip]:
    return [Clip(Path(f"{n}.mp4"), label, str(n)) for n, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("labels", "positive", "expected"),
    [
        ([("0",), ("1",)], "a", [False, True]),
        ([("1",), ("1",)], "b", [True, True]),
        ([("0",), ("1",)], None, None),  # no alarm
        ([("a",), ("1",)], "a", None),  # names beside numbers
        ([("0",), None], "a", None),  # one without
    ],
)
def test_labels_0_and_1_are_the_alarm_s(labels: list, positive: str | None, expected: list | None) -> None:
    found = alarm_truth(clips(*labels), network(3, positive=positive))
    assert (None if found is None else found.tolist()) == expected


def test_targets_are_places_or_rows() -> None:
    assert class_targets(clips(("b",), ("a",)), network(3)).tolist() == [1, 0]  # type: ignore[union-attr]
    assert class_targets(clips(None, None), network(3)) is None
    rows = class_targets(clips(("b", "a"), (), ("normal",)), network(3, labels="independent"))
    assert rows is not None
    assert rows.tolist() == [[True, True, False], [False] * 3, [False] * 3]
    with pytest.raises(UsageError, match=r"the network knows \['a', 'b', 'c'\].*; rename the class folders"):
        class_targets(clips(("z",)), network(3))


def test_cases_of_alarms_are_of_those_that_the_network_has() -> None:
    values = np.array([[3.0, 1.0, 0.0], [0.0, 1.0, 5.0]])
    found = alarm_cases(values, clips(("c",), ("a",)), network(3, positive="c"))
    assert list(found) == ["c"]
    assert found["c"][0].tolist() == [-3.0, 4.0]
    assert found["c"][1].tolist() == [True, False]
    every = alarm_cases(values, clips(("c",), ("a",)), network(3, labels="independent"))
    assert list(every) == ["a", "b", "c"]
    with pytest.raises(UsageError, match="have no labels; put them into"):
        alarm_cases(values, clips(None, None), network(3, positive="c"))


@settings(FIXED_SEED, max_examples=40)
@given(st.floats(1e-9, 1 - 1e-9))
def test_a_probability_and_back(probability: float) -> None:
    assert Choice(logit_of(probability)).probability == pytest.approx(probability, rel=1e-6)
