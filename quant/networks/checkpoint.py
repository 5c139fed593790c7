# SPDX-License-Identifier: Apache-2.0
"""The networks: one definition for every precision, and the checkpoint files that hold them."""

import functools
import os.path
import pickle
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch
from framegate.errors import UsageError
from framegate.files import whole
from framegate.quant.networks import c3d, mobilenet, mobilenetv2, r2plus1d, residual, slowfast, x3d  # noqa: F401  the families
from framegate.quant.networks.base import Network
from framegate.quant.networks.config import NetworkConfig
from framegate.quant.networks.layers import FrameGather
from torch import Tensor

__all__ = [
    "CHECKPOINT",
    "FrameGather",
    "Network",
    "NetworkConfig",
    "builtin",
    "checkpoint_file",
    "config_of",
    "find",
    "load",
    "logits",
    "model_file",
    "read_tensors",
    "save",
    "start_from",
    "to_input",
]


def to_input(pixels: Tensor) -> Tensor:
    """Pixels (N, T, H, W, 3), uint8, as the network's input (N*T, 3, H, W), float32 of pixel/256.

    Channels stay last in memory, and so in every layer: a CPU trains tsm-mobilenet twice as fast that way.
    """
    return pixels.flatten(0, 1).permute(0, 3, 1, 2).float() / 256


def logits(network: Network, pixels: Tensor, batch: int = 32) -> Tensor:
    """Logits (N, K), float32, of `network` in eval mode for clips (N, T, S, S, 3), uint8.

    Raises UsageError when the clips do not have the network's frames and size.
    """
    config = network.config
    expected = (config.frames, config.size, config.size, 3)
    if pixels.dtype != torch.uint8 or tuple(pixels.shape[1:]) != expected:
        raise UsageError(
            f"clips of shape {tuple(pixels.shape)}, {pixels.dtype}: {config.name} needs (clips, *{expected}) "
            f"of torch.uint8; decode them with the network's frames and size"
        )
    was_training = network.training
    device = next(network.parameters()).device
    network.eval()
    with torch.no_grad():
        parts = [network(to_input(part.to(device))).cpu() for part in pixels.split(batch)]
    network.train(was_training)
    return torch.cat(parts) if parts else torch.zeros(0, len(config.classes))


def start_from(network: Network, weights: Network) -> None:
    """Copy convolutions, BatchNorm and head of `weights` into `network`; other scales stay as they are."""
    own = dict(network.named_parameters()) | dict(network.named_buffers())
    given = {key: value for key, value in weights.state_dict().items() if key in own}
    network.load_state_dict(given, strict=False)


CHECKPOINT = "framegate checkpoint 1"
_REMEDY = "give a checkpoint.pt that `framegate train` wrote"


def save(network: Network, path: Path) -> Path:
    """Write `network` to the checkpoint file `path`, whole; return `path`.

    Raises UsageError for a quantized network that has not seen a clip in training mode: it has no scales to keep.
    """
    state = {key: value.detach().cpu() for key, value in network.state_dict().items()}
    if unset := [name for name, _ in network.named_parameters() if name not in state]:
        layer = re.split(r"\.(?:act|weight|fused_activation)_quant\b", unset[0])[0]
        raise UsageError(
            f"{path}: {layer} has no scale yet, as have {len(unset)} quantizers in all; let clips pass in training "
            f"mode before the network is saved, as `framegate train` does"
        )
    content = {"format": CHECKPOINT, "network": network.config.model_dump(mode="json"), "state": state}
    with whole(path) as draft:
        torch.save(content, draft)
    return path


def load(path: Path) -> Network:
    """The network of a checkpoint file, in eval mode. Raises UsageError when the file is not one of ours."""
    content = read_tensors(path, "not a checkpoint", _REMEDY)
    if not isinstance(content, dict) or content.get("format") != CHECKPOINT:
        raise UsageError(f"{path}: a checkpoint of another program or version; {_REMEDY}")
    state = content.get("state")
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UsageError(f"{path}: holds no weights; {_REMEDY}")
    config = config_of(path, content)
    try:
        _require_fit(config, state)
        network = Network(config)
        if odd := [name for names in network.load_state_dict(state, strict=False) for name in names]:
            raise RuntimeError(f"{odd[0]} is {'not of it' if odd[0] in state else 'missing'}")
    except (RuntimeError, TypeError) as error:
        raise UsageError(
            f"{path}: its weights do not fit its network ({str(error).splitlines()[0]}); {_REMEDY}"
        ) from None
    return network.eval()


def read_tensors(path: Path, foreign: str, remedy: str) -> Any:
    """What a file that torch wrote holds: plain values and tensors, never code.

    Raises UsageError, naming the file and `remedy`, when it cannot be read, is of another kind (which `foreign` says),
    or has changed since it was written.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():  # /dev/zero never ends
            raise UsageError(f"{path}: a device or a pipe, not a file; {remedy}")
        with path.open("rb") as file:
            # torch does not look at the checksums that its archives have.
            damaged = zipfile.ZipFile(file).testzip() if zipfile.is_zipfile(file) else None
            file.seek(0)
            content = torch.load(file, map_location="cpu", weights_only=True) if damaged is None else None
    except zipfile.BadZipFile as error:
        damaged, content = str(error), None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error}); {remedy}") from None
    except _UNREADABLE:
        raise UsageError(f"{path}: {foreign}; {remedy}") from None
    if damaged is not None:
        raise UsageError(f"{path}: has changed since it was written ({damaged}); copy it again, or {remedy}")
    return content


# What zipfile and torch raise for files that others wrote, or that are damaged.
_UNREADABLE = (
    RuntimeError,
    pickle.UnpicklingError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    zlib.error,
    struct.error,
)


def config_of(path: Path, content: Mapping[str, Any]) -> NetworkConfig:
    """The network that the content of the checkpoint `path` is of. Raises UsageError when that makes no sense."""
    options = content.get("network")
    if not isinstance(options, dict) or not all(isinstance(name, str) for name in options):
        raise UsageError(f"{path}: does not say of which network it is; {_REMEDY}")
    try:
        return NetworkConfig(**options)
    except UsageError as error:
        raise UsageError(f"{path}: is of a network that cannot be ({error}); {_REMEDY}") from None


def _require_fit(config: NetworkConfig, state: Mapping[str, Tensor]) -> None:
    """Raise RuntimeError unless the weights have the shapes of the network, which is not built for that.

    So a file makes no network that is larger than itself.
    """
    if sum(config.depths) + len(config.widths) > len(state):
        raise RuntimeError(
            f"there are {len(state)}, too few for depths={config.depths} and widths={config.widths}"
        )
    for name, expected in _weights(config).items():
        if name not in state:
            raise RuntimeError(f"{name} is missing")
        if (found := _kind(state[name])) != expected:
            given, due = (f"{tuple(shape)} of {dtype}" for shape, dtype in (found, expected))
            raise RuntimeError(f"{name} is {given}, and not {due}")


@functools.lru_cache(maxsize=8)  # a command loads the same network several times
def _weights(config: NetworkConfig) -> dict[str, tuple[torch.Size, torch.dtype]]:
    """The shape and the type of each weight of a network."""
    with torch.device("meta"):
        return {name: _kind(value) for name, value in Network(config).state_dict().items()}


def _kind(tensor: Tensor) -> tuple[torch.Size, torch.dtype]:
    return tensor.shape, tensor.dtype


def builtin_names() -> list[str]:
    """The networks that come with the package, among them the float twins, as `tsm-lite.float`."""
    folder = files("framegate.quant") / "builtin"
    return sorted(entry.name.removesuffix(".pt") for entry in folder.iterdir() if entry.name.endswith(".pt"))


def builtin(name: str) -> Network:
    """A network that comes with the package: `tsm-lite`, or `tsm-lite.float`.

    Raises UsageError for another name.
    """
    folder, names = files("framegate.quant") / "builtin", builtin_names()
    if name not in names:
        raise UsageError(
            f"model {name!r} does not come with framegate; choose one of {names} or give a checkpoint file"
        )
    with as_file(folder / f"{name}.pt") as path:
        return load(path)


def checkpoint_file(name_or_checkpoint: str) -> Path | None:
    """The checkpoint file that is meant; None for the name of a built-in network, also where something is called so.

    (./tsm-lite is the file.)
    """
    if name_or_checkpoint in builtin_names():
        return None
    path = Path(name_or_checkpoint)
    return path if path.suffix == ".pt" or os.path.exists(path) else None


def model_file(name_or_checkpoint: str) -> Path:
    """The file of a model that `find` finds."""
    inside = Path(str(files("framegate.quant"))) / "builtin" / f"{name_or_checkpoint}.pt"
    return checkpoint_file(name_or_checkpoint) or inside


def find(name_or_checkpoint: str) -> Network:
    """The network of a checkpoint file, or the built-in one of that name.

    Raises UsageError when neither exists.
    """
    path = checkpoint_file(name_or_checkpoint)
    return load(path) if path else builtin(name_or_checkpoint)
