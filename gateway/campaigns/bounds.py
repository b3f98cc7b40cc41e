"""
How large, how long and of what form the fields of a definition may be, as numbers and as the document tells them.

The kinds here document and do not check: a body is refused by check.py, which names every rule that is broken at once.
"""

import re
from typing import Annotated, Any

from msgspec import Meta

from gateway.campaigns.broken import CHANNEL_PATTERN, MINOR_MAX
from gateway.codes import STOCK_MAX
from lua.keys import SHARDS_MAX

NAME_CHARS_MAX = 200
PER_HOLDER_MAX = 100
CHANNELS_MAX = 16
FUNDERS_MAX = 16
VALIDITY_DAYS_MAX = 3650
SKU_CHARS_MAX = 64
"""Also of a category and of a store."""

SCOPE_NAMES_MAX = 200
SCOPE_CHANNELS_MAX = 16
QUANTITY_MAX = 1_000_000
PRIORITY_MAX = 1000
EXTEND_DAYS_MAX = 3650
REASONS_EXEMPT_MAX = 16
REASON_CHARS_MAX = 64
STOCK_REASON_CHARS_MAX = 200

ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
ACCOUNT_PATTERN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
GROUP_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


def told(**schema: Any) -> Meta:
    """What the document says of a field besides its type."""
    return Meta(extra_json_schema=schema)


def told_text(chars_max: int) -> Meta:
    """What is_text() asks for, as far as a schema can say it."""
    return told(minLength=1, maxLength=chars_max)


def told_form(pattern: "re.Pattern[str]") -> Meta:
    """What a text has to match, all of it."""
    return told(pattern=f"^{pattern.pattern}$")


Minor = Annotated[int, told(minimum=1, maximum=MINOR_MAX)]
MinorOrNothing = Annotated[int, told(minimum=0, maximum=MINOR_MAX)]
BasisPoints = Annotated[int, told(minimum=1, maximum=10_000)]
StockCount = Annotated[int, told(minimum=1, maximum=STOCK_MAX)]
StockDelta = Annotated[int, told(minimum=-STOCK_MAX, maximum=STOCK_MAX, **{"not": {"const": 0}})]
StockReason = Annotated[str, told_text(STOCK_REASON_CHARS_MAX)]
PerHolder = Annotated[int, told(minimum=1, maximum=PER_HOLDER_MAX)]
PerDay = Annotated[int, told(minimum=1, maximum=STOCK_MAX)]
ShardCount = Annotated[int, told(minimum=1, maximum=SHARDS_MAX)]
ValidityDays = Annotated[int, told(minimum=1, maximum=VALIDITY_DAYS_MAX)]
ExtendDays = Annotated[int, told(minimum=1, maximum=EXTEND_DAYS_MAX)]
Quantity = Annotated[int, told(minimum=1, maximum=QUANTITY_MAX)]
Priority = Annotated[int, told(minimum=-PRIORITY_MAX, maximum=PRIORITY_MAX)]

Id = Annotated[str, told_form(ID_PATTERN)]
Name = Annotated[str, told_text(NAME_CHARS_MAX)]
Currency = Annotated[str, told(pattern="^[A-Z]{3}$", description="A code of ISO 4217.")]
Moment = Annotated[str, told(format="date-time")]
LegalEntity = Annotated[str, told(pattern=f"^{ID_PATTERN.pattern}$", description="Whose books it is in.")]
Zone = Annotated[str, told(minLength=1, description="An IANA zone, like Asia/Shanghai.")]
Account = Annotated[str, told_form(ACCOUNT_PATTERN)]
Group = Annotated[str, told_form(GROUP_PATTERN)]
Channel = Annotated[str, told_form(CHANNEL_PATTERN)]
Sku = Annotated[str, told_text(SKU_CHARS_MAX)]
Reason = Annotated[str, told_text(REASON_CHARS_MAX)]

Channels = Annotated[tuple[Channel, ...], told(maxItems=CHANNELS_MAX, uniqueItems=True)]
ScopeChannels = Annotated[tuple[Channel, ...], told(maxItems=SCOPE_CHANNELS_MAX, uniqueItems=True)]
ScopeNames = Annotated[tuple[Sku, ...], told(maxItems=SCOPE_NAMES_MAX, uniqueItems=True)]
Reasons = Annotated[tuple[Reason, ...], told(maxItems=REASONS_EXEMPT_MAX, uniqueItems=True)]
