# SPDX-License-Identifier: Apache-2.0
"""One definition for all precisions, exact by construction; checkpoints; what time adds."""

import pickle
import re
from collections.abc import Callable
from pathlib import Path

import brevitas.nn as qnn
import pytest
import torch
from framegate.errors import UsageError
from framegate.quant.clips.layouts import find_clips
from framegate.quant.clips.shop import generate
from framegate.quant.clips.video import decode_all
from framegate.quant.measures.alarm_threshold import of_model
from framegate.quant.networks.checkpoint import (
    FrameGather,
    Network,
    NetworkConfig,
    builtin,
    find,
    load,
    logits,
    save,
    start_from,
    to_input,
)

from tests.quant.families import OPTIONS, large_ones_slow, small

Settled = Callable[[NetworkConfig], Network]


def clips(config: NetworkConfig, count: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    shape = (count, config.frames, config.size, config.size, 3)
    return torch.randint(0, 256, shape, generator=random, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weight_bits": 1}, r"^weight_bits=1: .*greater than or equal to 2"),
        ({"act_bits": 9}, r"^act_bits=9: .*less than or equal to 8"),
        ({"edge_bits": "some"}, r"^edge_bits='some': "),
        ({"weight_bits": 3.5}, r"^weight_bits=3.5: "),
        ({"widths": (16, 12, 32)}, r"strides=.* one stride for each of widths"),
        ({"widths": (16, 12, 32), "strides": (2, 2, 2)}, r"12 channels do not divide by shift_share=8$"),
        ({"size": 60}, r"^size=60 does not divide by 16"),
        ({"classes": ("a", "a")}, r"names a class twice"),
        ({"classes": ("a",)}, r"^classes="),
        ({"positive": "theft"}, r"^positive='theft' is not a class; choose one of \['a', 'b'\]$"),
        ({"name": "tsn-lite", "shift": "online"}, r"^shift='online' is not of tsn-lite"),
        ({"shift": "none"}, r"^shift='none' is not of tsm-lite"),
        ({"name": "resnet"}, r"^name='resnet': "),
        ({"colour": 1}, r"^colour=1: Extra inputs are not permitted"),
    ],
)
def test_options_that_do_not_fit_are_refused_by_name(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        NetworkConfig(**({"classes": ("a", "b")} | options))


def test_every_pixel_value_passes_the_input_quantizer_unchanged(tiny: NetworkConfig) -> None:
    values = torch.arange(256) / 256
    assert torch.equal(Network(tiny).pixels(values), values)


@pytest.mark.parametrize("stride_t", [1, 2, 3])
def test_frame_gather_is_its_definition(stride_t: int) -> None:
    groups = ((0, 2, -1), (2, 3, 2), (1, 5, 0))
    x = torch.randn(2 * 5, 5, 3, 4)
    gathered = FrameGather(groups, frames=5, stride_t=stride_t)(x).unflatten(0, (2, -1))
    for clip in range(2):
        for out in range(len(range(0, 5, stride_t))):
            sources = [(out * stride_t + offset, begin, end) for begin, end, offset in groups]
            parts = [
                x[clip * 5 + t, begin:end] if 0 <= t < 5 else torch.zeros(end - begin, 3, 4)
                for t, begin, end in sources
            ]
            assert torch.equal(gathered[clip, out], torch.cat(parts))


@pytest.mark.parametrize("shift", ["bidirectional", "online"])
def test_clips_of_a_batch_do_not_see_each_other(tiny: NetworkConfig, settled: Settled, shift: str) -> None:
    network = settled(tiny.model_copy(update={"shift": shift}))
    batch = clips(tiny, 5)
    alone = torch.cat([logits(network, clip[None]) for clip in batch])
    assert torch.equal(logits(network, batch), alone)
    assert len(alone.unique(dim=0)) == 5


def test_online_shift_needs_no_future_frame(tiny: NetworkConfig, settled: Settled) -> None:
    network = settled(tiny.model_copy(update={"shift": "online"}))
    stream = to_input(clips(tiny, 1))
    changed = stream.clone()
    changed[-1] = 1 - 1 / 256 - changed[-1]
    features = [
        network.stages(network.stem_relu(network.stem_norm(network.stem(x)))) for x in (stream, changed)
    ]
    assert torch.equal(features[0][:-1], features[1][:-1])
    assert not torch.equal(features[0][-1], features[1][-1])


def test_weights_and_activations_have_the_bits_asked_for(tiny: NetworkConfig, settled: Settled) -> None:
    network = settled(tiny.model_copy(update={"weight_bits": 3, "act_bits": 2}))
    for name, layer in network.named_modules():
        if isinstance(layer, (qnn.QuantConv2d, qnn.QuantLinear)):
            integers = layer.quant_weight().int()
            assert integers.abs().max() <= (127 if name in ("stem", "head") else 3), name
        if isinstance(layer, qnn.QuantReLU):
            assert layer(torch.linspace(-9, 99, 999)).unique().numel() == 4, name


def test_values_are_exact_multiples_of_a_power_of_two(tiny: NetworkConfig, settled: Settled) -> None:
    values = logits(settled(tiny), clips(tiny, 8)).double() * 2.0**24
    assert torch.equal(values, values.round())
    assert values.abs().max() > 0


def test_the_same_class_without_quantizers_is_float(tiny: NetworkConfig) -> None:
    network = Network(tiny.as_float())
    assert network.config.precision == "float"
    assert Network(tiny).config.precision == "w4a4"
    assert not any(type(layer).__module__.startswith("brevitas") for layer in network.modules())
    assert NetworkConfig(classes=("a", "b"), weight_bits="float", act_bits=None).precision == "float"


def test_a_quantized_network_starts_from_float_weights(tiny: NetworkConfig, settled: Settled) -> None:
    baseline, network = settled(tiny.as_float()), Network(tiny)
    start_from(network, baseline)
    own = network.state_dict()
    assert all(torch.equal(own[key], value) for key, value in baseline.state_dict().items())


def test_logits_refuse_clips_of_another_shape(tiny: NetworkConfig) -> None:
    with pytest.raises(UsageError, match=r"tsm-lite needs \(clips, \*\(4, 16, 16, 3\)\) of torch.uint8"):
        logits(Network(tiny), torch.zeros(1, 8, 16, 16, 3, dtype=torch.uint8))
    assert logits(Network(tiny), torch.zeros(0, 4, 16, 16, 3, dtype=torch.uint8)).shape == (0, 3)


def test_a_checkpoint_gives_the_same_network_back(
    tiny: NetworkConfig, settled: Settled, tmp_path: Path
) -> None:
    network = settled(tiny)
    again = find(str(save(network, tmp_path / "checkpoint.pt")))
    assert again.config == network.config
    assert torch.equal(logits(again, clips(tiny, 3)), logits(network, clips(tiny, 3)))


class _Code:
    def __reduce__(self) -> tuple:
        return (Path("/tmp/framegate-was-here").touch, ())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"checkpoint\.pt: cannot be read \(No such file or directory\); give a checkpoint\.pt that"),
        (b"", r"checkpoint\.pt: not a checkpoint"),
        (b"not a checkpoint at all", r"checkpoint\.pt: not a checkpoint"),
        (pickle.dumps(_Code()), r"checkpoint\.pt: not a checkpoint"),
    ],
)
def test_foreign_files_are_not_checkpoints(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        load(path)
    assert not Path("/tmp/framegate-was-here").exists()


def test_checkpoints_of_others_and_damaged_ones_are_refused(tiny: NetworkConfig, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"state_dict": {}}, path)
    with pytest.raises(UsageError, match="a checkpoint of another program or version"):
        load(path)
    save(Network(tiny.as_float()), path)
    content = torch.load(path, weights_only=True)
    torch.save(content | {"state": {"stem.weight": torch.zeros(2)}}, path)
    with pytest.raises(UsageError, match="its weights do not fit its network"):
        load(path)


@pytest.mark.parametrize("name", large_ones_slow(sorted(OPTIONS)))
@pytest.mark.parametrize("scales", ["max", "learned"])
def test_a_network_that_saw_no_clip_is_not_saved_and_one_that_did_comes_back(
    name: str, scales: str, tmp_path: Path
) -> None:
    network, path = Network(small(name, weight_scales=scales)), tmp_path / "checkpoint.pt"
    with pytest.raises(
        UsageError, match=r"checkpoint\.pt: [\w.]+ has no scale yet, .*; let clips pass in training"
    ):
        save(network, path)
    assert not path.exists()
    config = network.config
    network.train()(torch.rand(2 * config.frames, 3, config.size, config.size))
    state = load(save(network, path)).state_dict()
    assert state.keys() == network.state_dict().keys()
    assert all(torch.equal(state[key], value) for key, value in network.state_dict().items())


def test_a_weight_that_is_missing_or_of_nothing_is_named(
    tiny: NetworkConfig, settled: Settled, tmp_path: Path
) -> None:
    path = save(settled(tiny), tmp_path / "checkpoint.pt")
    content = torch.load(path, weights_only=True)
    state = content["state"]
    for name in state:
        if name.startswith(("stem", "head")) and not name.endswith("num_batches_tracked"):
            torch.save(content | {"state": {key: value for key, value in state.items() if key != name}}, path)
            with pytest.raises(
                UsageError, match=rf"its weights do not fit its network \({re.escape(name)} is missing\)"
            ):
                load(path)
    torch.save(content | {"state": {**state, "stem.more": torch.zeros(1)}}, path)
    with pytest.raises(UsageError, match=r"\(stem\.more is not of it\)"):
        load(path)


def test_unknown_names_list_the_known_ones() -> None:
    with pytest.raises(
        UsageError, match=r"'tsm-huge' does not come with framegate; choose one of \['shoplifting', "
    ):
        find("tsm-huge")


@pytest.mark.parametrize(("name", "positive"), [("tsm-lite", "conceal"), ("shoplifting", "shoplifting")])
def test_a_builtin_network_is_small_and_one_definition(name: str, positive: str) -> None:
    quantized, baseline = builtin(name), builtin(f"{name}.float")
    assert quantized.config.as_float() == baseline.config
    assert quantized.config.precision == "w4a4"
    assert quantized.config.positive == positive
    folder = Path(__file__).parents[3] / "quant" / "builtin"
    assert all(file.stat().st_size < 1_000_000 for file in folder.glob(f"{name}*.pt"))


def test_the_detector_brings_a_threshold_that_was_chosen_for_it() -> None:
    choice = of_model("shoplifting", builtin("shoplifting").config)["shoplifting"]
    assert choice.chosen_by == "best F1"


def test_time_tells_take_from_put_back_and_tsn_has_none(tmp_path: Path) -> None:
    network = builtin("tsm-lite")
    config = network.config
    found = find_clips(generate(tmp_path / "fresh", 6, seed=77))
    pixels = decode_all(found, config.transform)
    targets = torch.tensor([config.classes.index(str(clip.label)) for clip in found])
    right = logits(network, pixels).argmax(1) == targets
    pair = (targets == config.classes.index("take")) | (targets == config.classes.index("put_back"))
    assert right.float().mean() >= 0.9
    assert right[pair].float().mean() >= 0.9

    # Without the shift the same weights see a bag of frames: a pair gets the same logits, so whatever
    # the weights are, a class that is right for one clip of a pair is wrong for the other.
    without_time = Network(
        NetworkConfig(**config.model_dump() | {"name": "tsn-lite", "shift": "none"})
    ).eval()
    without_time.load_state_dict(network.state_dict())
    take, put_back = (pixels[targets == config.classes.index(name)] for name in ("take", "put_back"))
    assert torch.equal(take, put_back.flip(1))
    assert torch.equal(logits(without_time, take), logits(without_time, put_back))
    assert not torch.equal(logits(network, take), logits(network, put_back))
