"""What the guard says of a body that is too large."""

from types import SimpleNamespace

import pytest

from gateway.guard import Guard
from gateway.settings import Settings


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (b"/v1/campaigns/flash/code-imports", "import_bytes_max"),
        (b"/v1/campaigns/flash/code-imports?dry_run=true", "import_bytes_max"),
        (b"/v1/campaigns/flash/claims", "body_bytes_max"),
        (b"/v1/campaigns/code-imports", "body_bytes_max"),
    ],
)
def test_a_body_that_is_too_large_is_told_its_own_bound(url: bytes, name: str) -> None:
    """An import may have more than any other body, and its refusal says how much."""
    settings = Settings()
    guard = Guard.__new__(Guard)
    guard.services = SimpleNamespace(settings=settings)  # type: ignore[assignment]
    guard.url, guard._in_head = url, False

    assert str(guard._too_large()) == f"The body may have at most {getattr(settings, name)} bytes."
