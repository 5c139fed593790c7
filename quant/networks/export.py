# SPDX-License-Identifier: Apache-2.0
"""The network as a QONNX graph: one clip, frames on the batch axis, every quantizer a Quant node."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import torch
from brevitas.export import export_qonnx as brevitas_export
from framegate.errors import UsageError
from framegate.files import whole
from framegate.quant.networks.checkpoint import Network, NetworkConfig
from pydantic import ValidationError
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.cleanup import cleanup_model

CONFIG_KEY = "framegate.network"  # of the model's metadata_props: the NetworkConfig as JSON


def export_qonnx(network: Network, path: Path) -> Path:
    """Write `network`, in eval mode, as cleaned QONNX to `path`; return `path`.

    Input (frames, 3, size, size), float32 of pixel/256; output (1, classes).
    Raises UsageError for a float network.
    """
    config = network.config
    for option in ("weight_bits", "act_bits", "edge_bits"):
        if getattr(config, option) is None:
            raise UsageError(f"{option}=None: float values cannot become hardware; give 2 to 8 bits")
    pixels = torch.zeros(config.frames, 3, config.size, config.size)
    was_training = network.training
    with whole(path) as draft, TemporaryDirectory() as folder, quiet():
        raw = str(Path(folder) / "raw.onnx")  # the exporter leaves its weights in a second file
        brevitas_export(network.eval(), args=pixels, export_path=raw)
        model = cleanup_model(ModelWrapper(raw))
        onnx.helper.set_model_props(model.model, {CONFIG_KEY: config.model_dump_json()})
        model.save(str(draft))
    network.train(was_training)
    return path


def network_config(model: onnx.ModelProto) -> NetworkConfig | None:
    """The configuration that `export_qonnx` left in a graph; None in a graph from elsewhere.

    Raises UsageError when it cannot be read.
    """
    for entry in model.metadata_props:
        if entry.key == CONFIG_KEY:
            try:
                return NetworkConfig.model_validate_json(entry.value)
            except (UsageError, ValidationError) as error:
                reason = " ".join(str(error).split()).partition(" For further information")[0]
                raise UsageError(
                    f"the graph's metadata {CONFIG_KEY} cannot be read ({reason}); export the network again, or "
                    f"without them"
                ) from None
    return None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The exporters' progress lines and warnings about their own internals stay off the user's terminal."""
    level = logging.getLogger("torch.onnx").level
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.getLogger("torch.onnx").setLevel(level)
