# SPDX-License-Identifier: Apache-2.0
"""Outputs appear whole or not at all: everything is written to a temporary name and renamed."""

import ctypes
import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from framegate.errors import UsageError
from pydantic import TypeAdapter, ValidationError

if TYPE_CHECKING:  # at run time it takes a second, and few commands draw
    from matplotlib.figure import Figure

Shape = TypeVar("Shape")
LOOK = "framegate.look"  # the matplotlib style of every picture: look.mplstyle


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; what is there at the end (file or folder) replaces `target`.

    A link is written through: what it leads to is replaced, the link stays.
    At every moment the old or the new one is there, also for folders (on Linux; elsewhere a folder that a killed
    process had moved aside comes back with the next call). On an exception nothing of the draft stays, and what a
    killed process left is removed. Raises UsageError when the disk is full or the folder is not writable, or cannot be.
    """
    target = Path(target)
    try:
        target = _behind(target)
        _sweep(target)
        draft = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield draft
            _put(draft, target)
        finally:
            _remove(draft)
    except OSError as error:
        no_folder = (
            error.errno == errno.ENOENT and not target.parent.is_dir()
        )  # one that cannot be, as in /proc
        if error.filename is None or error.errno in _DISK_TROUBLE or no_folder:
            raise UsageError(
                f"{target}: cannot be written: {error.strerror or error}; free some space or choose "
                f"another output folder"
            ) from error
        raise


_DISK_TROUBLE = {errno.EPERM, errno.EACCES, errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.ENOTDIR}


def _behind(target: Path) -> Path:
    """What a link leads to, which need not be there; `target` itself if it is none."""
    end = Path(os.path.realpath(target)) if target.is_symlink() else target
    if end.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(target))
    return end


def _put(draft: Path, target: Path) -> None:
    """Give `draft` the name of `target`; what had it is gone, or left under the draft's."""
    if not os.path.lexists(target) or not (_is_folder(target) or _is_folder(draft)):
        draft.replace(target)
    elif not _exchange(draft, target):
        aside = target.with_name(f".{target.stem}.{os.getpid()}.old{target.suffix}")
        target.replace(aside)
        draft.replace(target)
        _remove(aside)


_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # of Linux


def _exchange(one: Path, other: Path) -> bool:
    """Swap the names of two things at once; False where the system or the file system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    names = [os.fsencode(path) for path in (one, other)]
    done: int = rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)
    if done and ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(other))
    return not done


def _sweep(target: Path) -> None:
    """Remove the drafts of `target` whose process is gone; bring back what it had moved aside."""
    for path in target.parent.glob(f".{escape(target.stem)}.*{escape(target.suffix)}"):
        process, _, kind = path.name.removesuffix(target.suffix).rpartition(".")
        owner = process.rpartition(".")[2]
        if kind not in ("part", "old") or not owner.isdecimal() or _is_alive(int(owner)):
            continue
        if kind == "old" and not os.path.lexists(target):
            path.replace(target)
        _remove(path)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _remove(path: Path) -> None:
    if _is_folder(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> Path:
    """Write `text` to `target`, whole; return `target`."""
    with whole(target) as draft:
        draft.write_text(text)
    return target


def write_json(target: Path, value: Any) -> Path:
    """Write `value` as indented JSON to `target`, whole; return `target`."""
    return write_text(target, json.dumps(value, indent=2) + "\n")


def save_figure(figure: "Figure", target: Path) -> Path:
    """Write a figure as a PNG to `target`, whole; return `target`."""
    with whole(target) as draft:
        figure.savefig(draft, format="png")
    return target


def read_json(source: Path, remedy: str) -> Any:
    """Read JSON. Raises UsageError naming the file and `remedy` when it is absent, unreadable or malformed."""
    try:
        return json.loads(Path(source).read_text())
    except FileNotFoundError:
        raise UsageError(f"{source}: not there; {remedy}") from None
    except OSError as error:
        raise UsageError(f"{source}: cannot be read ({error.strerror or error}); {remedy}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{source}: not readable as JSON ({error}); {remedy}") from None


def read_as(shape: type[Shape], source: Path, remedy: str) -> Shape:
    """Read JSON of a known shape: a dataclass, or a type such as dict[str, float]; keys beyond it are left out.

    Raises UsageError naming the file, the first entry that does not fit, and `remedy`.
    """
    plain = read_json(source, remedy)
    try:
        return TypeAdapter(shape).validate_python(plain)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole file"
        raise UsageError(f"{source}: {place}: {first['msg']}; {remedy}") from None
