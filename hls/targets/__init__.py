# SPDX-License-Identifier: Apache-2.0
"""Boards and devices, one TOML file each."""

import tomllib
from pathlib import Path
from typing import Literal

from framegate.errors import UsageError
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

_FOLDER = Path(__file__).parent


class Target(BaseModel):
    """A board: what its device offers and how a design gets onto it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    family: Literal["ecp5"]
    device: str = Field(description="as nextpnr calls it: 25k, 45k, 85k")
    package: str
    speed: str = Field(description="speed grade")
    clock_mhz: PositiveInt = Field(description="the design's clock unless another is asked for")
    lut: PositiveInt = Field(description="4-input LUTs")
    ff: PositiveInt
    dsp: PositiveInt = Field(description="18x18 multipliers")
    bram: PositiveInt = Field(description="block RAMs of 18 kbit")
    flow: Literal["ecp5"]
    board: Literal["ulx3s"] = Field(description="the top and the pins in hls/flows")


def target_names() -> list[str]:
    """The targets that `load_target` knows."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_target(name: str) -> Target:
    """Load the target `name`. Raises UsageError listing the known ones when there is none of that name."""
    if name not in target_names():
        raise UsageError(f"target {name!r}: unknown; choose one of {', '.join(target_names())}")
    return Target(name=name, **tomllib.loads((_FOLDER / f"{name}.toml").read_text()))
