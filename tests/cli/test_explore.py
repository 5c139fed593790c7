# SPDX-License-Identifier: Apache-2.0
"""`framegate explore`: a table, a picture, and what a build without figures is told."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Result
from tests.networks import compiled

Framegate = Callable[..., Result]


def test_the_front_and_its_picture(
    framegate: Framegate, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    plot = compiled("tsm-lite", "1200", tmp_path_factory, tmp_path / "build") / "front.png"
    told = framegate("explore", "--build", tmp_path / "build", "--points", 4, "--plot", plot)
    assert told.code == 0, told.err
    assert "slowest layer" in told.out
    assert plot.is_file()
    again = framegate("explore", "--build", tmp_path / "build", "--points", 4, "--json").json
    assert again["points"][0]["interval"] < again["points"][-1]["interval"]


def test_the_delay_is_another_axis(
    framegate: Framegate, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    build = compiled("small", "20000", tmp_path_factory, tmp_path / "build")
    plot = tmp_path / "delays.png"
    run = ("explore", build / "model.qonnx.onnx", "--build", build, "--axis", "delay", "--points", 5)
    told = framegate(*run, "--plot", plot, "--json")
    assert told.code == 0, told.err
    points = told.json["points"]
    assert points[0]["decision_delay_ms"] > 2 * points[-1]["decision_delay_ms"]
    assert all(point["faster"] for point in points[1:])
    assert plot.is_file()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("ulx3s-85f", "not counted yet; run `framegate bitstream"),
        ("kv260", "built for ulx3s-85f, not for kv260"),
    ],
)
def test_a_build_without_figures_is_named(
    target: str, message: str, framegate: Framegate, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    build = compiled("tsm-lite", "1200", tmp_path_factory, tmp_path / "build")
    told = framegate("explore", "--build", build, "--points", 2, "--target", target, "--measured", build)
    assert told.code == 2
    assert f"{build}: {message}" in told.err
