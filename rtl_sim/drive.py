# SPDX-License-Identifier: Apache-2.0
"""The cocotb test that runs a bench: clock, reset, then one wait until every sink has what it expects."""

import os
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, First, RisingEdge, Timer

PERIOD_NS = 10


@cocotb.test()
async def run(dut: Any) -> None:
    """Run until `finished`, plus cycles in which a surplus beat would show; fail at the cycle limit."""
    limit, linger = (int(os.environ[f"FRAMEGATE_CYCLE_{name}"]) for name in ("LIMIT", "LINGER"))
    dut.rst.value = 1
    dut.close.value = 0
    Clock(dut.clk, PERIOD_NS, "ns").start()
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 2)
    if not int(dut.finished.value):
        await First(RisingEdge(dut.finished), Timer(limit * PERIOD_NS, "ns"))
    await ClockCycles(dut.clk, linger)
    dut.close.value = 1
    await ClockCycles(dut.clk, 4)
    assert int(dut.finished.value), f"beats are missing after {limit} cycles"
