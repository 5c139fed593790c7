# SPDX-License-Identifier: Apache-2.0
"""Steps of a folder: one that read what it read before, and whose outputs are as it left them, is skipped."""

import hashlib
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path

from filelock import FileLock, Timeout
from framegate import __version__
from framegate.errors import UsageError
from framegate.files import read_as, write_json

_RECORDS, _LOCK = ".steps.json", ".lock"
_NO_SOURCES = (".pyc", ".pt")  # a built-in network that is used is copied, and read as any other
Say = Callable[[str], None]


@dataclass(frozen=True)
class Code:
    """What a step is made by: our own rooms (folders of sources), and the libraries that they call (distributions)."""

    rooms: tuple[Path, ...] = ()
    libraries: tuple[str, ...] = ()

    def words(self) -> list[str]:
        """All that tells this code from any other."""
        versions = [f"{name} {metadata.version(name)}" for name in self.libraries]
        return [__version__, platform.python_version(), *versions, *map(_room, self.rooms)]


@dataclass(frozen=True)
class Record:
    """A step that is done: a digest of all that it read, one of each file that it wrote, and how long it took."""

    key: str
    outputs: dict[str, str] = field(default_factory=dict)  # path below the folder: digest
    seconds: float = 0.0
    ran: bool = False  # just now; False: it was kept


@dataclass(frozen=True)
class Steps:
    """The steps of one folder; `say` gets a word about each."""

    folder: Path
    say: Say

    def run(
        self,
        name: str,
        reads: Iterable[Path | str],
        writes: Iterable[Path],
        make: Callable[[], object],
        code: Code,
        by: str = "",
    ) -> Record:
        """Call `make` unless it was made by the same `code` from the same `reads`, and `writes` are as it left them.

        `reads`: options and versions of tools as they are, files and folders by name and content. `by`: the tool that
        takes its time. Other runs in this folder wait. Raises UsageError when the folder cannot be written.
        """
        writes = list(writes)
        with locked(self.folder, self.say):
            key = self._key([*code.words(), *reads])
            kept = self._records().get(name)
            if kept is not None and kept.key == key and kept.outputs == self._outputs(writes):
                self.say(f"{name}: unchanged, kept")
                return kept
            self.say(f"{name}: {by} …" if by else f"{name} …")
            self._keep(name, None)  # an interrupted step is made again
            started = time.monotonic()
            make()
            seconds = round(time.monotonic() - started, 1)
            record = Record(key, self._outputs(writes), seconds, ran=True)
            self._keep(name, record)
        if by:
            self.say(f"{name}: {seconds:.1f} s")
        return record

    def changes(self, name: str, writes: Iterable[Path]) -> list[str] | None:
        """What of `writes` is no more as the step left it, as "rtl/a.sv changed"; None when it never ran here."""
        kept = self._records().get(name)
        if kept is None:
            return None
        found = self._outputs(writes)
        return [
            f"{file} {'missing' if file not in found else 'changed' if file in kept.outputs else 'extra'}"
            for file in sorted(found.keys() | kept.outputs.keys())
            if found.get(file) != kept.outputs.get(file)
        ]

    def _key(self, reads: Iterable[Path | str]) -> str:
        """A digest of texts as they are, of files and folders by name and content."""
        plain = [
            entry if isinstance(entry, str) else [self._name(entry), self._files(entry)] for entry in reads
        ]
        return hashlib.sha256(json.dumps(plain).encode()).hexdigest()

    def _outputs(self, writes: Iterable[Path]) -> dict[str, str]:
        return {
            "/".join(filter(None, (self._name(path), file))): digest
            for path in writes
            for file, digest in self._files(path).items()
        }

    def _name(self, path: Path) -> str:
        """Below the folder the way from there, so that a moved build stays what it is; else the last name."""
        inside = os.path.relpath(path.absolute(), self.folder.absolute())
        return path.name if inside.startswith("..") else inside

    def _files(self, path: Path) -> dict[str, str]:
        """The digest of a file, under "", or of all files of a folder, by their way from there; none if absent."""
        if not path.is_dir():
            return {"": _digest(path)} if path.is_file() else {}
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return {str(file.relative_to(path)): _digest(file) for file in files}

    def _records(self) -> dict[str, Record]:
        try:
            return read_as(dict[str, Record], self.folder / _RECORDS, "")
        except UsageError:
            return {}  # damaged, or of another version: as if no step had run

    def _keep(self, name: str, record: Record | None) -> None:
        records = {known: kept for known, kept in self._records().items() if known != name}
        if record is not None:
            records[name] = record
        plain = {known: {**asdict(kept), "ran": False} for known, kept in records.items()}
        write_json(self.folder / _RECORDS, plain)


@contextmanager
def locked(folder: Path, say: Say) -> Iterator[None]:
    """Hold `folder` for this process, again if it holds it already; while another one has it, say so and wait.

    A folder that was made for this and gets nothing else, as when the network is refused, is removed again.
    """
    found = folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.resolve() / _LOCK, is_singleton=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"{folder}: another run is at work there; waiting for its end …")
            _wait_for(lock, folder)
    except OSError as error:
        reason = "it is no folder" if folder.is_file() else error.strerror or error
        raise UsageError(f"{folder}: cannot be worked in ({reason}); choose another folder") from error
    try:
        yield
    finally:
        if not found and {path.name for path in folder.glob("*")} <= {_RECORDS, _LOCK}:
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def _wait_for(lock: FileLock, folder: Path) -> None:
    """Acquire `lock`; make `folder` again where the run before has removed it."""
    while not lock.is_locked:
        try:
            lock.acquire()
        except FileNotFoundError:
            folder.mkdir(parents=True, exist_ok=True)


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@cache
def _room(folder: Path) -> str:
    """Of our own code in a folder: what was made by other code is not the same."""
    sources = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix not in _NO_SOURCES)
    names = [[str(path.relative_to(folder)), _digest(path)] for path in sources]
    return hashlib.sha256(json.dumps(names).encode()).hexdigest()
