# SPDX-License-Identifier: Apache-2.0
"""What memories take, against counting by hand; their images lose no bit."""

import numpy as np
import pytest
from framegate.hls.kernels import Cost, Fifo, Memory
from framegate.hls.kernels._memory import (
    LOAD_BITS,
    MOST_BANKS,
    banked,
    beats_per_word,
    block_rams,
    in_beats,
    pack,
    ram_blocks,
    ram_slice,
    rom_bank,
    ultra_rams,
)
from framegate.hls.stream import Stream
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import FIXED_SEED

# Depth and width of a block of 18 kbit, from the data sheets of both families.
SHAPES = {512: 36, 1024: 18, 2048: 9, 4096: 4, 8192: 2, 16384: 1}
WORDS, BITS = st.integers(1, 40_000), st.integers(1, 300)


def tiles(words: int, bits: int, depth: int) -> int:
    """Blocks of one shape that cover a rectangle of `words` by `bits`, laid one by one."""
    rows = sum(1 for _ in range(0, words, depth))
    columns = sum(1 for _ in range(0, bits, SHAPES[depth]))
    return rows * columns


@settings(FIXED_SEED, max_examples=200)
@given(words=WORDS, bits=BITS)
def test_block_rams_are_the_fewest_of_one_shape(words: int, bits: int) -> None:
    found = block_rams(words, bits)
    if words <= 64 or words * bits <= 1024:
        assert found == 0, "LUTs keep it"
        return
    assert found == min(tiles(words, bits, depth) for depth in SHAPES)
    assert found * 512 * 36 >= words * bits


@settings(FIXED_SEED, max_examples=100)
@given(words=WORDS, bits=BITS, more=st.integers(1, 500))
def test_a_larger_memory_takes_no_fewer_blocks(words: int, bits: int, more: int) -> None:
    assert block_rams(words + more, bits) >= block_rams(words, bits)
    assert block_rams(words, bits + more) >= block_rams(words, bits)


@settings(FIXED_SEED, max_examples=200)
@given(words=WORDS, bits=BITS)
def test_a_rom_has_few_banks_and_the_fewest_blocks(words: int, bits: int) -> None:
    bank = rom_bank(words, bits)
    banks = -(-words // bank)
    possible = [depth for depth in SHAPES if depth * MOST_BANKS >= words]
    if bank == words:
        assert banks == 1
        return
    assert banks <= MOST_BANKS
    assert bank in SHAPES, "as deep as a block, so that no multiplexer is inside it"
    fewest = min(tiles(words, bits, depth) for depth in possible)
    assert banks * -(-bits // SHAPES[bank]) == fewest


@pytest.mark.parametrize(
    ("words", "bits", "bank"),
    [
        (64, 1000, 64),  # in LUTs
        (512, 36, 512),
        (513, 36, 513),  # two blocks of 1024 words are as few as two banks of 512
        (4096, 36, 2048),  # 8 blocks either way: the fewest banks
        (4097, 36, 1024),
        (200_000, 8, 200_000),  # more than 8 banks of any depth
    ],
)
def test_banks_by_hand(words: int, bits: int, bank: int) -> None:
    assert rom_bank(words, bits) == bank


@settings(FIXED_SEED, max_examples=60)
@given(words=st.lists(st.integers(0, 255), min_size=1, max_size=60), bank=st.integers(1, 20))
def test_banks_hold_all_words_in_order(words: list[int], bank: int) -> None:
    images = banked("weights", words, 8, bank)
    assert [word for image in images for word in image.words] == words
    assert [image.bank for image in images] == list(range(len(images)))
    assert all(len(image.words) == bank for image in images[:-1])
    assert images[0] == Memory("weights", words[:bank], 8, 0)


@settings(FIXED_SEED, max_examples=200)
@given(words=WORDS, bits=BITS)
def test_a_sliced_ram_takes_at_most_a_third_more(words: int, bits: int) -> None:
    width = ram_slice(words, bits)
    assert 1 <= width <= bits
    taken, least = ram_blocks(words, bits), block_rams(words, bits)
    assert least <= taken or width < bits
    assert 3 * taken <= 4 * least or taken == least
    if width < bits:
        depth = next(depth for depth in SHAPES if SHAPES[depth] == width)
        assert depth >= words, "a slice is one block deep: no multiplexer behind it"
        assert taken == sum(1 for _ in range(0, bits, width))


@pytest.mark.parametrize(
    ("words", "bits", "blocks"),
    [(1, 1, 1), (4096, 72, 1), (4097, 72, 2), (4096, 73, 2), (4097, 73, 4), (12_288, 144, 6)],
)
def test_ultra_rams_by_hand(words: int, bits: int, blocks: int) -> None:
    assert ultra_rams(words, bits) == blocks


@settings(FIXED_SEED, max_examples=60)
@given(bits=st.integers(1, 200), data=st.data())
def test_beats_that_load_a_memory_give_its_words_back(bits: int, data: st.DataObject) -> None:
    words = data.draw(st.lists(st.integers(0, (1 << bits) - 1), max_size=6))
    beats, each = in_beats(words, bits, "weights"), beats_per_word(bits)
    assert all(0 <= beat < 1 << LOAD_BITS for beat in beats)
    assert len(beats) == each * len(words)
    back = [
        sum(beats[place * each + part] << LOAD_BITS * part for part in range(each))
        for place in range(len(words))
    ]
    assert back == words


@settings(FIXED_SEED, max_examples=60)
@given(bits=st.integers(1, 70), signed=st.booleans(), data=st.data())
def test_a_packed_word_is_read_back_field_by_field(bits: int, signed: bool, data: st.DataObject) -> None:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    values = data.draw(st.lists(st.integers(low, high), min_size=1, max_size=8))
    word = pack(np.array(values, dtype=object), bits, "some", signed=signed)
    fields = [word >> place * bits & (1 << bits) - 1 for place in range(len(values))]
    assert [field - (1 << bits) if field > high else field for field in fields] == values
    assert word < 1 << bits * len(values)


@pytest.mark.parametrize(("depth", "lanes"), [(16, 1), (600, 4), (5000, 9), (20_000, 3)])
@pytest.mark.parametrize("ultra", [False, True])
def test_a_fifo_costs_its_memory(depth: int, lanes: int, ultra: bool) -> None:
    stream = Stream(
        frames=1, height=1, width=9, channels=9 if lanes == 9 else 12, bits=8, signed=False, lanes=lanes
    )
    fifo = Fifo(name="f", input=stream, depth=depth, ultra=ultra)
    cost, bits = fifo.cost(), 8 * lanes
    control = Cost(lut=120, ff=4 * depth.bit_length() + 2 * bits)
    if ultra:
        assert cost == control + Cost(uram=ultra_rams(depth, bits))
        assert fifo.instance().parameters["ULTRA"] == 1
    elif ram_blocks(depth, bits):
        assert cost == control + Cost(bram=ram_blocks(depth, bits))
    else:
        assert cost == control + Cost(lut=depth * bits // 8)


@settings(FIXED_SEED, max_examples=30)
@given(st.lists(st.tuples(*[st.integers(0, 99)] * 5), min_size=2, max_size=4))
def test_costs_add_and_compare_resource_by_resource(counts: list[tuple[int, ...]]) -> None:
    costs = [Cost(*each) for each in counts]
    total, most = Cost(), Cost()
    for cost in costs:
        total, most = total + cost, most.larger(cost)
    for place, name in enumerate(("lut", "ff", "dsp", "bram", "uram")):
        assert getattr(total, name) == sum(each[place] for each in counts)
        assert getattr(most, name) == max(each[place] for each in counts)
