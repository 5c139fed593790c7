# SPDX-License-Identifier: Apache-2.0
"""The networks: one definition for every precision, and the checkpoint files that hold them."""

import pickle
from importlib.resources import as_file, files
from pathlib import Path

import torch
from framegate.errors import UsageError
from framegate.files import whole
from framegate.quant import c3d, mobilenet, mobilenetv2, r2plus1d, residual, slowfast, x3d  # noqa: F401  the families
from framegate.quant.base import Network
from framegate.quant.config import NetworkConfig
from framegate.quant.layers import FrameGather
from torch import Tensor

__all__ = [
    "CHECKPOINT",
    "FrameGather",
    "Network",
    "NetworkConfig",
    "builtin",
    "checkpoint_file",
    "find",
    "load",
    "logits",
    "model_file",
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


def save(network: Network, path: Path) -> Path:
    """Write `network` to the checkpoint file `path`, whole; return `path`."""
    state = {key: value.detach().cpu() for key, value in network.state_dict().items()}
    content = {"format": CHECKPOINT, "network": network.config.model_dump(mode="json"), "state": state}
    with whole(path) as draft:
        torch.save(content, draft)
    return path


def load(path: Path) -> Network:
    """The network of a checkpoint file, in eval mode. Raises UsageError when the file is not one of ours."""
    remedy = "give a checkpoint.pt that `framegate train` wrote"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or error}); {remedy}") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError, ValueError):
        raise UsageError(f"{path}: not a checkpoint; {remedy}") from None
    if not isinstance(content, dict) or content.get("format") != CHECKPOINT:
        raise UsageError(f"{path}: a checkpoint of another program or version; {remedy}")
    network = Network(NetworkConfig(**content["network"]))
    try:
        network.load_state_dict(content["state"])
    except RuntimeError as error:
        raise UsageError(
            f"{path}: its weights do not fit its network ({str(error).splitlines()[0]}); {remedy}"
        ) from None
    return network.eval()


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
    return path if path.suffix == ".pt" or path.exists() else None


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
