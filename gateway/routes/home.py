"""The page a browser lands on: how this gateway is, and where everything is. No credentials, no figures."""

from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gateway.api.operation import ANYBODY, Media, Operation
from gateway.routes.ops import checks
from gateway.services import services

_STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d8dce2, #3a4048); --quiet: light-dark(#56606c, #a3adb8);
  --good: light-dark(#176b3a, #6fd39a); --bad: light-dark(#a3251f, #ff9a90); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; }
h2 { font-size: 1.05rem; margin: 2rem 0 .4rem; }
p { color: var(--quiet); margin-top: .2rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; font-weight: normal; padding: .45rem .6rem .45rem 0; border-top: 1px solid var(--line); }
tr > :first-child { width: 46%; }
code { font-size: .92em; }
.good { color: var(--good); } .bad { color: var(--bad); }
"""

_PLACES = (
    ("/docs", "every route, with what it takes and gives"),
    ("/readyz", "what is ready, and what is not"),
    ("/metrics", "counters for Prometheus"),
    ("/healthz", "whether this process answers"),
)
_COMMANDS = (
    ("fairclaim status --watch", "stock, claims and books of every campaign"),
    ("fairclaim campaign list", "every campaign"),
    ("fairclaim claim CAMPAIGN --holder you", "claim as a holder would"),
    ("fairclaim doctor", "are Redis and PostgreSQL as they should be"),
)


async def console(request: Request) -> Response:
    """A page for people: how each part of this worker is. Always 200; /readyz is for load balancers."""
    found = await checks(services(request))
    parts = "".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        f'<td class="{"good" if state == "ok" else "bad"}">{escape(state)}</td></tr>'
        for name, state in found.items()
    )
    places = "".join(f'<tr><td><a href="{path}">{path}</a></td><td>{text}</td></tr>' for path, text in _PLACES)
    commands = "".join(f"<tr><td><code>{line}</code></td><td>{text}</td></tr>" for line, text in _COMMANDS)
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Fairclaim</title><style>{_STYLE}</style></head><body><main>
<h1>Fairclaim</h1><p>Every coupon exactly once.</p>
<h2>This gateway</h2><table>{parts}</table>
<h2>Pages</h2><table>{places}</table>
<h2>On the command line</h2><table>{commands}</table>
</main></body></html>"""
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
    return HTMLResponse(page, headers={"content-security-policy": policy, "cache-control": "no-store"})


async def root(request: Request) -> Response:
    """Lead a browser to the page."""
    return RedirectResponse("/console")


routes = [
    Operation(
        "GET",
        "/",
        root,
        under="Operators",
        who=ANYBODY,
        gives={307: None},
        tells={"Location": "The path of the page."},
    ),
    Operation("GET", "/console", console, under="Operators", who=ANYBODY, gives={200: Media("text/html")}),
]
