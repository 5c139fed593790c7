# SPDX-License-Identifier: Apache-2.0
"""The extras of this package: what training, benchmarks and documentation need beside the main job."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, requires

from framegate.errors import UsageError


def extra_of(module: str) -> str | None:
    """The extra that installs `module` (as in `import lightning.pytorch`), as pyproject.toml has it; None for none."""
    try:
        requirements = requires("framegate") or []
    except PackageNotFoundError:  # run from a folder without an installation
        return None
    wanted = module.partition(".")[0].lower()
    for requirement in requirements:
        found = re.match(r"""([\w.-]+)(?![\w.[-]).*;\s*extra\s*==\s*["']([\w-]+)["']""", requirement)
        if found and found[1].lower().replace("-", "_") == wanted:
            return found[2]
    return None


@contextmanager
def missing_extras_named() -> Iterator[None]:
    """In the block, a package of an extra that is not installed raises UsageError with the line that installs it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if not error.name or (extra := extra_of(error.name)) is None:
            raise
        raise UsageError(
            f"this command needs the package {error.name}, which is not installed; "
            f"it comes with the extra {extra}: in the checkout, pip install --editable '.[{extra}]'"
        ) from None
