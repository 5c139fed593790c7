# SPDX-License-Identifier: Apache-2.0
"""The matrix-vector product against numpy, and with its window against torch's convolution."""

import subprocess
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from framegate.errors import UsageError
from framegate.hls.kernels import MatVec, Window, hardware
from framegate.rtl_sim.bench.simulator import Simulator

from tests.kernels.bench import CLIPS, check_kernel, each, in_whole_networks_too, random_clips, stream
from tests.slow import slow_if


def matvec(rows: int, pe: int, simd: int, weight_bits: int = 4, **changes: int | bool) -> MatVec:
    taken = stream(**{"height": 2, "width": 3, "channels": 6, "lanes": simd, "repeat": rows // pe, **changes})
    limit = 1 << (weight_bits - 1)
    weights = np.random.default_rng(rows).integers(-limit, limit, (rows, taken.channels))
    weights[0, 0] = -limit
    return MatVec(name="mv", input=taken, weights=weights, pe=pe)


def biased(kernel: MatVec, limit: int = 500) -> MatVec:
    bias = np.random.default_rng(1).integers(-limit, limit + 1, kernel.rows)
    bias[0] = -limit
    return replace(kernel, bias=bias)


CASES = {
    "pe2-simd2": matvec(4, 2, 2),
    "serial": matvec(4, 1, 1),
    "parallel": matvec(4, 4, 6),
    "all-rows": matvec(4, 4, 1),
    "all-columns": matvec(4, 1, 6),
    "one-row-one-column": matvec(1, 1, 1, channels=1),
    "signed-8bit": matvec(6, 3, 3, weight_bits=8, bits=8, signed=True),
    "unsigned-8bit": matvec(2, 1, 2, weight_bits=8, bits=8),
    "2bit": matvec(4, 2, 3, weight_bits=2, bits=2),
    "3bit-signed": matvec(5, 1, 2, weight_bits=3, bits=3, signed=True),
    "1bit": matvec(3, 3, 2, weight_bits=2, bits=1),
    "pairs-4bit-signed": matvec(6, 6, 2, bits=4, signed=True),
    "pairs-8bit-activations": matvec(5, 5, 2, bits=8),
    "pairs-of-6bit-weights": matvec(4, 2, 3, weight_bits=6),
    "no-pairs-of-7bit-weights": matvec(4, 2, 3, weight_bits=7),
    "18bit-weights": matvec(4, 2, 3, weight_bits=18),
    "20bit-weights-signed": matvec(4, 4, 2, weight_bits=20, bits=5, signed=True),
    "bias": biased(matvec(6, 2, 3)),
    "bias-serial": biased(matvec(3, 1, 1)),
    "bias-one-step": biased(matvec(4, 1, 6)),
    "bias-parallel": biased(matvec(4, 4, 6), limit=3000),
    "banks": matvec(100, 2, 4, channels=120, frames=1, height=1, width=1),
    "luts-4bit-signed": replace(matvec(6, 3, 2, bits=4, signed=True), multiply="lut"),
    "luts-8bit-activations": replace(matvec(4, 2, 3, bits=8), multiply="lut"),
    "luts-3bit": replace(matvec(5, 1, 2, weight_bits=3, bits=3, signed=True), multiply="lut"),
    "27-bit": replace(matvec(4, 4, 3), factor_bits=27),
    "27-bit-signed-in-two-groups": replace(matvec(5, 5, 6, bits=4, signed=True), factor_bits=27, cascade=2),
    "27-bit-8bit-activations": replace(matvec(8, 8, 6, bits=8), factor_bits=27, cascade=2),
    "27-bit-8bit-weights": replace(
        matvec(4, 2, 3, weight_bits=8, bits=8, signed=True), factor_bits=27, cascade=2
    ),
    "27-bit-2bit": replace(matvec(8, 8, 2, weight_bits=2, bits=2), factor_bits=27, cascade=2),
    "27-bit-many-columns": replace(
        matvec(8, 8, 34, channels=68, frames=1, height=1), factor_bits=27, cascade=2
    ),
    "many-columns": matvec(4, 4, 34, channels=68, frames=1, height=1),
    "luts-with-a-cascade": replace(matvec(4, 2, 3), multiply="lut", factor_bits=27, cascade=2),
    "luts-ternary": replace(matvec(4, 2, 3, weight_bits=2), multiply="lut"),
    "luts-ternary-signed": replace(matvec(4, 2, 3, weight_bits=2, bits=8, signed=True), multiply="lut"),
    "luts-2bit": replace(matvec(4, 4, 3, weight_bits=2, bits=2), multiply="lut"),
}


SHARING = {  # parameters of the module that follow from others, and where Python has the same
    "ROWS": lambda kernel: kernel.rows_at_once,
    "GROUPS": lambda kernel: kernel._groups,
    "TERMS": lambda kernel: kernel._terms,
    "LEVELS": lambda kernel: kernel._levels,
    "FIELD": lambda kernel: min(kernel._field_wanted, kernel._field_widest),
    "TOGETHER": lambda kernel: kernel._levels_together,
    "APART": lambda kernel: int(kernel._apart),
    "STAGES": lambda kernel: kernel.latency - 1,
}


def test_the_module_shares_multipliers_as_the_compiler_thinks(tmp_path: Path, icarus: Simulator) -> None:
    """Over all widths of activations and weights, on both kinds of multipliers: elaborated, not simulated."""
    grid = [
        replace(
            matvec(pe, pe, simd, weight_bits, bits=bits, channels=simd), factor_bits=factor, cascade=cascade
        )
        for bits, weight_bits in product((1, 4, 8, 17, 18), (2, 4, 8, 16, 17, 18, 19, 26))
        for (pe, simd), (factor, cascade) in product(((1, 3), (4, 2)), ((18, 1), (27, 2)))
        if bits + weight_bits < 28
    ]
    names, lines, shows = [], [], []
    for number, kernel in enumerate(grid):
        instance = kernel.instance()
        given = ", ".join(f".{name}({value})" for name, value in instance.parameters.items())
        lines.append(f"    {instance.module} #({given}) u{number} ();")
        values = ", ".join(f"u{number}.{name}" for name in SHARING)
        shows.append(f'        $display("{" ".join(["%0d"] * len(SHARING))}", {values});')
        names.append([int(value(kernel)) for value in SHARING.values()])
    bench = "\n".join(["module grid;", *lines, "    initial begin", *shows, "    end", "endmodule\n"])
    (tmp_path / "grid.sv").write_text(bench)
    sources = [str(source) for source in hardware(grid[0])]
    command = ["iverilog", "-g2012", "-s", "grid", "-o", "grid", *sources, "grid.sv"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    said = subprocess.run(
        ["vvp", "-n", "grid"], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    found = [[int(word) for word in line.split()] for line in said.splitlines() if line[:1].isdigit()]
    assert len(grid) > 100
    assert found == names


@each(CASES)
def test_values_and_cycles(kernel: MatVec, tmp_path: Path, icarus: Simulator) -> None:
    check_kernel(kernel, tmp_path, simulator=icarus)


@in_whole_networks_too
@pytest.mark.parametrize("name", ["signed-8bit", "bias"])
def test_values_and_cycles_in_verilator(name: str, tmp_path: Path) -> None:
    check_kernel(CASES[name], tmp_path, simulator="verilator")


def test_deep_weights_are_in_banks_as_deep_as_a_block_ram() -> None:
    words = [len(memory.words) for memory in CASES["banks"].instance().memories]
    assert words == [512, 512, 476]
    assert CASES["banks"].latency == 6 + 1 + 1 + 1  # banked, apart, a level
    assert len(CASES["pe2-simd2"].instance().memories) == 1


def test_luts_for_wide_weights_are_refused() -> None:
    wide = matvec(4, 2, 3, weight_bits=6)
    with pytest.raises(
        UsageError, match=r"^mv: products of 6-bit weights are not made of LUTs, only up to 4 bits"
    ):
        replace(wide, multiply="lut")


def test_luts_take_no_multipliers() -> None:
    kernel = CASES["luts-8bit-activations"]
    assert kernel.cost().dsp == 0
    assert kernel.cost().lut > replace(kernel, multiply="dsp").cost().lut


def test_weights_of_one_sign_work(tmp_path: Path, icarus: Simulator) -> None:
    for sign in (-1, 0, 1):
        work = tmp_path / str(sign)
        work.mkdir()
        kernel = replace(CASES["pe2-simd2"], weights=sign * np.abs(CASES["pe2-simd2"].weights))
        check_kernel(kernel, work, simulator=icarus)


@each(CASES)
def test_reference_is_the_product_and_stays_within_its_bounds(kernel: MatVec) -> None:
    values = random_clips(kernel.input, 2, 0)
    result = kernel.reference(values)
    expected = np.einsum("nthwc,rc->nthwr", values.astype(np.int64), kernel.weights)
    assert np.array_equal(result, expected if kernel.bias is None else expected + kernel.bias)
    low, high = kernel.bounds
    out = kernel.outputs[0]
    assert out.low <= low <= result.min()
    assert result.max() <= high <= out.high


@pytest.mark.parametrize(
    ("signed", "weight_bits", "factor_bits"),
    slow_if(
        lambda case: case in ((False, 4, 18), (False, 4, 27), (True, 8, 27)),
        [(False, 4, 18), (True, 4, 18), (True, 6, 18), (False, 4, 27), (True, 4, 27), (True, 8, 27)],
    ),
)
def test_products_of_one_multiplier_do_not_touch(
    signed: bool, weight_bits: int, factor_bits: int, tmp_path: Path, icarus: Simulator
) -> None:
    """Every group of extreme weights, on activations that reach both ends."""
    low, high = -(1 << (weight_bits - 1)), (1 << (weight_bits - 1)) - 1
    pe = 2 if factor_bits == 18 or weight_bits == 8 else 3
    weights = np.array(list(product([low, -1, 0, 1, high], repeat=pe)))
    taken = stream(height=4, width=6, channels=1, lanes=1, repeat=len(weights), bits=4, signed=signed)
    kernel = MatVec(
        name="mv", input=taken, weights=weights.reshape(-1, 1), pe=pe, factor_bits=factor_bits, cascade=2
    )
    assert kernel.cost().dsp == 1
    check_kernel(kernel, tmp_path, simulator=icarus)


@pytest.mark.parametrize(
    ("columns", "factor_bits"),
    slow_if(lambda case: case not in ((33, 18), (32, 27)), product((16, 32, 33), (18, 27))),
)
def test_sums_side_by_side_do_not_touch(columns: int, factor_bits: int, tmp_path: Path) -> None:
    """Rows of the largest and the smallest weights in any order, and activations all at one end, or none."""
    weights = np.array(list(product([-8, 7], repeat=6))).reshape(-1, 1).repeat(columns, axis=1)
    taken = stream(height=1, width=3, channels=columns, lanes=columns, repeat=len(weights) // 6, bits=4)
    kernel = MatVec(name="mv", input=taken, weights=weights, pe=6, factor_bits=factor_bits, cascade=2)
    values = np.zeros((CLIPS, *taken.shape), dtype=np.int32)
    values[..., 1, :] = taken.high
    values[..., 2, :] = taken.high - 1
    check_kernel(kernel, tmp_path, simulator="fast", values=[values])


def test_pairs_of_rows_take_one_multiplier() -> None:
    found = {name: CASES[name].cost().dsp for name in CASES if "pairs" in name}
    assert found == {
        "pairs-4bit-signed": 3 * 2,
        "pairs-8bit-activations": 3 * 2,
        "pairs-of-6bit-weights": 3,
        "no-pairs-of-7bit-weights": 2 * 3,
    }


def test_bounds_are_reached() -> None:
    kernel = CASES["signed-8bit"]
    worst = np.where(kernel.weights > 0, kernel.input.high, kernel.input.low)
    best = np.where(kernel.weights > 0, kernel.input.low, kernel.input.high)
    assert kernel.bounds == (
        (best * kernel.weights).sum(axis=1).min(),
        (worst * kernel.weights).sum(axis=1).max(),
    )


def test_wide_accumulators_are_exact() -> None:
    wide = stream(height=1, width=1, channels=64, bits=17, lanes=1, repeat=1)
    kernel = MatVec(name="mv", input=wide, weights=np.full((1, 64), 127), pe=1)
    values = np.full((1, *wide.shape), wide.high, dtype=np.int32)
    values[..., 0] -= 1  # lost in float32
    assert kernel.reference(values)[0, 0, 0, 0, 0] == 127 * (64 * wide.high - 1)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "pad_value"),
    [
        ((3, 3), (1, 1), (1, 1, 1, 1), 0),
        ((3, 3), (2, 2), (1, 1, 1, 1), 7),
        ((1, 1), (2, 2), (0, 0, 0, 0), 0),
        ((3, 2), (2, 1), (0, 0, 1, 1), 3),
        ((5, 3), (1, 3), (4, 2, 0, 1), 15),
    ],
)
def test_window_and_product_are_a_convolution(
    kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int, int, int], pad_value: int
) -> None:
    taken = stream(height=7, width=8)
    window = Window(
        name="w", input=taken, kernel=kernel, stride=stride, padding=padding, pad_value=pad_value, repeat=5
    )
    filters = np.random.default_rng(0).integers(-8, 8, (5, taken.channels, *kernel))
    conv = MatVec(name="c", input=window.outputs[0], weights=filters.transpose(0, 2, 3, 1).reshape(5, -1))
    values = random_clips(taken, 2, 0)

    images = torch.from_numpy(values.astype(np.float64)).flatten(0, 1).permute(0, 3, 1, 2)
    top, left, bottom, right = padding
    padded = torch.nn.functional.pad(images, (left, right, top, bottom), value=pad_value)
    expected = torch.nn.functional.conv2d(padded, torch.from_numpy(filters.astype(np.float64)), stride=stride)

    result = conv.reference(window.reference(values))
    assert result.shape == (2, *conv.outputs[0].shape)
    assert np.array_equal(result.reshape(-1, *result.shape[2:]), expected.permute(0, 2, 3, 1).numpy())


def test_pe_that_does_not_divide_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^mv: PE=3 does not divide 4 channels; choose one of \[1, 2, 4\]$"):
        MatVec(name="mv", input=stream(), weights=np.ones((4, 4), dtype=int), pe=3)


@pytest.mark.parametrize(("columns", "repeat"), [(4, 1), (5, 2)])
def test_an_input_of_another_shape_is_refused(columns: int, repeat: int) -> None:
    with pytest.raises(
        UsageError,
        match=rf"^mv: weights \(4, {columns}\) with PE=2 need {columns} channels sent 2 times, "
        rf"got 4 sent {repeat} times$",
    ):
        MatVec(name="mv", input=stream(repeat=repeat), weights=np.ones((4, columns), dtype=int), pe=2)


def test_accumulators_beyond_32_bits_are_refused() -> None:
    taken = stream(height=1, width=1, bits=24, lanes=1, repeat=1)
    kernel = MatVec(name="mv", input=taken, weights=np.full((1, 4), 127))
    with pytest.raises(
        UsageError, match=r"^mv: accumulators up to 8522825220 exceed 32 bits; use fewer bits or channels$"
    ):
        kernel.reference(np.zeros((1, *taken.shape), dtype=np.int32))


def test_a_bias_of_another_size_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^mv: a bias of shape \(3,\) for 4 channels$"):
        replace(CASES["pe2-simd2"], bias=np.zeros(3, dtype=int))
