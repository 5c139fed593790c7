# SPDX-License-Identifier: Apache-2.0
"""What a network may be: every option has its bounds, what is refused is named, what is taken says what it is."""

import json
from typing import Any, get_args

import pytest
from framegate.errors import UsageError
from framegate.quant.networks.config import NetworkConfig
from framegate.quant.networks.presets import FAMILIES, OWN, PRESETS, Name, owners
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import FIXED_SEED
from tests.quant.families import CAUSAL, OPTIONS, small

PLAIN: dict[str, Any] = {"name": "tsn-lite", "classes": ("a", "b"), "shift": "none"}
# An option of a plain network, the smallest and the largest value that it may have.
BOUNDS: dict[str, tuple[Any, Any]] = {
    "frames": (1, 65_536),
    "weight_bits": (2, 8),
    "act_bits": (2, 8),
    "edge_bits": (2, 8),
}


@pytest.mark.parametrize("option", BOUNDS)
@pytest.mark.parametrize("end", [0, 1])
def test_an_option_goes_to_its_bounds_and_no_further(option: str, end: int) -> None:
    edge = BOUNDS[option][end]
    assert getattr(NetworkConfig(**PLAIN, **{option: edge}), option) == edge
    for beyond in (edge + (1 if end else -1), -1, 10**12):
        with pytest.raises(UsageError, match=rf"\b{option}\b"):
            NetworkConfig(**PLAIN, **{option: beyond})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"size": 7}, "size"),
        ({"size": 4097}, "size"),
        ({"norm_eps": 0}, "norm_eps"),
        ({"dropout": 1}, "dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"head_hidden": (0,)}, "head_hidden"),
        ({"strides": (2, 3, 2, 2)}, "strides"),
        ({"widths": (16,)}, "widths"),
        ({"classes": ()}, "classes"),
        ({"weight_scales": "guessed"}, "weight_scales"),
        ({"labels": "several"}, "labels"),
        ({"no_such_option": 1}, "no_such_option"),
        ({"weight_bits": "four"}, "weight_bits"),
        ({"frames": 2.5}, "frames"),
        ({"classes": ("a", "a")}, "names a class twice"),
        ({"positive": "c"}, "positive='c' is not a class"),
        ({"classes": ("a",)}, "one class tells nothing apart"),
        ({"size": 40}, "does not divide by 16"),
    ],
)
def test_what_cannot_be_is_named(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        NetworkConfig(**PLAIN | options)


def test_float_may_be_written() -> None:
    plain = NetworkConfig(**PLAIN, weight_bits="float", act_bits="float", edge_bits="float")
    assert (plain.weight_bits, plain.precision) == (None, "float")
    assert plain == plain.as_float()


@pytest.mark.parametrize(
    ("bits", "precision"),
    [
        ((4, 4), "w4a4"),
        ((2, 8), "w2a8"),
        ((None, 4), "wfloata4"),
        ((3, None), "w3afloat"),
        ((None, None), "float"),
    ],
)
def test_precision_in_a_word(bits: tuple[int | None, int | None], precision: str) -> None:
    config = NetworkConfig(**PLAIN, weight_bits=bits[0], act_bits=bits[1])
    assert config.precision == precision
    assert config.as_float().precision == "float"
    assert config.as_float().widths == config.widths


@pytest.mark.parametrize("name", get_args(Name))
def test_every_name_is_of_a_family_and_comes_back_from_json(name: Any) -> None:
    config = NetworkConfig(name=name, classes=("a", "b", "c"))
    assert config.family == FAMILIES[name]
    assert name in PRESETS
    again = NetworkConfig(**json.loads(config.model_dump_json()))
    assert again == config
    assert NetworkConfig(**config.model_dump()) == config


@pytest.mark.parametrize("name", OPTIONS)
def test_a_changed_option_stays_changed(name: str) -> None:
    config = small(name, weight_bits=3, act_bits=5)
    again = NetworkConfig(**json.loads(config.model_dump_json()))
    assert (again.weight_bits, again.act_bits) == (3, 5)
    assert again == config
    assert again.model_copy(update={"weight_bits": 4}) != config


@pytest.mark.parametrize("name", OPTIONS)
def test_options_of_other_families_are_refused_with_the_name_of_theirs(name: str) -> None:
    family = FAMILIES[name]  # type: ignore[index]
    odd = {
        "kernel_t": 3,
        "speed_ratio": 2,
        "channel_ratio": 2,
        "last_width": 8,
        "alpha": 0.5,
        "stem_kernel": 5,
    }
    for option, value in odd.items():
        if option in OWN[family]:
            continue
        with pytest.raises(UsageError, match=rf"{option}={value} is not of {name} but of ") as caught:
            small(name, **{option: value})
        assert all(owner in str(caught.value) for owner in owners(option))


@pytest.mark.parametrize("name", OPTIONS)
def test_only_what_looks_back_streams(name: str) -> None:
    usual = small(name)
    if name in CAUSAL:
        assert not usual.streams
        assert small(name, causal=True).streams
    elif FAMILIES[name] == "c3d":  # type: ignore[index]
        assert not usual.streams
    else:
        assert usual.streams == (usual.shift != "bidirectional")


@settings(FIXED_SEED, max_examples=60)
@given(
    channels=st.integers(1, 12).map(lambda parts: parts * 8),
    share=st.sampled_from([2, 4, 8]),
    shift=st.sampled_from(["bidirectional", "online", "none"]),
)
def test_a_shift_moves_its_share_and_every_channel_once(channels: int, share: int, shift: str) -> None:
    name = "tsn-lite" if shift == "none" else "tsm-lite"
    config = NetworkConfig(
        name=name, classes=("a", "b"), shift=shift, shift_share=share, widths=(8, 8), strides=(2, 2)
    )
    groups = config.gather_groups(channels)
    moved = {offset: end - begin for begin, end, offset in groups}
    if shift == "none":
        assert groups == ()
        return
    assert sorted(channel for begin, end, _ in groups for channel in range(begin, end)) == list(
        range(channels)
    )
    assert moved[-1] == channels // share
    assert moved.get(1, 0) == (channels // share if shift == "bidirectional" else 0)


@pytest.mark.parametrize("blocks", [(), (0,), (1, 2), (0, 1, 2)])
def test_only_the_named_blocks_shift(blocks: tuple[int, ...]) -> None:
    config = NetworkConfig(name="tsm-lite", classes=("a", "b"), shift_blocks=blocks)
    assert [config.shifts(block) for block in range(3)] == [block in blocks for block in range(3)]
    with pytest.raises(UsageError, match=r"shift_blocks=.*there are 3 blocks; use 0 to 2"):
        NetworkConfig(name="tsm-lite", classes=("a", "b"), shift_blocks=(*blocks, 3))


@pytest.mark.parametrize("name", OPTIONS)
def test_blocks_have_inputs_that_are_widths(name: str) -> None:
    config = small(name)
    assert len(config.widths) == len(config.strides)
    assert set(config.block_inputs) <= set(config.widths)
    assert config.stages == len(config.widths) - (config.family != "c3d")
