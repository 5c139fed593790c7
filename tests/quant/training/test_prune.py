# SPDX-License-Identifier: Apache-2.0
"""Channel pruning: the least important channels of each family become zero, stay so, and are no hardware."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from framegate.errors import UsageError
from framegate.hls.build.compiler import compile_hardware
from framegate.hls.build.files import DATAFLOW, HARDWARE, QONNX
from framegate.hls.dataflow.dead_channels import product_channels, without_dead_channels
from framegate.hls.dataflow.graph import Dataflow, load_dataflow
from framegate.hls.kernels import Depthwise, MatVec
from framegate.hls.lowering.lower import lower
from framegate.hls.lowering.read_off import read_dataflow
from framegate.hls.targets import load_target
from framegate.quant.networks.checkpoint import Network, load, logits
from framegate.quant.networks.export import export_qonnx
from framegate.quant.training.prune import WITHOUT_BLOCKS, prune
from framegate.quant.training.recipe import Recipe
from framegate.quant.training.train import train
from framegate.rtl_sim import reference

from tests.quant.conftest import noise
from tests.quant.families import OPTIONS, small
from tests.slow import slow_if

PRUNED = {  # channels that go of those inside blocks, at a share of a half
    "tsn-lite": (8, 16),
    "tsm-lite": (12, 24),
    "i3d-lite": (4, 8),
    "tsm-mobilenet": (4, 8),
    "tsm-mobilenetv2": (16, 32),
    "slowfast-lite": (8, 48),
    "r2plus1d-lite": (26, 62),
    "x3d-lite": (16, 36),
}
TINY = {"size": 16, "frames": 4, "widths": (8, 8, 16), "strides": (2, 2, 2), "positive": "conceal"}
QUICK = Recipe(
    network=TINY, float_epochs=1, quantized_epochs=2, batch=8, threads=1, accelerator="cpu", prune=0.5
)
pytestmark = pytest.mark.usefixtures("one_export")
SHAPES: dict[str, dict[str, object]] = {"tsm-mobilenet": {"widths": (8, 8, 8), "strides": (2, 1, 2)}}


def dataflow_of(network: Network, work: Path) -> Dataflow:
    lower(export_qonnx(network, work / QONNX), work)
    return read_dataflow(work / HARDWARE)


def multiplications(dataflow: Dataflow) -> int:
    """Of one clip."""
    kernels = [kernel for kernel in dataflow.kernels if isinstance(kernel, MatVec | Depthwise)]
    return sum(k.weights.size * k.outputs[0].frames * k.outputs[0].pixels for k in kernels)


@pytest.mark.parametrize("name", slow_if(lambda name: name != "tsm-lite", PRUNED))
def test_the_compiler_leaves_out_what_was_pruned(name: str, settled: Callable, tmp_path: Path) -> None:
    network = settled(small(name, **SHAPES.get(name, {})))
    counts = prune(network, 0.5)
    assert counts == PRUNED[name]
    whole = dataflow_of(network, tmp_path)
    smaller = without_dead_channels(whole)
    assert product_channels(whole) - product_channels(smaller) == counts[0]
    assert multiplications(smaller) < multiplications(whole)
    clips = noise(network.config, 3)
    expected = logits(network, clips).numpy() / whole.logit_scale
    assert len(np.unique(expected)) > 2, "tells nothing apart: this would prove nothing"
    assert np.array_equal(reference.logits(whole, clips.numpy()), expected)
    assert np.array_equal(reference.logits(smaller, clips.numpy()), expected)


def test_every_family_is_pruned_or_refused() -> None:
    assert set(OPTIONS) - set(PRUNED) == {"c3d-lite"}
    with pytest.raises(
        UsageError,
        match=r"^prune=0\.5: c3d-lite is of the family c3d, which has no blocks .*; leave prune out",
    ):
        prune(Network(small("c3d-lite")), 0.5)
    assert WITHOUT_BLOCKS == ("c3d",)


def test_the_least_important_channels_go() -> None:
    network = Network(small("tsn-lite", widths=(8, 16), strides=(2, 2)))
    block = network.stages[0]  # type: ignore[index]
    with torch.no_grad():
        block.conv1.weight.fill_(1)
        block.norm1.weight.copy_(torch.linspace(-1, 1, 16))
        block.conv1.weight[15] = 1e-3
    assert prune(network, 0.3) == (4, 16)
    zero = [c for c in range(16) if not block.conv1.weight[c].any()]
    assert len(zero) == 4
    assert {7, 8, 15} < set(zero)
    assert zero == torch.nonzero(block.norm1.weight == 0).flatten().tolist()
    assert not block.norm1.bias[zero].any()
    assert block.conv2.weight.all()


def test_a_shift_keeps_steps_of_its_groups(settled: Callable, tmp_path: Path) -> None:
    """Groups of 4, 4 and 24 channels lose fours."""
    network = settled(
        small("tsm-mobilenet", widths=(8, 32, 8), strides=(2, 1, 2), shift_blocks=(1,), head_hidden=())
    )
    assert prune(network, 0.4) == (12, 32)
    left = network.stages[0].pointwise.weight.flatten(1).any(1)  # type: ignore[index,union-attr]
    assert [int(left[begin:end].sum()) % 4 for begin, end in ((0, 4), (4, 8), (8, 32))] == [0, 0, 0]
    whole = dataflow_of(network, tmp_path)
    assert product_channels(whole) - product_channels(without_dead_channels(whole)) == 12
    said: list[str] = []
    board = load_target("ulx3s-85f")
    compile_hardware(tmp_path, board, frames_per_second=1000, clock_mhz=50, progress=said.append)
    assert "pruning: 12 of 51 channels have no effect on the scores and are left out" in said
    assert product_channels(load_dataflow(tmp_path / DATAFLOW)) == 39


def zeros(network: Network) -> dict[str, list[int]]:
    """Zero entries along the first axis of each parameter that has some."""
    found = {
        name: torch.nonzero(~parameter.flatten(1).any(1) if parameter.ndim > 1 else parameter == 0)
        .flatten()
        .tolist()
        for name, parameter in network.named_parameters()
        if parameter.ndim
    }
    return {name: channels for name, channels in found.items() if channels}


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adamw", "average": 0.9},
        # With a seed that leaves every channel some gradient: one without keeps its zero bias, pruned or not.
        {"optimizer": "adam", "norm_freeze": 1.0, "schedule": "constant", "seed": 2, "batch": 4},
    ],
)
def test_training_leaves_zeros_zero(options: dict[str, object], shop: Path, tmp_path: Path) -> None:
    said: list[str] = []
    train(QUICK.override(options, {}), shop, tmp_path, say=said.append)
    assert "pruned 12 of 24 channels inside blocks" in said
    assert not [name for name in zeros(load(tmp_path / "float.pt")) if name.startswith("stages")]
    found = zeros(load(tmp_path / "checkpoint.pt"))
    for block, count in ((0, 4), (1, 8)):
        filters = found[f"stages.{block}.conv1.weight"]
        assert len(filters) == count
        assert found[f"stages.{block}.norm1.weight"] == found[f"stages.{block}.norm1.bias"] == filters
        assert f"stages.{block}.conv2.weight" not in found


def test_an_interrupted_run_prunes_the_same_channels(shop: Path, tmp_path: Path) -> None:
    class InterruptedRunError(Exception):
        pass

    def stop(message: str) -> None:
        if message.startswith("w4a4 epoch 1/2"):
            raise InterruptedRunError

    train(QUICK, shop, tmp_path / "whole", say=lambda _: None)
    with pytest.raises(InterruptedRunError):
        train(QUICK, shop, tmp_path / "run", say=stop)
    train(QUICK, shop, tmp_path / "run", say=lambda _: None)
    one, other = (load(tmp_path / run / "checkpoint.pt").state_dict() for run in ("whole", "run"))
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("scales", ["max", "learned"])
def test_scales_of_zero_filters_stay_numbers(scales: str, settled: Callable) -> None:
    """Depthwise filters have a scale each."""
    network = settled(small("tsm-mobilenetv2", weight_scales=scales))
    prune(network, 0.5)
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        logits_of = network(noise(network.config, 2).flatten(0, 1).permute(0, 3, 1, 2).float() / 256)
        logits_of.square().sum().backward()
        optimizer.step()
    assert all(value.isfinite().all() for value in network.state_dict().values())
    assert logits(network.eval(), noise(network.config, 2)).isfinite().all()
    assert all(
        parameter.grad is None or parameter.grad.isfinite().all() for parameter in network.parameters()
    )


def test_no_optimizer_moves_what_was_pruned(settled: Callable) -> None:
    network = settled(small("tsm-mobilenetv2"))
    prune(network, 0.5)
    before = zeros(network)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        torch.stack([(1 + parameter).square().sum() for parameter in network.parameters()]).sum().backward()
        optimizer.step()
    assert zeros(network) == {name: channels for name, channels in before.items() if name.startswith("body")}


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_is_below_one(share: float) -> None:
    with pytest.raises(UsageError, match=rf"^prune={share}: Input should be"):
        Recipe(prune=share)


def test_what_cannot_be_pruned_is_told_before_training(shop: Path, tmp_path: Path) -> None:
    shape = {"name": "c3d-lite", "size": 16, "frames": 4, "widths": (4, 8, 8), "strides": (2, 2, 2)}
    with pytest.raises(UsageError, match=r"prune=0\.5: c3d-lite is of the family c3d"):
        train(Recipe(network={**shape, "depths": (1, 1, 1)}, prune=0.5), shop, tmp_path, say=lambda _: None)
    as_float = {"weight_bits": None, "act_bits": None, "edge_bits": None}
    with pytest.raises(UsageError, match=r"prune=0\.5: a float network has no quantized epochs"):
        train(Recipe(network=TINY | as_float, prune=0.5), shop, tmp_path, say=lambda _: None)
    assert not list(tmp_path.iterdir())
