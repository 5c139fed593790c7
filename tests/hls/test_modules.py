# SPDX-License-Identifier: Apache-2.0
"""What holds for every module of SystemVerilog that we write."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from framegate.errors import FramegateError
from framegate.hls import kernels
from framegate.hls.kernels import STREAM_CHECK, Fifo, Kernel, Skid, Window
from framegate.rtl_sim.bench import simulator
from framegate.rtl_sim.bench.simulator import Simulator

from tests import lint
from tests.kernels import bench
from tests.kernels.bench import stream

HLS = Path(kernels.__file__).parents[1]
MODULES = sorted([*HLS.rglob("*.sv"), *(Path(simulator.__file__).parent / "harness").glob("*.sv")])


@pytest.mark.parametrize("source", MODULES, ids=lambda source: source.stem)
def test_a_file_holds_the_module_of_its_name_behind_a_prefix(source: Path) -> None:
    """The prefix, since `add`, `fifo` or `ram` may be somebody else's in the same project."""
    family = re.fullmatch(r"(fg_multiplier)_\w+", source.stem)  # takes the place of the portable one
    assert re.findall(r"(?m)^module (\w+)", source.read_text()) == [family[1] if family else source.stem]
    assert source.stem.startswith("fg_")


def test_a_package_holds_every_module() -> None:
    """Also an install that is no link to the sources."""
    settings = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    patterns = settings["tool"]["setuptools"]["package-data"]["*"]
    for source in MODULES:
        package = next(folder for folder in source.parents if (folder / "__init__.py").exists())
        assert any(source in package.glob(pattern) for pattern in patterns), source


@pytest.mark.slow  # `make lint` looks at the same in every run
def test_verilator_has_nothing_to_say(tmp_path: Path) -> None:
    assert not list(lint.all_warnings(tmp_path))


# Per module what it must not take (the first of them named), and what it says then.
REFUSED = {
    "fg_accumulator": ("BITS=0", "BITS=0 must be at least 1"),
    "fg_add": ("LANES=0", "LANES=0, LEFT_BITS=4, RIGHT_BITS=4 and OUT_BITS=5 must be at least 1"),
    "fg_adder_tree": ("LEVELS=2", "LEVELS=2 must be no more than add COUNT=4 fields up, BITS=8 at least 1"),
    "fg_concat": ("LEFT_BEATS=0", "LEFT_BEATS=0 and RIGHT_BEATS=4 must be at least 1"),
    "fg_decide": ("CLASSES=6, LANES=4", "LANES=4 must divide CLASSES=6, of which there are 1 to 127"),
    "fg_depthwise": (
        "IN_LUTS=1, WEIGHT_BITS=5",
        "WEIGHT_BITS=5 must be at least 2, and at most 4 if IN_LUTS=1",
    ),
    "fg_fifo": ("BITS=0", "BITS=0, DEPTH=2 and SLICE=8 must be at least 1"),
    "fg_fork": ("BITS=0", "BITS=0 must be at least 1"),
    "fg_frame_gather": (
        "ENDLESS=1, LOOKAHEAD=1",
        "LOOKAHEAD=1, KEPT=2 and PAUSE=0 must be at least 0, the first 0 if",
    ),
    "fg_inferred_multiplier": ("COUNT=0", "A_BITS=5, B_BITS=4 and COUNT=0 must be at least 1"),
    "fg_joint_factor": (
        "FIELD=4",
        "WEIGHT_BITS=4 must be at least 2, HELD=2 at least 1, FIELD=4 wider than a weight",
    ),
    "fg_joint_sum": ("TERMS=5", "LEVELS=1 must add TERMS=5 up, TOGETHER=1 be some of them"),
    "fg_loader": ("BEATS=0", "BEATS=00000000 must be at least 1 for each of MEMORIES=1"),
    "fg_lut_product": ("B_BITS=5", "A_BITS=5 must be at least 2, B_BITS=5 2 to 4"),
    "fg_matvec": ("IN_LUTS=1, WEIGHT_BITS=5", "WEIGHT_BITS=5 must be at least 2, and at most 4 if IN_LUTS=1"),
    "fg_mean": ("IN_BITS=9", "OUT_BITS=8 must be at least IN_BITS=9"),
    "fg_multiplier": ("COUNT=0", "A_BITS=5, B_BITS=4 and COUNT=0 must be at least 1"),
    "fg_pace": ("INTERVAL=3", "INTERVAL=3 must be at least BEATS=4, that and BITS=8 at least 1"),
    "fg_pool": ("IN_BITS=5", "OUT_BITS=4 must be at least IN_BITS=5"),
    "fg_product": (
        "IN_LUTS=1, B_BITS=5",
        "B_BITS=5 and COUNT=1 must be at least 1, and with IN_LUTS=1 no more than",
    ),
    "fg_product_control": ("STAGES=0", "STEPS=9 and WORDS=36 must be at least 1, STAGES=0 at least 2"),
    "fg_ram": ("DEPTH=17", "ADDR=4 must be the bits that count DEPTH=17 words"),
    "fg_ring_counter": ("COUNT=0", "COUNT=0 must be at least 1"),
    "fg_rom": ("BANK=6", "BANK=6 must be WORDS=16 or more, or a power of two that makes up to 8 banks"),
    "fg_serial_link": ("PIXEL_BITS=16", "PIXEL_BITS=16 must be 8 or 24, RESULT_BITS=40 at least 40"),
    "fg_shift": ("ENDLESS=1", "LOOKAHEAD=1 must be at least 0, and 0 if ENDLESS=1"),
    "fg_skid": ("BITS=0", "BITS=0 must be at least 1"),
    "fg_slide": ("BANKS=2", "KERNEL=3 must be more than PAD=1 and no more than BANKS=2"),
    "fg_sliding_mean": ("IN_BITS=9", "OUT_BITS=8 must be at least IN_BITS=9"),
    "fg_threshold_level": ("LEVEL=4", "LEVEL=4 must be one of OUT_BITS=4, of which there are 8 at most"),
    "fg_threshold": ("OUT_BITS=9", "OUT_BITS=9 must be 1 to 8, SLOW=0 a bit for each"),
    "fg_uart_rx": ("BAUD_KHZ=20000", "CLOCK_KHZ=50000 must be at least four times BAUD_KHZ=20000"),
    "fg_uart_tx": ("BAUD_KHZ=20000", "CLOCK_KHZ=50000 must be at least four times BAUD_KHZ=20000"),
    "fg_ulx3s": ("CLOCK_MHZ=52", "CLOCK_MHZ=52 must be a multiple of 5 from 5 to 200"),
    "fg_width": ("IN_BITS=8, OUT_BITS=12", "one of IN_BITS=8 and OUT_BITS=12 must divide the other"),
    "fg_window": ("ROWS=2", "ROWS=2 must be at least KERNEL_H=3, REPEAT=1 be BEATS=4 if DEPTHWISE=0"),
}


def test_every_module_of_hardware_refuses_something() -> None:
    own = {source.stem for source in MODULES if "harness" not in source.parts}
    assert {*REFUSED} == own - {STREAM_CHECK.stem, "fg_multiplier_ecp5", "fg_multiplier_xilinx"}


@pytest.mark.parametrize("module", REFUSED)
def test_a_module_refuses_parameters_that_it_cannot_serve(
    module: str, tmp_path: Path, icarus: Simulator
) -> None:
    settings, sentence = REFUSED[module]
    parameters = ", ".join(".{}({})".format(*setting.split("=")) for setting in settings.split(", "))
    (tmp_path / "top.sv").write_text(f"module top;\n    {module} #({parameters}) dut ();\nendmodule\n")
    library = [f"-y{folder}" for folder in sorted({source.parent for source in MODULES})]
    models = [str(Path(__file__).parent / "flows" / name) for name in ("ehxplll.sv", "tiny/framegate.sv")]
    command = ["iverilog", "-g2012", "-Y.sv", *library, "-s", "top", "-oout", "top.sv", *models]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    done = subprocess.run(["vvp", "-n", "out"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.search(rf"FATAL: .*: top\.dut: .*{re.escape(sentence)}", done.stdout + done.stderr), done.stdout


BROKEN: dict[str, tuple[Kernel, str, str, str]] = {
    "changes a beat": (
        Skid(name="skid", input=stream()),
        "full_q ? kept_q : in_data",
        "full_q ? ~kept_q : in_data",
        r"stream out: beat [0-9a-f]+ was withdrawn or changed while it waited, at time \d+",
    ),
    "takes more than it holds": (
        Fifo(name="fifo", input=stream(), depth=2),
        "!full_q",
        "1'b1",
        r"stream out: a counter behind it left its range, at time \d+",
    ),
    "writes over what it needs": (
        Window(name="window", input=stream(), kernel=(3, 3), stride=(1, 1), padding=(1, 1, 1, 1)),
        "has_room = !room_q[PIXELS-1]",
        "has_room = 1'b1",
        r"stream out: a counter behind it left its range, at time \d+",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_module_that_breaks_its_contract_ends_the_simulation(
    name: str, tmp_path: Path, icarus: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel, right, wrong, sentence = BROKEN[name]
    first, *others = bench.hardware(kernel)
    broken = tmp_path / first.name
    text = first.read_text()
    assert right in text
    broken.write_text(text.replace(right, wrong))
    monkeypatch.setattr(bench, "hardware", lambda _: [broken, *others])
    with pytest.raises(FramegateError, match=sentence):
        bench.check_kernel(kernel, tmp_path, simulator=icarus)
