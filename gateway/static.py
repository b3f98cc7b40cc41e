"""
The files that pages use. The address of one names its content, so that a browser may keep it for good.

They are compressed once, when a worker starts. Pages are not: they hold the secret of a form beside what somebody
typed, and how well the two compress together would tell whoever sees no more than lengths.
"""

import gzip
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import Refusal

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_KEPT = {
    "cache-control": "public, max-age=31536000, immutable",
    "vary": "accept-encoding",
    "x-content-type-options": "nosniff",
}


class Asset(NamedTuple):
    """A file a page uses; *compressed* by gzip."""

    data: bytes
    compressed: bytes
    media_type: str
    digest: str


class Assets:
    """The files of *folder*, and *others* by name, served below the path *at*."""

    def __init__(self, folder: Path, at: str, others: Mapping[str, str] | None = None) -> None:
        self._at = at
        found = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        found |= {name: text.encode() for name, text in (others or {}).items()}
        self.files = {
            name: Asset(data, gzip.compress(data, mtime=0), _TYPES[Path(name).suffix], sha256(data).hexdigest()[:12])
            for name, data in found.items()
            if data
        }

    def address(self, name: str) -> str:
        """Where a page finds the file *name*."""
        return f"{self._at}/{name}?v={self.files[name].digest}"

    async def answer(self, request: Request) -> Response:
        """The file that the path names. Errors: Refusal("not_found")."""
        found = self.files.get(request.path_params["name"])
        if found is None:
            raise Refusal("not_found")
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(found.compressed, 200, _KEPT | {"content-encoding": "gzip"}, found.media_type)
        return Response(found.data, 200, _KEPT, found.media_type)
