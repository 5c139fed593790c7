# SPDX-License-Identifier: Apache-2.0
"""report.html: what a build came to, on one self-contained page that opens without a network."""

import base64
import io
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from framegate.errors import UsageError
from framegate.files import read_as, write_text
from framegate.hls.build.compiler import edits, edits_in_words
from framegate.hls.build.files import LATENCY, VERDICT
from framegate.hls.flows.flow import FlowReport
from framegate.hls.schedule.schedule import read_times
from framegate.hls.steps import locked
from framegate.quant.clips.layouts import NORMAL
from framegate.quant.clips.video import decode, spread
from framegate.quant.measures import kept_evaluation
from framegate.quant.measures.alarm_threshold import Choice
from framegate.rtl_sim.ladder import INTEGERS, read_judgement
from jinja2 import Environment, StrictUndefined, Template
from PIL import Image

STRIP_FRAMES = 8  # shown of a clip
STRIP_CLIPS = 12  # shown at most
_THUMBNAIL = 112  # pixels

Json = dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """Devices beside each other, as `framegate bench compare` keeps them, and their picture as a PNG."""

    rows: list[Json]
    picture: bytes


def render_report(
    build: Path,
    evaluated: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
    comparison: Comparison | None = None,
) -> Path:
    """Write `build`/report.html from verdict.json, latency.json and flow/*/report.json; return its path.

    It waits, and says so, while another run is at work in `build`.

    `evaluated`: the folder that `framegate evaluate --plots` wrote, by default the build's own. It is shown if it
    was made with the build's checkpoint. `comparison`: shown below the pipeline. What was not run is said on the page,
    with the command that runs it.
    Raises UsageError when latency.json is missing or a file is not readable.
    """
    read_times(build / LATENCY)  # says what is missing
    with locked(build, say):
        return write_text(build / "report.html", _page(build, evaluated, comparison))


def _page(build: Path, evaluated: Path | None, comparison: Comparison | None) -> str:
    latency = asdict(read_times(build / LATENCY))
    verdict = asdict(read_judgement(build)) if (build / VERDICT).exists() else {}
    flows = [_flow(path) for path in _flow_reports(build)]
    clips = verdict.get("clips", [])
    return _template().render(
        model=verdict.get("model", build.resolve().name),
        warnings=_warnings(build, verdict),
        cards=[_exactness(verdict), _latency(verdict, latency), *_closure(flows)],
        clips=[
            _strip(clips[index], verdict) for index in spread([clip["label"] for clip in clips], STRIP_CLIPS)
        ],
        clips_left_out=max(0, len(clips) - STRIP_CLIPS),
        ladder=verdict.get("ladder", []),
        stalled=verdict.get("stalled"),
        latency=latency,
        pipeline=_pipeline(latency["kernels"], latency["clock_mhz"]),
        flows=[{**flow, "bars": _utilization(flow)} for flow in flows],
        confusion=_confusion(verdict.get("confusion")),
        evaluation=_evaluation(evaluated or build / kept_evaluation.FOLDER, build / "checkpoint.pt"),
        thresholds=_thresholds(verdict),
        comparison=comparison and {"rows": comparison.rows, "picture": _data("png", comparison.picture)},
        metrics={key: value for key, value in (verdict.get("metrics") or {}).items() if _is_number(value)},
    )


def _warnings(build: Path, verdict: Json) -> list[str]:
    """What on this page is not of the design that was compiled."""
    found = edits(build)
    now = [edits_in_words(build, found)] if found else []
    then = verdict.get("edits", [])
    return [*now, *([f"simulated when this was not as compiled: {', '.join(then)}"] if then else [])]


@dataclass(frozen=True)
class Card:
    """One sentence of the headline: `state` is good, bad or open (not run)."""

    title: str
    state: str
    figure: str
    words: str


def _exactness(verdict: Json) -> Card:
    rungs = [rung for rung in verdict.get("ladder", []) if rung["compares"] == INTEGERS]
    if not rungs:
        return Card("Values", "open", "not compared", "run framegate simulate")
    values = sum(rung["values"] for rung in rungs)
    wrong = sum(_differing(rung) for rung in rungs)
    clips = max(rung["clips"] for rung in rungs)
    compared = f"{values:,} values on {_count(clips, 'clip')} and {_count(len(rungs), 'level')}"
    if wrong:
        first = next(rung for rung in rungs if _differing(rung))
        return Card("Values", "bad", f"{wrong:,} differ", f"first at {first['rung']}, of {compared}")
    return Card("Values", "good", "bit-exact", f"{compared} compared, none differs")


def _differing(rung: Json) -> int:
    """Values and alarms of a level that are not the reference's."""
    return rung["mismatches"] + rung.get("alarm_mismatches", 0)


def _latency(verdict: Json, latency: Json) -> Card:
    predicted = latency["latency_cycles"]
    figure = f"{predicted:,} cycles"
    time = f"{predicted / latency['clock_mhz'] / 1e3:.2f} ms at {latency['clock_mhz']:g} MHz"
    found = verdict.get("latency_cycles")
    if not found:
        return Card("Latency", "open", figure, f"{time}, predicted; not measured: run framegate simulate")
    if found["measured"] == found["predicted"] == predicted and found["jitter"] == 0:
        return Card("Latency", "good", figure, f"{time}; measured = predicted, jitter 0")
    words = f"measured {found['measured']:,}, predicted {found['predicted']:,}, jitter {found['jitter']:,}"
    return Card("Latency", "bad", figure, words)


def _closure(flows: list[Json]) -> list[Card]:
    if not flows:
        return [Card("Bitstream", "open", "not built", "run framegate bitstream")]
    return [card for flow in flows for card in (_clock(flow), _room(flow))]


def _clock(flow: Json) -> Card:
    met = flow["fmax_mhz"] >= flow["clock_mhz"]
    words = f"{'reached' if met else 'reached only'} on {flow['target']}; {flow['clock_mhz']:g} MHz wanted"
    return Card("Clock", "good" if met else "bad", f"{flow['fmax_mhz']:.1f} MHz", words)


def _room(flow: Json) -> Card:
    fullest = max(_utilization(flow), key=lambda bar: bar["percent"])
    words = f"{fullest['used']:,} of {fullest['available']:,} {fullest['name']}, the scarcest"
    figure = "fits" if fullest["percent"] <= 100 else "does not fit"
    return Card("Room", "good" if figure == "fits" else "bad", figure, words)


def _utilization(flow: Json) -> list[Json]:
    names = {"lut": "LUT", "ff": "flip-flops", "bram": "block RAMs", "dsp": "multipliers"}
    return [
        {
            "name": names[key],
            "used": flow[key],
            "available": available,
            "percent": 100 * flow[key] / available,
        }
        for key, available in flow["available"].items()
    ]


def _strip(clip: Json, verdict: Json) -> Json:
    """A clip's pictures and scores; `trouble` tells why there are no pictures."""
    logits, thresholds = clip["logits"], verdict.get("thresholds", {})
    pictures, trouble = [], ""
    try:
        pictures = [_picture(frame) for frame in decode(Path(clip["path"]), STRIP_FRAMES, _THUMBNAIL)]
    except UsageError as error:
        trouble = str(error)
    return {
        "name": Path(clip["path"]).name,
        "label": clip["label"],
        "predicted": clip["predicted"],
        "alarms": clip.get("alarms", []),
        "right": _right(clip["label"], clip["predicted"], verdict["classes"]),
        "scores": _independent_scores(logits) if thresholds.keys() >= logits.keys() else _scores(logits),
        "pictures": pictures,
        "trouble": trouble,
    }


def _picture(frame: Any) -> str:
    """A frame as a data URI."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG", quality=80)
    return _data("jpeg", buffer.getvalue())


def _data(kind: str, picture: bytes) -> str:
    """A picture inside the page."""
    return f"data:image/{kind};base64," + base64.b64encode(picture).decode()


def _right(label: str | None, predicted: str, classes: list[str]) -> bool | None:
    """Whether the network said what the label says; None where it does not know the label."""
    if label is None:
        return None
    wanted, said = set(label.split("|")) - {"", NORMAL}, set(predicted.split("+")) - {NORMAL}
    return wanted == said if wanted <= set(classes) else None


def _independent_scores(logits: dict[str, float]) -> list[Json]:
    """Sigmoid of each logit, in percent: every class has its own threshold."""
    return [
        {"name": name, "logit": logit, "percent": 100 * Choice(logit).probability}
        for name, logit in logits.items()
    ]


def _scores(logits: dict[str, float]) -> list[Json]:
    """Softmax of the logits, in percent, in the order of the classes."""
    largest = max(logits.values())
    powers = {name: math.exp(logit - largest) for name, logit in logits.items()}
    total = sum(powers.values())
    return [
        {"name": name, "logit": logits[name], "percent": 100 * power / total}
        for name, power in powers.items()
    ]


_ROW, _LABEL, _PLOT, _BUSY = 20, 190, 760, 60  # of the pipeline chart, in SVG units


def _pipeline(kernels: list[Json], clock_mhz: float) -> Json:
    """The chart's geometry: a row per kernel, its input above its output, cycles to the right."""
    end = max((kernel["last_out"] for kernel in kernels), default=0) or 1
    step = _round_step(end / 8)

    def x(cycle: int) -> float:
        return round(_LABEL + _PLOT * cycle / end, 1)

    rows = [
        {
            **kernel,
            "y": _ROW * index,
            "inputs": (x(kernel["first_in"]), max(1.5, x(kernel["last_in"]) - x(kernel["first_in"]))),
            "outputs": (x(kernel["first_out"]), max(1.5, x(kernel["last_out"]) - x(kernel["first_out"]))),
        }
        for index, kernel in enumerate(kernels)
    ]
    ticks = [
        {"x": x(cycle), "cycle": cycle, "ms": cycle / clock_mhz / 1e3} for cycle in range(0, end + 1, step)
    ]
    return {
        "rows": rows,
        "ticks": ticks,
        "height": _ROW * len(rows),
        "width": _LABEL + _PLOT + _BUSY,
        "label": _LABEL,
        "row": _ROW,
    }


def _round_step(least: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50 … that is not below `least`."""
    power = 10 ** max(0, math.floor(math.log10(max(least, 1))))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def _confusion(found: Json | None) -> Json | None:
    if not found:
        return None
    rows = [
        {"name": name, "cells": [{"count": count, "share": count / max(1, sum(row))} for count in row]}
        for name, row in zip(found["classes"], found["matrix"], strict=True)
    ]
    return {"classes": found["classes"], "rows": rows}


def _evaluation(folder: Path, checkpoint: Path) -> Json | None:
    """Figures with their intervals, and pictures, of the evaluation of this build's network."""
    found = kept_evaluation.kept(folder, checkpoint)
    if found is None:
        return None
    names = ("accuracy", "auc", "average_precision", "f1", "precision_score", "recall")
    rows = [
        {"name": name.replace("_", " "), "value": found[name], "interval": found["intervals"].get(name)}
        for name in names
        if found.get(name) is not None
    ]
    return {"clips": found["clips"], "rows": rows, "pictures": found["pictures"], "alarm": found.get("alarm")}


def _thresholds(verdict: Json) -> list[Json]:
    """The alarms: from which logit on, and on how many of the clips shown."""
    clips = verdict.get("clips", [])
    return [
        {
            "name": name,
            "logit": logit,
            "probability": Choice(logit).probability,
            "raised": sum(name in clip.get("alarms", []) for clip in clips),
            "clips": len(clips),
        }
        for name, logit in verdict.get("thresholds", {}).items()
    ]


def _flow(source: Path) -> Json:
    """A flow's report.json; its path as where the build is now."""
    flow = asdict(read_as(FlowReport, source, "run `framegate bitstream` again"))
    if flow["path"] is not None:
        flow["path"] = str(source.parent.joinpath(*Path(flow["path"]).parts[-2:]))
    return flow


def _flow_reports(build: Path) -> list[Path]:
    return sorted((build / "flow").glob("*/report.json"))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _template() -> Template:
    text = files("framegate.rtl_sim.report").joinpath("report.html.j2").read_text()
    environment = Environment(
        undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["thousands"] = lambda number: f"{number:,}"
    return environment.from_string(text)
