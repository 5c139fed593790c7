# SPDX-License-Identifier: Apache-2.0
"""`framegate simulate`: real clips through every rung, and a red verdict when the hardware is wrong."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from framegate.hls.build.files import SIMULATION
from framegate.quant.clips.shop import generate
from framegate.rtl_sim.bench.simulator import Simulator

from tests.networks import compiled, small

REAL = Path(__file__).parents[3] / "shared" / "data" / "retail" / "shoplifting"


@pytest.fixture
def build(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network, compiled."""
    return compiled("small", "20000", tmp_path_factory, tmp_path / "build")


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"shift": "online", "weight_bits": 3, "act_bits": 3}, marks=pytest.mark.slow),
        pytest.param(
            {"name": "tsn-lite", "shift": "none", "weight_bits": 2, "act_bits": 2}, marks=pytest.mark.slow
        ),
        pytest.param(
            {"weight_bits": 8, "act_bits": 6, "widths": (8, 8, 8), "strides": (2, 2, 1)},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {
                "name": "tsm-mobilenet",
                "widths": (8, 8, 16),
                "strides": (2, 2, 2),
                "head_hidden": (6, 5),
                "shift_blocks": (1,),
            },
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {
                "name": "tsm-mobilenet",
                "shift": "none",
                "weight_bits": 3,
                "head_bias": False,
                "widths": (8, 8, 16),
                "strides": (2, 2, 1),
            },
            marks=pytest.mark.slow,
        ),
    ],
    ids=["online-3-bit", "tsn-2-bit", "identity-8-bit", "mobilenet", "mobilenet-no-shift-3-bit"],
)
def test_the_networks_of_the_support_table(
    framegate: Callable, tmp_path: Path, rapid: Simulator, options: dict[str, object]
) -> None:
    checkpoint, build = small(tmp_path / "checkpoint.pt", **options), tmp_path / "build"
    assert framegate("compile", checkpoint, "--build", build, "--rate", "20000").code == 0
    result = framegate("simulate", build, "--probe", "--limit", 2, "--simulator", rapid, "--json")
    assert result.code == 0, result.err
    assert result.json["bit_exact"]
    times = result.json["latency_cycles"]
    assert times["measured"] == times["predicted"]
    assert times["jitter"] == 0


def test_clips_are_exact_on_every_rung_and_stream(
    framegate: Callable, build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = generate(tmp_path / "clips", 1, seed=5)
    monkeypatch.chdir(tmp_path)  # simulators run in a folder of their own: a relative path must survive that
    result = framegate(
        "simulate", build.relative_to(tmp_path), "--clips", clips, "--limit", 3, "--probe", "--json"
    )
    assert result.code == 0
    found = result.json
    assert (found["clips"], found["bit_exact"], found["mismatches"]) == (3, True, 0)
    ladder = {rung["rung"]: (rung["compares"], rung["mismatches"]) for rung in found["ladder"]}
    exact = ("integers", 0)
    assert ladder == {
        "brevitas": exact,
        "qonnx": exact,
        "finn": exact,
        "reference": ("yardstick", None),
        "images": exact,
        "rtl decide": exact,
        "rtl stalled": exact,
        "rtl": exact,
    }
    stalled = found["stalled"]
    assert (stalled["mismatches"], stalled["first_mismatch"]) == (0, None)
    assert stalled["full"], "a result that waits makes the pixels wait"
    assert stalled["values"] > 100_000
    started = (build / SIMULATION / "verilator" / "seed.txt").read_text()
    assert int(started) == stalled["seed"], "one seed for all that is drawn"
    times = found["latency_cycles"]
    assert times["measured"] == times["predicted"]
    assert times["jitter"] == 0
    assert found["ladder"][-1]["values"] > 100_000, "every stream was compared"


def test_a_checkpoint_may_have_any_name(framegate: Callable, tmp_path: Path) -> None:
    checkpoint = small(tmp_path / "checkpoint.pt").rename(tmp_path / "last.ckpt")
    assert framegate("compile", checkpoint, "--build", tmp_path / "build", "--rate", "20000").code == 0


def test_a_flipped_weight_bit_turns_the_verdict_red(
    framegate: Callable, build: Path, rapid: Simulator
) -> None:
    image = build / "rtl" / "framegate_stem_weights0.hex"
    words = image.read_text().split()
    words[4] = f"{int(words[4], 16) ^ 2:0{len(words[4])}x}"
    image.write_text("\n".join(words) + "\n")
    result = framegate("simulate", build, "--probe", "--limit", 1, "--simulator", rapid, "--json")
    assert result.code == 1
    assert "not bit-exact: stem: clip 0, frame 0, pixel (" in result.err
    assert "; rtl/framegate_stem_weights0.hex, memory weights of stem, word 4: " in result.err, (
        "the cause as well"
    )
    assert '"bit_exact": false' in result.out


def test_a_run_that_fails_leaves_no_verdict_of_another(
    framegate: Callable, build: Path, rapid: Simulator
) -> None:
    verdict = build / "verdict.json"
    verdict.write_text("of another run")
    top = build / "rtl" / "framegate.sv"
    top.write_text(top.read_text().replace("endmodule", "endmodul"))
    result = framegate("simulate", build, "--limit", 1, "--simulator", rapid)
    assert result.code == 1
    assert "does not compile" in result.err
    assert not verdict.exists(), "a report would show it as this design's"


def test_a_changed_threshold_of_the_reference_is_seen_from_both_sides(
    framegate: Callable, build: Path, rapid: Simulator
) -> None:
    file = build / "dataflow.json"
    dataflow = json.loads(file.read_text())
    kernel = next(kernel for kernel in dataflow["kernels"] if kernel["name"] == "stem_act")
    kernel["thresholds"]["array"] = [[step + 2000 for step in row] for row in kernel["thresholds"]["array"]]
    file.write_text(json.dumps(dataflow))
    result = framegate("simulate", build, "--probe", "--limit", 1, "--simulator", rapid, "--json")
    assert result.code == 1
    assert re.search(r"not bit-exact: stem_act: clip 0, frame \d, pixel \(\d, \d\), channel \d: ", result.err)
    wrong = {rung["rung"] for rung in json.loads(result.out)["ladder"] if rung["mismatches"]}
    assert wrong == {"brevitas", "qonnx", "finn", "images", "rtl", "rtl stalled"}, (
        "all but the reference itself"
    )


def test_an_ignored_stall_turns_the_verdict_red(framegate: Callable, build: Path, rapid: Simulator) -> None:
    decide = next((build / "rtl").glob("*decide.sv"))
    decide.write_text(decide.read_text().replace("in_ready  = out_ready || !valid_q", "in_ready  = 1'b1"))
    result = framegate("simulate", build, "--limit", 1, "--simulator", rapid, "--seed", 4)
    assert result.code == 1
    assert "not bit-exact: stalled, seed 4: " in result.err


def test_nothing_compiled_is_said(framegate: Callable, tmp_path: Path) -> None:
    result = framegate("simulate", tmp_path)
    assert result.code == 2
    assert "run `framegate compile` first" in result.err


def test_an_unknown_simulator_is_said(framegate: Callable, build: Path) -> None:
    result = framegate("simulate", build, "--simulator", "questa")
    assert result.code == 2
    assert "simulator 'questa': unknown; choose one of verilator, icarus" in result.err


@pytest.mark.skipif(not REAL.is_dir(), reason="the real clips are not here")
def test_real_clips_are_exact(framegate: Callable, build: Path, rapid: Simulator) -> None:
    result = framegate("simulate", build, "--clips", REAL, "--limit", 2, "--simulator", rapid, "--json")
    assert result.code == 0
    assert result.json["bit_exact"]
