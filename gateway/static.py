"""The files that pages use. The address of one names its content, so that a browser may keep it for good."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import Refusal

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_KEPT = {"cache-control": "public, max-age=31536000, immutable", "x-content-type-options": "nosniff"}


class Asset(NamedTuple):
    """A file a page uses."""

    data: bytes
    media_type: str
    digest: str


class Assets:
    """The files of *folder*, and *others* by name, served below the path *at*."""

    def __init__(self, folder: Path, at: str, others: Mapping[str, str] | None = None) -> None:
        self._at = at
        found = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        found |= {name: text.encode() for name, text in (others or {}).items()}
        self.files = {
            name: Asset(data, _TYPES[Path(name).suffix], sha256(data).hexdigest()[:12])
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
        return Response(found.data, headers=_KEPT, media_type=found.media_type)
