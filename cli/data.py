# SPDX-License-Identifier: Apache-2.0
"""`framegate data`: make clips, look through clips."""

from pathlib import Path
from typing import Annotated

import typer
from framegate.console import Json, progress, say, show

app = typer.Typer(help="Make a folder of synthetic clips, or check one of your own.", no_args_is_help=True)


@app.command(epilog="Example: `framegate data shop clips --clips-per-class 200 --seed 1`")
def shop(
    out: Annotated[Path, typer.Argument(help="Folder to write, one sub-folder per action.")],
    clips_per_class: Annotated[int, typer.Option(min=1, help="Clips of each of the five actions.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same clips.")] = 0,
    json: Json = False,
) -> None:
    """Render the synthetic shop: five actions at a shelf, seen from above, as mp4 files."""
    from framegate.quant.shop import ACTIONS, generate

    with progress() as bar:
        task = bar.add_task("rendering", total=len(ACTIONS) * clips_per_class)
        generate(out, clips_per_class, seed, lambda: bar.advance(task))
    say(f"wrote {out}")
    clips = len(ACTIONS) * clips_per_class
    show({"path": str(out), "clips": clips, "classes": list(ACTIONS)}, [f"{clips} clips in {out}"], json)


@app.command(epilog="Example: `framegate data check my_clips --frames 8`")
def check(
    folder: Annotated[
        Path, typer.Argument(help="A video, or a folder of class folders or with a clips.csv.")
    ],
    frames: Annotated[int, typer.Option(min=1, help="Frames that a network will need of each clip.")] = 8,
    json: Json = False,
) -> None:
    """Decode every clip as training would; stop at the first that cannot be used."""
    from framegate.quant.clips import survey

    found = survey(folder, frames)
    show(found, [f"{folder}: {found['clips']} clips can be used", *map(": ".join, _counts(found))], json)


def _counts(found: dict) -> list[tuple[str, str]]:
    return [(str(label), str(count)) for label, count in found["classes"].items()]
