# SPDX-License-Identifier: Apache-2.0
"""Folders of any name for tools that cannot take them: make and the shells inside tools split and expand names.

And the same names for the same modules: Verilator writes them into its programs, which ccache then knows.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from framegate.errors import UsageError
from framegate.hls import tools

_MODULES = "modules"  # folder in a bench's
_PLAIN = re.compile(r"[A-Za-z0-9_./+,@-]*")


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path) -> int:
    """`tools.run`, in which each absolute path of the command is plain: an odd folder gets a link for the time.

    Modules are called as seen from `folder`: see `copies`.
    """
    modules_near = [
        os.path.relpath(word, folder.resolve()) if word.endswith(".sv") else word for word in command
    ]
    with _plain(modules_near) as (plain, links):
        if (
            links
        ):  # Verilator's makefile refuses a folder with a space, though it calls everything by its plain name
            flags = f"{environment.get('MAKEFLAGS', '')} CURDIR={next(iter(links))}"
            environment = {**environment, "MAKEFLAGS": flags.strip()}
        status = tools.run(plain, folder, environment, log)
        if links:
            text = log.read_text(errors="replace")
            for link, meant in links.items():
                text = text.replace(link, meant)
            log.write_text(text)
    return status


def copies(modules: Mapping[str, Path], work: Path) -> list[Path]:
    """`modules` in a folder of `work`, where every build calls them by the same names."""
    shutil.rmtree(folder := work / _MODULES, ignore_errors=True)
    folder.mkdir()
    return [Path(shutil.copyfile(path, folder / name)) for name, path in modules.items()]


@contextmanager
def by_origin(log: Path, modules: Mapping[str, Path]) -> Iterator[None]:
    """Name in the log what each copied module was copied from."""
    try:
        yield
    finally:
        if log.is_file():
            copy = rf"(?:\.\./)?{_MODULES}/(\w+\.sv)"
            text = log.read_text(errors="replace")
            log.write_text(re.sub(copy, lambda found: str(modules.get(found[1], found[0])), text))


@contextmanager
def _plain(command: Sequence[str]) -> Iterator[tuple[list[str], dict[str, str]]]:
    """The command with plain paths, and what each link in it stands for."""
    odd = sorted({os.path.dirname(word) for word in command if _is_odd(word)})
    if not odd:
        yield list(command), {}
        return
    with tempfile.TemporaryDirectory(prefix="framegate-", dir=_plain_folder()) as folder:
        links = {meant: f"{folder}/{number}" for number, meant in enumerate(odd)}
        for meant, link in links.items():
            os.symlink(meant, link)
        yield (
            [
                f"{links[os.path.dirname(word)]}/{os.path.basename(word)}" if _is_odd(word) else word
                for word in command
            ],
            {link: meant for meant, link in links.items()},
        )


def _is_odd(word: str) -> bool:
    return word.startswith("/") and not _PLAIN.fullmatch(os.path.dirname(word))


def _plain_folder() -> str:
    for folder in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        if _PLAIN.fullmatch(folder) and os.access(folder, os.W_OK):
            return folder
    raise UsageError(
        f"{tempfile.gettempdir()}: temporary files have to be in a folder whose name is of letters, digits and ./_+,@- "
        f"only; set TMPDIR to one, or choose such a build folder"
    )
