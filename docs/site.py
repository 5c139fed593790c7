# SPDX-License-Identifier: Apache-2.0
"""Pages of the site that are made when it is built: one per room of the code, and the papers of the top folder."""

import os
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_ROOT = Path(__file__).parents[1]
_PACKAGE = _ROOT / "build" / "types" / "framegate"  # made by `make types`
_PAPERS = ("CONTRIBUTING.md", "CHANGELOG.md")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Write out the sections of the navigation that name a folder."""
    pages = {
        "kernels": sorted(f"kernels/{path.name}" for path in Path(config.docs_dir, "kernels").glob("*.md")),
        "api": [f"api/{name}.md" for name in _rooms()],
    }
    pages["kernels"].sort(key=lambda name: name != "kernels/index.md")
    config.nav = _filled(config.nav, pages)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that no file in docs/ holds."""
    for paper in _PAPERS:
        text = (_ROOT / paper).read_text().replace("](docs/", "](")
        files.append(File.generated(config, paper, content=text))
    for name, modules in _rooms().items():
        files.append(File.generated(config, f"api/{name}.md", content=_page(name, modules)))
    return files


def _filled(entry: object, pages: dict[str, list[str]]) -> object:
    """A part of the navigation with the pages of each folder in place of its name."""
    if isinstance(entry, list):
        return [_filled(each, pages) for each in entry]
    if isinstance(entry, dict):
        return {title: _filled(below, pages) for title, below in entry.items()}
    return pages.get(str(entry), entry)


def _rooms() -> dict[str, list[Path]]:
    """The public modules of each folder with code, by the folder's name with dots."""
    if not _PACKAGE.is_dir():
        raise FileNotFoundError(f"{_PACKAGE} is not there; build the site with `make docs`")
    rooms: dict[str, list[Path]] = {}
    for folder in [Path(each) for each, _, _ in os.walk(_PACKAGE, followlinks=True)]:
        modules = [path for path in sorted(folder.glob("*.py")) if _is_public(path)]
        if modules:
            rooms[".".join(folder.relative_to(_PACKAGE.parent).parts)] = modules
    return dict(sorted(rooms.items()))


def _is_public(path: Path) -> bool:
    """Whether a module may be used from outside its folder: by its name, or through the folder's __init__."""
    if not path.stem.startswith("_"):
        return True
    face = path.with_name("__init__.py")
    return path != face and face.is_file() and f".{path.stem} import" in face.read_text()


def _page(name: str, modules: list[Path]) -> str:
    parts = [f"# {name}"]
    if (modules[0].parent / "__init__.py").is_file():
        parts.append(f"::: {name}\n    options:\n      show_root_heading: false\n      members: false")
    parts += [f"::: {name}.{module.stem}" for module in modules]
    return "\n\n".join(parts) + "\n"
