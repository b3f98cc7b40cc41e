"""Breaks in the words of a language: every cause there is, every kind, every field; and what nobody knows as it is."""

from datetime import UTC, datetime
from typing import Any

from babel import Locale

from gateway.console.books.causes import DRAIN_WORDS, FIELD_WORDS, KIND_WORDS, LIKELY, likely, place_of, spelt
from gateway.console.locales import Words
from reconciler.outside.matching import CAUSES as OUTSIDE
from reconciler.shard import BREAKS
from reconciler.stocktake.breaks import Break
from reconciler.stocktake.fields import COUPON_FIELDS
from reconciler.stocktake.figures import FIGURES
from reconciler.stocktake.likely import CAUSES

ENGLISH, CHINESE = (Words(name, Locale.parse(name), "UTC") for name in ("en", "zh_Hans"))


def a_break(kind: str = "figure", figure: str = "stock", text: str = "", **sides: Any) -> Break:
    """A break of *kind*, of which *text* is likely."""
    nothing = dict.fromkeys(Break._fields)
    told = {"kind": kind, "figure": figure, "likely": text, "detected_at": datetime.now(UTC), **sides}
    return Break(**{**nothing, **told})


def test_there_are_words_for_all_there_is() -> None:
    """What stocktakes, the drain and files of other systems say is what the catalogues have."""
    assert set(LIKELY) == {cause.text for cause in CAUSES} | set(OUTSIDE.values())
    assert DRAIN_WORDS == BREAKS
    assert set(KIND_WORDS) == {"figure", "coupon", "holder", "outside", *BREAKS}
    assert {*COUPON_FIELDS, *FIGURES} <= set(FIELD_WORDS)


def test_what_is_likely_is_said_in_both_languages() -> None:
    """In English as it is kept; in Chinese each of several; a break of the drain says what it means."""
    for text in LIKELY:
        one = a_break(text=text)
        assert likely(one, ENGLISH) == text
        assert likely(one, CHINESE) not in ("", text)
    two = a_break("outside", "of_1", f"{OUTSIDE['duplicate']}; {OUTSIDE['missing_there']}")
    assert likely(two, ENGLISH) == two.likely
    assert likely(two, CHINESE) == "对方系统把文件或其中一部分发送了两次；订单在对方取消而这里没有退回，或者文件不完整"
    assert likely(a_break("behind", ""), CHINESE) == "Redis 中的分片比账簿旧"
    assert likely(a_break(text="a note; of somebody"), CHINESE).replace("；", "; ") == "a note; of somebody"


def test_both_sides_whatever_they_are() -> None:
    """Fields by their names, states as words, and what somebody wrote there by hand as it stands."""
    assert spelt({"seq": 5, "odd": None}, ENGLISH) == [("number", "5"), ("odd", "null")]
    assert spelt({"value": None, "hex": "6f"}, ENGLISH) == [("value", "null"), ("bytes", "6f")]
    assert spelt({"state": "redeemed", "left": 0}, CHINESE) == [("状态", "已核销"), ("剩余", "0")]
    assert [spelt(value, ENGLISH) for value in (7, {"value": 7}, "x", None, [1])] == [
        [("", "7")], [("", "7")], [("", "x")], [("", "null")], [("", "[1]")],
    ]  # fmt: skip
    places = [place_of(a_break(*of), CHINESE) for of in (("figure", "stock"), ("holder", "stock"), ("behind", ""))]
    assert places == [("库存", "数字"), ("stock", "持有人"), ("Redis 落后", "")]
