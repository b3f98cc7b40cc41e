"""Coupons to print and cut: a page of HTML for A4 with its style in it, no script, nothing loaded from anywhere."""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files
from typing import Any, NamedTuple

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from gateway.campaigns.definition import Definition
from gateway.issuing.pictures import inline_qr
from gateway.issuing.wording import until, worth

CARDS_A_PAGE = 10
SHEET_MAX = 500
"""Coupons on one sheet: fifty pages, a megabyte or two."""
_LONG_CHARS = 21

_HERE = files("gateway.issuing")
_STYLE = (_HERE / "sheet.css").read_text(encoding="utf-8")
_TEMPLATE = Environment(
    autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
).from_string((_HERE / "sheet.html").read_text(encoding="utf-8"))

POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of a sheet: its own style and nothing else."""


class Card(NamedTuple):
    """One coupon on paper. *groups* are the parts of the code a line may break between, with their hyphens."""

    picture: Markup
    groups: list[str]
    long: bool
    until: str
    uses: int


def card(code: dict[str, Any], timezone: str) -> Card:
    """A code of printing.py as a card."""
    shown = code["shown"]
    *before, last = shown.split("-")
    return Card(
        Markup(inline_qr(code["code"])),  # noqa: S704 - drawn by segno, from a code of A-Z, 0-9, underscore and dot
        [*(f"{group}-" for group in before), last],
        len(shown) > _LONG_CHARS,
        until(code["expires_at"], timezone),
        code["units"],
    )


def sheet(definition: Definition, codes: list[dict[str, Any]], *, more: bool) -> str:
    """The page of *codes*, of printing.py; *more* says that another sheet follows. Milliseconds of CPU a coupon."""
    cards = [card(code, definition.timezone) for code in codes]
    return _TEMPLATE.render(
        name=definition.name,
        worth=worth(definition),
        style=Markup(_STYLE),  # noqa: S704 - our own file
        pages=[cards[at : at + CARDS_A_PAGE] for at in range(0, len(cards), CARDS_A_PAGE)],
        total=len(cards),
        more=more,
    )
