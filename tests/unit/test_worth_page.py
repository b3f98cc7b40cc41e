"""docs/worth.md says what the program does: every example on the page is run, and its tables are compared."""

import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from gateway.campaigns.definition import Value
from gateway.errors import Refusal
from gateway.worth.discount import Discount, discount_of, funder_parts
from gateway.worth.order import Order, check_order
from gateway.worth.reason import REASONS
from gateway.worth.refund import Parts, RefundAsk, refund_of
from gateway.worth.stack import Choose, Item, Mode, Offer, combine
from gateway.worth.terms import Terms

PAGE = (Path(__file__).parents[2] / "docs" / "worth.md").read_text(encoding="utf-8")
BLOCKS: list[dict[str, Any]] = [
    msgspec.json.decode(block) for block in re.findall(r"^```json\n(.+?)^```", PAGE, re.MULTILINE | re.DOTALL)
]
ORDER = check_order(msgspec.convert(BLOCKS[0]["order"], Order))


def examples(member: str) -> list[dict[str, Any]]:
    """The blocks of the page that have *member*."""
    return [block for block in BLOCKS if member in block]


def read(coupon: dict[str, Any]) -> Terms:
    """The terms that an example's coupon has, the rest by default."""
    plain = {"currency": "CNY", "funders": [{"account": "platform", "basis_points": 10_000}]}
    return msgspec.convert(plain | coupon, Terms)


def taken_off(found: Discount) -> dict[str, Any]:
    """A discount as the page writes it."""
    shown: dict[str, Any] = {"minor": found.minor, "lines": list(found.lines)}
    return shown | ({"shipping": found.shipping_minor} if found.shipping_minor else {})


def shown(item: Item) -> dict[str, Any]:
    """An item of a stack as the page writes it."""
    if item.discount is not None:
        return {"code": item.code, **taken_off(item.discount)}
    assert item.reason is not None
    by = {"by": item.reason.by} if item.reason.by else {}
    return {"code": item.code, "reason": item.reason.code, **by}


@pytest.mark.parametrize("example", examples("coupon"), ids=lambda each: str(each["coupon"]["value"]))
def test_a_coupon_on_the_page_takes_what_it_says(example: dict[str, Any]) -> None:
    """Each example of one coupon: what it takes off each line and of shipping, who pays it, or why nothing."""
    terms = read(example["coupon"])

    answer = discount_of(terms, ORDER, None, example.get("left_minor"))

    if isinstance(answer, Discount):
        said = dict(example["takes"])
        assert said.pop("funders", None) in (None, list(funder_parts(terms, answer.minor)))
        assert said == taken_off(answer)
    else:
        assert example["reason"] == answer.code


@pytest.mark.parametrize("example", examples("coupons"), ids=lambda each: " ".join(each["coupons"]))
def test_a_stack_on_the_page_takes_what_it_says(example: dict[str, Any]) -> None:
    """Each example of several coupons: what becomes of each."""
    offers = [Offer(code, read(coupon)) for code, coupon in example["coupons"].items()]

    items = combine(ORDER, offers, Mode(example["mode"]), Choose(example.get("choose", "given")))

    assert [shown(item) for item in items] == example["items"]


@pytest.mark.parametrize("example", examples("rollbacks"))
def test_rollbacks_on_the_page_give_back_what_they_say(example: dict[str, Any]) -> None:
    """Each rollback of the example, after those before it, to the exact end."""
    taken = msgspec.convert(example["taken"], Parts)
    so_far = Parts.zero_like(taken)
    for rollback in example["rollbacks"]:
        ask = msgspec.convert(rollback["ask"], RefundAsk)
        if "exceeds" in rollback:
            with pytest.raises(Refusal) as refused:
                refund_of(taken, so_far, ask)
            assert (refused.value.code, refused.value.context["left_minor"]) == (
                "rollback_exceeds",
                rollback["exceeds"],
            )
            continue
        gives = refund_of(taken, so_far, ask)
        assert gives == msgspec.convert(rollback["gives"], Parts)
        so_far = so_far.plus(gives)

    assert so_far == taken


def test_the_page_has_an_example_of_each_kind_and_runs_all_of_them() -> None:
    """No kind of value is left out, and no block is passed over."""
    kinds = {kind.__struct_config__.tag for kind in get_args(Value)}

    assert {block["coupon"]["value"]["type"] for block in examples("coupon")} == kinds
    run = [name for block in BLOCKS[1:] for name in ("coupon", "coupons", "rollbacks") if name in block]
    assert len(run) == len(BLOCKS) - 1


def test_every_reason_is_in_its_table() -> None:
    """The page lists each reason with its meaning, in the order of the code, and none that is gone."""
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE, re.MULTILINE)

    assert rows == list(REASONS.items())
