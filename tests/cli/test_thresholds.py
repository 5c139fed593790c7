# SPDX-License-Identifier: Apache-2.0
"""A threshold on its way: chosen on clips, kept beside the checkpoint, compiled to an integer, simulated."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from framegate.hls.dataflow.graph import load_dataflow
from framegate.hls.kernels import Decide
from framegate.quant.clips.shop import generate
from framegate.quant.clips.video import decode_views
from framegate.quant.networks.checkpoint import find, logits
from framegate.rtl_sim.bench.simulator import Simulator

from tests.networks import compiled, small


@pytest.fixture
def build(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `small` gives, compiled."""
    return compiled("small", "20000", tmp_path_factory, tmp_path / "build")


def decide(build: Path) -> Decide:
    kernel = load_dataflow(build / "dataflow.json").kernels[-1]
    assert isinstance(kernel, Decide)
    return kernel


def test_a_chosen_threshold_is_compiled_and_decides_in_hardware(
    framegate: Callable, build: Path, tmp_path: Path, rapid: Simulator
) -> None:
    clips = generate(tmp_path / "clips", 2, seed=5)
    checkpoint = small(tmp_path / "run" / "checkpoint.pt")
    file = checkpoint.with_name("threshold.json")
    chosen = framegate(
        "evaluate", "--model", checkpoint, "--clips", clips, "--beta", 2, "--save-threshold", file, "--json"
    )
    assert chosen.code == 0, chosen.err
    logit = json.loads(file.read_text())["logit"]
    assert chosen.json["alarm"]["logit"] == logit
    compiled = framegate("compile", checkpoint, "--build", build, "--rate", "20000", "--json")
    assert compiled.json["thresholds"] == {"conceal": logit}
    dataflow = load_dataflow(build / "dataflow.json")
    (integer,) = decide(build).thresholds
    assert integer * dataflow.logit_scale >= logit > (integer - 1) * dataflow.logit_scale
    assert (
        f"alarm of conceal: its logit minus the largest other one >= {integer}"
        in (build / "rtl" / "framegate.sv").read_text()
    )
    result = framegate("simulate", build, "--clips", clips, "--limit", 4, "--simulator", rapid, "--json")
    assert result.code == 0, result.err
    assert all(rung["alarm_mismatches"] == 0 for rung in result.json["ladder"])
    assert [rung["alarms"] for rung in result.json["ladder"][:3]] == [4, 4, 4]
    raised = {row["path"]: row["alarm"] for row in chosen.json["predictions"]}
    for row in result.json["predictions"]:
        assert (row["alarms"] == ["conceal"]) == raised[row["path"]]


def test_a_given_threshold_wins_and_compiles_anew(framegate: Callable, build: Path, tmp_path: Path) -> None:
    checkpoint = small(tmp_path / "checkpoint.pt")
    options = ["compile", checkpoint, "--build", build, "--rate", "20000"]
    assert framegate(*options).code == 0
    assert decide(build).thresholds == (0,), "a probability of 0.5"
    other = framegate(*options, "--threshold", "0.9")
    assert "compile …" in other.err
    assert decide(build).thresholds[0] > 0
    assert json.loads((build / "threshold.json").read_text())["threshold"] == pytest.approx(0.9)
    for wrong, sentence in {"2": "between 0 and 1", "gone.json": "gone.json: not there"}.items():
        refused = framegate(*options, "--threshold", wrong)
        assert refused.code == 2
        assert sentence in refused.err
    plain = small(tmp_path / "plain.pt", positive=None)
    refused = framegate("compile", plain, "--build", tmp_path / "plain", "--threshold", "0.5")
    assert "has no alarm; name a positive class when it is trained" in refused.err


@pytest.mark.parametrize(
    "classes",
    [("theft", "smoke", "fight"), pytest.param(("theft",), marks=pytest.mark.slow)],
    ids=["three", "one"],
)
def test_independent_classes_have_a_threshold_and_a_bit_each(
    framegate: Callable, tmp_path: Path, rapid: Simulator, classes: tuple[str, ...]
) -> None:
    clips, build = generate(tmp_path / "clips", 1, seed=5), tmp_path / "build"
    checkpoint = small(
        tmp_path / "run" / "checkpoint.pt", classes=classes, labels="independent", positive="theft"
    )
    kept: Mapping[str, Any] = {name: {"logit": 0.1 - 0.05 * k} for k, name in enumerate(classes)}
    file = checkpoint.with_name("threshold.json")
    file.write_text(json.dumps({"positive": "theft", **kept["theft"], "classes": kept}))
    assert framegate("compile", checkpoint, "--build", build, "--rate", "20000").code == 0
    assert load_dataflow(build / "dataflow.json").thresholds == {
        name: kept[name]["logit"] for name in classes
    }
    result = framegate("simulate", build, "--clips", clips, "--limit", 3, "--simulator", rapid, "--json")
    assert result.code == 0, result.err
    assert result.json["bit_exact"]
    for row in result.json["predictions"]:
        assert row["alarms"] == [name for name in classes if row["logits"][name] >= kept[name]["logit"]]
    rtl = result.json["ladder"][-1]
    words = len(classes) + 1 + (len(classes) > 1)
    assert rtl["values"] == rtl["clips"] * words


def test_a_wrong_alarm_in_hardware_turns_the_verdict_red(
    framegate: Callable, build: Path, tmp_path: Path, rapid: Simulator
) -> None:
    checkpoint = small(tmp_path / "checkpoint.pt")
    assert (
        framegate("compile", checkpoint, "--build", build, "--rate", "20000", "--threshold", "0.999999").code
        == 0
    )
    top = build / "rtl" / "framegate.sv"
    before = f".THRESHOLDS({decide(build).instance().parameters['THRESHOLDS']})"
    assert before in top.read_text()
    top.write_text(top.read_text().replace(before, ".THRESHOLDS(34'h200000000)"))  # below every score
    result = framegate("simulate", build, "--limit", 2, "--simulator", rapid, "--json")
    assert result.code == 1
    assert "not bit-exact: decide: clip 0, frame 0, pixel (0, 0), channel 5: 1" in result.err


def test_a_threshold_that_rounds_wrong_is_seen_from_above(
    framegate: Callable, build: Path, rapid: Simulator
) -> None:
    """The rungs above the reference decide by logits: an integer that is off by much cannot agree with them."""
    file = build / "dataflow.json"
    plain = json.loads(file.read_text())
    plain["kernels"][-1]["thresholds"] = [-(10**6)]
    file.write_text(json.dumps(plain))
    result = framegate("simulate", build, "--limit", 2, "--simulator", rapid, "--json")
    assert result.code == 1
    wrong = {rung["rung"] for rung in json.loads(result.out)["ladder"] if rung["alarm_mismatches"]}
    assert wrong == {"brevitas", "qonnx", "finn"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--beta", 1, "--min-recall", 0.9], "a threshold is chosen in one way; give one of --beta"),
        (["--save-threshold", "t.json"], "--save-threshold t.json: say how to choose it"),
        (["--beta", 1, "--threshold", "0.5"], "--threshold 0.5: is there already"),
        (["--precision", "float"], "tsm-lite: its precision is w4a4, not float"),
        (["--network", "tsn-lite"], "tsm-lite: its network is tsm-lite, not tsn-lite"),
        (["--views", "10x2"], "--views 10x2: give clips x crops"),
        (["--max-false-alarms", "-1"], "--max-false-alarms -1: give alarms per hour from 0 to 1e+06"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    framegate: Callable, tmp_path: Path, options: list[object], sentence: str
) -> None:
    clips = generate(tmp_path / "clips", 1, seed=5)
    result = framegate("evaluate", "--clips", clips, *options)
    assert result.code == 2
    assert sentence in result.err


def test_clips_of_one_side_give_no_threshold(framegate: Callable, tmp_path: Path) -> None:
    clips = generate(tmp_path / "clips", 1, seed=5)
    (tmp_path / "alone").mkdir()
    (clips / "conceal").rename(tmp_path / "alone" / "conceal")
    result = framegate("evaluate", "--clips", tmp_path / "alone", "--beta", 1)
    assert result.code == 2
    assert "threshold of 'conceal': all 1 clips are with the class of the alarm" in result.err
    figures = framegate("evaluate", "--clips", tmp_path / "alone")
    assert "auc: needs clips with and without each class" in figures.out


def test_pictures_are_written_and_shown_by_the_report_of_that_very_network(
    framegate: Callable, build: Path, tmp_path: Path
) -> None:
    clips, checkpoint = generate(tmp_path / "clips", 2, seed=5), small(tmp_path / "run" / "checkpoint.pt")
    kept = tmp_path / "run" / "evaluation"
    result = framegate("evaluate", "--model", checkpoint, "--clips", clips, "--plots", kept, "--json")
    assert result.code == 0, result.err
    pictures = sorted(path.name for path in kept.glob("*.png"))
    assert pictures == ["confusion.png", "precision_recall.png", "roc.png", "scores.png", "thresholds.png"]
    assert framegate("compile", checkpoint, "--build", build, "--rate", "20000").code == 0
    framegate("report", build)
    page = (build / "report.html").read_text()
    assert page.count("data:image/png;base64,") == len(pictures)
    assert "<h2>Evaluation</h2>" in page
    (build / "checkpoint.pt").write_bytes(b"another network")
    framegate("report", build)
    assert "<h2>Evaluation</h2>" not in (build / "report.html").read_text()


def test_the_table_compares_float_and_quantized_by_views(framegate: Callable, tmp_path: Path) -> None:
    clips = generate(tmp_path / "clips", 1, seed=5)
    found = framegate("evaluate", "--clips", clips, "--models", "tsm-lite", "--table", "--json").json
    rows = found["rows"]
    assert [(row["model"], row["precision"], row["views"]) for row in rows] == [
        ("tsm-lite", "w4a4", "1x1"),
        ("tsm-lite", "w4a4", "10x3"),
        ("tsm-lite.float", "float", "1x1"),
        ("tsm-lite.float", "float", "10x3"),
    ]
    for row in rows:
        assert {"top1", "top5", "auc", "f1", "intervals"} <= set(row)
        assert 0 < row["videos_per_second"] < 1 / row["seconds_per_sample"]
    assert rows[1]["seconds_per_sample"] > 2 * rows[0]["seconds_per_sample"], (
        "thirty views take longer than one"
    )
    assert "the network alone, decoding apart" in found["timing"]


def test_scores_of_several_views_are_the_mean_of_their_logits(framegate: Callable, tmp_path: Path) -> None:
    clip = generate(tmp_path / "clips", 1, seed=5) / "take" / "00000.mp4"
    network = find("tsm-lite")
    views = decode_views(clip, network.config.transform.model_copy(update={"num_clips": 4, "num_crops": 3}))
    assert len(views) == 12
    expected = logits(network, torch.from_numpy(views)).mean(dim=0).tolist()
    found = framegate("evaluate", "--clips", clip, "--views", "4x3", "--json").json
    assert found["predictions"][0]["logits"] == pytest.approx(expected)
