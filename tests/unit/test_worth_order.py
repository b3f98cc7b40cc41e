"""What an order has to be: each broken rule is named with its field, where it is in the body."""

from typing import Any

import msgspec
import pytest

from gateway.errors import Refusal
from gateway.wire import read_json
from gateway.worth.order import Line, Order, check_order

TWO_TO_53 = 1 << 53


def a_line(**changes: Any) -> dict[str, Any]:
    """A line of an order; *changes* override."""
    return {"sku": "A1", "category": "tea", "quantity": 2, "unit_price_minor": 2500, **changes}


def read(**changes: Any) -> Order:
    """What a route does with the order in a body."""
    body = {"id": "o-1", "currency": "CNY", "lines": [a_line()], "shipping_minor": 800, **changes}
    return check_order(read_json(msgspec.json.encode(body), Order))


def test_an_order_knows_its_sums() -> None:
    """Goods, and goods with shipping, before any coupon."""
    order = read(lines=[a_line(), a_line(quantity=3, unit_price_minor=1)])

    assert [line.minor for line in order.lines] == [5000, 3]
    assert (order.goods_minor, order.total_minor) == (5003, 5803)


ACCEPTED: list[dict[str, Any]] = [
    {},
    {"id": "x" * 128},
    {"lines": [{"sku": "A", "quantity": 1, "unit_price_minor": 0}]},
    {"lines": [a_line()] * 200},
    {"lines": [a_line(quantity=1_000_000, unit_price_minor=1)]},
    {"lines": [a_line(quantity=1, unit_price_minor=TWO_TO_53 - 1)], "shipping_minor": 0},
    {"lines": [a_line(quantity=1, unit_price_minor=TWO_TO_53 - 2)], "shipping_minor": 1},
    {"lines": [a_line(sku="茶" * 64, category=None)]},
    {"store": "Süd 7", "channel": "pos", "first_order": True},
    {"currency": "JPY"},
]


@pytest.mark.parametrize("changes", ACCEPTED, ids=lambda each: str(each)[:80])
def test_an_order_within_the_rules_is_accepted(changes: dict[str, Any]) -> None:
    """It is the order that was sent."""
    order = read(**changes)

    assert {name: msgspec.to_builtins(order)[name] for name in changes.keys() - {"lines"}} == {
        name: value for name, value in changes.items() if name != "lines"
    }


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"id": ""}, "order.id", "1 to 128"),
    ({"id": "x" * 129}, "order.id", "1 to 128"),
    ({"id": "a\nb"}, "order.id", "control"),
    ({"currency": "cny"}, "order.currency", "ISO 4217"),
    ({"lines": []}, "order.lines", "1 to 200"),
    ({"lines": [a_line()] * 201}, "order.lines", "1 to 200"),
    ({"lines": [a_line(), a_line(sku=" ")]}, "order.lines[1].sku", "1 to 64"),
    ({"lines": [a_line(sku="x" * 65)]}, "order.lines[0].sku", "1 to 64"),
    ({"lines": [a_line(category="")]}, "order.lines[0].category", "1 to 64"),
    ({"lines": [a_line(quantity=0)]}, "order.lines[0].quantity", "from 1 to 1000000"),
    ({"lines": [a_line(quantity=1_000_001)]}, "order.lines[0].quantity", "from 1 to 1000000"),
    ({"lines": [a_line(unit_price_minor=-1)]}, "order.lines[0].unit_price_minor", "from 0"),
    ({"lines": [a_line(unit_price_minor=TWO_TO_53)]}, "order.lines[0].unit_price_minor", "2^53"),
    ({"shipping_minor": -1}, "order.shipping_minor", "from 0"),
    ({"shipping_minor": TWO_TO_53}, "order.shipping_minor", "2^53"),
    ({"lines": [a_line(quantity=1, unit_price_minor=TWO_TO_53 - 1)], "shipping_minor": 1}, "order.lines", "sum"),
    ({"lines": [a_line(quantity=1_000_000, unit_price_minor=TWO_TO_53 - 1)]}, "order.lines", "sum"),
    ({"store": ""}, "order.store", "1 to 64"),
    ({"store": "x" * 65}, "order.store", "1 to 64"),
    ({"channel": "Pos"}, "order.channel", "a-z"),
    ({"channel": ""}, "order.channel", "1 to 32"),
]


@pytest.mark.parametrize(("changes", "field", "rule"), REFUSED, ids=lambda each: str(each)[:80])
def test_a_broken_rule_of_an_order_names_field_and_rule(changes: dict[str, Any], field: str, rule: str) -> None:
    """The first error has the field as it is in the body, and what is allowed there."""
    with pytest.raises(Refusal) as refused:
        read(**changes)

    error = refused.value.context["errors"][0]
    assert (refused.value.code, error["field"]) == ("bad_request", field)
    assert rule in error["rule"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"lines": [a_line(unit_price_minor=1.0)]}, "lines"),
        ({"lines": [a_line(quantity="2")]}, "quantity"),
        ({"lines": [a_line(price=3)]}, "price"),
        ({"lines": [{"sku": "A", "quantity": 1}]}, "unit_price_minor"),
        ({"first_order": "yes"}, "first_order"),
        ({"shipping_minor": None}, "shipping_minor"),
    ],
    ids=str,
)
def test_a_malformed_order_names_the_field(changes: dict[str, Any], field: str) -> None:
    """A field of a wrong type (floats, numbers as text), missing or unknown is refused by name."""
    with pytest.raises(Refusal) as refused:
        read(**changes)

    assert refused.value.code == "bad_request"
    assert field in refused.value.detail


def test_all_broken_rules_of_an_order_are_told_at_once_and_where() -> None:
    """The fields are named from where the order is in its body."""
    order = Order("", "X", (Line("", 0, -1),), channel="!")

    with pytest.raises(Refusal) as refused:
        check_order(order, "basket")

    fields = [error["field"] for error in refused.value.context["errors"]]
    line = "basket.lines[0]"
    assert fields == [
        "basket.id",
        "basket.currency",
        f"{line}.sku",
        f"{line}.quantity",
        f"{line}.unit_price_minor",
        "basket.channel",
    ]
