# SPDX-License-Identifier: Apache-2.0
"""The ladder of a build folder as a step: its judgement is kept while nothing that it reads changes."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from framegate.hls.build.compiler import read_report, told_edits
from framegate.hls.build.files import CHECKPOINT, DATAFLOW, FLOAT, HARDWARE, QONNX, RTL, VERDICT
from framegate.hls.build.model import COMPILE, EXPORT
from framegate.hls.steps import Code, Steps, locked
from framegate.hls.tools import simulator_tools
from framegate.quant.clips.video import Clip
from framegate.rtl_sim.bench.simulator import Simulator, engine, quick_or
from framegate.rtl_sim.ladder import DECISION, IMAGES, STALLED, Judgement, judge, read_judgement

SIMULATE = Code(
    (*EXPORT.rooms, *COMPILE.rooms, Path(__file__).parent),
    (
        "cocotb",
        "av",
        "torchvision",
        "torchmetrics",
        "scikit-learn",
        "pillow",
        *COMPILE.libraries,
        *EXPORT.libraries,
    ),
)


def simulate_build(
    build: Path,
    clips: Sequence[Clip],
    say: Callable[[str], None],
    *,
    hardware_clips: int | None = None,
    noise: int = 0,
    simulator: Simulator = "verilator",
    probe: bool = False,
    seed: int | None = None,
) -> Judgement:
    """The ladder on `clips`: see `judge`. The judgement of an unchanged build on the same clips is kept."""
    read_report(build)  # says what is missing

    def run() -> None:
        (build / VERDICT).unlink(
            missing_ok=True
        )  # of another design, or other clips: not of a run that fails
        judge(
            build,
            clips,
            hardware_clips=hardware_clips,
            noise=noise,
            simulator=simulator,
            probe=probe,
            seed=seed,
            progress=lambda step: say(f"  {step}"),
        )

    with locked(build, say):
        edited = told_edits(build, say)
        models = [build / name for name in (QONNX, HARDWARE, CHECKPOINT, FLOAT, DATAFLOW, RTL)]
        tools = [
            str(tool) for one in (simulator, quick_or(simulator)) for tool in simulator_tools(engine(one))
        ]
        options = [
            str((hardware_clips, noise, simulator, probe, seed)),
            *(f"{clip.path} {clip.label}" for clip in clips),
        ]
        Steps(build, say).run(
            "simulate",
            [*models, *options, *tools, *edited, *(clip.path for clip in clips)],
            [build / VERDICT],
            run,
            SIMULATE,
        )
        return read_judgement(build)


def as_json(judgement: Judgement) -> dict[str, object]:
    """What `framegate simulate --json` prints."""
    plain = asdict(judgement)
    rtl = next(rung for rung in judgement.ladder if rung.rung == "rtl")
    hardware = [rung for rung in judgement.ladder if rung.rung in ("rtl", STALLED, DECISION, IMAGES)]
    return {
        **{
            key: plain[key]
            for key in (
                "model",
                "bit_exact",
                "first_mismatch",
                "ladder",
                "latency_cycles",
                "thresholds",
                "edits",
            )
        },
        "clips": rtl.clips,
        "mismatches": sum(rung.mismatches or 0 for rung in hardware),
        "stalled": judgement.stalled,
        "late": judgement.late,
        "error": judgement.problem(),
        "simulator": judgement.simulator,
        "cycles_per_second": judgement.cycles_per_second,
        "metrics": judgement.metrics,
        "predictions": judgement.clips,
    }
