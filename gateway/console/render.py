"""The console's HTML: templates in each language, the few files they use, and the headers every page has."""

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from starlette.responses import HTMLResponse, Response

from gateway.console.accounting import account_called
from gateway.console.actors import who_in_words
from gateway.console.isolating import isolated
from gateway.console.labelling import labels_in
from gateway.console.locales import LANGUAGES, Words, apart, catalogue
from gateway.console.roles import ROLE_WORDS
from gateway.static import Assets
from vendored import UPLOT

_HERE = Path(__file__).parent
_LICENCE = f"/*\n{UPLOT.text('LICENSE')}\n*/\n"
_CHARTS = {"uplot.js": _LICENCE + UPLOT.text("uPlot.iife.min.js"), "uplot.css": UPLOT.text("uPlot.min.css")}
ASSETS = Assets(_HERE / "assets", "/console/assets", _CHARTS)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@cache
def environment(language: str) -> Environment:
    """The templates in *language*."""
    made = Environment(
        loader=FileSystemLoader([_HERE / "templates", *sorted(_HERE.glob("*/templates"))]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_translations(catalogue(language), newstyle=True)  # type: ignore[attr-defined]
    made.globals["gettext"] = _isolating(made.globals["gettext"])  # which _() asks
    made.filters.update(isolated=isolated, who=_who, account=_account)
    made.globals.update(asset=ASSETS.address, labels_in=labels_in, languages=LANGUAGES, role_words=ROLE_WORDS)
    return made


def _isolating(gettext: Any) -> Any:
    @pass_context
    def said(context: Context, text: str, /, **values: Any) -> Any:
        return gettext(context, text, **apart(values))

    return said


@pass_context
def _who(context: Context, actor: str) -> str:
    return who_in_words(actor, context["words"])


@pass_context
def _account(context: Context, account: str) -> str:
    return account_called(account, context["words"])


def render(template: str, words: Words, status: int = 200, **values: Any) -> Response:
    """A page in the language of *words*; *values* always hold the visit."""
    told = {"words": words, "number": words.number, "time": _time(words)}
    given = {"notice": None, "errors": {}, **told, **values}
    text = environment(words.language).get_template(f"{template}.html").render(given)
    return HTMLResponse(text, status, HEADERS)


def _time(words: Words) -> Any:
    def shown(at: datetime | None) -> str:
        return words.time(at) if at is not None else ""

    return shown
