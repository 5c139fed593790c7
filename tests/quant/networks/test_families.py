# SPDX-License-Identifier: Apache-2.0
"""Every family of networks: as its paper says, exact when quantized, and free of the future where it is causal."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import brevitas.nn as qnn
import pytest
import torch
from framegate.errors import UsageError
from framegate.quant.networks import mobilenetv2, mobilenetv2_shape
from framegate.quant.networks.base import Residual
from framegate.quant.networks.checkpoint import (
    Network,
    NetworkConfig,
    find,
    logits,
    save,
    start_from,
    to_input,
)
from framegate.quant.networks.complexity import complexity
from framegate.quant.networks.layers import FrameGather
from framegate.quant.networks.presets import FAMILIES
from framegate.quant.networks.r2plus1d import middle_channels
from qonnx.core.modelwrapper import ModelWrapper

from tests.networks import exported
from tests.quant.conftest import noise
from tests.quant.families import CAUSAL, OPTIONS, small

Settled = Callable[[NetworkConfig], Network]
VARIANTS = [(name, {}) for name in OPTIONS] + [(name, {"causal": True}) for name in CAUSAL]


def of_paper(name: str, classes: int, **options: int) -> Network:
    """A float network without memory: only its shapes."""
    config = NetworkConfig(name=name, classes=tuple(map(str, range(classes))), **options)
    with torch.device("meta"):
        return Network(config.as_float())


@pytest.mark.parametrize(
    ("name", "classes", "size", "parameters", "macs"),
    [
        ("tsm-mobilenetv2-full", 1000, 224, 3.50e6, 8 * 0.300e9),  # Sandler et al. 2018: per picture
        ("slowfast-r50", 400, 256, 34.5e6, 36.1e9),  # Feichtenhofer et al. 2019
        ("c3d", 487, 112, 80.0e6, 38.5e9),  # Tran et al. 2015
        ("r2plus1d-18", 400, 112, 33.4e6, 41.5e9),  # Tran et al. 2018
        ("x3d-m", 400, 256, 3.63e6, 6.18e9),  # Feichtenhofer 2020: 3.8e6 with squeeze-and-excitation
    ],
)
def test_full_sizes_are_the_papers(
    name: str, classes: int, size: int, parameters: float, macs: float
) -> None:
    found = complexity(of_paper(name, classes, size=size))
    assert found == (pytest.approx(parameters, rel=0.005), pytest.approx(macs, rel=0.005))


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_name_has_its_options(name: str) -> None:
    config = NetworkConfig(name=name, classes=("a", "b"))
    assert NetworkConfig(**config.model_dump()) == config
    assert NetworkConfig.model_validate_json(config.model_dump_json()) == config
    network = of_paper(name, 2)
    x = torch.zeros(2 * config.frames, 3, config.size, config.size, device="meta")
    assert network(x).shape == (2, 2)
    assert complexity(network)[1] > 1e6


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_float_and_quantized_are_one_definition(name: str, settled: Settled, tmp_path: Path) -> None:
    config = small(name)
    baseline, network = settled(config.as_float()), Network(config)
    start_from(network, baseline)
    own = network.state_dict()
    assert all(torch.equal(own[key], value) for key, value in baseline.state_dict().items())
    assert not any(type(layer).__module__.startswith("brevitas") for layer in baseline.modules())
    assert type(baseline) is type(network) is not Network

    network = settled(config)
    values = logits(network, noise(config, 3))
    steps = values.double() * 2.0**24
    assert torch.equal(steps, steps.round())
    assert values.unique().numel() > 3
    again = find(str(save(network, tmp_path / "checkpoint.pt")))
    assert again.config == config


@pytest.mark.slow  # what else an exported graph holds: tests/rtl_sim/test_zoo.py
def test_what_is_joined_has_one_scale(tmp_path_factory: pytest.TempPathFactory) -> None:
    model = ModelWrapper(str(exported(small("slowfast-lite"), 1, tmp_path_factory).qonnx))
    joins = [node for node in model.graph.node if node.op_type == "Concat"]
    assert len(joins) == 4
    for node in joins:
        left, right = (scale(model, tensor) for tensor in node.input)
        assert left == right


def scale(model: ModelWrapper, tensor: str) -> float:
    """Of the quantizer that a tensor comes from."""
    node = model.find_producer(tensor)
    return (
        float(model.get_initializer(node.input[1]))
        if node.op_type == "Quant"
        else scale(model, node.input[0])
    )


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=lambda value: str(value))
def test_a_network_that_streams_looks_at_no_later_frame(name: str, options: dict) -> None:
    config = small(name, **options)
    gathers = [layer for layer in Network(config).modules() if isinstance(layer, FrameGather)]
    ahead = [offset for gather in gathers for *_, offset in gather.groups if offset > 0]
    assert config.streams == (not ahead)
    assert config.streams == (name in ("tsn-lite", "tsm-lite") or bool(options))
    assert gathers or name == "tsn-lite"


@pytest.mark.parametrize("name", ["i3d-lite", "x3d-lite", "slowfast-lite"])
@pytest.mark.parametrize("causal", [False, True])
def test_causal_maps_do_not_depend_on_later_frames(name: str, causal: bool, settled: Settled) -> None:
    network = settled(small(name, causal=causal, frames=8).as_float())
    maps = []
    stem = network.stem if name == "i3d-lite" else network.body
    stem.register_forward_hook(lambda _, inputs, output: maps.append(output))
    stream = to_input(noise(network.config, 1))
    changed = stream.clone()
    changed[-1] = 1 - 1 / 256 - changed[-1]
    network(stream)
    network(changed)
    before, after = (value[1] if isinstance(value, tuple) else value for value in maps)  # the fast pathway
    assert torch.equal(before[:-1], after[:-1]) == causal
    assert not torch.equal(before[-1], after[-1])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("slowfast-lite", {"speed_ratio": 3}, r"^speed_ratio=3 does not divide 4 frames; .* \[1, 2, 4\]$"),
        (
            "slowfast-lite",
            {"channel_ratio": 8},
            r"^channel_ratio=8 does not divide each of widths=\(4, 4, 4, 8\); choose one of \[1, 2, 4\]$",
        ),
        ("slowfast-lite", {"speed_ratio": 0}, r"^speed_ratio=0: "),
        ("slowfast-lite", {"depths": (1, 1)}, r"^depths=\(1, 1\) must have .* each of the 3 stages"),
        ("c3d-lite", {"frames": 8}, r"^frames=8: 3 stages need 4 frames, as each but the first halves"),
        ("c3d-lite", {"causal": True}, r"^causal=True is not of c3d-lite but of tsm-lite, .*; leave it out"),
        ("x3d-lite", {"shift": "online"}, r"^shift='online' is not of x3d-lite but of tsm-lite, tsn-lite, "),
        ("x3d-lite", {"squeeze_excite": True}, r"^squeeze_excite=True: Extra inputs are not permitted"),
        ("tsm-lite", {"speed_ratio": 2}, r"^speed_ratio=2 is not of tsm-lite but of slowfast-lite, slowfast"),
        ("tsm-lite", {"causal": True}, r"^causal=True: tsm-lite has no temporal convolution; use shift=onl"),
        ("tsm-lite", {"kernel_t": 3}, r"^kernel_t=3 is not of tsm-lite; i3d-lite has an odd one from 3"),
        ("i3d-lite", {"kernel_t": 1}, r"^kernel_t=1 is not of i3d-lite; "),
        ("i3d-lite", {"shift": "online"}, r"^shift='online' is not of i3d-lite; tsn-lite and i3d-lite have"),
        (
            "tsm-mobilenet",
            {"shift_place": "in-place"},
            r"^shift_place='in-place' is not of tsm-mobilenet but",
        ),
        ("tsm-mobilenetv2", {"shift_blocks": (3,)}, r"^shift_blocks=\(3,\): there are 3 blocks; use 0 to 2$"),
        ("tsm-mobilenetv2", {"alpha": 0.5}, r"^alpha=0.5 means widths=\(16, 8, 16, .*; leave out one"),
    ],
)
def test_options_that_do_not_fit_are_refused_by_name(name: str, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        small(name, **options)


def test_a_shift_in_place_reaches_the_shortcut(settled: Settled) -> None:
    branch, place = (
        Network(small("tsm-lite", shift_place=place).as_float()).eval() for place in ("residual", "in-place")
    )
    place.load_state_dict(branch.state_dict())
    block = place.stages[0]
    x = torch.rand(4, 8, 8, 8)
    shifted = block.gather(x)
    assert torch.equal(block(x), torch.relu(_branch(block, shifted) + shifted))
    assert torch.equal(branch.stages[0](x), torch.relu(_branch(block, shifted) + x))


def _branch(block: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    return block.norm2(block.conv2(block.relu1(block.norm1(block.conv1(x)))))


def test_mobilenetv2_has_the_paper_s_channels_and_shifts_only_beside_a_shortcut() -> None:
    assert mobilenetv2_shape.widths(1.0) == mobilenetv2_shape.WIDTHS
    assert mobilenetv2_shape.widths(0.35) == (
        16,
        8,
        8,
        16,
        24,
        32,
        56,
        112,
    )  # of the paper's released networks
    network = of_paper("tsm-mobilenetv2-full", 2)
    blocks = [block for block in network.body if isinstance(block, mobilenetv2.InvertedResidual)]
    assert len(blocks) == 17
    assert sum(block.has_shortcut for block in blocks) == 10
    assert all(isinstance(block.gather, FrameGather) == block.has_shortcut for block in blocks)
    few = Network(small("tsm-mobilenetv2", shift_blocks=(0, 1)))
    assert [isinstance(block.gather, FrameGather) for block in few.body[1:-1]] == [True, False, False]


def test_mobilenetv2_in_place_shifts_the_shortcut_too() -> None:
    networks = [
        Network(small("tsm-mobilenetv2", shift_place=place).as_float()) for place in ("residual", "in-place")
    ]
    networks[1].load_state_dict(networks[0].state_dict())
    residual, place = (network.eval().body[1] for network in networks)
    x = torch.rand(4, 8, 8, 8)
    assert torch.allclose(place(x) - residual(x), residual.gather(x) - x, atol=1e-6)


def test_the_slow_pathway_sees_every_alpha_th_frame() -> None:
    network = Network(small("slowfast-lite", speed_ratio=4, frames=8).as_float()).eval()
    x = torch.rand(8, 3, 16, 16)
    assert torch.equal(network.body.skip(x), x[[0, 4]])
    slow, fast = network.body(x)
    assert (len(slow), len(fast)) == (2, 8)
    assert (slow.shape[1], fast.shape[1]) == (16, 8)
    joined = [stage[0].branch[0].conv for stage in network.body.slow]
    assert joined[0].in_channels == 4 + 2 * 2
    assert joined[2].conv.in_channels == 3 * (8 + 2 * 4)  # the last third of the stages: three frames


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_scales_settle_after_as_many_steps_everywhere(name: str) -> None:
    """A quantizer that several tensors share sees that many in each step, and collects so much longer."""
    network = Network(small(name)).train()
    calls: Counter[str] = Counter()
    collected = {}
    for place, layer in network.named_modules():
        if not isinstance(layer, (qnn.QuantReLU, qnn.QuantIdentity)):
            continue
        scaling = layer.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl
        if hasattr(scaling, "collect_stats_steps"):
            collected[place] = scaling.collect_stats_steps
            layer.register_forward_hook(lambda *_, place=place: calls.update([place]))
    network(to_input(noise(network.config, 1)))
    assert {place: 30 * count for place, count in calls.items()} == collected


def test_c3d_ends_with_one_frame_and_pads_odd_maps() -> None:
    full = of_paper("c3d", 2)
    assert full.hidden[0].linear.in_features == 512 * 4 * 4
    assert [width.linear.out_features for width in full.hidden] == [4096, 4096]
    network = Network(small("c3d-lite").as_float()).eval()
    assert network.body(torch.rand(2 * 4, 3, 12, 12)).shape == (2, 8, 2, 2)


def test_r2plus1d_keeps_the_weights_of_a_3d_convolution_and_strides_in_time() -> None:
    assert middle_channels(64, 64) == 144
    assert middle_channels(64, 128) == 230
    network = Network(NetworkConfig(name="r2plus1d-18", classes=("a", "b"), size=16).as_float())
    assert network.body[0].conv.out_channels == 45
    frames = [
        layer.gather.frames_out
        for block in network.body
        if isinstance(block, Residual)
        for layer in [block.branch[1].conv]
    ]
    assert frames == [16, 16, 8, 8, 4, 4, 2, 2]


def test_x3d_is_wide_inside() -> None:
    network = of_paper("x3d-m", 2)
    blocks = [block for block in network.body if isinstance(block, Residual)]
    assert len(blocks) == 3 + 5 + 11 + 7
    assert blocks[-1].branch[1].conv.conv.groups == 432
    assert blocks[-1].branch[1].conv.conv.in_channels == 3 * 432


def test_frames_are_gathered_under_torch_compile(settled: Settled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to torch 2.11 what it traces takes itself for an export, whose node for a gather has no values."""
    network = settled(small("tsm-lite").as_float())
    pixels = torch.rand(4, 3, 16, 16)
    with torch.inference_mode():
        expected = network(pixels)
        assert torch.allclose(torch.compile(network, backend="eager")(pixels), expected, atol=1e-6)
        for function in ("is_exporting", "is_dynamo_compiling"):
            monkeypatch.setattr(torch.compiler, function, lambda: True)
        assert torch.equal(network(pixels), expected)
