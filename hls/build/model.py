# SPDX-License-Identifier: Apache-2.0
"""What a build starts from: a built-in name, a checkpoint or a QONNX file, and its thresholds."""

import shutil
from pathlib import Path

from framegate import hls, quant
from framegate.errors import UsageError
from framegate.files import whole
from framegate.hls.build.files import CHECKPOINT, FLOAT, QONNX
from framegate.hls.lowering.graphs import save as save_graph
from framegate.hls.lowering.graphs import set_pixel_scale
from framegate.hls.lowering.lower import load as load_graph
from framegate.hls.lowering.lower import load_network
from framegate.hls.steps import Code, Steps
from framegate.quant.measures import alarm_threshold, kept_evaluation
from framegate.quant.networks.checkpoint import checkpoint_file, find, load, model_file
from framegate.quant.networks.export import export_qonnx, network_config

_QUANT, _HLS = (Path(str(room.__file__)).parent for room in (quant, hls))
# What the steps are made by. Libraries that only train or draw make no build.
EXPORT = Code((_QUANT,), ("torch", "brevitas", "qonnx", "onnx", "numpy", "pydantic"))
COMPILE = Code(
    (_HLS,),
    ("finn-plus", "qonnx", "onnx", "onnxruntime", "numpy", "protobuf", "jinja2", "pydantic", "filelock"),
)


def take_model(model: str, build: Path, steps: Steps, pixel_scale: float | None) -> None:
    """Put the model into the build folder: QONNX as it is, or a checkpoint with its float twin, exported."""
    if model.endswith(".onnx"):
        source = Path(model)
        if not source.is_file():
            raise UsageError(f"{model}: not there; give a QONNX file, a checkpoint.pt or a built-in name")
        for name in (CHECKPOINT, FLOAT):
            (build / name).unlink(missing_ok=True)
        steps.run(
            "export",
            [source, str(pixel_scale)],
            [build / QONNX],
            lambda: _take_graph(source, build / QONNX, pixel_scale),
            COMPILE,
        )
        return
    if pixel_scale is not None:
        raise UsageError(
            f"--pixel-scale {pixel_scale:g}: is of QONNX files from elsewhere; {model} says itself what it sees"
        )
    find(model)  # says what is wrong with it
    source, twin = _checkpoint(model)
    _copy(source, build / CHECKPOINT)
    if twin.is_file():
        _copy(twin, build / FLOAT)
    else:
        (build / FLOAT).unlink(missing_ok=True)
    _take_evaluation(source.with_name(kept_evaluation.FOLDER), build / kept_evaluation.FOLDER)
    steps.run(
        "export",
        [build / CHECKPOINT],
        [build / QONNX],
        lambda: export_qonnx(load(build / CHECKPOINT), build / QONNX),
        EXPORT,
    )


def _take_graph(source: Path, target: Path, pixel_scale: float | None) -> None:
    """A QONNX file that holds what a network must, with the value of a pixel's step noted in it."""
    graph = load_network(source)
    if pixel_scale is not None:
        set_pixel_scale(graph, pixel_scale)
    save_graph(graph, target)


def _take_evaluation(source: Path, target: Path) -> None:
    """What `framegate evaluate --plots` left beside the checkpoint, for the report."""
    if source.resolve() != target.resolve() and (source / kept_evaluation.FILE).is_file():
        with whole(target) as draft:
            shutil.copytree(source, draft)


def take_thresholds(model: str, build: Path, wanted: str | None) -> dict[str, float]:
    """The alarms' thresholds, by class, in logits: as wanted, or those kept with the model; noted in `build`."""
    config = network_config(load_graph(build / QONNX).model)
    if config is None or not alarm_threshold.alarms_of(config):
        if wanted is not None:
            raise UsageError(
                f"--threshold {wanted}: {model} has no alarm; name a positive class when it is trained"
            )
        (build / alarm_threshold.FILE).unlink(missing_ok=True)
        return {}
    chosen = (
        alarm_threshold.of_model(model, config) if wanted is None else alarm_threshold.given(wanted, config)
    )
    alarm_threshold.save(build / alarm_threshold.FILE, config, chosen)
    return {
        name: chosen.get(name, alarm_threshold.Choice()).logit for name in alarm_threshold.alarms_of(config)
    }


def _checkpoint(model: str) -> tuple[Path, Path]:
    """The checkpoint's file and that of the float network that it came from."""
    path = model_file(model)
    return path, path.with_name(FLOAT if checkpoint_file(model) else f"{model}.float.pt")


def _copy(source: Path, target: Path) -> None:
    if source.resolve() != target.resolve():
        with whole(target) as draft:
            shutil.copyfile(source, draft)
