# SPDX-License-Identifier: Apache-2.0
"""Which kernels there are, and where the SystemVerilog of a kernel and of its parts lies."""

import inspect
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from framegate.hls.kernels._kernel import Kernel

_HERE = Path(__file__).parent
STREAM_CHECK = _HERE / "parts" / "fg_stream_check.sv"  # in every simulation, nothing in a netlist


def kinds(package: str, folders: Iterable[str]) -> Iterator[type[Kernel]]:
    """The kernels of a package's modules, which lie in `folders`; those that begin with _ hold none."""
    for name in sorted(found.name for found in iter_modules(folders) if not found.name.startswith("_")):
        module = import_module(f"{package}.{name}")
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, Kernel) and kind.__module__ == module.__name__:
                yield kind


def hardware(kernel: Kernel) -> list[Path]:
    """The SystemVerilog of a kernel and of the modules that it is made of, with the one that checks its streams.

    Its own is called as its Python file, behind fg_.
    """
    name = type(kernel).__module__.rsplit(".", 1)[1]
    stems = (f"fg_{name}", *kernel.PARTS, STREAM_CHECK.stem)
    return [next(_HERE.glob(f"**/{stem}.sv")) for stem in stems]
