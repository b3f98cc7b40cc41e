"""The till's HTML: templates, the few files they use, and the headers every page has."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from gateway.campaigns.currencies import CURRENCIES
from gateway.codes import parse_code, show_code
from gateway.static import Assets
from gateway.till.money import show_money, show_number
from gateway.wire import rfc3339

_HERE = Path(__file__).parent
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "cache-control": "no-store",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
}


ASSETS = Assets(_HERE / "assets", "/till/assets")


def show_time(ms: int, zone: str) -> str:
    """A time in a zone, with the zone: 2026-11-22 18:00 Asia/Shanghai."""
    return f"{datetime.fromtimestamp(ms / 1000, UTC).astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} {zone}"


def show_any_code(code: str) -> str:
    """A code of ours in its groups; any other one as it is."""
    parsed = parse_code(code)
    return code if parsed is None else show_code(parsed.code)


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_ENVIRONMENT.globals.update(asset=ASSETS.address, currencies=sorted(CURRENCIES), rfc3339=rfc3339)
_ENVIRONMENT.filters.update(money=show_money, number=show_number, time=show_time, code=show_any_code)


def render(template: str, status: int = 200, **values: Any) -> Response:
    """A page; *values* always hold the session that sees it."""
    defaults: Mapping[str, Any] = {"notice": None, "errors": {}}
    text = _ENVIRONMENT.get_template(f"{template}.html").render({**defaults, **values})
    return HTMLResponse(text, status, HEADERS)
