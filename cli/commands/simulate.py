# SPDX-License-Identifier: Apache-2.0
"""`framegate simulate`: the RTL against every level above it, in values and in cycles."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from framegate.commands.console import Json, say, show
from framegate.commands.options import MANY
from framegate.errors import FramegateError, UsageError

if TYPE_CHECKING:  # importing it takes seconds
    from framegate.rtl_sim.ladder import Judgement, Rung

EPILOG = "Example: `framegate simulate build --clips my_clips --limit 3 --probe`"


def command(
    build: Annotated[Path, typer.Argument(help="Folder that `framegate compile` wrote.")],
    clips: Annotated[
        Path | None, typer.Option(help="A video or a folder of clips; by default synthetic ones and noise.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, max=MANY, help="At most so many clips, classes in turn.")
    ] = None,
    probe: Annotated[bool, typer.Option(help="Compare every stream inside, not just the result.")] = False,
    simulator: Annotated[
        str, typer.Option(help="verilator or icarus, with cocotb; fast or icarus-fast, without.")
    ] = "verilator",
    fast: Annotated[
        bool, typer.Option("--fast", help="For long runs: Verilator without cocotb; as --simulator fast.")
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=(1 << 31) - 1,
            help="Of stalls, noise and the state that Verilator starts from; by default a new one, which is told.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Simulate clips back to back, then some with stalls of source and sink and a cut by `clear`.

    Fails on the first value or cycle that is not the predicted one, and on a memory image that is not the compiled one.
    """
    from framegate.hls.build.build import takes_videos
    from framegate.quant.clips.layouts import find_clips
    from framegate.quant.clips.shop import demo_clips
    from framegate.quant.clips.video import spread
    from framegate.rtl_sim.bench.simulator import known
    from framegate.rtl_sim.simulate import as_json, simulate_build

    videos = takes_videos(build)
    if clips and not videos:
        raise UsageError(
            f"{build}: takes no square frames of red, green and blue of 8x8 pixels or more, so no video; leave "
            f"--clips out for noise"
        )
    found = find_clips(clips) if clips else demo_clips(build / "clips", 1) if videos else []
    chosen = [found[index] for index in spread([clip.label for clip in found], limit)]
    judgement = simulate_build(
        build,
        chosen,
        say,
        noise=0 if clips else 1 if videos else 4,
        simulator=known("fast" if fast else simulator),
        probe=probe,
        seed=seed,
    )
    lines = [*_lines(judgement), f"wrote {build / 'verdict.json'}"]
    if judgement.edits:
        lines.append(f"NOT AS COMPILED: {', '.join(judgement.edits)}")
    show(as_json(judgement), lines, json)
    if problem := judgement.problem():  # the figures are out already: no second object on stdout
        say(f"framegate: {problem}")
        raise typer.Exit(FramegateError.exit_code)


def _lines(judgement: "Judgement") -> list[str]:
    """The ladder, the alarms, the pass with stalls and the latency in words."""
    lines = [_line(rung) for rung in judgement.ladder]
    for name, logit in judgement.thresholds.items():
        raised = sum(name in clip["alarms"] for clip in judgement.clips)
        lines.append(f"alarm of {name} from logit {logit:g}: {raised} of {len(judgement.clips)} clips")
    if judgement.stalled:
        lines.append(_in_words(judgement.stalled))
    times = judgement.latency_cycles
    latency = f"latency {times['measured']:,} cycles, predicted {times['predicted']:,}"
    return [*lines, f"{latency}, jitter {times['jitter']}"]


def _line(rung: "Rung") -> str:
    """A level of the ladder in words."""
    clips = f"{rung.clips:4} clips" if rung.clips else " " * 10  # memory images are compared without any
    counted = f"{rung.rung:11} {clips} {rung.values:12,}"
    if rung.mismatches is None:
        return f"{counted} integers, the {rung.compares}"
    return f"{counted} {rung.compares}, {rung.mismatches} differ"


def _in_words(stalled: dict[str, Any]) -> str:
    """The pass with stalls."""
    full = "all was full" if stalled["full"] else "never was all full"
    streams = stalled["streams_stalled"]
    inside = f", stalls on {streams[0]} of {streams[1]} streams" if streams else ""
    return (
        f"stalled: seed {stalled['seed']}, pixels waited {stalled['longest_wait']:,} cycles at most ({full}){inside}; "
        f"`clear` after {', '.join(f'{beats:,}' for beats in stalled['cut_after'])} beats of a clip"
    )
