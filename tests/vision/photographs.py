"""Photographs of digits, made: MNIST's digits drawn by a pen on paper, in some light, by some camera.

Nothing of the reader's own code is used. Each photograph depends on its number, its name and the digit alone.
"""

import io
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from digitlab.rng import stream

DIGIT = 80
"""Pixels of a digit's longer side at scale 1."""
PENS = {
    "black": (25, 25, 30),
    "blue": (30, 45, 140),
    "red": (170, 30, 40),
    "pencil": (85, 85, 90),
    "green": (20, 95, 55),
}
PAPERS = ((250, 250, 248), (240, 238, 230), (252, 244, 220), (225, 228, 232), (215, 205, 190))
RULES = ((150, 180, 220), (170, 170, 175), (205, 150, 160), (120, 150, 190))
WORDS = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "that",
    "it",
    "was",
    "for",
    "on",
    "are",
    "with",
    "as",
    "his",
    "they",
    "at",
    "be",
    "this",
    "from",
    "have",
    "or",
    "by",
    "one",
    "had",
    "not",
    "but",
    "what",
    "all",
    "were",
    "when",
    "we",
    "there",
    "can",
    "an",
    "your",
    "which",
    "their",
    "said",
    "if",
    "do",
    "will",
    "each",
    "about",
    "how",
    "up",
    "out",
    "them",
    "then",
    "she",
    "many",
    "some",
    "so",
    "these",
    "would",
]


@dataclass(frozen=True)
class Photograph:
    """A file's bytes, and what is in it.

    labels: the digits, from left to right
    is_plain: without shadow and printed lines
    about:  how it was made, for whoever looks at a failure
    """

    content: bytes
    suffix: str
    labels: tuple[int, ...]
    is_plain: bool
    about: str


def photograph_of(image: np.ndarray, label: int, number: int, *, plain: bool | None = None) -> Photograph:
    """One digit as a photograph: a pen of varied width, moved, scaled by 0.5 … 3, turned by up to 10 degrees.

    plain: without shadow and lines; None: as it comes
    """
    random = stream(number, "photograph")
    height = DIGIT * math.exp(random.uniform(math.log(0.5), math.log(3)))
    mask, pen = drawn(image, height, random, random.uniform(-10, 10))
    rows, columns = mask.shape
    width, tall = [(640, 480), (480, 640), (800, 600), (1000, 750)][random.integers(4)]
    alpha = np.zeros((tall, width), np.float32)
    top, left = random.integers(0, max(tall - rows, 1)), random.integers(0, max(width - columns, 1))
    alpha[top : top + rows, left : left + columns] = mask[: tall - top, : width - left]
    return _taken(alpha, (label,), random, plain, f"height {height:.0f}, {pen}")


def row_of(images: np.ndarray, labels: np.ndarray, number: int) -> Photograph:
    """Several digits in a row, by one hand."""
    random = stream(number, "row")
    height = random.uniform(45, 90)
    gap = random.uniform(0.22, 0.6)
    masks = [
        drawn(image, height * random.uniform(0.88, 1.12), random, random.uniform(-6, 6))[0]
        for image in images
    ]
    masks = [_cut(mask) for mask in masks]
    width = int(sum(mask.shape[1] for mask in masks) + (len(masks) + 1) * gap * height * 1.3 + 80)
    tall = int(height * random.uniform(2.2, 4.5))
    alpha = np.zeros((tall, width), np.float32)
    left, base = random.uniform(15, 60), tall / 2 + height / 2
    for mask in masks:
        rows, columns = mask.shape
        top = int(np.clip(base - rows + random.normal(0, 0.06 * height), 0, tall - rows))
        alpha[top : top + rows, int(left) : int(left) + columns] = mask
        left += columns + height * gap * random.uniform(0.8, 1.3)
    return _taken(alpha, tuple(map(int, labels)), random, None, f"row of {len(images)}, height {height:.0f}")


_FINE = 4
"""Pixels of a digit's drawing to one of MNIST's; it is then enlarged as a field of distances, which keeps it smooth."""


def drawn(
    image: np.ndarray, height: float, random: np.random.Generator, turn: float
) -> tuple[np.ndarray, str]:
    """A digit's outline, smooth, turned, by another pen: coverage 0 … 1; and which pen."""
    unit = height / 20
    large = Image.fromarray(image).resize((28 * _FINE, 28 * _FINE), Image.Resampling.BICUBIC)
    grey = np.asarray(large).astype(np.float32) / 255
    if random.random() < 0.5:
        level = random.uniform(0.3, 0.55)
        field, about = _away_from(grey >= level), f"its own pen at {level:.2f}"
    else:  # drawn anew along the middle of its strokes
        radius = max(random.uniform(0.3, 1.5), 0.7 / unit)
        middle = ndimage.distance_transform_edt(~thinned(grey >= 0.45))
        field, about = middle - radius * _FINE, f"a pen of {2 * radius:.1f}"
    whole = Image.fromarray(field.astype(np.float32))
    side = max(round(28 * unit), 28)
    # Far outside before it is turned, so that corners stay empty.
    turned = whole.resize((side, side), Image.Resampling.BICUBIC).rotate(
        turn, Image.Resampling.BICUBIC, expand=True, fillcolor=99
    )
    pixels = np.asarray(turned) * unit / _FINE  # signed distance in pixels, [rows, columns]
    return np.clip(0.5 - pixels, 0, 1), about


def _away_from(mask: np.ndarray) -> np.ndarray:
    """Signed distance to a mask's edge; below 0 inside."""
    outside, inside = ndimage.distance_transform_edt(~mask), ndimage.distance_transform_edt(mask)
    return np.asarray(np.where(mask, 0.5 - inside, outside - 0.5))


def thinned(mask: np.ndarray) -> np.ndarray:
    """The middle of strokes, a pixel wide and connected (Zhang & Suen 1984)."""
    image = np.pad(mask, 1).astype(np.uint8)
    has_changed = True
    while has_changed:
        has_changed = False
        for step in (0, 1):
            # Neighbours from above, clockwise.
            p = [
                np.roll(image, shift, (0, 1))
                for shift in ((1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1))
            ]
            count = sum(neighbour.astype(int) for neighbour in p)
            turns = sum((p[i] == 0) & (p[(i + 1) % 8] == 1) for i in range(8))
            a, b = (
                (p[0] * p[2] * p[4], p[2] * p[4] * p[6])
                if step == 0
                else (p[0] * p[2] * p[6], p[0] * p[4] * p[6])
            )
            gone = (image == 1) & (count >= 2) & (count <= 6) & (turns == 1) & (a == 0) & (b == 0)
            if gone.any():
                image[gone] = 0
                has_changed = True
    return image[1:-1, 1:-1].astype(bool)


def _cut(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(mask.max(1) > 0.1), np.flatnonzero(mask.max(0) > 0.1)
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _taken(
    alpha: np.ndarray, labels: tuple[int, ...], random: np.random.Generator, plain: bool | None, about: str
) -> Photograph:
    """Ink on paper, in some light, by some camera."""
    has_shadow, has_lines = random.random() < 0.35, random.random() < 0.35
    if plain is not None and plain:
        has_shadow = has_lines = False
    name = list(PENS)[random.integers(len(PENS))]
    pen = np.array(PENS[name], np.float32) + random.uniform(-10, 10)
    scene = paper(alpha.shape, random, lines=has_lines)
    grain = 1 - random.uniform(0, 0.2) * random.random(alpha.shape, np.float32)
    cover = (alpha * grain * random.uniform(0.85, 1))[:, :, None]
    scene = scene * (1 - cover) + pen * cover
    if random.random() < 0.08 and not has_lines:  # chalk on a board
        scene, name = 255 - scene, f"{name}, inverted"
    scene *= light(alpha.shape, random, shadow=has_shadow)[:, :, None]
    content, suffix, how = camera(scene, random)
    about = f"{about}; {name}{', shadow' * has_shadow}{', lines' * has_lines}; {how}"
    return Photograph(content, suffix, labels, not (has_shadow or has_lines), about)


def paper(shape: tuple[int, ...], random: np.random.Generator, *, lines: bool) -> np.ndarray:
    """Paper's colour at each pixel, ruled or squared where there are lines."""
    height, width = shape[:2]
    scene = np.empty((height, width, 3), np.float32)
    scene[:] = np.array(PAPERS[random.integers(len(PAPERS))], np.float32)
    scene += ndimage.gaussian_filter(random.normal(0, 1, (height, width)), 2)[:, :, None] * random.uniform(
        2, 12
    )
    if lines:
        spacing, thickness = random.uniform(22, 60), random.uniform(1, 2.6)
        colour = np.array(RULES[random.integers(len(RULES))], np.float32)
        turn = math.radians(random.uniform(-3, 3))
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        across = y * math.cos(turn) - x * math.sin(turn)
        cover = _ruled(across, spacing, thickness, random)
        if random.random() < 0.5:
            down = x * math.cos(turn) + y * math.sin(turn)
            cover = np.maximum(cover, _ruled(down, spacing, thickness, random))
        strength = random.uniform(0.5, 1) * cover[:, :, None]
        scene += strength * (colour - scene)
    return scene


def _ruled(place: np.ndarray, spacing: float, thickness: float, random: np.random.Generator) -> np.ndarray:
    away = np.abs((place + random.uniform(0, spacing)) % spacing - spacing / 2)
    return np.clip(thickness / 2 + 0.5 - away, 0, 1)


def light(shape: tuple[int, ...], random: np.random.Generator, *, shadow: bool) -> np.ndarray:
    """How bright each place is lit: a gradient, and the shadow of something with a straight edge."""
    height, width = shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = random.uniform(0, 2 * math.pi)
    along = (x / width - 0.5) * math.cos(angle) + (y / height - 0.5) * math.sin(angle)
    found = random.uniform(0.75, 1) * (1 - random.uniform(0, 0.45) * (along + 0.7))
    if shadow:
        angle = random.uniform(0, 2 * math.pi)
        along = (x - width * random.uniform(0.25, 0.75)) * math.cos(angle)
        along = along + (y - height * random.uniform(0.25, 0.75)) * math.sin(angle)
        soft = random.uniform(2, 25)
        found = found * (1 - random.uniform(0.2, 0.55) / (1 + np.exp(np.clip(-along / soft, -50, 50))))
    return np.asarray(found)


def camera(scene: np.ndarray, random: np.random.Generator) -> tuple[bytes, str, str]:
    """A file of a scene: blurred, noisy, grey or in colour, JPEG (some turned by EXIF), PNG or WebP."""
    blur, noise = random.uniform(0.3, 1.1), random.uniform(1, 9)
    noisy = ndimage.gaussian_filter(scene, (blur, blur, 0)) + random.normal(0, noise, scene.shape)
    image = Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))
    if random.random() < 0.3:
        image = image.convert("L")
    how = f"blur {blur:.1f}, noise {noise:.1f}, {image.mode}"
    file, kind = io.BytesIO(), random.random()
    if kind < 0.12:
        image.save(file, "PNG", compress_level=1)
        return file.getvalue(), ".png", f"{how}, PNG"
    if kind < 0.18:
        image.save(file, "WEBP", quality=80, method=0)
        return file.getvalue(), ".webp", f"{how}, WebP"
    exif = Image.Exif()
    if random.random() < 0.4:
        orientation = int(random.integers(2, 9))
        back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # what undoes what a reader will do
        image = image.transpose(Image.Transpose(back))
        exif[0x0112] = orientation
        how += f", EXIF {orientation}"
    quality = int(random.integers(60, 96))
    image.save(file, "JPEG", quality=quality, exif=exif)
    return file.getvalue(), ".jpg", f"{how}, JPEG {quality}"


def no_digit(number: int) -> Photograph:
    """A picture without a digit: blank paper of all kinds, pages of text, drawings and scenes of something else."""
    random = stream(number, "no digit")
    kinds = (*[_blank] * 3, *[_text] * 2, _cat, _scene, _texture, _scribble, _pattern)
    make = kinds[number % len(kinds)]
    shape = [(480, 640), (640, 480), (600, 800)][random.integers(3)]
    scene = make(shape, random)
    scene = scene * light(shape, random, shadow=random.random() < 0.3)[:, :, None]
    content, suffix, how = camera(scene, random)
    return Photograph(content, suffix, (), False, f"{make.__name__[1:]}; {how}")


def _blank(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    scene = paper(shape, random, lines=random.random() < 0.6)
    return scene * random.uniform(0.05, 1) if random.random() < 0.3 else scene


def _canvas(shape: tuple[int, int], random: np.random.Generator) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    scene = paper(shape, random, lines=False)
    image = Image.fromarray(np.clip(scene, 0, 255).astype(np.uint8))
    return image, ImageDraw.Draw(image)


def _text(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    image, draw = _canvas(shape, random)
    size = int(random.integers(12, 40))
    font, y = ImageFont.load_default(size), random.uniform(5, 60)
    while y < shape[0] - size:
        words = [WORDS[i] for i in random.integers(0, len(WORDS), 30)]
        line, i = "", 0
        while font.getlength(f"{line}{words[i]} ") < shape[1] - 80 and i < 29:
            line, i = f"{line}{words[i]} ", i + 1
        draw.text((40, y), line.capitalize(), (30, 30, 35), font)
        y += size * random.uniform(1.2, 1.6)
    return np.asarray(image).astype(np.float32)


def _cat(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """A cat: drawn by lines, or in colours."""
    image, draw = _canvas(shape, random)
    x, y, r = (
        shape[1] * random.uniform(0.4, 0.6),
        shape[0] * random.uniform(0.45, 0.6),
        random.uniform(90, 160),
    )
    is_line, ink, wide = random.random() < 0.5, (40, 35, 30), int(random.integers(2, 7))
    fur = None if is_line else tuple(int(value) for value in random.integers(60, 200, 3))
    for side in (-1, 1):
        ear = [
            (x + side * r * 0.9, y - r * 0.4),
            (x + side * r * 0.75, y - r * 1.4),
            (x + side * r * 0.25, y - r * 0.85),
        ]
        draw.polygon(ear, fill=fur, outline=ink, width=wide)
    draw.ellipse((x - r, y - r, x + r, y + r), fill=fur, outline=ink, width=wide)
    for side in (-1, 1):
        eye = x + side * r * 0.4
        draw.ellipse(
            (eye - r * 0.15, y - r * 0.3, eye + r * 0.15, y), outline=ink, fill=(90, 160, 80), width=wide
        )
        for slope in (-0.2, 0, 0.2):
            start = (x + side * r * 0.3, y + r * 0.35)
            draw.line((start, (x + side * r * 1.3, y + r * (0.35 + slope))), fill=ink, width=wide)
    draw.polygon([(x - 12, y + r * 0.15), (x + 12, y + r * 0.15), (x, y + r * 0.3)], fill=(200, 120, 130))
    draw.arc((x - r * 0.3, y + r * 0.2, x + r * 0.3, y + r * 0.6), 20, 160, fill=ink, width=wide)
    return np.asarray(image).astype(np.float32)


def _scene(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """Things of many colours before each other, as in a photograph of a room."""
    image, draw = _canvas(shape, random)
    for _ in range(int(random.integers(8, 40))):
        x, y = random.uniform(0, shape[1]), random.uniform(0, shape[0])
        w, h = random.uniform(20, 300, 2)
        colour = tuple(int(value) for value in random.integers(0, 255, 3))
        box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        if random.random() < 0.5:
            draw.rectangle(box, fill=colour)
        else:
            draw.ellipse(box, fill=colour)
    return ndimage.gaussian_filter(np.asarray(image).astype(np.float32), (2, 2, 0))


def _texture(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """Noise of all scales: stone, grass, clouds."""
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.fftfreq(shape[1]))
    power = random.uniform(0.8, 1.8)
    spectrum = np.fft.fft2(random.standard_normal(shape)) / np.maximum(frequency, 1 / max(shape)) ** power
    field = np.real(np.fft.ifft2(spectrum))
    field = (field - field.mean()) / field.std() * random.uniform(25, 60) + random.uniform(90, 160)
    return np.asarray(np.clip(field[:, :, None] * random.uniform(0.7, 1.2, 3), 0, 255), np.float32)


def _scribble(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """A pen that was tried out: long tangled curves."""
    image, draw = _canvas(shape, random)
    wide, turns = int(random.integers(3, 8)), random.uniform(6, 14)
    t = np.linspace(0, 2 * math.pi * turns, 900)
    x = np.cos(t) + 1.2 * np.cos(t * random.uniform(0.3, 0.6) + 1) + t / turns * random.uniform(0, 0.4)
    y = np.sin(t * random.uniform(0.8, 1.3)) + 0.8 * np.sin(t * random.uniform(0.15, 0.4))
    path = np.stack([x, y], 1)
    path = (path - path.min(0)) / np.ptp(path, axis=0) * random.uniform(150, 350) + random.uniform(30, 100)
    draw.line([tuple(point) for point in path], fill=(30, 30, 60), width=wide, joint="curve")
    return np.asarray(image).astype(np.float32)


def _pattern(shape: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """Tiles, stripes, dots."""
    image, draw = _canvas(shape, random)
    step, kind = int(random.integers(15, 90)), random.integers(3)
    for i, y in enumerate(range(0, shape[0], step)):
        for j, x in enumerate(range(0, shape[1], step)):
            if kind == 0 and (i + j) % 2:
                draw.rectangle((x, y, x + step, y + step), fill=(60, 60, 70))
            elif kind == 1 and j % 2:
                draw.rectangle((x, y, x + step, y + step), fill=(120, 60, 50))
            elif kind == 2:
                draw.ellipse(
                    (x + step * 0.2, y + step * 0.2, x + step * 0.8, y + step * 0.8), fill=(40, 80, 60)
                )
    return np.asarray(image).astype(np.float32)
