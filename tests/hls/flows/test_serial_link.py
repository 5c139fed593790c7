# SPDX-License-Identifier: Apache-2.0
"""The serial link bit by bit, with a host clock that is 2 % off, into the stand-in design."""

import subprocess
from pathlib import Path

import pytest
from framegate.hls import flows
from framegate.hls.tools import find

FLOWS = Path(flows.__file__).parent / "boards"
HERE = Path(__file__).parent


@pytest.mark.usefixtures("icarus")
@pytest.mark.parametrize("pixel_bits", [8, 24])
def test_pixels_arrive_decisions_return_and_losses_are_told(tmp_path: Path, pixel_bits: int) -> None:
    (tmp_path / "weights.hex").write_text("".join(f"{7 * i + 3:05x}\n" for i in range(1024)))
    sources = [
        HERE / "serial_link_tb.sv",
        HERE / "tiny" / "framegate.sv",
        *(FLOWS / name for name in ("fg_serial_link.sv", "fg_uart_rx.sv", "fg_uart_tx.sv")),
    ]
    options = ["-g2012", f"-Pserial_link_tb.PIXEL_BITS={pixel_bits}"]
    compiler, simulator = find("iverilog").command, find("vvp").command
    subprocess.run([*compiler, *options, "-o", "bench.vvp", *map(str, sources)], cwd=tmp_path, check=True)
    run = subprocess.run(
        [*simulator, "-n", "bench.vvp"], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert [line for line in run.stdout.splitlines() if "=" in line] == [
        f"whole seen={192 // pixel_bits} wrong=0 answers=1 same=1",
        f"restarted seen={192 // pixel_bits} wrong=0 answers=2",
        "lost answer=ff led=ff",
    ]
