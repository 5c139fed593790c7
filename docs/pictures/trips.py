# SPDX-License-Identifier: Apache-2.0
"""Draws docs/pictures/trips.svg: the rooms of the code, and what goes through them. Run it, look at it, commit both."""

from pathlib import Path
from xml.sax.saxutils import escape

INK, QUIET, PAPER = "#1f2a30", "#5d6d75", "#ffffff"
CLIP, STAIR = "#00796b", "#c2570c"  # the two trips
ROOM, DEVICE = "#eef4f3", "#fdf3ea"
WIDTH, HEIGHT = 1110, 610

# Rooms, in the order of the chain: x, y, folder, what it answers, and what comes out of it.
ROOMS = (
    (40, 90, "quant/clips", "which pixels?", "8 frames of 64×64"),
    (250, 90, "quant/training", "how does it learn?", "weights, scales"),
    (460, 90, "quant/networks", "what is a network?", "scores, QONNX file"),
    (670, 90, "quant/measures", "how good is it?", "AUC, F1, alarms"),
    (40, 250, "hls/lowering", "floats to integers", "hardware.onnx"),
    (250, 250, "hls/dataflow", "which kernels?", "dataflow.json"),
    (460, 250, "hls/folding", "how wide is each kernel?", "PE, SIMD, memories"),
    (670, 250, "hls/schedule", "when does a beat pass?", "latency.json"),
    (880, 250, "hls/emission", "top and memory images", "rtl/*.sv, rtl/*.hex"),
    (250, 410, "rtl_sim", "is it the same, bit for bit?", "verdict.json"),
    (460, 410, "rtl_sim/report", "what shall I show?", "report.html"),
    (670, 410, "hls/flows", "from RTL to a device", "framegate.bit"),
)
BOX = (190, 92)
# A straight piece of a trip: x and y where it starts, x where it ends, colour.
ARROWS = (
    *((x, 124, x + 18, CLIP) for x in (231, 441, 651)),
    (441, 154, 459, STAIR),
    *((x, 296, x + 18, STAIR) for x in (231, 441, 651, 861)),
    (441, 456, 459, CLIP),
)
BENT = (
    ("M 39 137 H 18 V 456 H 248", CLIP),
    ("M 555 183 V 216 H 135 V 248", STAIR),
    ("M 960 343 V 376 H 345 V 408", STAIR),
    ("M 990 343 V 456 H 862", STAIR),
)
LEGEND = (
    (
        CLIP,
        "a clip's trip: the same pixels go to training, to the network that is measured, and to the simulated design",
    ),
    (
        STAIR,
        "a threshold's trip: a scale that was learned becomes an integer, a word in a memory image, a bit in a device",
    ),
)


def text(x: float, y: float, words: str, size: int = 14, colour: str = INK, weight: str = "normal") -> str:
    """One line of words, centred at x."""
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}" font-weight="{weight}" '
        f'text-anchor="middle">{escape(words)}</text>'
    )


def room(x: int, y: int, folder: str, question: str, gives: str) -> list[str]:
    """A box with a folder's name, its question, and its result."""
    width, height = BOX
    middle = x + width / 2
    fill = DEVICE if y > 400 else ROOM
    return [
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="{fill}" stroke="{QUIET}"/>',
        text(middle, y + 26, folder, 16, weight="bold"),
        text(middle, y + 48, question, 13),
        text(middle, y + 74, gives, 13, QUIET),
    ]


def path(way: str, colour: str) -> str:
    """A line with an arrow at its end."""
    return f'<path d="{way}" fill="none" stroke="{colour}" stroke-width="3" marker-end="url(#{colour[1:]})"/>'


def picture() -> str:
    """The whole drawing."""
    heads = [
        f'<marker id="{colour[1:]}" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="4.5" markerHeight="4.5" '
        f'orient="auto"><path d="M 0 0 L 8 4 L 0 8 z" fill="{colour}"/></marker>'
        for colour in (CLIP, STAIR)
    ]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="DejaVu Sans, Verdana, Arial, sans-serif">',
        "<!-- SPDX-License-Identifier: Apache-2.0; drawn by docs/pictures/trips.py -->",
        f"<defs>{''.join(heads)}</defs>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
        text(WIDTH / 2, 34, "From clips to hardware: the rooms of framegate", 20, weight="bold"),
        text(
            WIDTH / 2,
            62,
            "top row: the network; middle row: the compiler; bottom row: the proof and the device",
            13,
            QUIET,
        ),
        *(line for each in ROOMS for line in room(*each)),
        *(path(f"M {x} {y} H {end}", colour) for x, y, end, colour in ARROWS),
        *(path(way, colour) for way, colour in BENT),
        text(975, 112, "cli/commands", 16, weight="bold"),
        text(975, 134, "what a person types;", 13),
        text(975, 152, "calls the rooms in this order", 13),
        text(990, 500, "hls/kernels", 16, weight="bold"),
        text(990, 522, "the pieces of hardware,", 13),
        text(990, 540, "for all rooms of the middle row", 13),
    ]
    for row, (colour, words) in enumerate(LEGEND):
        y = 562 + 28 * row
        parts.append(f'<path d="M 60 {y - 5} H 110" stroke="{colour}" stroke-width="3"/>')
        parts.append(f'<text x="124" y="{y}" font-size="14" fill="{INK}">{escape(words)}</text>')
    return "\n".join([*parts, "</svg>\n"])


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(picture())
