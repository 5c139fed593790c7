# SPDX-License-Identifier: Apache-2.0
"""A training run: a float network, then the quantized one from its weights. An interrupted run continues."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from framegate.errors import UsageError
from framegate.files import read_json, write_json, write_text
from framegate.quant.clips.duplicates import one_source_per_scene
from framegate.quant.clips.layouts import NORMAL, find_clips
from framegate.quant.clips.splits import hold_out
from framegate.quant.clips.usable import in_two_classes, labels_of, readable, require_classes
from framegate.quant.clips.video import Clip, wide_frames
from framegate.quant.measures import alarm_threshold
from framegate.quant.measures.evaluate import report
from framegate.quant.measures.labels import alarm_cases, class_targets
from framegate.quant.measures.predict import clip_logits
from framegate.quant.networks.checkpoint import Network, NetworkConfig, load, save, start_from
from framegate.quant.training.fit import Examples, Phase, Say, calibrate, fit, threads
from framegate.quant.training.prune import prune, require_prunable
from framegate.quant.training.recipe import Recipe
from framegate.quant.training.weights import inflate, load_pretrained


def train(
    recipe: Recipe, clips: Path, run: Path, test: Path | None = None, say: Say = print
) -> dict[str, Any]:
    """Train on the labelled `clips`; return the figures of the float and the quantized network.

    Writes config.toml, float.pt, checkpoint.pt, alarm_threshold.json, metrics.json and logs/ to `run`. An interrupted
    run continues after its last whole epoch; a finished one just returns its figures. These are, per precision,
    those on the validation clips and, when given, on the `test` clips.
    Raises UsageError when `run` belongs to other options, and as `find_clips` and `readable` do.
    """
    found = find_clips(clips, source=recipe.source, only=recipe.only)
    goal = network_config(recipe, found, clips)
    claim(run, f"# clips: {clips.resolve()}\n{recipe.toml()}")
    if (run / "metrics.json").is_file():
        say(f"{run}: already trained with these options")
        return read_json(run / "metrics.json", "delete it and train again")
    found = usable(found, goal, run / ".clips", say)
    fitting, held_out = hold_out(found, recipe.validation, recipe.seed) if recipe.validation else (found, [])
    say(f"{len(fitting)} clips to train on, {len(held_out)} to validate, classes {', '.join(goal.classes)}")
    with threads(recipe.threads):
        examples = examples_of(fitting, goal, run / ".clips")
        validation = examples_of(held_out, goal, run / ".clips") if held_out else None
        baseline = float_network(recipe, goal, examples, validation, run, say)
        network = quantized_network(recipe, goal, baseline, examples, validation, run / "checkpoint.pt", say)
        chosen_on, name = (held_out, "validation") if held_out else (fitting, "training")
        metrics = _report(baseline, network, chosen_on, name, test, run)
    write_json(run / "metrics.json", metrics)
    shutil.rmtree(run / ".resume", ignore_errors=True)
    shutil.rmtree(run / ".clips", ignore_errors=True)
    return metrics


def network_config(recipe: Recipe, clips: Sequence[Clip], folder: Path) -> NetworkConfig:
    """The network that a recipe makes for `clips`: its classes are their labels, unless it names them.

    Independent classes may be absent from a clip: labels 0 and `normal` are none of them, and 1 is the positive one.
    Raises UsageError naming `folder` when a class has no clips, and for clips of a class that is not one of them; and
    for a network that cannot be pruned as the recipe says.
    """
    config = _config_for(recipe, clips, folder)
    require_prunable(config, recipe.prune)
    return config


def _config_for(recipe: Recipe, clips: Sequence[Clip], folder: Path) -> NetworkConfig:
    given = recipe.network
    if given.get("labels", "single") == "single":
        config = recipe.network_of(sorted(set(labels_of(clips, folder))))
        require_classes(clips, config.classes, folder)
        return config
    names = sorted({label for clip in clips for label in clip.labels or ()} - {NORMAL, "0"})
    if names == ["1"] and given.get("positive"):
        names = [given["positive"]]
    if torn := in_two_classes(clips):
        raise UsageError(f"{folder}: {torn[0]}; remove one of them")
    config = recipe.network_of(names)
    targets = _targets(clips, config)
    for k, name in enumerate(config.classes):
        if targets[:, k].all() or not targets[:, k].any():
            raise UsageError(
                f"{folder}: class {name!r} needs clips with and without it; add some, or take it out of the classes"
            )
    return config


def _targets(clips: Sequence[Clip], config: NetworkConfig) -> np.ndarray:
    found = class_targets(clips, config)
    if found is None:
        raise UsageError(
            f"{clips[0].path}: has no label; put clips into one sub-folder per class, or list them in a clips.csv"
        )
    return found


def usable(clips: Sequence[Clip], config: NetworkConfig, cache: Path, say: Say) -> list[Clip]:
    """The clips that can be decoded, those of one scene under one source; says which cannot.

    Raises UsageError when those are too many.
    """
    good, broken = readable(clips, config.transform, cache)
    for trouble in broken:
        say(f"skipped {trouble}")
    return one_source_per_scene(good, cache)


def examples_of(clips: Sequence[Clip], config: NetworkConfig, cache: Path) -> Examples:
    """Clips with their wide frames, which stay on disk, and their targets. Raises UsageError as `decode` does."""
    found = _targets(clips, config)
    targets = torch.from_numpy(found).float() if found.ndim == 2 else torch.from_numpy(found)
    side = config.transform.side_size
    return Examples(clips, [wide_frames(clip.path, side, cache) for clip in clips], targets, config.transform)


def float_network(
    recipe: Recipe, goal: NetworkConfig, examples: Examples, validation: Examples | None, run: Path, say: Say
) -> Network:
    """RUN/float.pt, trained if it is not there."""
    if (run / "float.pt").is_file():
        return load(run / "float.pt")
    torch.manual_seed(recipe.seed)
    network = Network(goal.as_float())
    if recipe.inflate:
        inflate(network, load(Path(recipe.inflate)))
        say(f"starts from the weights of {recipe.inflate}, over {goal.kernel_t} frames")
    if recipe.weights:
        say(str(load_pretrained(network, Path(recipe.weights))))
    fit(
        network,
        Phase("float", recipe.float_epochs, recipe.float_rate),
        recipe,
        examples,
        validation,
        run,
        say,
    )
    save(network, run / "float.pt")
    return network


def quantized_network(
    recipe: Recipe,
    goal: NetworkConfig,
    baseline: Network,
    examples: Examples,
    validation: Examples | None,
    file: Path,
    say: Say,
) -> Network:
    """The checkpoint `file`, trained from `baseline`, pruned if the recipe says so, if it is not there."""
    if file.is_file():
        return load(file)
    network = Network(goal)
    start_from(network, baseline)
    if goal != goal.as_float():
        torch.manual_seed(recipe.seed)
        if recipe.prune:
            gone, channels = prune(network, recipe.prune)
            say(f"pruned {gone} of {channels} channels inside blocks")
        calibrate(network, examples, recipe)
        phase = Phase(goal.precision, recipe.quantized_epochs, recipe.quantized_rate)
        fit(network, phase, recipe, examples, validation, file.parent, say, teacher=baseline)
    save(network, file)
    return network


def claim(run: Path, text: str) -> None:
    """Make `run` the folder of these options. Raises UsageError when a network was trained there with others.

    A run that failed before it trained anything does not count: the next try may have other options.
    """
    file = run / "config.toml"
    if not file.is_file() or (_is_other(file, text) and not _has_trained(run)):
        write_text(file, text)
    elif _is_other(file, text):
        raise UsageError(
            f"{run}: was trained with other options or clips ({file}); choose another folder or delete it"
        )


def _is_other(file: Path, text: str) -> bool:
    return file.read_bytes() != text.encode()


def _has_trained(run: Path) -> bool:
    """Whether there is a network, whole or half trained, in a run or in one of its folds."""
    return any(next(run.rglob(pattern), None) is not None for pattern in ("*.pt", "*.ckpt", "metrics.json"))


def _report(
    baseline: Network, network: Network, chosen_on: Sequence[Clip], name: str, test: Path | None, run: Path
) -> dict[str, Any]:
    """Choose the thresholds on the labelled clips `chosen_on`, called `name`, write them, measure both networks."""
    cache = run / ".clips"
    values = clip_logits(network, chosen_on, cache)
    chosen = _thresholds(values, chosen_on, network.config)
    if chosen:
        alarm_threshold.save(run / alarm_threshold.FILE, network.config, chosen)
    sets = {name: chosen_on} | ({"test": find_clips(test)} if test is not None else {})
    metrics: dict[str, Any] = {}
    for precision, measured in (("float", baseline), ("quantized", network)):
        metrics[precision] = {}
        for place, clips in sets.items():
            known = measured is network and place == name
            found = values if known else clip_logits(measured, clips, cache)
            metrics[precision][place] = report(measured.config, clips, found, str(run), chosen)
            del metrics[precision][place]["predictions"]
    return metrics


def _thresholds(
    values: torch.Tensor, clips: Sequence[Clip], config: NetworkConfig
) -> dict[str, alarm_threshold.Choice]:
    """The threshold of the best F1 for each alarm that has clips of both sides."""
    return {
        name: alarm_threshold.choose(alarm_threshold.sweep(scores, truth), alarm_threshold.Rule())
        for name, (scores, truth) in alarm_cases(values, clips, config).items()
        if truth.any() and not truth.all()
    }
