"""What people did to a coupon here, in the audit log: how it was before, and is after. The books have it too."""

from collections.abc import Mapping
from typing import Any

from gateway.console.page import Visit
from gateway.issuing.store import audit
from gateway.sql import postgres


async def note(
    visit: Visit, action: str, code: str, before: Mapping[str, Any], after: Mapping[str, Any], **more: str
) -> None:
    """A line of it. Errors: Refusal("not_ready"): then it is done, and in the books alone."""
    detail = {"before": before, "after": after, **more}
    async with postgres(visit.here.pool) as connection:
        await audit(connection, visit.who.actor, f"coupon.{action}", f"coupon:{code}", detail)
