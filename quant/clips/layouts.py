# SPDX-License-Identifier: Apache-2.0
"""Folders and lists of clips, in the layouts that people have: which clips, which classes, which sources."""

import os.path
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from framegate.errors import UsageError
from framegate.quant.clips.lists import (
    ADVICE,
    INDEX,
    LISTS,
    SUFFIXES,
    clips_of,
    column_names,
    require_distinct,
    rows_of,
)
from framegate.quant.clips.video import Clip, shown

NORMAL = "normal"  # the class of clips that show nothing, where a layout has no name for it
LABELS = "Labels"  # DCSASS: the folder beside the class folders
_SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing")
_UCF_CRIME = re.compile(r"((?:Normal_Videos_?|([A-Za-z]+))\d+_x264)")  # the video, and its class


@dataclass(frozen=True)
class Dataset:
    """What was found: the name of the layout, the clips, and what of it was left aside, in words."""

    layout: str
    clips: list[Clip]
    left_out: list[str] = field(default_factory=list)


def find_clips(
    path: Path, classes: Sequence[str] | None = None, *, source: str | None = None, only: Sequence[str] = ()
) -> list[Clip]:
    """The clips that `read` finds; with `classes` given, a label outside them is refused."""
    clips = read(path, source=source, only=only).clips
    for clip in clips if classes is not None else ():
        if others := [label for label in clip.labels or () if label not in (classes or ())]:
            raise UsageError(
                f"{clip.path}: class {others[0]!r} is not one of {list(classes or ())}; rename or remove it"
            )
    return clips


def read(path: Path, *, source: str | None = None, only: Sequence[str] = ()) -> Dataset:
    """The clips of a video, a list of videos, or a folder: the layout is recognised.

    `source`: a pattern with one group that finds a clip's source in its path. `only`: the classes that are
    taken (of DCSASS: with the normal clips of their videos).
    Raises UsageError when there is no video, or more than one way to read what is there.
    """
    path = Path(path)
    found = _file(path) if os.path.isfile(path) else _folder(path, only)
    if only and not found.layout.startswith("DCSASS"):
        found = replace(found, clips=_chosen(found.clips, only, path))
    return replace(found, clips=_sourced(found.clips, source, path)) if source else found


def read_splits(
    paths: Sequence[Path], index: Path | None = None, *, source: str | None = None, only: Sequence[str] = ()
) -> dict[str, Dataset]:
    """The parts of a data set by name: one per path, or folders train, test …, or by a list with path and split.

    Without any of these the one part is called "all". Raises UsageError as `read` does.
    """
    if len(paths) == 1 and index is None:
        paths = _split_folders(paths[0]) or paths
    parts = [read(path, source=source, only=only) for path in paths]
    if len(parts) > 1:
        names = [path.name for path in paths]
        names = names if len(set(names)) == len(names) else [str(path) for path in paths]
        return {name: _apart(part, name) for name, part in zip(names, parts, strict=True)}
    return {"all": parts[0]} if index is None else _split_by(index, paths[0], parts[0])


def _split_folders(path: Path) -> list[Path]:
    inside = _folders(path) if os.path.isdir(path) and not (path / INDEX).is_file() else []
    named = len(inside) > 1 and all(entry.name.lower() in _SPLITS for entry in inside)
    return inside if named and not any(_videos(entry) for entry in [path, *inside]) else []


def _apart(part: Dataset, name: str) -> Dataset:
    """With sources that are no more than file names told from those of other parts."""

    def source(clip: Clip) -> str:
        place = (
            clip.path.as_posix() if clip.source.endswith(SUFFIXES) else clip.path.with_suffix("").as_posix()
        )
        made_up = part.layout in ("class folders", "videos", "list") and place.endswith(f"/{clip.source}")
        return f"{name}/{clip.source}" if made_up and _video_of(clip.path) != clip.source else clip.source

    return replace(part, clips=[replace(clip, source=source(clip)) for clip in part.clips])


def _split_by(index: Path, folder: Path, found: Dataset) -> dict[str, Dataset]:
    if not os.path.isfile(index):
        raise UsageError(f"{shown(str(index))}: not there; give a list with the columns path,split")
    rows = list(rows_of(index))
    header = column_names(rows)
    if not {"path", "split"} <= set(header):
        raise UsageError(f"{index}, line 1: needs the columns path and split; give each clip its split there")
    require_distinct(index, header)
    clips = {clip.path.resolve(): clip for clip in found.clips}
    parts: dict[str, list[Clip]] = defaultdict(list)
    for number, cells in rows[1:]:
        row = dict(zip(header, cells, strict=False))
        name, split = row.get("path"), row.get("split")
        clip = clips.get((folder / name).resolve()) if name and "\0" not in name else None
        if clip is None or not split:
            raise UsageError(
                f"{index}, line {number}: {shown(name or '')} is not a clip of {folder}, or has no split; "
                f"correct the line"
            )
        parts[split].append(clip)
    unlisted = set(clips.values()) - {clip for part in parts.values() for clip in part}
    left_out = [f"{clip.path}: is in no split" for clip in found.clips if clip in unlisted]
    return {
        name: replace(found, clips=part, left_out=[*found.left_out, *left_out] if place == 0 else [])
        for place, (name, part) in enumerate(parts.items())
    }


def _file(path: Path) -> Dataset:
    if path.suffix.lower() in LISTS:
        return Dataset(*clips_of(path))
    return Dataset("video", [Clip(path, None, path.stem)])


def _folder(path: Path, only: Sequence[str]) -> Dataset:
    if not os.path.isdir(path):
        raise UsageError(f"{shown(str(path))}: not there; give a video file or a folder of clips")
    if (path / INDEX).is_file():
        return Dataset(*clips_of(path / INDEX))
    inside, videos = _folders(path), _videos(path)
    if (path / "DCSASS Dataset").is_dir():
        return _folder(path / "DCSASS Dataset", only)
    if any(_video_folders(entry) for entry in inside):
        return _dcsass(path, [entry for entry in inside if _video_folders(entry)], only)
    if _video_folders(path):
        return _dcsass(path.parent, [path], ())
    if named := _ucf_crime(path):
        return Dataset("UCF-Crime names", named)
    full = [entry for entry in inside if _videos(entry)]
    if videos and full:
        raise UsageError(
            f"{path}: holds {len(videos)} videos ({videos[0].name} …) and {len(full)} folders of videos "
            f"({full[0].name} …): move the videos into a class folder, or list all in a {INDEX}"
        )
    if full:
        return Dataset("class folders", _class_folders(inside))
    if videos:
        return Dataset("videos", [Clip(video, None, _video_of(video) or video.stem) for video in videos])
    raise _nothing(path, inside)


def _nothing(path: Path, inside: Sequence[Path]) -> UsageError:
    deeper = [entry.name for entry in inside if any(_videos(below) for below in _folders(entry))]
    lists = sorted(file.name for file in path.iterdir() if file.suffix.lower() in LISTS)
    if deeper:
        return UsageError(f"{path}: holds {', '.join(deeper)}, each with class folders; give one of them")
    if lists:
        return UsageError(f"{path}: holds lists ({', '.join(lists)}) but no {INDEX}; give one of the lists")
    return UsageError(f"{path}: holds no clips; {ADVICE}")


def _folders(path: Path) -> list[Path]:
    hidden = (".", "__")  # as __MACOSX in archives
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(hidden))


def _videos(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())


def _class_folders(inside: Sequence[Path]) -> list[Clip]:
    clips = []
    for folder in inside:
        videos = _videos(folder)
        if not videos:
            raise UsageError(
                f"{folder}: class {folder.name!r} holds no videos; add some or remove the folder"
            )
        clips += [
            Clip(video, (folder.name,), _video_of(video) or f"{folder.name}/{video.stem}") for video in videos
        ]
    return clips


def _video_of(clip: Path) -> str | None:
    """The UCF-Crime video that a clip was cut from, by its name."""
    match = _UCF_CRIME.match(clip.name)
    return match[1] if match else None


def _ucf_crime(path: Path) -> list[Clip]:
    """The clips if all are named as in UCF-Crime, and no folder says otherwise."""
    clips = []
    for video in sorted(
        file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file()
    ):
        match = _UCF_CRIME.match(video.name)
        if match is None:
            return []
        label = match[2] or NORMAL
        folder = video.parent.name.lower()
        same = folder == label.lower() or (label == NORMAL and NORMAL in folder)
        if video.parent != path and not same:
            return []
        clips.append(Clip(video, (label,), match[1]))
    return clips


def _video_folders(path: Path) -> list[Path]:
    """DCSASS: folders that are named like the video which was cut into the clips inside, and these after it."""
    return [
        entry
        for entry in _folders(path)
        if entry.suffix.lower() in SUFFIXES
        and any(clip.stem.startswith(f"{entry.stem}_") for clip in _videos(entry))
    ]


def _dcsass(root: Path, classes: Sequence[Path], only: Sequence[str]) -> Dataset:
    names = [folder.name for folder in classes]
    if unknown := [name for name in only if name not in names]:
        raise UsageError(f"{root}: has no class {unknown[0]!r}; choose from {names}")
    clips, left_out = [], []
    for folder in classes:
        if only and folder.name not in only:
            continue
        flags = _flags(root / LABELS / f"{folder.name}.csv")
        for video in _video_folders(folder):
            for clip in _videos(video):
                if clip.stem in flags:
                    label = folder.name if flags.pop(clip.stem) else NORMAL
                    clips.append(Clip(clip, (label,), video.stem))
                else:
                    left_out.append(f"{clip}: is not in {LABELS}/{folder.name}.csv")
        left_out += [f"{LABELS}/{folder.name}.csv: {name} is not there" for name in flags]
    if not clips:
        raise UsageError(f"{root}: DCSASS folders without a labelled clip; unpack the archive again")
    return Dataset("DCSASS", clips, left_out)


def _flags(file: Path) -> dict[str, bool]:
    """DCSASS: by clip name whether the class is seen in it. Kaggle's files have no header, and some empty rows."""
    if not file.is_file():
        raise UsageError(f"{file}: not there; unpack the archive's {LABELS} folder beside the class folders")
    flags = {}
    for number, row in rows_of(file):
        if len(row) < 3 or not row[0] or not row[2]:
            continue
        if row[2] not in ("0", "1"):
            raise UsageError(f"{file}, line {number}: {row[2]!r} is not 0 or 1; correct or remove the line")
        flags[row[0]] = row[2] == "1"
    return flags


def _chosen(clips: Sequence[Clip], only: Sequence[str], path: Path) -> list[Clip]:
    known = sorted({label for clip in clips for label in clip.labels or ()})
    if unknown := [name for name in only if name not in known]:
        raise UsageError(f"{path}: has no class {unknown[0]!r}; choose from {known}")
    return [clip for clip in clips if set(clip.labels or ()) & set(only)]


def _sourced(clips: Sequence[Clip], pattern: str, path: Path) -> list[Clip]:
    try:
        finder = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"source={pattern!r}: not a regular expression ({error}); correct it") from None
    if finder.groups != 1:
        raise UsageError(
            f"source={pattern!r}: has {finder.groups} groups (…); put one around the source's name"
        )
    folder = path if path.is_dir() else path.parent
    return [replace(clip, source=_group(finder, clip.path, folder)) for clip in clips]


def _group(finder: re.Pattern[str], clip: Path, folder: Path) -> str:
    name = (clip.relative_to(folder) if clip.is_relative_to(folder) else clip).as_posix()
    match = finder.search(name)
    if match is None or not match[1]:
        raise UsageError(
            f"source={finder.pattern!r}: finds nothing in {name}; correct the pattern or rename it"
        )
    return match[1]
