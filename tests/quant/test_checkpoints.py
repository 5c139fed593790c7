# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that are damaged or made up: never another network, never all of the memory, always one sentence."""

import contextlib
import math
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from framegate.errors import UsageError
from framegate.quant.networks.checkpoint import Network, NetworkConfig, find, load, save
from framegate.quant.training.weights import load_pretrained

Settled = Callable[[NetworkConfig], Network]


def test_a_checkpoint_that_has_changed_since_is_never_another_network(
    tiny: NetworkConfig, settled: Settled, tmp_path: Path
) -> None:
    network, path = settled(tiny), tmp_path / "checkpoint.pt"
    written, rng = save(network, path).read_bytes(), np.random.default_rng(0)
    messages = []
    for flips in [1] * 24 + [8] * 8:
        damaged = np.frombuffer(written, np.uint8).copy()
        damaged[rng.integers(0, len(written), flips)] ^= 1 << rng.integers(0, 8, flips).astype(np.uint8)
        path.write_bytes(damaged.tobytes())
        try:
            again = load(path)  # what was flipped is between the parts of the archive: nobody reads it
        except UsageError as error:
            messages.append(str(error))
            continue
        assert again.config == network.config
        assert all(torch.equal(again.state_dict()[key], value) for key, value in network.state_dict().items())
    assert len(messages) > 16
    assert all(
        re.match(rf"{path}: .*; (copy it again, or )?give a checkpoint\.pt that", text) for text in messages
    )


def test_a_changed_checkpoint_says_so_wherever_it_is_read(tiny: NetworkConfig, tmp_path: Path) -> None:
    path = save(Network(tiny.as_float()), tmp_path / "checkpoint.pt")
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda part: part.file_size)
    content[largest.header_offset + largest.file_size] ^= 1  # the header is shorter than the weights
    path.write_bytes(content)
    message = r"checkpoint\.pt: has changed since it was written \(.*data/\d+\); copy it again, or give a"
    for read in (load, lambda file: find(str(file)), lambda file: load_pretrained(Network(tiny), file)):
        with pytest.raises(UsageError, match=message):
            read(path)


ODD = (
    None,
    [],
    [1],
    {},
    {"a": 1},
    "x",
    "",
    -1,
    0,
    1_000_000,
    10**400,
    math.inf,
    math.nan,
    1e300,
    True,
    (1e6,),
    ((),),
)


@pytest.mark.parametrize("key", ["network", "state", "format"])
def test_a_checkpoint_with_something_else_in_a_place_is_refused(
    key: str, tiny: NetworkConfig, tmp_path: Path
) -> None:
    path = save(Network(tiny.as_float()), tmp_path / "checkpoint.pt")
    content = torch.load(path, weights_only=True)
    torch.save({name: value for name, value in content.items() if name != key}, path)
    with pytest.raises(UsageError, match=r"checkpoint\.pt: .*; give a checkpoint\.pt that"):
        load(path)
    for odd in ODD:
        torch.save(content | {key: odd}, path)
        with pytest.raises(UsageError, match=r"checkpoint\.pt: .*; give a checkpoint\.pt that"):
            load(path)


@pytest.mark.parametrize("option", list(NetworkConfig.model_fields))
def test_an_option_of_another_kind_is_refused_or_taken(option: str, tiny: NetworkConfig) -> None:
    plain = tiny.model_dump(mode="json", exclude={"transform"})
    for name in (tiny.name, "tsm-mobilenet", "slowfast-lite", "c3d-lite"):
        for odd in ODD:
            try:
                config = NetworkConfig(**({"name": name, "classes": ["a", "b"]} | {option: odd}))
            except UsageError:
                continue
            assert isinstance(config.widths, tuple)
    for odd in ODD:
        with contextlib.suppress(UsageError):
            NetworkConfig(**(plain | {option: odd}))


@pytest.mark.parametrize(
    "changed",
    [
        {"widths": (65_536,) * 3},
        {"widths": (8,) * 20_000, "strides": (1,) * 20_000},
        {"head_hidden": (65_536, 65_536)},
        {"classes": tuple(map(str, range(100_000)))},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_checkpoint_makes_no_network_that_its_weights_are_not_of(
    changed: dict, tiny: NetworkConfig, tmp_path: Path
) -> None:
    path = save(Network(tiny.as_float()), tmp_path / "checkpoint.pt")
    content = torch.load(path, weights_only=True)
    options = {key: value for key, value in content["network"].items() if key != "transform"}
    torch.save(content | {"network": options | changed}, path)
    with pytest.raises(UsageError, match=r"checkpoint\.pt: its weights do not fit its network"):
        load(path)
