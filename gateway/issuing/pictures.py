"""A code as a picture for scanners: QR code or Code 128, SVG or PNG. Pure, and milliseconds of CPU each."""

from io import BytesIO
from typing import Literal

import segno
from barcode import Code128  # type: ignore[import-untyped]
from barcode.writer import ImageWriter, SVGWriter  # type: ignore[import-untyped]

Form = Literal["svg", "png"]
Sort = Literal["qr", "code128"]

MEDIA_TYPES: dict[Form, str] = {"svg": "image/svg+xml", "png": "image/png"}
_QUIET_MODULES = 4  # what the standard asks for around a QR code
_SVG_SCALE, _PNG_SCALE = 6, 10
_BARS = {"write_text": False, "module_width": 0.33, "module_height": 18.0, "quiet_zone": 4.0}  # millimetres


def picture(code: str, sort: Sort, form: Form) -> bytes:
    """The picture of *code*. Shape: a code of codes.py, as it is kept."""
    out = BytesIO()
    if sort == "qr":
        made = segno.make_qr(code, error="m")
        if form == "svg":
            made.save(out, kind="svg", scale=_SVG_SCALE, border=_QUIET_MODULES, dark="#000", light="#fff")
        else:
            made.save(out, kind="png", scale=_PNG_SCALE, border=_QUIET_MODULES)
    elif form == "svg":
        Code128(code, writer=SVGWriter()).write(out, options=dict(_BARS))
    else:
        Code128(code, writer=ImageWriter(format="PNG")).write(out, options={**_BARS, "dpi": 300})
    return out.getvalue()


def inline_qr(code: str) -> str:
    """A QR code as an SVG element without a size of its own, for a page that gives it one."""
    drawn: str = segno.make_qr(code, error="m").svg_inline(
        omitsize=True, border=_QUIET_MODULES, svgclass=None, lineclass=None, dark="#000"
    )
    return drawn
