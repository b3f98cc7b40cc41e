"""
The report of a run as a page of HTML in one file: its style, its script and its figures are in it.

It opens from a disk and asks nobody for anything, which its policy also forbids. The same result gives the same bytes.
"""

import re
from base64 import b64encode
from hashlib import sha256
from importlib.resources import files

import msgspec
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from loadtest.report.charts import Sheet, sheet_of
from loadtest.report.figures import clock, seconds
from loadtest.report.headline import figures_of, headline_of, is_verdict
from loadtest.report.result import Result
from loadtest.report.tables import tables_of
from vendored import UPLOT

_HERE = files("loadtest.report")
_TEMPLATE = Environment(
    autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
).from_string((_HERE / "page.html").read_text(encoding="utf-8"))
_STYLE = UPLOT.text("uPlot.min.css") + "\n" + (_HERE / "page.css").read_text(encoding="utf-8")
_SCRIPT = "\n".join(
    (
        f"/*\n{UPLOT.text('LICENSE')}\n*/",
        UPLOT.text("uPlot.iife.min.js"),
        (_HERE / "charts.js").read_text(encoding="utf-8"),
        (_HERE / "tables.js").read_text(encoding="utf-8"),
    )
)


def _digest(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


_POLICY = (
    f"default-src 'none'; style-src {_digest(_STYLE)}; script-src {_digest(_SCRIPT)}; img-src data:; "
    "base-uri 'none'; form-action 'none'"
)


def render(result: Result) -> str:
    """The page. Errors: ValueError if the lists of its seconds have different lengths."""
    sheet = sheet_of(result)
    return _TEMPLATE.render(
        result=result,
        headline=headline_of(result),
        figures=figures_of(result),
        gates=sorted(result.gates, key=lambda gate: not is_verdict(gate)),
        sheet=sheet,
        tables=tables_of(result),
        started=result.started_at.strftime("%Y-%m-%d %H:%M:%S"),
        zone=result.started_at.strftime("%Z") or "local time",
        took=clock(result.duration_s) if result.duration_s >= 60 else seconds(result.duration_s),
        data=_embedded(sheet),
        unbroken=_unbroken,
        # Our own files, and a script or style is not escaped.
        style=Markup(_STYLE),  # noqa: S704
        script=Markup(_SCRIPT),  # noqa: S704
        policy=_POLICY,
        uplot=UPLOT,
    )


def _unbroken(text: str) -> str:
    """The same, but a number and its unit stay on one line."""
    return re.sub(r"(?<=\d) (?=(?:%|ms\b|s\b))", "\u00a0", text)


def _embedded(sheet: Sheet) -> Markup:
    """JSON within a script element: nothing in it can end the element, whoever named a campaign."""
    text = msgspec.json.encode(sheet).decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - escaped for where it stands
