# SPDX-License-Identifier: Apache-2.0
"""How every picture that is drawn looks: colours, style, an empty figure, and the file that it becomes."""

from pathlib import Path

from framegate.files import whole
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")  # Okabe and Ito: for every eye
INK, SOFT = "#1c2430", "#5c6875"
STYLE = {
    "font.size": 11,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e9ed",
    "legend.frameon": False,
    "savefig.dpi": 150,
}


def new_figure(width: float = 5.6, height: float = 4.6) -> tuple[Figure, Axes]:
    """A figure of that size, in inches, and its axes."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def save(figure: Figure, path: Path) -> Path:
    """Write the figure as a PNG to `path`, whole; return `path`."""
    with whole(path) as draft:
        figure.savefig(draft, format="png")
    return path
