# SPDX-License-Identifier: Apache-2.0
"""What the synthetic shop is drawn on: a picture, its shapes and its colours."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

SIZE = 96  # pixels, height and width
OVERSAMPLE = 2  # drawn this much larger, then averaged: no stair-steps

Point = NDArray[np.float64]  # (2,): x, y in shop coordinates
Colour = tuple[int, int, int]

_CIRCLE = np.stack(
    [np.cos(np.linspace(0, 2 * np.pi, 17)[:-1]), np.sin(np.linspace(0, 2 * np.pi, 17)[:-1])], 1
)


class Canvas:
    """A picture that is drawn on in shop coordinates, through a similarity transform."""

    def __init__(self, matrix: NDArray[np.float64], shift: Point) -> None:
        self.matrix, self.shift = matrix, shift
        self.image = Image.new("RGB", (SIZE * OVERSAMPLE, SIZE * OVERSAMPLE))
        self.pen = ImageDraw.Draw(self.image)
        self.scale = SIZE * OVERSAMPLE * float(np.sqrt(abs(np.linalg.det(matrix))))

    def _pixels(self, points: NDArray[np.float64]) -> list[tuple[float, float]]:
        return [
            tuple(point) for point in ((points @ self.matrix.T + self.shift) * SIZE * OVERSAMPLE).tolist()
        ]

    def box(self, low: Point, high: Point, colour: Colour) -> None:
        """Fill the rectangle between two corners."""
        corners = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
        self.pen.polygon(self._pixels(corners), fill=colour)

    def ellipse(self, centre: Point, radii: Point, angle: float, colour: Colour) -> None:
        """Fill an ellipse turned by `angle` radians."""
        self.pen.polygon(self._pixels(turned(_CIRCLE * radii, angle) + centre), fill=colour)

    def limb(self, begin: Point, end: Point, thickness: float, colour: Colour) -> None:
        """Draw a thick line."""
        line = self._pixels(np.array([begin, end]))
        self.pen.line(line, fill=colour, width=max(1, round(thickness * self.scale)))


def direction(angle: float) -> Point:
    """The unit vector at `angle` radians."""
    return np.array([np.cos(angle), np.sin(angle)])


def turned(points: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Points (2,) or (N, 2), turned by `angle` radians around the origin."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return points @ np.array([[cosine, sine], [-sine, cosine]])


def any_colour(rng: np.random.Generator) -> Colour:
    """A random colour, neither black nor white."""
    red, green, blue = (int(value) for value in rng.integers(20, 236, 3))
    return red, green, blue


def bright(rng: np.random.Generator) -> Colour:
    """A random colour that stands out."""
    low, high = rng.integers(10, 90), rng.integers(190, 256)
    return tuple(int(value) for value in rng.permutation([low, high, rng.choice([low, high])]))  # type: ignore[return-value]


def shade(rng: np.random.Generator, low: int, high: int) -> Colour:
    """A random gray between two levels, 0 to 255."""
    return scaled((255, 255, 255), rng.uniform(low, high) / 255)


def scaled(colour: Colour, factor: float) -> Colour:
    """A colour whose channels are multiplied by `factor`."""
    red, green, blue = (int(channel * factor) for channel in colour)
    return red, green, blue
