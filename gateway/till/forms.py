"""What was typed into a form of the till, and the order it makes; each field that can't be read is named in words."""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.errors import Refusal
from gateway.forms import Errors, Fields, one
from gateway.till.money import NotAnAmount, parse_money
from gateway.worth.order import Line, Order

CHANNEL = "store"
"""The channel of every order at a till."""
TOTAL_SKU = "total"
"""The one line of an order of which only the total was typed."""
ROWS_MIN, ROWS_MAX = 1, 50
ROWS_MORE = 3
QUANTITY_MAX = 999_999
FIELDS_MAX = 4 * ROWS_MAX + 20


def read_text(value: str, what: str, chars_max: int, name: str, errors: Errors, *, required: bool = True) -> str:
    """*value* as it is, if it is printable and not too long; else *errors* says what to do."""
    if required and not value:
        errors[name] = f"Enter {what}."
    elif len(value) > chars_max or not value.isprintable():
        errors[name] = f"Enter {what} with at most {chars_max} printable characters."
    return value


class Row(NamedTuple):
    """A line as typed."""

    sku: str = ""
    category: str = ""
    quantity: str = ""
    price: str = ""


@dataclass
class OrderForm:
    """A code and an order as typed."""

    code: str = ""
    order_id: str = ""
    total: str = ""
    shipping: str = ""
    first_order: bool = False
    rows: list[Row] = field(default_factory=lambda: [Row()] * ROWS_MIN)

    @classmethod
    def read(cls, fields: Fields) -> "OrderForm":
        """From the fields of a form. Errors: Refusal("bad_request") for one that is not of this page."""
        columns = [fields.get(name, []) for name in Row._fields]
        if len({len(column) for column in columns}) != 1 or len(columns[0]) > ROWS_MAX:
            raise Refusal("bad_request", "The form could not be read.")
        rows = [Row(*(value.strip() for value in row)) for row in zip(*columns, strict=True)]
        return cls(
            code=one(fields, "code"),
            order_id=one(fields, "order_id"),
            total=one(fields, "total"),
            shipping=one(fields, "shipping"),
            first_order=one(fields, "first_order") == "yes",
            rows=rows or [Row()] * ROWS_MIN,
        )

    def with_more_rows(self) -> "OrderForm":
        """The same with a few empty rows more."""
        self.rows = (self.rows + [Row()] * ROWS_MORE)[:ROWS_MAX]
        return self

    @property
    def filled(self) -> list[tuple[int, Row]]:
        """The rows in which something was typed, with their places."""
        return [(place, row) for place, row in enumerate(self.rows) if any(row)]

    def order(self, currency: str, store: str) -> tuple[Order | None, Errors]:
        """The order that was typed; or none, and what is wrong with which field."""
        errors: Errors = {}
        read_text(self.code, "the coupon's code", 64, "code", errors)
        read_text(self.order_id, "the number of the order or receipt", 128, "order_id", errors)
        lines = self._lines(currency, errors)
        shipping = _amount(self.shipping or "0", currency, "shipping", errors)
        if errors:
            return None, errors
        return (
            Order(
                id=self.order_id,
                currency=currency,
                lines=tuple(lines),
                shipping_minor=shipping,
                store=store or None,
                channel=CHANNEL,
                first_order=self.first_order,
            ),
            errors,
        )

    def _lines(self, currency: str, errors: Errors) -> list[Line]:
        filled = self.filled
        if self.total and filled:
            errors["total"] = "Enter the total or the lines, not both."
        elif self.total:
            return [Line(TOTAL_SKU, 1, _amount(self.total, currency, "total", errors))]
        elif not filled:
            errors["total"] = "Enter the total of the order, or its lines."
        return [_line(place, row, currency, errors) for place, row in filled]


def _line(place: int, row: Row, currency: str, errors: Errors) -> Line:
    at = f"-{place + 1}"
    read_text(row.sku, "the article", 64, f"sku{at}", errors)
    read_text(row.category, "the category", 64, f"category{at}", errors, required=False)
    quantity = row.quantity or "1"
    if not re.fullmatch(r"[0-9]{1,6}", quantity) or not 1 <= int(quantity) <= QUANTITY_MAX:
        errors[f"quantity{at}"] = "Enter how many, as a whole number from 1."
        quantity = "1"
    price = _amount(row.price, currency, f"price{at}", errors)
    return Line(row.sku, int(quantity), price, row.category or None)


def _amount(text: str, currency: str, name: str, errors: Errors) -> int:
    try:
        return parse_money(text, currency)
    except NotAnAmount as error:
        errors[name] = str(error)
        return 0
