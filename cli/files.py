# SPDX-License-Identifier: Apache-2.0
"""Outputs appear whole or not at all: everything is written to a temporary name and renamed."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from framegate.errors import UsageError


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; what is there at the end (file or folder) replaces `target`.

    On an exception nothing of it stays, and what a killed process left is removed. Raises UsageError when the disk
    is full or the folder is not writable.
    """
    target = Path(target)
    _sweep(target)
    draft = target.with_name(f".{target.stem}.{os.getpid()}.part{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        if target.is_dir():
            shutil.rmtree(target)
        draft.replace(target)
    except OSError as error:
        if error.filename is None or error.errno in _DISK_TROUBLE:
            raise UsageError(
                f"{target}: cannot be written: {error.strerror or error}; free some space or choose "
                f"another output folder"
            ) from error
        raise
    finally:
        _remove(draft)


_DISK_TROUBLE = {1, 13, 28, 30, 122}  # EPERM, EACCES, ENOSPC, EROFS, EDQUOT


def _sweep(target: Path) -> None:
    """Remove the drafts of `target` whose process is gone."""
    for draft in target.parent.glob(f".{target.stem}.*.part{target.suffix}"):
        process = draft.name.removesuffix(f".part{target.suffix}").rpartition(".")[2]
        if process.isdecimal() and not _is_alive(int(process)):
            _remove(draft)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir():
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


def read_json(source: Path, remedy: str) -> Any:
    """Read JSON. Raises UsageError naming the file and `remedy` when it is absent or malformed."""
    try:
        return json.loads(Path(source).read_text())
    except FileNotFoundError:
        raise UsageError(f"{source}: not there; {remedy}") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{source}: not readable as JSON ({error}); {remedy}") from None
