# SPDX-License-Identifier: Apache-2.0
"""The cocotb test that runs a bench: reset, then one wait until every sink has what it expects."""

import atexit
import ctypes
import json
import os
from typing import Any

import cocotb
from cocotb.triggers import First, RisingEdge, Timer

PERIOD_NS = (
    10  # of the clock, which the bench makes: an edge that comes from here costs more than the cycle itself
)


def _divide(folders: list[str]) -> None:
    """Go on as one more process for each of `folders`, which runs there and logs to run.log; one after the other.

    cocotb imports this before time 0, where no memory is filled and no file is open: each process is a simulation
    from nothing that need not start Python, and import cocotb, again.
    """
    for folder in folders:
        if child := os.fork():
            os.waitpid(child, 0)
            continue
        os.chdir(folder)
        os.environ["COCOTB_RESULTS_FILE"] = os.path.join(folder, "results.xml")
        log = os.open("run.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for output in (1, 2):
            os.dup2(log, output)
        atexit.register(_leave)
        return


def _leave() -> None:
    """End a copied process: Verilator would wait for its threads for ever, which no copy has."""
    ctypes.CDLL(None).fflush(None)
    os._exit(0)


_divide(json.loads(os.environ["FRAMEGATE_OTHER_RUNS"]))


@cocotb.test()
async def run(dut: Any) -> None:
    """Run until `finished`, plus cycles in which a surplus beat would show; fail at the cycle limit."""
    limit, linger = (int(os.environ[f"FRAMEGATE_CYCLE_{name}"]) for name in ("LIMIT", "LINGER"))
    dut.rst.value = 1
    dut.close.value = 0
    await _cycles(4)
    dut.rst.value = 0
    await _cycles(2)
    if not int(dut.finished.value):
        await First(RisingEdge(dut.finished), _cycles(limit))
    await _cycles(linger)
    dut.close.value = 1
    await _cycles(4)
    assert int(dut.finished.value), f"beats are missing after {limit} cycles"


def _cycles(count: int) -> Timer:
    """So many cycles, from one falling edge to another."""
    return Timer(count * PERIOD_NS, "ns")
