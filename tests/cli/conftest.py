# SPDX-License-Identifier: Apache-2.0
"""Runs the command line in this process."""

import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import typer.main
from framegate import main
from framegate.quant.clips import shop

from tests.networks import soon_calibrated


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed on stdout."""
        return json.loads(self.out)


@pytest.fixture
def framegate(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """`framegate(*arguments)` as a shell would call it."""

    def call(*arguments: object) -> Result:
        monkeypatch.setattr("sys.argv", ["framegate", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main.run()
        captured = capsys.readouterr()
        return Result(int(end.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture(scope="session", autouse=True)
def soon_made(one_export: None) -> Iterator[None]:
    """Many tests compile the same network: the exporter runs once for each.

    Clips of the synthetic shop are drawn once, and Typer makes its commands once.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
        patch.setattr(shop, "render", functools.cache(shop.render))
        yield


@pytest.fixture(scope="module", autouse=True)
def short_training() -> Iterator[None]:
    """For the tests here alone."""
    with soon_calibrated():
        yield
