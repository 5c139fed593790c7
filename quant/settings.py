# SPDX-License-Identifier: Apache-2.0
"""The base of every configuration: immutable, closed, and refused in one sentence when a value is wrong."""

from typing import Any

from framegate.errors import UsageError
from pydantic import BaseModel, ConfigDict, ValidationError


class Settings(BaseModel):
    """A typed, frozen set of options. Raises UsageError naming each wrong option and its value."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, e['loc'])) or type(self).__name__}={e['input']!r}: {e['msg']}"
                for e in error.errors(include_url=False)
                if e["type"] != "default_factory_not_called"  # of what follows from a wrong option
            )
            raise UsageError(f"{wrong}; correct it in the configuration or the option of that name") from None
