# SPDX-License-Identifier: Apache-2.0
"""The ladder: float, Brevitas, QONNX, FINN's hardware graph, integer reference, RTL; exact, top to bottom."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from framegate.errors import FramegateError, UsageError
from framegate.files import read_as, write_json
from framegate.hls.build.compiler import edits
from framegate.hls.build.files import CHECKPOINT, DATAFLOW, FLOAT, HARDWARE, QONNX, RTL, SIMULATION, VERDICT
from framegate.hls.dataflow.graph import Dataflow, load_dataflow
from framegate.hls.kernels import Decide
from framegate.hls.lowering.graphs import EXACT, metadata, run, run_qonnx
from framegate.hls.lowering.lower import load as load_graph
from framegate.quant.clips.layouts import NORMAL
from framegate.quant.clips.transforms import TransformConfig
from framegate.quant.clips.video import Clip, decode_all, spread
from framegate.quant.measures.alarm_threshold import Choice
from framegate.quant.measures.evaluate import figures
from framegate.quant.networks.checkpoint import Network, NetworkConfig, load, logits
from framegate.rtl_sim import reference
from framegate.rtl_sim.bench.simulator import LARGEST_SEED, Simulator, quick_or
from framegate.rtl_sim.compare import Difference
from framegate.rtl_sim.decision import compare_decision
from framegate.rtl_sim.images import compare_images
from framegate.rtl_sim.stalls import Stalled
from framegate.rtl_sim.verify import Verdict, verify

INTEGERS, PREDICTIONS, FREE_SCALES, YARDSTICK = "integers", "predictions", "steps of free scales", "yardstick"
IMAGES, DECISION, STALLED = "images", "rtl decide", "rtl stalled"  # rungs beside that of the RTL


@dataclass(frozen=True)
class Rung:
    """One level of truth beside the integer reference, or that itself: the YARDSTICK, compared with nothing."""

    rung: str
    clips: int
    values: int
    mismatches: int | None  # None of the yardstick
    first_mismatch: str | None
    # INTEGERS, the one thing that must be equal; PREDICTIONS of the float network, which has none; FREE_SCALES.
    compares: str = INTEGERS
    alarms: int = 0  # compared beside the values: of the rungs above, from logits; below they are values
    alarm_mismatches: int = 0


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What verdict.json says: the ladder, the cycles, and how good the network is on the clips."""

    model: str
    classes: list[str]
    bit_exact: bool
    first_mismatch: str | None
    ladder: list[Rung]
    latency_cycles: dict[str, int]  # predicted, measured, jitter
    late: str | None  # first stream that left its predicted cycle
    simulator: str
    cycles_per_second: float
    clips: list[dict[str, Any]]
    metrics: dict[str, Any] | None
    confusion: dict[str, Any] | None
    thresholds: dict[str, float] = field(default_factory=dict)  # of the alarms, by class: logits
    edits: list[str] = field(
        default_factory=list
    )  # what was simulated but is not as `framegate compile` wrote it
    stalled: dict[str, Any] | None = None  # the pass with stalls: see stalls.Stalled

    def problem(self) -> str | None:
        """The first value or cycle that is not as it should be, in one sentence; None when all are."""
        if not self.bit_exact:
            return f"not bit-exact: {self.first_mismatch}"
        times = self.latency_cycles
        if self.late or times["jitter"] or times["predicted"] != times["measured"]:
            return f"not on time: {self.late or 'the result'}; latency {times}"
        return None

    def check(self) -> None:
        """Raise FramegateError when there is a problem."""
        if problem := self.problem():
            raise FramegateError(problem)


def read_judgement(build: Path) -> Judgement:
    """verdict.json. Raises UsageError when `build` was not simulated."""
    return read_as(Judgement, build / VERDICT, "run `framegate simulate` first")


def judge(
    build: Path,
    clips: Sequence[Clip],
    *,
    hardware_clips: int | None = None,
    noise: int = 0,
    simulator: Simulator = "verilator",
    probe: bool = False,
    seed: int | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> Judgement:
    """Climb down the ladder on `clips`, write verdict.json, return what it says.

    `seed`: of all that is drawn, from 1 to 2^31 - 1 (stalls and cut in the RTL's second pass, its clips, the state that
    Verilator starts from); None for a new one, which the judgement tells.

    The slow rungs (QONNX, FINN, RTL) take `hardware_clips` of them (all: None), spread over the classes, and
    `noise` clips of random pixels. Raises UsageError for clips that cannot be read or a build without a design.
    """
    dataflow = load_dataflow(build / DATAFLOW)
    progress(f"decoding {len(clips)} clips")
    pixels = _pixels(dataflow, clips, noise)
    noisy = range(len(clips), len(pixels))
    picked = [*spread([clip.label for clip in clips], hardware_clips), *noisy]
    if not picked:
        raise UsageError("no clips to simulate; give at least one")
    expected = reference.logits(dataflow, pixels)
    chosen, wanted = pixels[picked], expected[picked]
    rungs = _network_rungs(build, dataflow, pixels, expected, progress)
    rungs += _graph_rungs(build, dataflow, chosen, wanted, progress)
    rungs.append(Rung("reference", len(chosen), wanted.size, None, None, compares=YARDSTICK))
    rungs.append(_of_hardware(IMAGES, 0, compare_images(dataflow, build / RTL)))
    seed = 1 + secrets.randbelow(LARGEST_SEED) if seed is None else seed
    progress(f"rtl: {len(chosen)} clips in {simulator}, then some that stall, seed {seed}")
    work = build / SIMULATION / simulator
    verdict = verify(
        dataflow,
        build / RTL,
        dataflow.taken(chosen),  # one clip after the other, or all of them as one stream of frames
        work,
        simulator=simulator,
        probe=probe,
        seed=seed,
    )
    assert verdict.stalled is not None
    quick = quick_or(simulator)
    decided = compare_decision(dataflow, build / RTL, work / "decide", simulator=quick, seed=seed)
    rungs += [
        _of_hardware(DECISION, 0, decided),
        _of_hardware(STALLED, verdict.stalled.clips, verdict.stalled),
        _of_hardware("rtl", len(chosen), verdict),
    ]
    judgement = _judgement(build, dataflow, rungs, verdict, clips, expected[: len(clips)])
    write_json(build / VERDICT, asdict(judgement))
    return judgement


def _pixels(dataflow: Dataflow, clips: Sequence[Clip], noise: int) -> np.ndarray:
    """Those of `clips`, then `noise` clips of random ones: (clips, T, H, W, C) 0 … 255."""
    shape = (dataflow.window or dataflow.pixels.frames, *dataflow.pixels.shape[1:])
    real = decode_all(clips, _transform(dataflow)).numpy() if clips else np.empty((0, *shape), np.uint8)
    return np.concatenate([real, np.random.default_rng(0).integers(0, 256, (noise, *shape), dtype=np.uint8)])


def _graph_rungs(
    build: Path, dataflow: Dataflow, pixels: np.ndarray, expected: np.ndarray, progress: Callable[[str], None]
) -> list[Rung]:
    """QONNX and FINN's hardware graph."""
    rungs = []
    for name, file, execute, step in (
        ("qonnx", QONNX, run_qonnx, dataflow.logit_scale),
        ("finn", HARDWARE, run, 1.0),
    ):
        progress(f"{name}: {len(pixels)} clips")
        values = execute(load_graph(build / file), pixels).astype(np.float64) / step
        if values.ndim == 3:  # a score per frame: the last one is that of the clip
            values = values[:, -1]
        free = name == "qonnx" and not _exact(build)
        rungs.append((_on_steps if free else _on_integers)(name, values, expected, dataflow))
    return rungs


def _of_hardware(name: str, clips: int, found: Difference | Stalled | Verdict) -> Rung:
    first = found.first if isinstance(found, Difference) else found.first_mismatch
    return Rung(name, clips, found.values, found.mismatches, first)


def _transform(dataflow: Dataflow) -> TransformConfig:
    """What the network was trained with; the plain one for a graph from elsewhere."""
    if dataflow.network:
        return NetworkConfig(**dataflow.network).transform
    return TransformConfig.of(dataflow.window or dataflow.pixels.frames, dataflow.pixels.height)


def _network_rungs(
    build: Path, dataflow: Dataflow, pixels: np.ndarray, expected: np.ndarray, progress: Callable[[str], None]
) -> list[Rung]:
    """Float and Brevitas, where the build came from a checkpoint."""
    if not (build / CHECKPOINT).is_file():
        return []
    progress(f"brevitas: {len(pixels)} clips")
    rungs = []
    if (build / FLOAT).is_file():
        rungs.append(_on_predictions(_run_network(load(build / FLOAT), pixels), expected, dataflow))
    values = _run_network(load(build / CHECKPOINT), pixels) / dataflow.logit_scale
    return [*rungs, _on_integers("brevitas", values, expected, dataflow)]


def _run_network(network: Network, pixels: np.ndarray) -> np.ndarray:
    return logits(network, torch.from_numpy(pixels)).double().numpy()


def _on_integers(rung: str, values: np.ndarray, expected: np.ndarray, dataflow: Dataflow) -> Rung:
    """Values in steps of the logit scale; one that is no integer differs as well."""
    wrong = np.argwhere(values != expected)
    first = None
    if len(wrong):
        clip, logit = (int(index) for index in wrong[0])
        first = (
            f"{rung}: clip {clip}, logit {logit}: {values[clip, logit]:g}, expected {expected[clip, logit]}"
        )
    plain = Rung(rung, len(values), values.size, len(wrong), first)
    return _with_alarms(plain, values * dataflow.logit_scale, expected, dataflow)


def _exact(build: Path) -> bool:
    """Whether all scales of the network are powers of two, so that it is exact above the hardware graph as well."""
    return metadata(load_graph(build / HARDWARE))[EXACT] == "true"


def _on_steps(rung: str, values: np.ndarray, expected: np.ndarray, dataflow: Dataflow) -> Rung:
    """Values of a network with free scales, rounded to steps of the logit scale: float32 may be off by an ulp, and an
    ulp may tip a quantizer. What differs is counted and shown; it is not a fault of the hardware.
    """
    return replace(_on_integers(rung, np.rint(values), expected, dataflow), compares=FREE_SCALES)


def _on_predictions(values: np.ndarray, expected: np.ndarray, dataflow: Dataflow) -> Rung:
    decide = _decide(dataflow)
    if decide.independent:
        differs = (_raised(values, dataflow) != decide.decide(expected)[1]).any(axis=1)
    else:
        differs = values.argmax(axis=1) != expected.argmax(axis=1)
    wrong = np.flatnonzero(differs)
    first = f"float: clip {wrong[0]} has another class" if len(wrong) else None
    plain = Rung("float", len(values), len(values), len(wrong), first, compares=PREDICTIONS)
    return _with_alarms(plain, values, expected, dataflow)


def _with_alarms(rung: Rung, logits: np.ndarray, expected: np.ndarray, dataflow: Dataflow) -> Rung:
    """Alarms of float logits at the thresholds as they were chosen, against those of integers and integer ones."""
    raised = _raised(logits, dataflow)
    wrong = np.argwhere(raised != _decide(dataflow).decide(expected)[1])
    first = rung.first_mismatch
    if len(wrong) and first is None:
        clip, alarm = (int(index) for index in wrong[0])
        name = list(dataflow.thresholds)[alarm]
        first = f"{rung.rung}: clip {clip}, alarm of {name}: {raised[clip, alarm]}"
    return replace(rung, alarms=raised.size, alarm_mismatches=len(wrong), first_mismatch=first)


def _raised(logits: np.ndarray, dataflow: Dataflow) -> np.ndarray:
    """The alarms (N, A), bool, of float logits."""
    return _decide(dataflow).scores(logits) >= np.array(list(dataflow.thresholds.values()))


def _decide(dataflow: Dataflow) -> Decide:
    last = dataflow.kernels[-1]
    assert isinstance(last, Decide)
    return last


def _judgement(
    build: Path,
    dataflow: Dataflow,
    rungs: list[Rung],
    verdict: Verdict,
    clips: Sequence[Clip],
    integers: np.ndarray,
) -> Judgement:
    exact = [rung for rung in rungs if rung.compares == INTEGERS]
    # The RTL's first: it names kernel, frame, pixel and channel, where the rungs above have logits only. And a wrong
    # image, which is the cause of what differs behind it.
    image = next((rung for rung in exact if rung.rung == IMAGES), None)
    firsts = [rung.first_mismatch for rung in reversed(exact) if rung is not image and rung.first_mismatch][
        :1
    ]
    firsts += [image.first_mismatch] if image and image.first_mismatch else []
    scaled = integers * dataflow.logit_scale
    winners, raised = _decide(dataflow).decide(integers)
    metrics = _metrics(dataflow, clips, scaled)
    confusion = metrics.pop("confusion", None) if metrics else None
    return Judgement(
        model=dataflow.model,
        classes=list(dataflow.classes),
        bit_exact=all(rung.mismatches == 0 and rung.alarm_mismatches == 0 for rung in exact),
        first_mismatch="; ".join(firsts) or None,
        ladder=rungs,
        latency_cycles=verdict.latency_cycles(),
        late=verdict.late,
        simulator=verdict.simulator,
        cycles_per_second=verdict.cycles / verdict.seconds,
        clips=[
            {
                "path": str(clip.path),
                "label": _label(dataflow, clip),
                "logits": dict(zip(dataflow.classes, row.tolist(), strict=True)),
                "predicted": _said(dataflow, int(winner), alarms),
                "alarms": [name for name, on in zip(dataflow.thresholds, alarms, strict=True) if on],
            }
            for clip, row, winner, alarms in zip(clips, scaled, winners, raised, strict=True)
        ],
        metrics=metrics,
        confusion={"classes": list(dataflow.classes), "matrix": confusion} if confusion else None,
        thresholds=dataflow.thresholds,
        edits=edits(build),
        stalled=asdict(verdict.stalled) if verdict.stalled else None,
    )


def _label(dataflow: Dataflow, clip: Clip) -> str | None:
    """The clip's label by the network's names: lists may say 1 for its alarm, and 0 for none."""
    names = {
        "1": (dataflow.network or {}).get("positive"),
        "0": NORMAL if _decide(dataflow).independent else None,
    }
    return names.get(clip.label or "") or clip.label


def _said(dataflow: Dataflow, winner: int, alarms: np.ndarray) -> str:
    """What the decision means: the class of the largest logit, or of independent classes those at their thresholds."""
    if not _decide(dataflow).independent:
        return dataflow.classes[winner]
    return "+".join(name for name, on in zip(dataflow.thresholds, alarms, strict=True) if on) or NORMAL


def _metrics(dataflow: Dataflow, clips: Sequence[Clip], scaled: np.ndarray) -> dict[str, Any] | None:
    """Figures of the hardware's logits, where the network's configuration and labels that it knows are there."""
    if not dataflow.network or not clips or None in {clip.label for clip in clips}:
        return None
    chosen = {name: Choice(logit) for name, logit in dataflow.thresholds.items()}
    try:
        return figures(torch.from_numpy(scaled), clips, NetworkConfig(**dataflow.network), chosen)
    except UsageError:
        return None  # labels of other classes: values and cycles are compared all the same
