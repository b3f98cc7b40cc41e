"""Flags of `fairclaim campaign create` → the body that is sent, and what is refused before anything is."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.campaigns.check import checked
from gateway.campaigns.definition import Definition
from gateway.cli.campaign_body import Terms, body_from, read_body
from gateway.cli.output import USAGE, Fail
from gateway.wire import read_json

NOW_MS = 1_795_341_600_000


def refused(terms: Terms, base: dict[str, Any] | None = None) -> str:
    """What is said where *terms* are refused, which has to be with USAGE."""
    with pytest.raises(Fail) as fail:
        body_from(terms, base, NOW_MS)
    assert fail.value.exit_code == USAGE
    return fail.value.message


def test_two_flags_and_a_value_make_a_whole_campaign() -> None:
    """An id, a stock and a value suffice: the rest has defaults, open now for an hour, and passes every rule."""
    body = body_from(Terms(id="c", stock=10, off=500), None, NOW_MS)
    definition = checked(read_json(json.dumps(body).encode(), Definition), NOW_MS)

    assert body["value"] == {"type": "amount_off", "minor": 500}
    assert (definition.starts_ms, definition.ends_ms) == (NOW_MS, NOW_MS + 3_600_000)
    assert (definition.name, definition.limits.per_holder, definition.validity.days) == ("c", 1, 7)


VALUES = [
    (Terms(off=500, threshold=3000), {"type": "amount_off", "minor": 500, "threshold_minor": 3000}),
    (Terms(percent=12.5, cap=900), {"type": "percent", "basis_points": 1250, "cap_minor": 900}),
    (Terms(percent=0.29, cap=900), {"type": "percent", "basis_points": 29, "cap_minor": 900}),
    (Terms(fixed_price=99), {"type": "fixed_price", "minor": 99}),
    (Terms(fixed_price=99, cap=500), {"type": "fixed_price", "minor": 99, "cap_minor": 500}),
    (Terms(gift="A1"), {"type": "gift_item", "sku": "A1"}),
    (Terms(free_shipping=True), {"type": "free_shipping"}),
    (Terms(balance=1000), {"type": "balance", "minor": 1000}),
    (Terms(off=0), {"type": "amount_off", "minor": 0}),
]


@pytest.mark.parametrize(("terms", "value"), VALUES)
def test_each_value_has_its_flags(terms: Terms, value: dict[str, Any]) -> None:
    """The flags of each kind of value become that value; zero is said on to the gateway, not taken for no flag."""
    assert body_from(terms, {}, NOW_MS)["value"] == value


REFUSED = [
    (Terms(stock=1, off=1), "--id"),
    (Terms(id="c", off=1), "--stock"),
    (Terms(id="c", stock=1), "worth"),
    (Terms(id="c", stock=1, off=1, percent=1, cap=1), "--off and --percent"),
    (Terms(id="c", stock=1, percent=10), "--cap"),
    (Terms(id="c", stock=1, percent=0.001, cap=1), "--percent"),
    (Terms(id="c", stock=1, gift="A", threshold=1), "--threshold"),
    (Terms(id="c", stock=1, off=1, cap=1), "--cap"),
    (Terms(id="c", stock=1, off=1, valid_days=1, valid_until="2030-01-01T00:00:00Z"), "--valid-days and --valid-until"),
    (Terms(id="c", stock=1, off=1, funders=["platform"]), "--funder"),
    (Terms(id="c", stock=1, off=1, funders=["platform=ten"]), "--funder"),
]


@pytest.mark.parametrize(("terms", "named"), REFUSED)
def test_flags_at_odds_are_refused_by_name(terms: Terms, named: str) -> None:
    """What can't be meant is refused before anything is sent, and the flag is named."""
    assert named in refused(terms)


def test_a_cap_or_threshold_alone_says_nothing() -> None:
    """Over a file, --cap or --threshold without a value is refused rather than ignored."""
    assert "--cap" in refused(Terms(cap=1), {"id": "c"})
    assert "--threshold" in refused(Terms(threshold=1), {"id": "c"})


def test_flags_go_over_the_file_and_the_rest_of_it_stays() -> None:
    """A file's fields stay as they are, no default is added, and a flag replaces its field; limits are merged."""
    base = {"id": "c", "stock": 5, "limits": {"per_holder": 2, "per_day": 9}, "channels": ["app"], "odd": True}
    body = body_from(Terms(stock=7, per_holder=3, channels=["web", "pos"]), base, NOW_MS)

    assert body == {
        "id": "c",
        "stock": 7,
        "limits": {"per_holder": 3, "per_day": 9},
        "channels": ["web", "pos"],
        "odd": True,
    }
    assert base["stock"] == 5


def test_an_end_without_a_start_is_an_hour_after_the_start() -> None:
    """--starts alone moves the end with it."""
    body = body_from(Terms(id="c", stock=1, off=1, starts="2030-01-01T00:00:00Z"), None, NOW_MS)

    assert (body["starts_at"], body["ends_at"]) == ("2030-01-01T00:00:00Z", "2030-01-01T01:00:00.000Z")


def test_every_flag_finds_its_place() -> None:
    """Every term that is given is in the body."""
    terms = Terms(
        id="c", name="N", currency="CNY", stock=1, off=5, per_holder=2, per_holder_per_day=3, per_day=4, budget=50,
        starts="s", ends="e", timezone="Asia/Shanghai", valid_until="u", channels=["app"], shards=2,
        funders=["a=4000", "b=6000"],
    )  # fmt: skip

    assert body_from(terms, None, NOW_MS) == {
        "id": "c",
        "name": "N",
        "currency": "CNY",
        "stock": 1,
        "value": {"type": "amount_off", "minor": 5},
        "limits": {"per_holder": 2, "per_holder_per_day": 3, "per_day": 4, "budget_minor": 50},
        "starts_at": "s",
        "ends_at": "e",
        "timezone": "Asia/Shanghai",
        "validity": {"until": "u"},
        "channels": ["app"],
        "shards": 2,
        "funders": [{"account": "a", "basis_points": 4000}, {"account": "b", "basis_points": 6000}],
    }


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "[" * 100_000, "\x00"])
def test_a_file_that_is_no_json_object_is_refused(tmp_path: Path, text: str) -> None:
    """Whatever is in the file, the refusal is one line that names it."""
    path = tmp_path / "campaign.json"
    path.write_text(text)
    with pytest.raises(Fail) as fail:
        read_body(str(path))

    assert fail.value.exit_code == USAGE
    assert str(path) in fail.value.message
    assert "\n" not in fail.value.message


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    """A missing file, a folder and bytes that are no UTF-8 are refused, not raised."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    for path in (tmp_path / "missing", tmp_path, binary):
        with pytest.raises(Fail):
            read_body(str(path))


def test_a_hyphen_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """``--file -`` reads the body from standard input."""
    monkeypatch.setattr("sys.stdin", io.StringIO('{"id": "c"}'))

    assert read_body("-") == {"id": "c"}
