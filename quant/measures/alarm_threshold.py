# SPDX-License-Identifier: Apache-2.0
"""Where the alarm begins: the sweep over all thresholds, the choice of one, and the file that keeps it.

The alarm score of a clip is a logit. With independent labels it is the class's own; else it is how far the class
is above the best other one. Thresholds are logits too; the probability is their sigmoid, for people.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from framegate.errors import UsageError
from framegate.files import read_json, write_json
from framegate.quant.measures import bootstrap
from framegate.quant.networks.checkpoint import NetworkConfig, checkpoint_file, model_file

FILE = "threshold.json"  # beside a checkpoint


@dataclass(frozen=True)
class Rule:
    """How a threshold is chosen: the best F-beta, or the best that keeps a promise."""

    beta: float = 1.0
    min_recall: float | None = None
    max_false_alarms: float | None = None  # per hour of video without the positive class

    def __post_init__(self) -> None:
        if self.min_recall is not None and self.max_false_alarms is not None:
            raise UsageError(
                "min_recall and max_false_alarms: a threshold can keep one promise; leave one out"
            )
        if not self.beta > 0:
            raise UsageError(f"beta={self.beta:g}: must be above 0; 1 weighs precision and recall alike")
        if self.min_recall is not None and not 0 < self.min_recall <= 1:
            raise UsageError(f"min_recall={self.min_recall:g}: give a share above 0, at most 1")
        if self.max_false_alarms is not None and not self.max_false_alarms >= 0:
            raise UsageError(
                f"max_false_alarms={self.max_false_alarms:g}: give false alarms per hour, 0 or more"
            )

    def __str__(self) -> str:
        if self.min_recall is not None:
            return f"recall >= {self.min_recall:g}"
        if self.max_false_alarms is not None:
            return f"false alarms per hour <= {self.max_false_alarms:g}"
        return f"best F{self.beta:g}"


@dataclass(frozen=True)
class Choice:
    """A threshold: a clip raises the alarm when its score is at least `logit`."""

    logit: float = 0.0
    chosen_by: str = "default"
    reached: dict[str, float] = field(default_factory=dict)  # on the clips that it was chosen on

    @property
    def probability(self) -> float:
        """The threshold between 0 and 1."""
        return float(0.5 * (1 + math.tanh(self.logit / 2)))


Thresholds = Mapping[str, Choice]  # by class; a class that is not in it has the default


def logit_of(probability: float) -> float:
    """The logit of a probability; infinite at 0 and 1, and beyond them."""
    if probability <= 0 or probability >= 1:
        return -math.inf if probability <= 0 else math.inf
    return math.log(probability / (1 - probability))


@dataclass(frozen=True, eq=False)
class Sweep:
    """What every threshold that makes a difference gives, from the one that nothing reaches to the lowest."""

    logits: np.ndarray  # half-way between two scores
    counts: np.ndarray  # (4, thresholds): true positives, false positives, false negatives, true negatives
    hours: float | None  # of video without the class

    @property
    def rates(self) -> dict[str, np.ndarray]:
        """Precision, recall, F1 … by threshold; see `bootstrap.rates`."""
        return bootstrap.rates(self.counts)

    @property
    def false_alarms(self) -> np.ndarray | None:
        """Per hour; None when the length of the clips is not known."""
        return self.counts[1] / self.hours if self.hours else None

    def at(self, index: int) -> dict[str, float]:
        """The figures of one threshold."""
        found = {name: float(values[index]) for name, values in self.rates.items()}
        if self.false_alarms is not None:
            found["false_alarms_per_hour"] = float(self.false_alarms[index])
        return found


def sweep(scores: np.ndarray, truth: np.ndarray, seconds: Sequence[float] | None = None) -> Sweep:
    """All thresholds for scores (N,), logits, and truth (N,), bool; `seconds` is the length of each clip.

    Raises UsageError when all clips are of one side.
    """
    scores, truth = np.asarray(scores, dtype=np.float64), np.asarray(truth, dtype=bool)
    if truth.all() or not truth.any():
        raise UsageError(
            f"all {len(truth)} clips are {'with' if truth.any() else 'without'} the class of the alarm; a threshold "
            f"needs clips of both sides"
        )
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order], np.cumsum(truth[order])
    ends = np.flatnonzero(np.r_[ranked[1:] != ranked[:-1], True])  # the last clip of each distinct score
    found = np.r_[0, hits[ends]]
    raised = np.r_[0, ends + 1]
    counts = np.stack([found, raised - found, hits[-1] - found, len(truth) - hits[-1] - raised + found])
    upper, lower = ranked[ends], np.r_[ranked[ends[1:]], ranked[-1] - 2]
    between = (upper + lower) / 2
    between = np.where((between > lower) & (between <= upper), between, upper)  # of two neighbouring floats
    hours = None if seconds is None else float(np.asarray(seconds)[~truth].sum()) / 3600
    return Sweep(np.r_[ranked[0] + 1, between], counts.astype(np.float64), hours)


def choose(found: Sweep, rule: Rule) -> Choice:
    """The threshold that follows from `rule`.

    With a promised recall the one with the fewest false alarms, with a promise of few false alarms the one with
    the highest recall; of several with the best F-beta the middle one. Raises UsageError when no threshold keeps
    the promise.
    """
    rates = found.rates
    if rule.min_recall is not None:
        index = int(np.argmax(rates["recall"] >= rule.min_recall))
    elif rule.max_false_alarms is not None:
        index = _few_false_alarms(found, rule.max_false_alarms)
    else:
        score = bootstrap.fbeta(found.counts, rule.beta)
        best = np.flatnonzero(score == score.max())
        index = int(best[len(best) // 2])
    reached = found.at(index)
    if rule.beta != 1:
        reached[f"f{rule.beta:g}"] = float(bootstrap.fbeta(found.counts, rule.beta)[index])
    return Choice(float(found.logits[index]), str(rule), reached)


def _few_false_alarms(found: Sweep, most: float) -> int:
    per_hour = found.false_alarms
    if per_hour is None:
        raise UsageError(
            "max_false_alarms: false alarms per hour need the length of the clips, and some of those without the "
            "class of the alarm; give video files"
        )
    allowed = np.flatnonzero((per_hour <= most) & (found.counts[0] > 0))
    if not len(allowed):
        first = int(np.argmax(found.counts[0] > 0))
        raise UsageError(
            f"max_false_alarms={most:g}: not reachable on these clips; the first right alarm comes with "
            f"{per_hour[first]:.3g} false ones per hour, at a recall of {found.rates['recall'][first]:.3f}; allow as "
            f"many, or train further"
        )
    return int(allowed[np.argmax(found.counts[0][allowed])])  # of equal recall the highest threshold


def save(target: Path, config: NetworkConfig, thresholds: Thresholds) -> Path:
    """Write threshold.json for a network: the alarm's, and with independent labels that of every class."""
    plain: dict[str, Any] = {"positive": config.positive}
    if config.positive is not None:
        plain |= _plain(thresholds.get(config.positive, Choice()))
    if config.labels == "independent":
        plain["classes"] = {name: _plain(thresholds.get(name, Choice())) for name in config.classes}
    return write_json(target, plain)


def _plain(choice: Choice) -> dict[str, Any]:
    return {
        "threshold": choice.probability,
        "logit": choice.logit,
        "chosen_by": choice.chosen_by,
        "reached": choice.reached,
    }


def load(source: Path, config: NetworkConfig) -> dict[str, Choice]:
    """Read threshold.json. Raises UsageError when it is malformed or belongs to a network with another alarm."""
    remedy = "delete it, or choose thresholds with `framegate evaluate --save-threshold`"
    plain = read_json(source, remedy)
    try:
        if plain["positive"] != config.positive:
            raise UsageError(
                f"{source}: is for the alarm {plain['positive']!r}, but the network's is {config.positive!r}; {remedy}"
            )
        entries = dict(plain.get("classes") or {})
        if config.positive is not None:
            entries[config.positive] = plain
        strange = sorted(set(entries) - set(config.classes))
        if strange:
            raise UsageError(f"{source}: {strange[0]!r} is not a class of the network; {remedy}")
        return {name: _choice(entry) for name, entry in entries.items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise UsageError(f"{source}: not thresholds; {remedy}") from None


def _choice(entry: dict[str, Any]) -> Choice:
    logit = float(entry["logit"]) if "logit" in entry else logit_of(float(entry["threshold"]))
    if not math.isfinite(logit):
        raise ValueError(logit)
    return Choice(logit, str(entry.get("chosen_by", "training")), dict(entry.get("reached") or {}))


def alarms_of(config: NetworkConfig) -> tuple[str, ...]:
    """The classes that raise an alarm of their own: all if labels are independent, else the positive one."""
    if config.labels == "independent":
        return config.classes
    return (config.positive,) if config.positive is not None else ()


def constant(config: NetworkConfig, probability: float, chosen_by: str = "given") -> dict[str, Choice]:
    """The same threshold for every alarm of a network."""
    return {name: Choice(logit_of(probability), chosen_by) for name in alarms_of(config)}


def given(text: str, config: NetworkConfig) -> dict[str, Choice]:
    """Thresholds from the command line: a threshold.json, or one probability for every alarm.

    Raises UsageError when it is neither, or the network has no alarm.
    """
    if not alarms_of(config):
        raise UsageError(
            f"--threshold {text}: the network has no alarm; name a positive class when it is trained"
        )
    try:
        probability = float(text)
    except ValueError:
        return load(Path(text), config)
    if not 0 < probability < 1:
        raise UsageError(f"--threshold {text}: give a probability between 0 and 1, or a {FILE}")
    return constant(config, probability)


def file_of(model: str) -> Path:
    """Where the thresholds of a checkpoint file, or of a built-in network, are if there are any."""
    file = model_file(model)
    return file.with_name(FILE) if checkpoint_file(model) else file.with_name(f"{model}.{FILE}")


def of_model(model: str, config: NetworkConfig) -> dict[str, Choice]:
    """The thresholds kept with a model; where there are none the default holds: a probability of 0.5."""
    file = file_of(model)
    return load(file, config) if file.is_file() else {}
