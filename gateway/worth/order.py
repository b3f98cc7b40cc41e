"""An order, as a checkout or a till sends it, and what it has to be."""

import msgspec

from gateway.campaigns.bounds import QUANTITY_MAX, SKU_CHARS_MAX
from gateway.campaigns.broken import (
    CHANNEL_PATTERN,
    CHANNEL_RULE,
    MINOR_MAX,
    Broken,
    Found,
    is_text,
    refuse,
    text_rule,
)
from gateway.campaigns.currencies import CURRENCIES

ORDER_ID_CHARS_MAX = 128
LINES_MAX = 200


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """*quantity* articles of one *sku* at one price."""

    sku: str
    quantity: int
    unit_price_minor: int
    category: str | None = None

    @property
    def minor(self) -> int:
        """What the line costs before any coupon."""
        return self.quantity * self.unit_price_minor


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is bought. *first_order* is what the shop knows of its customer: nobody else can."""

    id: str
    currency: str
    lines: tuple[Line, ...]
    shipping_minor: int = 0
    store: str | None = None
    channel: str | None = None
    first_order: bool = False

    @property
    def goods_minor(self) -> int:
        """What the lines cost before any coupon."""
        return sum(line.minor for line in self.lines)

    @property
    def total_minor(self) -> int:
        """Goods and shipping, before any coupon."""
        return self.goods_minor + self.shipping_minor


def check_order(order: Order, field: str = "order") -> Order:
    """
    The order, if it keeps every rule.

    Shape: *field* is where the order is in the body, for the names in the errors.
    Errors: Refusal("bad_request") with errors, a list of {field, rule}.
    """
    broken = [Broken(f"{field}.{each.field}", each.rule) for each in _broken(order)]
    if broken:
        raise refuse("bad_request", broken)
    return order


def _broken(order: Order) -> Found:
    if not is_text(order.id, ORDER_ID_CHARS_MAX):
        yield Broken("id", text_rule(ORDER_ID_CHARS_MAX))
    if order.currency not in CURRENCIES:
        yield Broken("currency", "a currency code of ISO 4217, like CNY")
    if not 1 <= len(order.lines) <= LINES_MAX:
        yield Broken("lines", f"1 to {LINES_MAX}")
    for n, line in enumerate(order.lines[:LINES_MAX]):
        yield from _broken_line(line, f"lines[{n}]")
    if not 0 <= order.shipping_minor <= MINOR_MAX:
        yield Broken("shipping_minor", "a whole number of minor units from 0, below 2^53")
    elif order.total_minor > MINOR_MAX:
        yield Broken("lines", "goods and shipping that sum to less than 2^53 minor units")
    if order.store is not None and not is_text(order.store, SKU_CHARS_MAX):
        yield Broken("store", text_rule(SKU_CHARS_MAX))
    if order.channel is not None and not CHANNEL_PATTERN.fullmatch(order.channel):
        yield Broken("channel", CHANNEL_RULE)


def _broken_line(line: Line, field: str) -> Found:
    if not is_text(line.sku, SKU_CHARS_MAX):
        yield Broken(f"{field}.sku", text_rule(SKU_CHARS_MAX))
    if not 1 <= line.quantity <= QUANTITY_MAX:
        yield Broken(f"{field}.quantity", f"a whole number from 1 to {QUANTITY_MAX}")
    if not 0 <= line.unit_price_minor <= MINOR_MAX:
        yield Broken(f"{field}.unit_price_minor", "a whole number of minor units from 0, below 2^53")
    if line.category is not None and not is_text(line.category, SKU_CHARS_MAX):
        yield Broken(f"{field}.category", text_rule(SKU_CHARS_MAX))
