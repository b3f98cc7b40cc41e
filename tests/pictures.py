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
    gap, shown = round(width * 0.07), []
    for path in screens:
        screen = Image.open(path).convert("RGB")
        height = round(screen.height * width / screen.width)
        corners = Image.new("L", (width * 4, height * 4), 0)
        ImageDraw.Draw(corners).rounded_rectangle((0, 0, width * 4 - 1, height * 4 - 1), width * 0.4, fill=255)
        phone = screen.resize((width, height), Image.Resampling.LANCZOS).convert("RGBA")
        phone.putalpha(corners.resize((width, height), Image.Resampling.LANCZOS))
        shown.append(phone)
    whole = Image.new("RGBA", ((width + gap) * len(shown) - gap, max(each.height for each in shown)))
    for number, phone in enumerate(shown):
        whole.paste(phone, ((width + gap) * number, 0))
    to.parent.mkdir(exist_ok=True)
    whole.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(to, optimize=True)
