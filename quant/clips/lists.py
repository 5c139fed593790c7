# SPDX-License-Identifier: Apache-2.0
"""Lists of clips: a file with a path and a label in each line, or as Kinetics is published."""

import csv
import os.path
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from framegate.errors import UsageError
from framegate.quant.clips.video import Clip, shown

SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v")
LISTS = (".csv", ".txt", ".tsv")
INDEX = "clips.csv"  # path,label,source in a folder of clips, instead of class folders
NO_CLASS = "-"  # a label in a list: none of the classes

_COLUMNS = ("path", "label", "source", "split", "youtube_id", "time_start", "time_end")  # those that are read
ADVICE = (
    f"put videos ({', '.join(SUFFIXES)}) into one sub-folder per class, or list them in a {INDEX} with the "
    f"columns path,label,source"
)


def rows_of(file: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a list with their line numbers: by commas, tabs, or (Kinetics) a space before the label."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        if "," in first or "\t" in first:
            reader = csv.reader(text.splitlines(), delimiter="," if "," in first else "\t", strict=True)
            rows = [(reader.line_num, row) for row in reader]
        else:
            rows = [
                (number, line.rsplit(maxsplit=1)) for number, line in enumerate(text.splitlines(), start=1)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"{file}: not readable as CSV ({error}); save it as UTF-8 text with commas"
        ) from None
    return ((number, [cell.strip() for cell in row]) for number, row in rows if any(row))


def column_names(rows: Sequence[tuple[int, list[str]]]) -> list[str]:
    """The first row as names of columns, which it may be."""
    return [cell.lower() for cell in rows[0][1]] if rows else []


def require_distinct(file: Path, header: Sequence[str]) -> None:
    """Raise UsageError when a column that is read is there twice: which one is meant, nobody can know."""
    if twice := [name for name in _COLUMNS if header.count(name) > 1]:
        raise UsageError(
            f"{file}: has {header.count(twice[0])} columns {twice[0]!r}; remove or rename all but the one that is meant"
        )


def clips_of(file: Path) -> tuple[str, list[Clip]]:
    """The name of the layout and the clips of a list: path,label[,source] with or without a header, or Kinetics'.

    Raises UsageError naming the file, the line and what is wrong there.
    """
    rows = list(rows_of(file))
    header = column_names(rows)
    if {"path", "youtube_id"} & set(header):
        require_distinct(file, header)
    if "youtube_id" in header:
        return "Kinetics list", _unique(file, _kinetics(file, header, rows[1:]))
    columns = ["path", "label", "source"]
    if "path" in header:
        columns, rows = header, rows[1:]
    clips = _unique(file, _listed(file, columns, rows))
    if not clips:
        raise UsageError(f"{file}: lists no clips; {ADVICE}")
    return "list", clips


def _listed(
    file: Path, columns: Sequence[str], rows: Iterable[tuple[int, list[str]]]
) -> Iterator[tuple[int, Clip]]:
    for number, cells in rows:
        row = dict(zip(columns, cells, strict=False))
        if len(cells) > len(columns) or not row.get("path") or not row.get("label"):
            raise UsageError(
                f"{file}, line {number}: needs a path and a label; columns are path,label,source"
            )
        if not os.path.isfile(file.parent / row["path"]):
            raise UsageError(
                f"{file}, line {number}: {shown(row['path'])} is not there; correct or remove the line"
            )
        yield number, Clip(file.parent / row["path"], _labels(row["label"]), row.get("source") or row["path"])


def _kinetics(
    file: Path, header: Sequence[str], rows: Iterable[tuple[int, list[str]]]
) -> Iterator[tuple[int, Clip]]:
    """label,youtube_id,time_start,time_end,…: the videos lie anywhere below, as ID_000001_000011.mp4."""
    videos = {
        video.stem: video
        for video in sorted(file.parent.rglob("*"))
        if video.suffix.lower() in SUFFIXES and video.is_file()
    }
    for number, cells in rows:
        row = dict(zip(header, cells, strict=False))
        try:
            start, end = (int(float(row[key])) for key in ("time_start", "time_end"))
            name, labels = row["youtube_id"], _labels(row["label"])
        except (KeyError, ValueError, OverflowError):  # the last one: of an infinite number
            raise UsageError(
                f"{file}, line {number}: needs label, youtube_id, time_start and time_end (seconds); "
                f"correct or remove the line"
            ) from None
        cut = f"{name}_{start:06}_{end:06}"
        video = videos.get(cut) or videos.get(name)
        if video is None:
            raise UsageError(
                f"{file}, line {number}: {shown(cut)}.mp4 is not there; correct or remove the line"
            )
        yield number, Clip(video, labels, name)


def _labels(cell: str) -> tuple[str, ...]:
    """Several classes are divided by `|`."""
    names = (name.strip() for name in cell.split("|"))
    return () if cell == NO_CLASS else tuple(dict.fromkeys(name for name in names if name))


def _unique(file: Path, rows: Iterable[tuple[int, Clip]]) -> list[Clip]:
    seen: dict[Path, tuple[int, Clip]] = {}
    for number, clip in rows:
        before = seen.setdefault(clip.path.resolve(), (number, clip))
        if before[0] != number and before[1].labels != clip.labels:
            raise UsageError(
                f"{file}, line {number}: {clip.path.name} is {clip.label!r} here and {before[1].label!r} in line "
                f"{before[0]}; a clip has one line (several classes: a|b)"
            )
        if before[0] != number:
            raise UsageError(
                f"{file}, line {number}: {clip.path.name} is in line {before[0]} already; remove one"
            )
    return [clip for _, clip in seen.values()]
