# SPDX-License-Identifier: Apache-2.0
"""A recipe: every option of a training run, from a TOML file or one of those that come with the package."""

import json
import tomllib
from collections.abc import Iterator, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Any, Literal

from framegate.errors import UsageError
from framegate.quant.clips.transforms import AugmentConfig
from framegate.quant.clips.video import shown
from framegate.quant.networks.config import NetworkConfig
from framegate.quant.settings import Settings
from pydantic import Field, PrivateAttr, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class Recipe(Settings):
    """How to train. `network` holds the options of NetworkConfig; its classes come from the clips unless given."""

    network: dict[str, Any] = Field(default_factory=dict)
    augment: AugmentConfig = Field(default_factory=AugmentConfig)
    weights: str | None = None  # pretrained: a Keras .h5 or a torch checkpoint
    inflate: str | None = None  # a checkpoint of tsn-lite, from which i3d-lite starts
    source: str | None = None  # a pattern that finds a clip's source in its path; see `datasets.read`
    only: tuple[str, ...] = ()  # the classes that are taken of the clips
    freeze: bool = False  # only the head learns
    optimizer: Literal["adamw", "adam"] = "adamw"
    schedule: Literal["onecycle", "constant"] = "onecycle"
    float_epochs: Count = 30
    quantized_epochs: Count = 24
    batch: Count = 32  # clips
    float_rate: Annotated[float, Field(gt=0)] = 6e-3  # peak learning rates
    quantized_rate: Annotated[float, Field(gt=0)] = 4e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.02
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.05
    class_weights: bool = False  # rare classes count more, so that all count the same
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0  # decay of the moving average of the weights; 0: none
    distillation: Share = (
        0.0  # share of the quantized network's loss that is against the float network's scores
    )
    prune: Annotated[float, Field(ge=0, lt=1)] = 0.0  # share of the channels inside blocks that are taken out
    norm_freeze: Share = 0.0  # last share of the epochs in which BatchNorm keeps its statistics
    patience: Count | None = None  # epochs without a better validation AUC before it stops; None: all epochs
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.1  # share of the sources; 0: train on every clip
    seed: int = 0
    threads: Count | None = None  # CPU threads; None: as many as there are cores
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: Count = 1  # per node
    nodes: Count = 1
    _file: Path | None = PrivateAttr(None)  # where it was read from, for messages

    @model_validator(mode="after")
    def _one_start(self) -> "Recipe":
        if self.weights and self.inflate:
            raise UsageError(
                f"weights={self.weights} and inflate={self.inflate} both say where to start; leave out one"
            )
        return self

    @classmethod
    def find(cls, name_or_file: str) -> "Recipe":
        """The recipe of that name that comes with the package, or of a TOML file.

        Raises UsageError when there is none, naming the ones there are.
        """
        known = {
            entry.name.removesuffix(".toml"): entry
            for entry in (files("framegate.quant") / "recipes").iterdir()
        }
        if name_or_file in known:
            with as_file(known[name_or_file]) as path:
                return cls.read(path)
        if not Path(name_or_file).suffix:
            raise UsageError(
                f"recipe {name_or_file!r} does not come with framegate; choose one of {sorted(known)}, or give a "
                f"TOML file"
            )
        return cls.read(Path(name_or_file))

    @classmethod
    def read(cls, path: Path) -> "Recipe":
        """From a TOML file. Raises UsageError naming the file when it is absent, malformed, or has a wrong option."""
        try:
            recipe = cls(**tomllib.loads(path.read_bytes().decode()))
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(
                f"{shown(str(path))}: not a readable TOML file ({_reason(error)}); correct it or leave --recipe out"
            ) from None
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None
        recipe._file = path
        return recipe

    def network_of(self, classes: Sequence[str]) -> NetworkConfig:
        """The network of the recipe; of these classes, unless it names its own.

        Raises UsageError naming the option that does not fit, and the recipe's file if it has one.
        """
        try:
            return NetworkConfig(**({"classes": tuple(classes)} | self.network))
        except UsageError as error:
            recipe = f" (the recipe is {self._file})" if self._file is not None else ""
            raise UsageError(f"{error}{recipe}") from None

    def override(self, options: dict[str, Any], network: dict[str, Any]) -> "Recipe":
        """With the given options, and options of the network, in place of these; None leaves one as it is."""
        given = {key: value for key, value in options.items() if value is not None}
        shape = self.network | {key: value for key, value in network.items() if value is not None}
        changed = Recipe(**(self.model_dump() | given | {"network": shape}))
        changed._file = self._file
        return changed

    def toml(self) -> str:
        """As TOML text, which `read` reads back."""
        values = self.model_dump(mode="json", exclude={"network", "augment"}, exclude_none=True)
        network = {key: "float" if value is None else value for key, value in self.network.items()}
        augment = self.augment.model_dump(mode="json")
        sections = ["", "[augment]", *_lines(augment), "", "[network]", *_lines(network)]
        return "\n".join([*_lines(values), *sections]) + "\n"


def _reason(error: Exception) -> str:
    """Why, without the file's name, which the message has already."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _lines(values: dict[str, Any]) -> Iterator[str]:
    return (f"{key} = {_value(value)}" for key, value in values.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):  # an inline table
        return "{" + ", ".join(_lines(value)) + "}"
    return json.dumps(value)
