# SPDX-License-Identifier: Apache-2.0
"""A convolution layer as FINN+ makes it: its own RTL, edited where open tools refuse it, below our top's ports."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from finn.interface.settings import FINNSettings
from finn.util import settings
from framegate.benchmarks.peers.finn_layer import OUT_BITS, TOP, WEIGHT_BITS, Layer, Part, render_top
from framegate.errors import FramegateError
from framegate.hls.operators.frame_gather_rtl import RTL_DOMAIN
from framegate.hls.targets import load_target
from onnx import TensorProto, ValueInfoProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

_PART = load_target("zcu102").part  # its multipliers, DSP48E2, are what FINN packs products for
_CLOCK_NS = 5.0


def generate(layer: Layer, rtl: Path) -> None:
    """Write FINN's layer to `rtl`: one source, framegate.sv, and its memory images.

    Raises FramegateError when this version of FINN writes other text than the edits expect.
    """
    rtl.mkdir(parents=True, exist_ok=True)
    model = _model(layer)
    with _settings(rtl / "nodes") as library:
        operators = [_generate_node(model, node, rtl / "nodes" / node.name) for node in model.graph.node]
        generated = [path for op in operators for path in map(Path, op.get_rtl_file_list(abspath=True))]
    folder = rtl / "nodes" / "matrix"
    sources = [
        *generated,
        *(library / name for name in ("memstream/hdl/memstream.sv", "memstream/hdl/memstream_axi.sv")),
        folder / "matrix_memstream_wrapper.v",
    ]
    # Packages first. What the reader of the weights needs besides, axilite.sv, comes with the activation.
    ordered = sorted(dict.fromkeys(sources), key=lambda path: not path.stem.endswith("_pkg"))
    text = [_edited(path.name, path.read_text()) for path in ordered]
    (rtl / f"{TOP}.sv").write_text("\n".join([*text, _top(layer, operators)]))
    shutil.copyfile(folder / "memblock.dat", rtl / "weights.hex")
    for image in (rtl / "nodes" / "activation").glob("*.dat"):
        shutil.copyfile(image, rtl / f"{image.stem}.hex")


@contextmanager
def _settings(folder: Path) -> Iterator[Path]:
    """FINN's settings for what is done inside, without files or variables of its own; yields its RTL library."""
    kept = settings._SETTINGS
    settings._SETTINGS = FINNSettings.init(
        override_settings_path=folder / "settings.yaml",
        flow_config=folder / "flow.yaml",
        auto_set_environment_vars=False,
    )
    try:
        yield Path(settings.get_settings().finn_rtllib)
    finally:
        settings._SETTINGS = kept


class _Node(NamedTuple):
    """One of FINN's hardware nodes; the tensor before it is its first input."""

    op: str
    name: str
    shape: list[int]  # of its output
    attributes: dict[str, Any]
    constants: tuple[str, ...] = ()


def _model(layer: Layer) -> ModelWrapper:
    """The layer as FINN's hardware nodes."""
    nodes, infos = [], [_tensor("x", [1, layer.size, layer.size, layer.channels])]
    for node in _nodes(layer):
        inputs = [infos[-1].name, *node.constants]
        infos.append(_tensor(f"{node.name}_out", node.shape))
        attributes = {"domain": RTL_DOMAIN, "backend": "fpgadataflow", **node.attributes}
        nodes.append(helper.make_node(node.op, inputs, [infos[-1].name], node.name, **attributes))
    graph = helper.make_graph(nodes, "layer", infos[:1], infos[-1:], value_info=infos[1:-1])
    model = ModelWrapper(helper.make_model(graph))
    _, product, activation = layer.kernels
    for name, values, kind in (
        ("weights", product.weights.T, f"INT{WEIGHT_BITS}"),
        ("thresholds", activation.thresholds, "INT32"),
    ):
        model.set_initializer(name, values.astype(np.float32))
        model.set_tensor_datatype(name, DataType[kind])
    model.set_tensor_datatype("x", DataType[f"UINT{layer.in_bits}"])
    return model


def _tensor(name: str, shape: list[int]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _nodes(layer: Layer) -> list[_Node]:
    """As FINN's own conversions make them: a window of one pixel, or padding by nothing, needs no node."""
    nodes = [_matrix(layer), _activation(layer)]
    if layer.kernel > 1 or layer.stride > 1:
        nodes.insert(0, _window(layer))
    if layer.padding:
        nodes.insert(0, _padding(layer))
    return nodes


def _padding(layer: Layer) -> _Node:
    attributes = {
        "ImgDim": [layer.size] * 2,
        "Padding": [layer.padding] * 4,
        "NumChannels": layer.channels,
        "SIMD": layer.simd,
        "inputDataType": f"UINT{layer.in_bits}",
    }
    size = layer.size + 2 * layer.padding
    return _Node("FMPadding_rtl", "padding", [1, size, size, layer.channels], attributes)


def _window(layer: Layer) -> _Node:
    out = layer.kernels[0].outputs[0]
    attributes = {
        "ConvKernelDim": [layer.kernel] * 2,
        "IFMChannels": layer.channels,
        "IFMDim": [layer.size + 2 * layer.padding] * 2,
        "OFMDim": [out.height, out.width],
        "SIMD": layer.simd,
        "Stride": [layer.stride] * 2,
        "Dilation": [1, 1],
        "inputDataType": f"UINT{layer.in_bits}",
        "outputDataType": f"UINT{layer.in_bits}",
    }
    return _Node(
        "ConvolutionInputGenerator_rtl", "window", [1, out.height, out.width, out.channels], attributes
    )


def _matrix(layer: Layer) -> _Node:
    window = layer.kernels[0].outputs[0]
    attributes = {
        "PE": layer.pe,
        "SIMD": layer.simd,
        "MW": window.channels,
        "MH": layer.filters,
        "inputDataType": f"UINT{layer.in_bits}",
        "weightDataType": f"INT{WEIGHT_BITS}",
        "outputDataType": "INT32",
        "noActivation": 1,
        "numInputVectors": [1, window.height, window.width],
    }
    return _Node(
        "MVAU_rtl", "matrix", [1, window.height, window.width, layer.filters], attributes, ("weights",)
    )


def _activation(layer: Layer) -> _Node:
    out = layer.kernels[-1].outputs[0]
    attributes = {
        "PE": layer.pe,
        "NumChannels": out.channels,
        "numSteps": (1 << OUT_BITS) - 1,
        "inputDataType": "INT32",
        "weightDataType": "INT32",
        "outputDataType": f"UINT{OUT_BITS}",
        "numInputVectors": [1, out.height, out.width],
    }
    shape = [1, out.height, out.width, out.channels]
    return _Node("Thresholding_rtl", "activation", shape, attributes, ("thresholds",))


def _generate_node(model: ModelWrapper, node: Any, folder: Path) -> Any:
    """Let FINN narrow the node's integers, as its own flow does, and write its RTL to `folder`."""
    op = getCustomOp(node)
    folder.mkdir(parents=True, exist_ok=True)
    op.set_nodeattr("code_gen_dir_ipgen", str(folder))
    if node.op_type == "MVAU_rtl":
        op.minimize_accumulator_width(model)
    if node.op_type == "Thresholding_rtl":
        sums = getCustomOp(model.find_producer(node.input[0])).get_output_datatype()
        op.set_nodeattr("inputDataType", sums.name)
        op.minimize_weight_bit_width(model)
    op.generate_hdl(model, _PART, _CLOCK_NS)
    return op


_CLOCK = {"ap_clk": "clk", "ap_rst_n": "!rst"}
_IDLE = {  # the port for configuration at run time, which FINN leaves open
    f"s_axilite_{pin}": "'0"
    for pin in ["AWVALID", "AWADDR", "WVALID", "WDATA", "WSTRB", "BREADY", "ARVALID", "ARADDR", "RREADY"]
}
_NO_SETS = {"valid": "1'b0", "data": "'0"}  # of weights or thresholds to choose from
_OTHER_PINS = {
    "padding": _IDLE,
    "matrix": {"ap_clk2x": "1'b0"},
    "activation": _IDLE | {f"in1_V_T{pin.upper()}": value for pin, value in _NO_SETS.items()},
    "matrix_memstream_wrapper": {
        **_IDLE,
        "ap_clk2x": "1'b0",
        **{f"s_axilite_{pin}": "'0" for pin in ("AWPROT", "ARPROT")},
        **{f"s_axis_0_t{pin}": value for pin, value in _NO_SETS.items()},
    },
}


def _top(layer: Layer, operators: list[Any]) -> str:
    """FINN's nodes in a row, with the reader of the weights beside the matrix."""
    names = [op.onnx_node.name for op in operators]
    nets = {name: op.get_outstream_width_padded() for name, op in zip(names[:-1], operators, strict=False)}
    nets["weights"] = operators[names.index("matrix")].get_instream_width_padded(1)
    reader = "matrix_memstream_wrapper"
    weights = {f"m_axis_0_t{pin}": f"weights_{pin}" for pin in ("valid", "ready", "data")}
    parts = [Part(reader, {}, {**_CLOCK, **weights, **_OTHER_PINS[reader]})]
    for name, source, target in zip(names, ["in", *names[:-1]], [*names[:-1], "out"], strict=True):
        pins = {**_CLOCK, **_stream("in0_V", source), **_stream("out0_V", target)}
        if name == "matrix":
            pins |= _stream("in1_V", "weights")
        parts.append(Part(name, {}, pins | _OTHER_PINS.get(name, {})))
    return render_top(layer, nets, parts)


def _stream(port: str, net: str) -> dict[str, str]:
    return {f"{port}_T{pin.upper()}": f"{net}_{pin}" for pin in ("valid", "ready", "data")}


def _edited(name: str, text: str) -> str:
    """The text of FINN's file `name` with the edits that it needs."""
    for edit in EDITS.get(name, ()):
        text = edit(text)
    return text


def replaced(name: str, text: str, old: str, new: str) -> str:
    """`text` of file `name` with its only `old` replaced. Raises FramegateError when there is none, or several."""
    if text.count(old) != 1:
        raise FramegateError(
            f"FINN's {name}: {text.count(old)} times {old.strip()!r}, expected once; this comparison knows the "
            f"RTL of finn-plus 1.6.1"
        )
    return text.replace(old, new)


def _cut(name: str, text: str, begin: str, end: str) -> tuple[str, str]:
    """`text` without what is from `begin` to `end`, and that. Both must be there once."""
    for mark in (begin, end):
        replaced(name, text, mark, "")
    before, _, rest = text.partition(begin)
    inside, _, after = rest.partition(end)
    return before + after, begin + inside + end


def function_before_generate(text: str) -> str:
    """The adder tree's constant function stands in a generate block, where Verilator and slang must refuse it."""
    name = "add_multi.sv"
    text, function = _cut(
        name,
        text,
        "\t\ttypedef int unsigned  leaf_load_t[2*N-1];\n",
        "\t\tendfunction : init_leaf_loads\n",
    )
    place = "\tuwire [SUM_WIDTH-1:0]  sum0;\n"
    return replaced(name, text, place, function + place)


def no_watchdog(text: str) -> str:
    """The watchdog of the DSP's start-up waits 100 ns, and only warns."""
    return _cut("mvu.sv", text, "\tif(1) begin : blkRecoveryWatch\n", "\tend : blkRecoveryWatch\n")[0]


def no_shortcut(text: str) -> str:
    """What a comment takes from synthesis, in words that slang does not know: 0 for a product with a factor of 0."""
    return replaced("mvu.sv", text, "(B1 === '0) || (AD1 === '0)? 0 :\n", "\n")


def ascending_select(text: str) -> str:
    """The first search level selects bits [M-1:M] where that is not used; slang has no hardware for it."""
    return replaced(
        "thresholding.sv", text, "p.ptr[M-1:SN+1] < 2**stage", "(p.ptr[M-1:0] >> (SN+1)) < 2**stage"
    )


def threshold_images(text: str) -> str:
    """Our benches carry memory images by the name of *.hex."""
    return replaced("thresholding.sv", text, "threshs_%0d_%0d.dat", "threshs_%0d_%0d.hex")


def weight_image(text: str) -> str:
    """The same for the weights, whose name is a path."""
    name = "matrix_memstream_wrapper.v"
    text, _ = _cut(name, text, '\tparameter  INIT_FILE = "', '/memblock.dat",\n')
    place = "\tparameter  RAM_STYLE ="
    return replaced(name, text, place, f'\tparameter  INIT_FILE = "weights.hex",\n{place}')


# By the name of FINN's file.
EDITS: Mapping[str, tuple[Callable[[str], str], ...]] = {
    "add_multi.sv": (function_before_generate,),
    "mvu.sv": (no_watchdog, no_shortcut),
    "thresholding.sv": (ascending_select, threshold_images),
    "matrix_memstream_wrapper.v": (weight_image,),
}
