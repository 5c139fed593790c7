# SPDX-License-Identifier: Apache-2.0
"""Runs the command line in this process."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from framegate import main
from framegate.quant.networks import export
from framegate.quant.networks.checkpoint import Network

from tests.networks import once


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
def exported_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The exporter takes ten seconds for a small network; many tests compile the same one: it runs once for each."""
    exporter = export.brevitas_export

    def exported(network: Network, args: torch.Tensor, export_path: str) -> None:
        digest = hashlib.sha256(network.config.model_dump_json().encode())
        for name, values in network.state_dict().items():
            digest.update(name.encode() + values.numpy().tobytes())

        def fill(folder: Path) -> None:
            exporter(network, args=args, export_path=str(folder / Path(export_path).name))

        made = once(tmp_path_factory, f"{Path(export_path).name}-{digest.hexdigest()[:16]}", fill)
        shutil.copytree(made, Path(export_path).parent, dirs_exist_ok=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "brevitas_export", exported)
        yield
