# SPDX-License-Identifier: Apache-2.0
"""What several tests need and nobody may change is made once in a run, by whichever process comes first."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from filelock import FileLock
from framegate.rtl_sim.bench import fast


def once(factory: pytest.TempPathFactory, name: str, fill: Callable[[Path], object]) -> Path:
    """The folder of that name which `fill` fills: one process of this run does, others wait. Nobody may change it."""
    of_this_run = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        of_this_run = of_this_run.parent  # of all processes
    folder = of_this_run / "once" / name
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            fill(draft := Path(tempfile.mkdtemp(dir=folder.parent)))
            draft.rename(folder)
    return folder


@contextmanager
def programs_once(factory: pytest.TempPathFactory) -> Iterator[None]:
    """A bench that Verilator has compiled before, without cocotb, is not compiled again."""
    plain = fast.build

    def build(simulator: str, sources: Sequence[Path], folder: Path, log: Path, cycles: int) -> None:
        if simulator != "fast":
            return plain(simulator, sources, folder, log, cycles)
        digest = hashlib.sha256(fast.make_flags(cycles).encode())
        for source in sources:
            digest.update(source.name.encode() + source.read_bytes())

        def fill(made: Path) -> None:
            plain(simulator, sources, folder, log, cycles)
            shutil.copy(folder / fast.PROGRAM, made)

        made = once(factory, f"program-{digest.hexdigest()[:16]}", fill)
        folder.mkdir(exist_ok=True)
        shutil.copy(made / fast.PROGRAM, folder)
        return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "build", build)
        yield
