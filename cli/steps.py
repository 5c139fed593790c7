# SPDX-License-Identifier: Apache-2.0
"""Steps of a build folder: one whose inputs did not change, and whose outputs are there, is skipped."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from framegate import __version__
from framegate.files import write_json

_STAMPS = ".steps.json"
_SOURCES = (".py", ".sv", ".j2", ".toml", ".lpf")


@dataclass(frozen=True)
class Steps:
    """The steps of one build folder; `say` gets a word about each."""

    build: Path
    say: Callable[[str], None]

    def run(
        self, name: str, inputs: Iterable[Path | str], outputs: Iterable[Path], make: Callable[[], object]
    ) -> bool:
        """Call `make` unless nothing changed since it last made `outputs` from `inputs`; return whether it ran."""
        outputs = list(outputs)
        key = _digest([__version__, _own_code(), *inputs])
        if self._stamps().get(name) == key and all(output.exists() for output in outputs):
            self.say(f"{name}: unchanged, kept")
            return False
        self.say(f"{name} …")
        self._stamp(name, "")  # an interrupted step is made again
        make()
        self._stamp(name, key)
        return True

    def _stamps(self) -> dict[str, str]:
        try:
            return dict(json.loads((self.build / _STAMPS).read_text()))
        except (OSError, ValueError):
            return {}

    def _stamp(self, name: str, key: str) -> None:
        write_json(self.build / _STAMPS, {**self._stamps(), name: key})


def _digest(inputs: Iterable[Path | str]) -> str:
    """Of texts as they are, of files and folders by content."""
    found = hashlib.sha256()
    for entry in inputs:
        if isinstance(entry, str):
            found.update(entry.encode() + b"\0")
            continue
        for path in sorted(entry.rglob("*")) if entry.is_dir() else [entry]:
            if path.is_file():
                found.update(path.read_bytes() + b"\0")
    return found.hexdigest()


@cache
def _own_code() -> str:
    """A build made by other code of ours is not the same build."""
    import framegate.hls
    import framegate.quant
    import framegate.rtl_sim

    folders = (
        Path(str(room.__file__)).parent for room in (framegate.quant, framegate.hls, framegate.rtl_sim)
    )
    return _digest(
        path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix in _SOURCES
    )
