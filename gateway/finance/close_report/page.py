"""A close report as a page of HTML, which prints on A4: its style in it, no script, nothing loaded from anywhere."""

from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from gateway.finance.close_report.document import Column, Document

_HERE = files("gateway.finance.close_report")
_STYLE = (_HERE / "page.css").read_text(encoding="utf-8")
_TEMPLATE = Environment(
    autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
).from_string((_HERE / "page.html").read_text(encoding="utf-8"))

POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of the page: its own style and nothing else."""


def page(document: Document) -> bytes:
    """The page, in UTF-8."""
    style = Markup(_STYLE)  # noqa: S704 - our own file
    return str(_TEMPLATE.render(document=document, style=style, show=_cell)).encode()


def _cell(column: Column, text: str, first: bool) -> Markup:
    names = [name for name in ("number", "code", "whole") if getattr(column, name)]
    attribute = Markup(' class="{}"').format(" ".join(names)) if names else Markup("")
    if first:
        return Markup('<th scope="row"{}>{}</th>').format(attribute, text)
    return Markup("<td{}>{}</td>").format(attribute, text)
