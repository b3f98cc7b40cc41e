"""
What the page at /docs loads: Swagger UI from the wheel offapi, and our own start.js. Nothing comes from another host.

An asset's name holds a digest of its content, so a browser may keep it for ever.
"""

import gzip
from base64 import b64encode
from functools import cache
from hashlib import sha384
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

_SCRIPT, _STYLE = "text/javascript; charset=utf-8", "text/css; charset=utf-8"


class Asset(NamedTuple):
    """A file of the page, as it is and compressed; *integrity* is what the page says of it."""

    name: str
    media_type: str
    body: bytes
    compressed: bytes
    integrity: str


@cache
def assets() -> dict[str, Asset]:
    """
    Every asset by its name: the style, Swagger UI, the start.

    Cost: a tenth of a second the first time, so it is for a thread.
    """
    spec = find_spec("offapi")  # importing it would read every page it has into memory
    assert spec, "offapi is a dependency"
    wheel = Path(spec.origin or "").parent
    found = (
        _asset("swagger-ui", "css", _STYLE, (wheel / "swagger_style.css").read_bytes()),
        _asset("swagger-ui", "js", _SCRIPT, (wheel / "swagger_bundle.js").read_bytes()),
        _asset("start", "js", _SCRIPT, (files("gateway.api") / "start.js").read_bytes()),
    )
    return {asset.name: asset for asset in found}


def _asset(stem: str, ending: str, media_type: str, body: bytes) -> Asset:
    digest = sha384(body)
    integrity = f"sha384-{b64encode(digest.digest()).decode()}"
    name = f"{stem}.{digest.hexdigest()[:12]}.{ending}"
    return Asset(name, media_type, body, gzip.compress(body, 6, mtime=0), integrity)
