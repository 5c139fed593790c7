# SPDX-License-Identifier: Apache-2.0
"""The synthetic shop: CCTV-like clips, seen from above, of five actions at a shelf.

A scene is drawn in shop coordinates: x to the right, y down, 0 to 1 over the picture, shelf on top.
`put_back` is a `take` played backwards, frame for frame: only the order of the frames tells the two apart.
Each frame is coded on its own, so the decoded files keep that exactly.
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from framegate.errors import UsageError
from framegate.files import whole
from framegate.quant.clips.layouts import find_clips
from framegate.quant.clips.lists import INDEX
from framegate.quant.clips.shop_canvas import (
    OVERSAMPLE,
    SIZE,
    Canvas,
    Colour,
    Point,
    any_colour,
    bright,
    direction,
    scaled,
    shade,
    turned,
)
from framegate.quant.clips.video import Clip
from numpy.typing import NDArray

ACTIONS = ("walk_past", "look", "take", "put_back", "conceal")
POSITIVE = "conceal"
FRAMES = 24
RATE = 12  # frames per second

Picture = NDArray[np.uint8]  # (SIZE, SIZE, 3)

_DEMO_SEED = 20_000  # no training or test set uses it
_UPPER_ARM, _FORE_ARM = 0.17, 0.17


def generate(out: Path, clips_per_class: int, seed: int, advance: Callable[[], None] = lambda: None) -> Path:
    """Write `clips_per_class` mp4 files into a folder per action below `out`, and a clips.csv; return `out`.

    The same seed gives the same pictures. `advance` is called after each of the 5 * clips_per_class files.
    A take and the put_back that is its reverse have the same number and the same source.
    Raises UsageError when `out` is there already.
    """
    if out.exists():
        raise UsageError(f"{out}: is there already; choose another folder, or delete it")
    with whole(out) as draft:
        rows = []
        for action in ACTIONS:
            (draft / action).mkdir(parents=True)
            for number in range(clips_per_class):
                name = f"{action}/{number:05}.mp4"
                write_mp4(draft / name, render(action, seed, number))
                scene = "take" if action == "put_back" else action
                rows.append((name, action, f"shop-{seed}-{scene}-{number:05}"))
                advance()
        with (draft / INDEX).open("w", newline="") as text:
            csv.writer(text).writerows([("path", "label", "source"), *rows])
    return out


def render(action: str, seed: int, number: int) -> list[Picture]:
    """The pictures of clip `number` of one of `ACTIONS`; a put_back is the take of that number, reversed."""
    if action == "put_back":
        return render("take", seed, number)[::-1]
    rng = np.random.default_rng([seed, ACTIONS.index(action), number])
    scene = Scene(action, rng)
    camera = Camera(rng)
    return [camera.shoot(scene, index / (FRAMES - 1)) for index in range(FRAMES)]


def write_mp4(path: Path, pictures: list[Picture]) -> None:
    """Write pictures as H.264, each coded alone at a constant quantizer: they decode alike in any order."""
    with av.open(str(path.absolute()), "w") as container:  # see `clips`: a colon in a name is no protocol
        stream = container.add_stream("libx264", rate=Fraction(RATE))
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        stream.options = {"preset": "ultrafast", "qp": "20", "x264-params": "keyint=1:bframes=0:aq-mode=0"}
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


class Scene:
    """The shop of one clip: what stands where, who does what. `draw` shows it at a time from 0 to 1."""

    def __init__(self, action: str, rng: np.random.Generator) -> None:
        self.floor = shade(rng, 90, 200)
        self.tiles = rng.uniform(0.1, 0.25)
        self.tile_phase = rng.uniform(0, 1)
        self.tile_shade = rng.uniform(0.9, 0.98)
        self.shelf = shade(rng, 40, 150)
        self.items = list(_shelf_items(rng))
        self.stains = [
            (rng.uniform(0, 1, 2), rng.uniform(0.01, 0.05, 2), any_colour(rng))
            for _ in range(rng.integers(0, 5))
        ]
        self.cart = Cart(rng) if action == "take" or rng.random() < 0.6 else None
        self.shopper = Shopper(action, rng, self.cart)
        self.others = [Passer(rng) for _ in range(rng.integers(0, 3)) if rng.random() < 0.5]

    def draw(self, canvas: Canvas, time: float) -> None:
        """Draw everything, far to near."""
        self._floor(canvas)
        for place, radii, colour in self.stains:
            canvas.ellipse(place, radii, 0.0, colour)
        canvas.box(np.array([-0.3, -0.4]), np.array([1.3, 0.2]), self.shelf)
        for place, extent, colour in self.items:
            canvas.box(place - extent, place + extent, colour)
        for other in self.others:
            other.draw(canvas, time)
        if self.cart is not None:
            self.cart.draw(canvas)
        self.shopper.draw(canvas, time)

    def _floor(self, canvas: Canvas) -> None:
        canvas.box(np.array([-1.0, -1.0]), np.array([2.0, 2.0]), self.floor)
        line = scaled(self.floor, self.tile_shade)
        for step in np.arange(-0.5 + self.tile_phase * self.tiles, 1.5, self.tiles):
            canvas.box(np.array([step, -0.5]), np.array([step + 0.012, 1.5]), line)
            canvas.box(np.array([-0.5, step]), np.array([1.5, step + 0.012]), line)


class Cart:
    """A wire cart beside the shopper, with a few things in it already."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.side = rng.choice([-1.0, 1.0])
        self.centre = np.array([0.5 + self.side * rng.uniform(0.24, 0.3), rng.uniform(0.56, 0.66)])
        self.extent = np.array([rng.uniform(0.08, 0.1), rng.uniform(0.11, 0.14)])
        self.frame, self.inside = shade(rng, 150, 230), shade(rng, 50, 110)
        spots = rng.uniform(-0.7, 0.7, (rng.integers(0, 4), 2))
        self.load = [
            (self.centre + spot * self.extent, rng.uniform(0.015, 0.035, 2), any_colour(rng))
            for spot in spots
        ]

    def draw(self, canvas: Canvas) -> None:
        """Draw frame, wires and load."""
        canvas.box(self.centre - self.extent, self.centre + self.extent, self.frame)
        canvas.box(self.centre - self.extent + 0.012, self.centre + self.extent - 0.012, self.inside)
        for place, extent, colour in self.load:
            canvas.box(place - extent, place + extent, colour)


@dataclass(frozen=True)
class Body:
    """How a person looks."""

    clothes: Colour
    skin: Colour
    hair: Colour
    size: float

    @classmethod
    def of(cls, rng: np.random.Generator) -> "Body":
        """A random one."""
        skin = scaled((255, 205, 165), rng.uniform(0.4, 1.0))
        return cls(any_colour(rng), skin, shade(rng, 10, 110), rng.uniform(0.9, 1.1))

    def draw(
        self, canvas: Canvas, at: Point, facing: float, hands: list[Point], head_turn: float, stride: float
    ) -> None:
        """Draw feet, arms, shoulders and head. `facing` in radians, 0 is towards the shelf."""
        along, across = direction(facing - np.pi / 2), direction(facing)
        for side in (-1.0, 1.0):
            foot = at + across * side * 0.045 + along * side * stride
            canvas.ellipse(foot, np.array([0.03, 0.055]) * self.size, facing, scaled(self.hair, 0.7))
        for side, hand in zip((-1.0, 1.0), hands, strict=True):
            shoulder = at + across * side * 0.11 * self.size
            elbow = _elbow(shoulder, hand, side)
            canvas.limb(shoulder, elbow, 0.062 * self.size, scaled(self.clothes, 0.85))
            canvas.limb(elbow, hand, 0.05 * self.size, self.skin)
        canvas.ellipse(at, np.array([0.14, 0.075]) * self.size, facing, self.clothes)
        canvas.ellipse(
            at + along * 0.012, np.array([0.055, 0.065]) * self.size, facing + head_turn, self.hair
        )
        nose = direction(facing + head_turn - np.pi / 2)
        canvas.ellipse(at + along * 0.012 + nose * 0.055, np.array([0.02, 0.02]), 0.0, self.skin)
        for hand in hands:
            canvas.ellipse(hand, np.array([0.027, 0.027]) * self.size, 0.0, self.skin)


class Shopper:
    """The person whose action is the label."""

    def __init__(self, action: str, rng: np.random.Generator, cart: Cart | None) -> None:
        self.action, self.body = action, Body.of(rng)
        self.home = np.array([0.5 + rng.uniform(-0.06, 0.06), rng.uniform(0.43, 0.5)])
        self.sway, self.phase = rng.uniform(-0.035, 0.035, 2), rng.uniform(0, 2 * np.pi)
        self.turn, self.head = rng.uniform(-0.2, 0.2), rng.uniform(-0.6, 0.6, 2)
        self.direction, self.lane = rng.choice([-1.0, 1.0]), rng.uniform(0.36, 0.6)
        self.pace, self.start = rng.uniform(0.9, 1.5), rng.uniform(-0.25, 0.05)
        self.side = cart.side if action == "take" and cart is not None else rng.choice([-1.0, 1.0])
        self.bag = rng.random() < 0.5
        self.bag_colour = shade(rng, 20, 120)
        self.thing, self.thing_extent = bright(rng), rng.uniform(0.026, 0.04, 2)
        self.shelf_spot = np.array(
            [self.home[0] + self.side * rng.uniform(-0.02, 0.16), rng.uniform(0.1, 0.17)]
        )
        self.times = np.cumsum([rng.uniform(0.05, 0.2), *rng.uniform(0.16, 0.26, 2), rng.uniform(0.14, 0.26)])
        self.cart_spot = cart.centre + rng.uniform(-0.5, 0.5, 2) * cart.extent if cart is not None else None
        self.fidget = rng.uniform(-0.05, 0.05, (2, 2))
        self.touch = (
            rng.random() < 0.4
        )  # while looking: a hand goes towards the shelf, takes nothing and returns

    def draw(self, canvas: Canvas, time: float) -> None:
        """Draw the shopper, and the thing wherever it is at `time`."""
        if self.action == "walk_past":
            self._walk(canvas, time)
        else:
            self._stand(canvas, time)

    def _walk(self, canvas: Canvas, time: float) -> None:
        at = np.array([0.5 + self.direction * (self.start + self.pace * time - 0.5), self.lane])
        facing = self.direction * np.pi / 2 + self.turn
        swing = np.sin(self.phase + 14 * time)
        hands = [at + turned(np.array([side * 0.13, side * 0.08 * swing - 0.02]), facing) for side in (-1, 1)]
        self.body.draw(canvas, at, facing, hands, self.head[0] * time, 0.07 * swing)

    def _stand(self, canvas: Canvas, time: float) -> None:
        at = self.home + self.sway * np.sin(self.phase + 3 * time)
        facing = self.turn + 0.15 * np.sin(self.phase + 2.5 * time)
        hands = [self._rest(at, facing, side, time) for side in (-1.0, 1.0)]
        if self.action != "look" or self.touch:
            hands[int(self.side > 0)] = self._reaching_hand(at, facing, time)
        held = self.times[1] <= time < self.times[2]
        if self.action != "look" and not held:
            self._draw_thing(canvas, self._lies_at(time))
        if self.bag:
            canvas.ellipse(self._pocket(at, facing), np.array([0.05, 0.07]), facing, self.bag_colour)
        head = self.head[0] + (self.head[1] - self.head[0]) * np.sin(3 * time)
        self.body.draw(canvas, at, facing, hands, head, 0.01)
        if self.action != "look" and held:
            self._draw_thing(canvas, hands[int(self.side > 0)])

    def _lies_at(self, time: float) -> Point | None:
        """Where the thing is when no hand holds it: None in a pocket or bag."""
        if time < self.times[1]:
            return self.shelf_spot
        return self.cart_spot if self.action == "take" else None

    def _draw_thing(self, canvas: Canvas, place: Point | None) -> None:
        if place is not None:
            canvas.box(place - self.thing_extent, place + self.thing_extent, self.thing)

    def _reaching_hand(self, at: Point, facing: float, time: float) -> Point:
        rest = self._rest(at, facing, self.side, time)
        if self.action == "look":
            goal = rest
        elif self.action == "take" and self.cart_spot is not None:
            goal = self.cart_spot
        else:
            goal = self._pocket(at, facing)
        stations = [rest, self.shelf_spot, goal, rest]
        return np.array([np.interp(time, self.times, [stop[axis] for stop in stations]) for axis in (0, 1)])

    def _rest(self, at: Point, facing: float, side: float, time: float) -> Point:
        moving = self.fidget[int(side > 0)] * np.sin(self.phase + 5 * time)
        return at + turned(np.array([side * 0.13, -0.07]) + moving, facing)

    def _pocket(self, at: Point, facing: float) -> Point:
        return at + turned(np.array([self.side * 0.13, 0.07]), facing)


class Passer:
    """Somebody who crosses the lower part of the picture: a distractor."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.body, self.direction = Body.of(rng), rng.choice([-1.0, 1.0])
        self.lane, self.start, self.pace = (
            rng.uniform(0.8, 1.05),
            rng.uniform(-0.6, 0.9),
            rng.uniform(0.2, 1.2),
        )
        self.phase = rng.uniform(0, 2 * np.pi)

    def draw(self, canvas: Canvas, time: float) -> None:
        """Draw the walking person."""
        at = np.array([0.5 + self.direction * (self.start + self.pace * time - 0.5), self.lane])
        facing, swing = self.direction * np.pi / 2, np.sin(self.phase + 12 * time)
        hands = [at + turned(np.array([side * 0.13, side * 0.07 * swing]), facing) for side in (-1.0, 1.0)]
        self.body.draw(canvas, at, facing, hands, 0.0, 0.06 * swing)


class Camera:
    """Where the camera hangs and what it does to the picture: lighting, flicker, vibration, noise."""

    def __init__(self, rng: np.random.Generator) -> None:
        angle, scale = rng.uniform(-0.2, 0.2), rng.uniform(0.88, 1.12)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        self.matrix = turn * scale
        self.shift = 0.5 - self.matrix @ np.array([0.5, 0.45]) + rng.uniform(-0.05, 0.05, 2)
        self.gain, self.offset = rng.uniform(0.65, 1.2), rng.uniform(-15, 15)
        ramp = np.linspace(-0.5, 0.5, SIZE, dtype=np.float32)
        slope = rng.uniform(-0.5, 0.5, 2)
        self.light = (1 + slope[0] * ramp[:, None] + slope[1] * ramp[None, :])[:, :, None].astype(np.float32)
        self.tint = rng.uniform(0.92, 1.08, 3).astype(np.float32)
        self.noise, self.flicker, self.vibration = (
            rng.uniform(1, 9),
            rng.uniform(0, 0.04),
            rng.uniform(0, 0.004),
        )
        self.rng = rng

    def shoot(self, scene: Scene, time: float) -> Picture:
        """One picture of `scene`."""
        canvas = Canvas(self.matrix, self.shift + self.rng.normal(0, self.vibration, 2))
        scene.draw(canvas, time)
        seen = np.asarray(canvas.image.reduce(OVERSAMPLE), dtype=np.float32)
        gain = self.gain * (1 + self.rng.normal(0, self.flicker))
        seen = seen * (self.light * (self.tint * np.float32(gain))) + np.float32(self.offset)
        seen += self.rng.standard_normal(seen.shape, dtype=np.float32) * np.float32(self.noise)
        return np.clip(seen, 0, 255).astype(np.uint8)


def _shelf_items(rng: np.random.Generator) -> Iterator[tuple[Point, Point, Colour]]:
    """Two rows of goods with gaps, so that neither a gap nor a full row tells what was moved."""
    for row in (0.04, 0.13):
        for x in np.arange(-0.2, 1.2, rng.uniform(0.08, 0.14)):
            if rng.random() < 0.6:
                yield np.array([x, row]), rng.uniform(0.02, 0.045, 2), any_colour(rng)


def _elbow(shoulder: Point, hand: Point, side: float) -> Point:
    """Where the elbow of a two-link arm lies, bent outwards; a hand out of reach has a straight arm."""
    reach = hand - shoulder
    distance = max(float(np.hypot(*reach)), 1e-6)
    bend = np.sqrt(max(0.0, _UPPER_ARM**2 - (distance / 2) ** 2))
    outwards = np.array([-reach[1], reach[0]]) / distance * side
    return shoulder + reach / 2 + outwards * bend * 0.5


def demo_clips(folder: Path, clips_per_class: int) -> list[Clip]:
    """Clips that no built-in network was trained on, rendered into `folder` unless they are there."""
    place = folder / f"seed{_DEMO_SEED}x{clips_per_class}"
    return find_clips(place if place.is_dir() else generate(place, clips_per_class, _DEMO_SEED))
