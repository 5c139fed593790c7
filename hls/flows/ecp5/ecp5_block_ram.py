# SPDX-License-Identifier: Apache-2.0
"""Registers behind an ECP5's block RAM move into it: from clock to data 1.0 instead of 5.8 ns, and no flip-flops.

Yosys knows no output register of DP16KD (Lattice, "ECP5 and ECP5-5G Memory Usage Guide", FPGA-TN-02204), nextpnr does.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from framegate.files import read_json

_Cell = dict[str, Any]
_WIDE = 36  # both ports make one that reads, under the second port's signals


def use_output_registers(netlist: Path) -> int:
    """Change Yosys' netlist in JSON; returns how many flip-flops are gone.

    A port's register is used where all bits that are read lead to flip-flops of one clock, one enable and no reset, and
    nowhere else.
    """
    design = read_json(netlist, f"delete {netlist}")
    top = _top(design)
    readers = _readers(top)
    gone = 0
    for ram in [cell for cell in top["cells"].values() if cell["type"] == "DP16KD"]:
        for ports in _read_ports(ram):
            behind = _registers(top, ram, ports, readers)
            gone += _move(top, ram, ports, behind) if behind else 0
    netlist.write_text(json.dumps(design))
    return gone


def _top(design: Mapping[str, Any]) -> dict[str, Any]:
    modules: Mapping[str, dict[str, Any]] = design["modules"]
    return next(module for module in modules.values() if int(module["attributes"].get("top", "0"), 2))


def _readers(top: Mapping[str, Any]) -> Mapping[int, list[tuple[str, str]]]:
    """Per net (cell, pin) of all that read it; for a port of the design the cell is ""."""
    found: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for name, cell in top["cells"].items():
        for pin, bits in cell["connections"].items():
            if cell["port_directions"][pin] != "output":
                for bit in bits:
                    found[bit].append((name, pin))
    for name, port in top["ports"].items():
        for bit in port["bits"]:
            found[bit].append(("", name))
    return found


def _read_ports(ram: _Cell) -> list[str]:
    """The ports that read together."""
    widths = [int(ram["parameters"][f"DATA_WIDTH_{port}"], 2) for port in "AB"]
    return ["AB"] if _WIDE in widths else ["A", "B"]


def _pins(ram: _Cell, ports: str) -> Iterator[str]:
    return (f"DO{port}{bit}" for port in ports for bit in range(18) if f"DO{port}{bit}" in ram["connections"])


def _registers(
    top: Mapping[str, Any], ram: _Cell, ports: str, readers: Mapping[int, list[tuple[str, str]]]
) -> dict[str, str]:
    """The flip-flop behind each pin that is read; none if one of them cannot move."""
    clock = ram["connections"][f"CLK{ports[-1]}"]
    found: dict[str, str] = {}
    enables = set()
    for pin in _pins(ram, ports):
        reading = readers.get(ram["connections"][pin][0], [])
        if not reading:
            continue
        name, at = reading[0]
        if len(reading) > 1 or at != "DI" or not _is_plain(top["cells"][name], clock):
            return {}
        found[pin] = name
        enables.add(_enable(top["cells"][name]))
    return found if len(enables) == 1 else {}


_PLAIN = {"CLKMUX": ("CLK",), "LSRMUX": ("LSR",), "REGSET": ("RESET",), "CEMUX": ("CE", "1")}


def _is_plain(cell: _Cell, clock: list[int]) -> bool:
    """Whether it is a flip-flop of that clock that starts at zero, without a reset."""
    return (
        cell["type"] == "TRELLIS_FF"
        and cell["connections"]["CLK"] == clock
        and cell["connections"].get("LSR", ["0"]) == ["0"]
        and all(cell["parameters"].get(name, known[0]) in known for name, known in _PLAIN.items())
    )


def _enable(register: _Cell) -> int | str:
    """The net that enables it; "1" for always."""
    always = register["parameters"].get("CEMUX", "CE") == "1"
    enable: int | str = "1" if always else register["connections"].get("CE", ["1"])[0]
    return enable


def _move(top: Mapping[str, Any], ram: _Cell, ports: str, behind: Mapping[str, str]) -> int:
    registers = {pin: top["cells"].pop(name) for pin, name in behind.items()}
    for port in ports:
        ram["parameters"][f"REGMODE_{port}"] = "OUTREG"
        ram["connections"][f"OCE{port}"] = [_enable(next(iter(registers.values())))]
    for pin, register in registers.items():
        ram["connections"][pin] = register["connections"]["Q"]
    return len(registers)
