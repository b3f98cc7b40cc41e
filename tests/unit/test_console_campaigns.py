"""What is typed ⇄ a definition, the sentence a customer would read, and the curve: without a server."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from babel import Locale

from gateway.campaigns.life import Stored
from gateway.campaigns.publish import INITIAL
from gateway.campaigns.register import Adjusted, Moved, Past
from gateway.campaigns.store import Step
from gateway.console.campaigns.acts import acts
from gateway.console.campaigns.curve import curve
from gateway.console.campaigns.differences import differences, states
from gateway.console.campaigns.sentence import sentence
from gateway.console.campaigns.typed import Typed, blank, read_typed, write_typed
from gateway.console.locales import Words
from gateway.demo.offer import Offer, offer_of

ENGLISH, CHINESE, GERMAN = (
    Words(language, Locale.parse(place), "UTC")
    for language, place in (("en", "en_GB"), ("zh_Hans", "zh_Hans_CN"), ("en", "de"))
)
FLASH = {
    "name": "Flash", "id": "flash", "currency": "CNY", "value.minor": "5", "value.threshold_minor": "30",
    "stock": "100",
    "starts_at": "2026-11-22T10:00", "ends_at": "2026-11-22T10:05",
}  # fmt: skip


WHEN, WHEN_ZH = "22 Nov 2026 10:00–10:05", "2026年11月22日 10:00–10:05"


def typed(**changes: str) -> Typed:
    """FLASH in Shanghai; *changes* override, with __ for the dot."""
    return blank("Asia/Shanghai") | FLASH | {name.replace("__", "."): value for name, value in changes.items()}


@pytest.mark.parametrize("words", [ENGLISH, CHINESE, GERMAN], ids=["english", "chinese", "german"])
def test_what_is_written_is_read_again(words: Words) -> None:
    """A definition, typed out, is read as the same one: money, times in its zone, percentages, lists."""
    form = typed(value__minor=words.typed(5), funders=f"platform {words.typed(60)}\nbrand {words.typed(40)}")
    definition, errors = read_typed(form, words)
    assert errors == {}
    assert definition.starts_at == "2026-11-22T02:00:00.000Z"
    assert read_typed(write_typed(definition, words), words) == (definition, {})


@pytest.mark.parametrize(("words", "small"), [(ENGLISH, "off an order of CN¥30 or more"), (CHINESE, "订单满 ¥30 立减")])
def test_an_offer_says_what_the_sentence_says(words: Words, small: str) -> None:
    """An order of just as much is enough, and both say so."""
    offer = offer_of({"type": "amount_off", "minor": 500, "threshold_minor": 3000}, "CNY", words)
    assert offer == Offer(words.price(500, "CNY"), small)


@pytest.mark.parametrize(
    ("changes", "words", "says"),
    [
        ({}, ENGLISH, "CN¥5 off orders over CN¥30, one per person, 22 Nov 2026 10:00–10:05"),
        ({}, CHINESE, "满 ¥30 减 ¥5，每人一张，2026年11月22日 10:00–10:05"),
        ({"value__minor": ""}, ENGLISH, "… off orders over CN¥30, one per person, 22 Nov 2026 10:00–10:05"),
        (
            {"value__type": "percent", "value__basis_points": "12.5", "value__cap_minor": "9", "ends_at": ""},
            ENGLISH,
            "12.5% off, at most CN¥9, one per person, …",
        ),
        ({"value__threshold_minor": ""}, ENGLISH, f"CN¥5 off any order, one per person, {WHEN}"),
        ({"value__threshold_minor": ""}, CHINESE, f"任意订单减 ¥5，每人一张，{WHEN_ZH}"),
        (
            {"value__every": "yes", "value__cap_minor": "20", "limits__per_holder": "3"},
            ENGLISH,
            f"CN¥5 off for every CN¥30, at most CN¥20, 3 per person, {WHEN}",
        ),
        (
            {"value__type": "percent", "value__basis_points": "20", "value__cap_minor": "50"},
            CHINESE,
            f"立减 20%，最多减 ¥50，每人一张，{WHEN_ZH}",
        ),
        (
            {"value__type": "fixed_price", "value__minor": "9.9"},
            ENGLISH,
            f"One article for CN¥9.90, one per person, {WHEN}",
        ),
        ({"value__type": "fixed_price", "value__minor": "9.9"}, CHINESE, f"单件 ¥9.90，每人一张，{WHEN_ZH}"),
        ({"value__type": "gift_item", "value__sku": "MUG"}, ENGLISH, f"MUG as a gift, one per person, {WHEN}"),
        ({"value__type": "gift_item", "value__sku": "MUG"}, CHINESE, f"赠送 MUG，每人一张，{WHEN_ZH}"),
        ({"value__type": "free_shipping"}, ENGLISH, f"Free shipping, one per person, {WHEN}"),
        (
            {"value__type": "free_shipping", "value__cap_minor": "12"},
            CHINESE,
            f"免运费，最多 ¥12，每人一张，{WHEN_ZH}",
        ),
        ({"value__type": "balance", "value__minor": "100"}, ENGLISH, f"CN¥100 to spend, one per person, {WHEN}"),
        (
            {"value__type": "balance", "value__minor": "100", "limits__per_holder_per_day": "1"},
            CHINESE,
            f"可用 ¥100，每人一张，每天 1 张，{WHEN_ZH}",
        ),
        (
            {"conditions__first_order": "yes", "conditions__quantity_min": "3"},
            CHINESE,
            f"首单满 ¥30 减 ¥5（须满 3 件），每人一张，{WHEN_ZH}",
        ),
        (
            {"ends_at": "2026-11-24T10:00"},
            ENGLISH,
            "CN¥5 off orders over CN¥30, one per person, 22 Nov 2026 10:00 – 24 Nov 2026 10:00",
        ),
    ],
)
def test_the_sentence(changes: dict[str, str], words: Words, says: str) -> None:
    """In the reader's language and the campaign's zone; what is missing is an ellipsis."""
    assert sentence(read_typed(typed(**changes), words)[0], words) == says


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("value.minor", "5.001"),
        ("value.minor", "5.000"),
        ("value.minor", "1e3"),
        ("value.minor", "90071992547409.92"),
        ("stock", "1.5"),
        ("stock", "1.000"),
        ("stock", "1_0"),
        ("stock", "²"),
        ("starts_at", "10:00"),
        ("starts_at", "0000-01-01T00:00"),
        ("funders", "x"),
    ],
    ids=[
        *("finer", "zeros", "exponent", "too much", "half", "point", "underscore", "squared", "no day"),
        *("year 0", "no share"),
    ],
)
def test_what_can_not_be_read(name: str, text: str) -> None:
    """It is said at its field, and is no value that the rules allow."""
    assert list(read_typed(typed() | {name: text}, ENGLISH)[1]) == [name]


@pytest.mark.parametrize("at", ["2027-03-28T02:30", "2027-10-31T02:30"], ids=["skipped", "twice"])
def test_a_time_that_is_no_one_instant(at: str) -> None:
    """It is refused, and not moved by an hour; in a form that nobody touched it stays what it was."""
    form = typed(timezone="Europe/Berlin", starts_at=at, ends_at="2027-11-01T04:00")
    assert list(read_typed(form, ENGLISH)[1]) == ["starts_at"]
    definition, errors = read_typed(form, ENGLISH, {"starts_at": "2027-10-31T01:30:00.123Z"})
    assert (definition.starts_at, errors) == ("2027-10-31T01:30:00.123Z", {})


def test_differences_read_as_the_form_asks() -> None:
    """By label, money in its currency, times in the campaign's zone, choices in words; states too."""
    old, _ = read_typed(typed(), ENGLISH)
    new, _ = read_typed(
        typed(value__type="percent", value__basis_points="20", value__cap_minor="50", value__threshold_minor="",
              transferable="yes", on_expiry__stock="restore", ends_at="2026-11-22T10:06", scope__stores="a, b"),
        ENGLISH,
    )  # fmt: skip
    assert [tuple(each) for each in differences(old, new, ENGLISH)] == [
        ("What a coupon gives", "An amount off", "A percentage off"),
        ("Amount", "CN¥5.00", "–"),
        ("On orders over", "CN¥30.00", "–"),
        ("Percent off", "–", "20%"),
        ("At most", "–", "CN¥50.00"),
        ("May be passed on to somebody else", "no", "yes"),
        ("Ends", "22 Nov 2026, 10:05:00", "22 Nov 2026, 10:06:00"),
        ("Stores", "–", "a, b"),
        ("After expiry, its unit", "is used up", "is free again"),
    ]
    yens = msgspec.structs.replace(old, currency="JPY")
    assert ("Amount", "CN¥5.00", "JP¥500") in [tuple(each) for each in differences(old, yens, ENGLISH)]
    assert [tuple(each) for each in states(Stored.DRAFT, Stored.SCHEDULED, ENGLISH)] == [("State", "Draft", "Started")]


def test_the_story_of_a_campaign() -> None:
    """Versions and stock as one, the newest first, with both of two people by name; the first stock is no act."""
    at, (definition, _) = datetime(2026, 11, 22, tzinfo=UTC), read_typed(typed(), ENGLISH)
    both = "user:ann, approved by key:ab Bob C (pr_0f3c)"
    past = [
        Past(number, state, definition, who, at + timedelta(hours=number))
        for number, state, who in (
            (4, Stored.SCHEDULED, both), (3, Stored.PAUSED, "user:ann"), (2, Stored.SCHEDULED, "user:ann"),
            (1, Stored.DRAFT, "user:ann"),
        )
    ]  # fmt: skip
    moved = [
        Adjusted(key=key, delta=delta, reason="<b>", actor=both, steps=[Step(0, delta, "done", total=total)],
                 state=state, requested_at=at + timedelta(hours=hour))
        for key, delta, total, state, hour in (
            ("k", 5, 15, "done", 5), ("f", -50, None, "refused", 6), (INITIAL, 10, 10, "done", 2),
        )
    ]  # fmt: skip
    told = acts(past, moved, ENGLISH, 10)
    assert [(each.what, each.who) for each in told] == [
        ("Stock could not be moved", "ann, approved by key:ab Bob C"), ("Restocked", "ann, approved by key:ab Bob C"),
        ("Resumed", "ann, approved by key:ab Bob C"), ("Paused", "ann"), ("Started", "ann"), ("Draft made", "ann"),
    ]  # fmt: skip
    assert [tuple(each) for each in told[1].changes] == [("Left", "10", "15")]
    assert [each.what for each in acts(past[:2], [], ENGLISH, 10)] == ["Resumed"], "what version 3 did is not known"


def test_the_curve_is_steps() -> None:
    """Stock stays until it moves; nothing that moved is no curve."""
    at = datetime(2026, 11, 22, tzinfo=UTC)
    drawn = curve([Moved(at + timedelta(seconds=n), delta) for n, delta in enumerate((10, -5, -5))], 9)
    assert drawn is not None
    assert [left for _, left in drawn.points] == [10, 5, 0]
    assert drawn.line == "M0 2.0H294.0V60.0H588.0V118.0H600"
    later = curve([Moved(at, 10, 0), Moved(at, -4, 3), Moved(at + timedelta(days=9), 3, 10)], 9)
    assert later is not None
    assert (len(later.points), later.later) == (2, (at + timedelta(days=9), 9))
    assert curve([], 9) is None
