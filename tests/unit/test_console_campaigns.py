"""What is typed ⇄ a definition, the sentence a customer would read, and the curve: without a server."""

from datetime import UTC, datetime, timedelta

import pytest
from babel import Locale

from gateway.campaigns.register import Moved
from gateway.console.campaigns.curve import curve
from gateway.console.campaigns.sentence import sentence
from gateway.console.campaigns.typed import Typed, blank, read_typed, write_typed
from gateway.console.locales import Words

ENGLISH, CHINESE, GERMAN = (
    Words(language, Locale.parse(place), "UTC")
    for language, place in (("en", "en_GB"), ("zh_Hans", "zh_Hans_CN"), ("en", "de"))
)
FLASH = {
    "name": "Flash", "id": "flash", "currency": "CNY", "value.minor": "5", "value.threshold_minor": "30",
    "stock": "100",
    "starts_at": "2026-11-22T10:00", "ends_at": "2026-11-22T10:05",
}  # fmt: skip


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
    ],
    ids=["english", "chinese", "unfinished", "percent"],
)
def test_the_sentence(changes: dict[str, str], words: Words, says: str) -> None:
    """In the reader's language and the campaign's zone; what is missing is an ellipsis."""
    assert sentence(read_typed(typed(**changes), words)[0], words) == says


@pytest.mark.parametrize(
    ("name", "text"),
    [("value.minor", "5.001"), ("value.minor", "1e3"), ("stock", "1.5"), ("starts_at", "10:00"), ("funders", "x")],
    ids=["finer", "exponent", "half", "no day", "no share"],
)
def test_what_can_not_be_read(name: str, text: str) -> None:
    """It is said at its field, and is no value that the rules allow."""
    assert list(read_typed(typed() | {name: text}, ENGLISH)[1]) == [name]


def test_a_time_that_the_clock_skips() -> None:
    """It is refused, and not moved by an hour."""
    form = typed(timezone="Europe/Berlin", starts_at="2027-03-28T02:30", ends_at="2027-03-28T04:00")
    assert list(read_typed(form, ENGLISH)[1]) == ["starts_at"]


def test_the_curve_is_steps() -> None:
    """Stock stays until it moves; nothing that moved is no curve."""
    at = datetime(2026, 11, 22, tzinfo=UTC)
    drawn = curve([Moved(at + timedelta(seconds=n), delta) for n, delta in enumerate((10, -5, -5))], 9)
    assert drawn is not None
    assert [left for _, left in drawn.points] == [10, 5, 0]
    assert drawn.line == "M0 2.0H294.0V60.0H588.0V118.0H600"
    assert curve([], 9) is None
