# SPDX-License-Identifier: Apache-2.0
"""The memory images of a build against its dataflow, word by word, which a few clips need not notice."""

from collections.abc import Iterator
from pathlib import Path

from framegate.hls.dataflow.graph import Dataflow
from framegate.hls.emission.emit import LOAD, image_name, load_beats
from framegate.hls.kernels import LOAD_BITS, Memory
from framegate.rtl_sim.compare import Difference, total


def compare_images(dataflow: Dataflow, rtl: Path) -> Difference:
    """Compare every memory image in folder `rtl` with the words that the kernels want there."""
    return total(_compare(memory, rtl / name, kernel) for kernel, name, memory in _memories(dataflow))


def _memories(dataflow: Dataflow) -> Iterator[tuple[str, str, Memory]]:
    """Each memory with its kernel and the name of its file."""
    for kernel in dataflow.kernels:
        for memory in kernel.instance().memories:
            yield kernel.name, image_name(kernel, memory), memory
    if beats := load_beats(dataflow):
        yield "loader", LOAD, Memory("load", beats, LOAD_BITS)


def _compare(memory: Memory, file: Path, kernel: str) -> Difference:
    place = f"{file.parent.name}/{file.name}, memory {memory.suffix} of {kernel}"
    wanted = [int(word) for word in memory.words]
    if not file.is_file():
        return Difference(len(wanted), len(wanted), f"{place}: not there, {len(wanted)} words expected")
    found = file.read_text(errors="replace").split()
    wrong = [
        index for index, (word, value) in enumerate(zip(found, wanted, strict=False)) if _word(word) != value
    ]
    surplus = abs(len(found) - len(wanted))
    first = f"{place}: {len(found)} words, expected {len(wanted)}" if surplus else None
    if wrong:
        first = f"{place}, word {wrong[0]}: {found[wrong[0]]}, expected {wanted[wrong[0]]:x}"
    return Difference(len(wanted), len(wrong) + surplus, first)


def _word(digits: str) -> int | None:
    """A word as `compile` writes it; None for anything else that $readmemh might take."""
    try:
        return int(digits, 16)
    except ValueError:
        return None
