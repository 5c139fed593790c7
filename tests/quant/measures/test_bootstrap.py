# SPDX-License-Identifier: Apache-2.0
"""Figures of all draws at once against scikit-learn's, one draw after the other."""

import numpy as np
import pytest
from framegate.quant.measures.bootstrap import Resample, fbeta, interval, rates
from sklearn import metrics


def alarm(seed: int) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Scores with many ties, truth, and sources of unequal size."""
    rng = np.random.default_rng(seed)
    truth = rng.random(40) < 0.3
    return np.round(rng.normal(size=40) + truth, 1), truth, [f"s{n}" for n in rng.integers(0, 8, 40)]


@pytest.mark.parametrize("seed", range(5))
def test_every_draw_is_what_scikit_learn_gives_with_sample_weights(seed: int) -> None:
    scores, truth, sources = alarm(seed)
    drawn = Resample.of(sources, draws=50, seed=seed)
    auc, precision, counts = (
        drawn.auc(scores, truth),
        drawn.average_precision(scores, truth),
        drawn.counts(scores >= 0.2, truth),
    )
    found = rates(counts)
    for draw, weights in enumerate(drawn.weights):
        if not drawn.whole(truth)[draw]:
            assert np.isnan(auc[draw])
            assert np.isnan(precision[draw])
            continue
        many = {"sample_weight": weights}
        assert auc[draw] == pytest.approx(metrics.roc_auc_score(truth, scores, **many))
        assert precision[draw] == pytest.approx(metrics.average_precision_score(truth, scores, **many))
        raised = scores >= 0.2
        assert found["f1"][draw] == pytest.approx(metrics.f1_score(truth, raised, **many, zero_division=0))
        assert found["recall"][draw] == pytest.approx(metrics.recall_score(truth, raised, **many))
        assert found["precision_score"][draw] == pytest.approx(
            metrics.precision_score(truth, raised, **many, zero_division=0)
        )
        assert found["accuracy"][draw] == pytest.approx(metrics.accuracy_score(truth, raised, **many))
        assert fbeta(counts, 2)[draw] == pytest.approx(
            metrics.fbeta_score(truth, raised, beta=2, **many, zero_division=0)
        )


def test_clips_of_a_source_are_drawn_together_and_as_many_sources_as_there_are() -> None:
    sources = ["a", "b", "a", "c", "b", "a"]
    drawn = Resample.of(sources, draws=200)
    for clip, other in ((0, 2), (0, 5), (1, 4)):
        assert np.array_equal(drawn.weights[:, clip], drawn.weights[:, other])
    assert drawn.sources == 3
    assert (drawn.weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert len(np.unique(drawn.weights, axis=0)) == 10, "every way to draw three of three"


def test_alike_clips_of_few_sources_make_the_interval_wide() -> None:
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random(10) < 0.7, 20).astype(float)
    by_source = interval(Resample.of([str(n // 20) for n in range(200)]).mean(right))
    by_clip = interval(Resample.of([str(n) for n in range(200)]).mean(right))
    assert by_source is not None
    assert by_clip is not None
    assert by_source[1] - by_source[0] > 3 * (by_clip[1] - by_clip[0])


def test_an_interval_leaves_out_draws_without_a_figure() -> None:
    assert interval(np.array([np.nan, 1.0, 2.0, 3.0])) == pytest.approx([1.05, 2.95])
    assert interval(np.full(3, np.nan)) is None
