"""The newest report in Locust's web page: at /fairclaim/report, and as a link where its other downloads are."""

from collections.abc import Callable
from pathlib import Path

from flask import Response
from locust.web import WebUI

PATH = "/fairclaim/report"
NONE_YET = "There is no report yet: it is made when a run has stopped."


def link_report(web_ui: WebUI, base: str, newest: Callable[[], Path | None]) -> None:
    """Serve the file that *newest* names below the path *base*, behind the same door as the rest of the page."""
    app, guarded = web_ui.app, web_ui.auth_required_if_enabled
    assert app is not None

    def report() -> Response:
        file = newest()
        if file is None or not file.exists():
            return Response(NONE_YET, 404, mimetype="text/plain")
        return Response(file.read_bytes(), mimetype="text/html")

    app.add_url_rule(base + PATH, "fairclaim_report", guarded(report))  # type: ignore[no-untyped-call]
    links = web_ui.template_args.setdefault("extended_csv_files", [])
    links.append({"href": base + PATH, "title": "Report of the newest Fairclaim run"})
