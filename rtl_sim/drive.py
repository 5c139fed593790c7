# SPDX-License-Identifier: Apache-2.0
"""The cocotb test that runs a bench: reset, then one wait until every sink has what it expects."""

import os
from typing import Any

import cocotb
from cocotb.triggers import First, RisingEdge, Timer

PERIOD_NS = (
    10  # of the clock, which the bench makes: an edge that comes from here costs more than the cycle itself
)


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
