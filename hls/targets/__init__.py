# SPDX-License-Identifier: Apache-2.0
"""Boards and devices, one TOML file each."""

import tomllib
from pathlib import Path
from typing import Literal

from framegate.errors import UsageError
from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveFloat, PositiveInt, ValidationError

_FOLDER = Path(__file__).parent


class Target(BaseModel):
    """A board: what its device offers and how a design gets onto it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    family: Literal["ecp5", "xilinx"] = Field(description="the flow in hls/flows; xilinx is UltraScale+")
    device: str = Field(
        description="as nextpnr calls it (25k, 45k, 85k), or how the name of AMD's part begins"
    )
    package: str
    speed: str = Field(description="speed grade")
    clock_mhz: PositiveInt = Field(description="the design's clock unless another is asked for")
    lut: PositiveInt = Field(description="4-input LUTs (ecp5) or 6-input LUTs (xilinx)")
    ff: PositiveInt
    dsp: PositiveInt = Field(description="multipliers")
    factor_bits: PositiveInt = Field(18, description="bits of a multiplier's wider factor; the other has 18")
    cascade: Literal[1, 2] = Field(1, description="multipliers that add their products themselves")
    bram: PositiveInt = Field(description="block RAMs of 18 kbit")
    uram: NonNegativeInt = Field(0, description="UltraRAMs of 288 kbit")
    supply_watts: PositiveFloat | None = Field(
        None, description="the most that what feeds the board gives, as USB 2.0 does; None where nobody says"
    )
    board: Literal["ulx3s"] | None = Field(
        None, description="the top and the pins in hls/flows, if there are"
    )

    @property
    def part(self) -> str:
        """The device with its package and speed grade, as Vivado calls it."""
        return f"{self.device}-{self.package}-{self.speed}"


def target_names() -> list[str]:
    """The targets that `load_target` knows."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_target(name: str) -> Target:
    """Load the target `name`. Raises UsageError: listing the known ones when there is none of that name; naming the
    file and its first wrong entry when that is no target.
    """
    if name not in target_names():
        raise UsageError(f"target {name!r}: unknown; choose one of {', '.join(target_names())}")
    file = _FOLDER / f"{name}.toml"
    try:
        return Target.model_validate({**tomllib.loads(file.read_text()), "name": name})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"{file}: {place}: {first['msg']}; correct it as in the other targets") from None
    except ValueError as error:  # of tomllib, or no text
        raise UsageError(f"{file}: not TOML ({error}); correct it") from None
