"""Pictures: what scanners see, an SVG of a QR code or a bar code drawn without a browser; and phones for the README."""

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from PIL import Image, ImageDraw

_SCALE = 12
_MM = re.compile(r"([\d.]+)mm")


def drawn(svg: str) -> Image.Image:
    """An SVG of segno (strokes of one module) or of python-barcode (rectangles in millimetres), as black on white."""
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own
    return _strokes(root) if root.find(".//{*}path[@stroke]") is not None else _bars(root)


def _strokes(root: ElementTree.Element) -> Image.Image:
    path = root.find(".//{*}path[@stroke]")
    assert path is not None
    transform = path.get("transform", "scale(1)")
    [scale] = re.findall(r"scale\(([\d.]+)\)", transform)
    side = round(float(root.get("width", "0")) / float(scale))
    image = Image.new("L", (side * _SCALE, side * _SCALE), 255)
    draw, x, y = ImageDraw.Draw(image), 0.0, 0.0
    for command, numbers in re.findall(r"([MmhvHV])([^MmhvHV]*)", path.get("d", "")):
        values = [float(number) for number in re.findall(r"-?[\d.]+", numbers)]
        if command == "M":
            x, y = values
        elif command == "m":
            x, y = x + values[0], y + values[1]
        else:
            assert command == "h"
            box = (x * _SCALE, (y - 0.5) * _SCALE, (x + values[0]) * _SCALE - 1, (y + 0.5) * _SCALE - 1)
            draw.rectangle(box, fill=0)
            x += values[0]
    return image


def _bars(root: ElementTree.Element) -> Image.Image:
    def mm(element: ElementTree.Element, name: str) -> float:
        return float(_MM.sub(r"\1", element.get(name, "0")))

    image = Image.new("L", (round(mm(root, "width") * _SCALE), round(mm(root, "height") * _SCALE)), 255)
    draw = ImageDraw.Draw(image)
    for bar in root.iterfind(".//{*}rect[@x]"):
        left, top = mm(bar, "x") * _SCALE, mm(bar, "y") * _SCALE
        fill = 255 if "white" in bar.get("style", "") else 0
        draw.rectangle((left, top, left + mm(bar, "width") * _SCALE - 1, top + mm(bar, "height") * _SCALE), fill=fill)
    return image


def phones(screens: Sequence[Path], to: Path, width: int = 324) -> None:
    """Screens of phones beside each other as *to*, each *width* pixels wide with round corners, on no ground at all."""
    shown = [Image.open(path).convert("RGB") for path in screens]
    height, gap = max(round(each.height * width / each.width) for each in shown), round(width * 0.07)
    whole = Image.new("RGB", ((width + gap) * len(shown) - gap, height))
    ground = Image.new("1", whole.size, 1)
    for number, screen in enumerate(shown):
        left, bottom = (width + gap) * number, round(screen.height * width / screen.width)
        whole.paste(screen.resize((width, bottom), Image.Resampling.LANCZOS), (left, 0))
        ImageDraw.Draw(ground).rounded_rectangle((left, 0, left + width - 1, bottom - 1), width // 11, fill=0)
    # Of 256 colours one is none: a true-colour picture would be three times as large, and look the same.
    drawn = whole.quantize(255, Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG)
    drawn.putpalette([*(drawn.getpalette() or [])[: 255 * 3], 255, 255, 255])
    drawn.paste(255, mask=ground)
    to.parent.mkdir(exist_ok=True)
    drawn.save(to, compress_level=9, transparency=255)
