# SPDX-License-Identifier: Apache-2.0
"""The zoo: every small network from training to synthesis, exact on every rung and in every cycle."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from framegate.errors import UsageError
from framegate.hls.build.build import compile_model, synthesize_build
from framegate.hls.targets import load_target
from framegate.quant.clips.layouts import find_clips
from framegate.quant.clips.shop import generate
from framegate.quant.clips.video import Clip, spread
from framegate.quant.measures.predict import clip_logits
from framegate.quant.networks.checkpoint import load
from framegate.quant.networks.complexity import complexity
from framegate.quant.training.recipe import Recipe
from framegate.quant.training.train import train
from framegate.rtl_sim.simulate import simulate_build

ORDER_ONLY = ("take", "put_back")  # one is the other played backwards
_TRAINING_SEED, _TEST_SEED = 1, 1001


@dataclass(frozen=True)
class Entry:
    """A row of the table: a network with what is not usual for its name."""

    network: dict[str, Any]
    inflated_from: str | None = None  # the row whose 2-D weights it starts from
    stream: bool = False  # built to run for ever, with a score per step


ZOO: dict[str, Entry] = {
    "tsn-lite": Entry({"name": "tsn-lite"}),
    "tsm-lite": Entry({"name": "tsm-lite"}),
    "tsm-lite online streaming": Entry({"name": "tsm-lite", "shift": "online"}, stream=True),
    "tsm-mobilenet": Entry(
        {"name": "tsm-mobilenet", "size": 64, "shift_blocks": [5, 6, 7, 8, 9, 10, 11, 12]}
    ),
    "tsm-mobilenetv2": Entry({"name": "tsm-mobilenetv2"}),
    "slowfast-lite": Entry({"name": "slowfast-lite"}),
    "slowfast-lite causal streaming": Entry({"name": "slowfast-lite", "causal": True}, stream=True),
    "c3d-lite": Entry({"name": "c3d-lite"}),
    "r2plus1d-lite": Entry({"name": "r2plus1d-lite"}),
    "x3d-lite": Entry({"name": "x3d-lite"}),
    "i3d-lite": Entry({"name": "i3d-lite"}, inflated_from="tsn-lite"),
}


# The shop's camera stands still: views are moved and lit a little. With half the picture cut away, as real cameras are
# trained for, tsm-lite is not past 0.77 after as many steps.
RECIPE: dict[str, Any] = {
    "float_epochs": 15,
    "quantized_epochs": 12,
    "batch": 16,
    "threads": 1,
    "augment": {
        "scale_min": 0.85,
        "ratio": 1.05,
        "rotation": 0.0,
        "gray": 0.0,
        "contrast": 0.1,
        "saturation": 0.1,
    },
}


@dataclass(frozen=True)
class Effort:
    """How much is done for each row."""

    training_clips: int = 300  # per class
    test_clips: int = 40
    simulated_clips: int = 3  # and one of noise
    frames_per_second: float = 300.0  # on the first target; on another as many per MHz
    recipe: dict[str, Any] = field(default_factory=lambda: dict(RECIPE))  # of every training run
    synthesize: bool = True


def measure(
    folder: Path,
    say: Callable[[str], None],
    *,
    names: Sequence[str] = tuple(ZOO),
    targets: Sequence[str] = ("ulx3s-85f", "kv260"),
    effort: Effort | None = None,
) -> list[dict[str, Any]]:
    """A row per network: what it is, how good, how fast, how large. What is in `folder` already is not made again.

    Raises UsageError for a name that is not in the ZOO.
    """
    effort = effort or Effort()
    if unknown := [name for name in names if name not in ZOO]:
        raise UsageError(f"network {unknown[0]!r} is not in the zoo; choose of {', '.join(ZOO)}")
    clips = {
        part: _clips(folder / "clips" / part, count, seed)
        for part, count, seed in (
            ("training", effort.training_clips, _TRAINING_SEED),
            ("test", effort.test_clips, _TEST_SEED),
        )
    }
    return [_row(name, folder, clips, targets, effort, say) for name in names]


def _clips(folder: Path, per_class: int, seed: int) -> Path:
    """The synthetic shop's clips, drawn once."""
    return folder if folder.exists() else generate(folder, per_class, seed)


def _row(
    name: str,
    folder: Path,
    clips: dict[str, Path],
    targets: Sequence[str],
    effort: Effort,
    say: Callable[[str], None],
) -> dict[str, Any]:
    say(f"{name}:")
    checkpoint = _trained(name, folder, clips["training"], effort, say)
    network, test = load(checkpoint), find_clips(clips["test"])
    parameters, macs = complexity(network)
    row = {"network": name, "parameters": parameters, "mmac": macs / 1e6}
    row |= _accuracy(clip_logits(network, test).numpy(), network.config.classes, test)
    for number, target in enumerate(targets):
        build = folder / "builds" / target / _slug(name)
        row |= _hardware(name, checkpoint, build, target, test, effort, say, simulated=number == 0)
    return row


def _trained(name: str, folder: Path, clips: Path, effort: Effort, say: Callable[[str], None]) -> Path:
    """The checkpoint of a row's training run."""
    entry = ZOO[name]
    options: dict[str, Any] = dict(effort.recipe)
    if entry.inflated_from:
        options["inflate"] = str(_trained(entry.inflated_from, folder, clips, effort, say))
    run = folder / "runs" / _slug(name)
    train(Recipe(**options, network=entry.network), clips, run, say=lambda message: say(f"  {message}"))
    return run / "checkpoint.pt"


def _accuracy(logits: np.ndarray, classes: Sequence[str], clips: Sequence[Clip]) -> dict[str, float]:
    """Over all classes, and between the two that only the order of frames tells apart."""
    truth = np.array([classes.index(clip.label or "") for clip in clips])
    pair = [classes.index(name) for name in ORDER_ONLY]
    of_pair = np.isin(truth, pair)
    between = np.array(pair)[logits[of_pair][:, pair].argmax(axis=1)]
    return {
        "top1": float((logits.argmax(axis=1) == truth).mean()),
        "top1_order_only": float((between == truth[of_pair]).mean()),
    }


def _hardware(
    name: str,
    checkpoint: Path,
    build: Path,
    target: str,
    clips: Sequence[Clip],
    effort: Effort,
    say: Callable[[str], None],
    *,
    simulated: bool,
) -> dict[str, Any]:
    """What a target adds to the row; of the first one also that it is exact and on time."""
    clock = load_target(target).clock_mhz
    rate = effort.frames_per_second * clock / load_target("ulx3s-85f").clock_mhz
    report = compile_model(str(checkpoint), build, target, f"{rate:g}", None, say, stream=ZOO[name].stream)
    row: dict[str, Any] = {}
    if simulated:
        picked = [clips[k] for k in spread([clip.label for clip in clips], effort.simulated_clips)]
        judgement = simulate_build(build, picked, say, noise=1)
        times = judgement.latency_cycles
        row = {
            "bit_exact": judgement.bit_exact,
            "latency_cycles": times["measured"],
            "latency_error": times["measured"] - times["predicted"],
            "jitter": times["jitter"],
            "clock_mhz": report.clock_mhz,
            "ms_per_clip": report.latency_ms,
            "clips_per_second": report.clips_per_second,
        }
    counted = synthesize_build(build, target, say) if effort.synthesize else report
    prefix = "" if simulated else f"{target}_"
    return row | {f"{prefix}{key}": getattr(counted, key) for key in ("lut", "ff", "dsp", "bram")}


def _slug(name: str) -> str:
    return name.replace(" ", "-")
