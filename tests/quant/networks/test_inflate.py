# SPDX-License-Identifier: Apache-2.0
"""Inflated weights: what a picture network says about a picture, the network of clips says about a still clip."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from framegate.errors import UsageError
from framegate.quant.networks.checkpoint import Network, NetworkConfig, save
from framegate.quant.training.recipe import Recipe
from framegate.quant.training.train import float_network
from framegate.quant.training.weights import inflate, load_pretrained

from tests.quant.families import OPTIONS, SMALL, small

Settled = Callable[[NetworkConfig], Network]
SHAPE = SMALL | OPTIONS["i3d-lite"] | {"frames": 7}  # as many as three temporal convolutions see


def pair(settled: Settled, **options: object) -> tuple[Network, Network]:
    """A tsn-lite and an i3d-lite of its shape, float."""
    pictures = settled(NetworkConfig(**SHAPE, name="tsn-lite").as_float())
    return pictures, Network(NetworkConfig(**SHAPE, name="i3d-lite", **options).as_float()).eval()


@pytest.mark.parametrize(("causal", "whole"), [(False, 3), (True, 6)])
def test_a_still_clip_looks_as_its_picture_where_no_zeros_come_in(
    settled: Settled, causal: bool, whole: int
) -> None:
    pictures, clips = pair(settled, causal=causal)
    inflate(clips, pictures)
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)).repeat(7, 1, 1, 1)
    with torch.no_grad():
        seen, expected = clips.features(x), pictures.features(x)
        assert torch.allclose(seen[whole], expected[whole], atol=1e-5)
        assert not torch.allclose(seen[0], expected[0], atol=1e-3)
        assert torch.allclose(clips.head(seen)[whole], pictures.head(expected)[whole], atol=1e-5)


def test_weights_are_repeated_and_divided(settled: Settled) -> None:
    pictures, clips = pair(settled)
    inflate(clips, pictures)
    weight = clips.stages[0].conv1.conv.weight.unflatten(1, (3, 8))
    for frame in range(3):
        assert torch.equal(weight[:, frame], pictures.stages[0].conv1.weight / 3)
    assert torch.equal(clips.head.weight, pictures.head.weight)
    assert torch.equal(clips.stages[0].norm2.running_var, pictures.stages[0].norm2.running_var)


def test_training_starts_from_a_checkpoint(settled: Settled, tmp_path: Path) -> None:
    pictures = settled(NetworkConfig(**SHAPE, name="tsn-lite"))  # quantized: float weights are inside
    file = save(pictures, tmp_path / "checkpoint.pt")
    goal = NetworkConfig(**SHAPE, name="i3d-lite")
    lines: list[str] = []
    started = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("framegate.quant.training.train.fit", lambda network, *_: started.append(network))
        float_network(Recipe(inflate=str(file)), goal, None, None, tmp_path, lines.append)
    assert lines == [f"starts from the weights of {file}, over 3 frames"]
    assert torch.equal(started[0].stem.conv.weight[:, 3:6], pictures.stem.weight / 3)


@pytest.mark.parametrize(
    ("network", "start", "message"),
    [
        (
            "tsm-lite",
            {"name": "tsn-lite"},
            r"^inflate: tsm-lite has no temporal kernels to fill; use --model",
        ),
        (
            "i3d-lite",
            {"name": "tsm-lite"},
            r"^inflate: i3d-lite starts from a checkpoint of tsn-lite, not of",
        ),
        ("i3d-lite", {"name": "tsn-lite", "widths": (8, 16)}, r"^inflate: the checkpoint has widths=\(8, 16"),
    ],
)
def test_networks_that_do_not_fit_are_refused(network: str, start: dict, message: str) -> None:
    goal = Network(NetworkConfig(**SHAPE, name=network))
    with pytest.raises(UsageError, match=message):
        inflate(goal, Network(NetworkConfig(**SHAPE | start)))


def test_there_is_one_start() -> None:
    with pytest.raises(UsageError, match=r"^weights=a\.h5 and inflate=b\.pt both say where to start; leave"):
        Recipe(weights="a.h5", inflate="b.pt")


def test_foreign_weights_are_for_picture_networks(tmp_path: Path) -> None:
    network = Network(small("x3d-lite").as_float())
    torch.save({"state_dict": network.state_dict()}, tmp_path / "foreign.pt")
    with pytest.raises(UsageError, match=r"only weights of framegate fit x3d-lite, those of others tsn-lite"):
        load_pretrained(network, tmp_path / "foreign.pt")
    again = Network(small("x3d-lite").as_float())
    matched = load_pretrained(again, save(network, tmp_path / "checkpoint.pt"))
    assert not matched.missing
    assert torch.equal(again.body[2].conv.conv.weight, network.body[2].conv.conv.weight)
