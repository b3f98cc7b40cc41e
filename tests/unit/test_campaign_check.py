"""What a definition has to be: every rule that is broken is named, with its field, and nothing else is."""

from typing import Any

import msgspec
import pytest

from gateway.campaigns.check import checked
from gateway.campaigns.definition import Definition, read_definition, write_definition
from gateway.errors import Refusal
from gateway.wire import read_json

NOW_MS = 1_795_000_000_000  # 2026-11-18
TWO_TO_53 = 1 << 53


def a_body(**changes: Any) -> dict[str, Any]:
    """A definition as in DESIGN's contract; *changes* by dotted name, DROP takes a field out."""
    body: dict[str, Any] = {
        "id": "flash-1",
        "name": "Summer flash",
        "currency": "CNY",
        "stock": 100_000,
        "value": {"type": "amount_off", "minor": 500, "threshold_minor": 3000},
        "limits": {"per_holder": 1, "per_holder_per_day": None, "per_day": None, "budget_minor": None},
        "starts_at": "2026-11-22T10:00:00Z",
        "ends_at": "2026-11-22T11:00:00Z",
        "timezone": "Asia/Shanghai",
        "validity": {"days": 7},
        "channels": ["app", "web"],
        "shards": 1,
        "funders": [{"account": "platform", "basis_points": 10_000}],
    }
    for name, value in changes.items():
        *path, last = name.split("__")
        place = body
        for part in path:
            place = place[part]
        if value is DROP:
            del place[last]
        else:
            place[last] = value
    return body


DROP = "left out"


def decide(body: dict[str, Any]) -> Definition:
    """What POST /v1/campaigns does with a body before it touches anything."""
    return checked(read_json(msgspec.json.encode(body), Definition), NOW_MS)


ACCEPTED: list[dict[str, Any]] = [
    {},
    {"value": {"type": "amount_off", "minor": 500}},
    {"value": {"type": "percent", "basis_points": 2500, "cap_minor": 1000}},
    {"value": {"type": "fixed_price", "minor": 990}},
    {"value": {"type": "fixed_price", "minor": 990, "cap_minor": 100}, "limits__budget_minor": 100},
    {"value": {"type": "gift_item", "sku": "TEA-1"}},
    {"value": {"type": "free_shipping"}},
    {"value": {"type": "free_shipping", "cap_minor": 800}, "limits__budget_minor": 800},
    {"value": {"type": "balance", "minor": 1000}},
    {"id": "a"},
    {"id": "0" + "-" * 62},
    {"name": "夏日 👩‍👩‍👧 sale"},
    {"name": "x" * 200},
    {"limits__per_holder": 100},
    {"limits__budget_minor": 500},
    {"limits__per_day": 1},
    {"shards": 32, "stock": 32, "limits__per_day": 32, "limits__budget_minor": 16_000},
    {"channels": []},
    {"channels": DROP, "shards": DROP, "funders": DROP, "limits": DROP, "timezone": DROP},
    {"validity": {"until": "2026-11-22T11:00:00Z"}},
    {"starts_at": "2020-01-01T00:00:00Z"},
    {"starts_at": "2026-11-22T18:00:00+08:00"},
    {"funders": [{"account": "platform", "basis_points": 1}, {"account": "brand.a", "basis_points": 9999}]},
    {"stock": (1 << 60) // 1_000_000, "value": {"type": "gift_item", "sku": "x"}},
]


@pytest.mark.parametrize("changes", ACCEPTED, ids=str)
def test_a_definition_within_the_rules_is_accepted_and_survives_storage(changes: dict[str, Any]) -> None:
    """A valid body is accepted, and is the same definition after a way through Postgres' JSON."""
    definition = decide(a_body(**changes))

    assert read_definition(msgspec.json.decode(write_definition(definition))) == definition


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"id": ""}, "id", "1 to 63"),
    ({"id": "Flash"}, "id", "a-z"),
    ({"id": "-a"}, "id", "not a hyphen first"),
    ({"id": "a" * 64}, "id", "1 to 63"),
    ({"id": "a\n"}, "id", "a-z"),
    ({"id": "a/0"}, "id", "a-z"),
    ({"id": "a}b"}, "id", "a-z"),
    ({"name": ""}, "name", "1 to 200"),
    ({"name": "   "}, "name", "not only blanks"),
    ({"name": "x" * 201}, "name", "1 to 200"),
    ({"name": "a\x00b"}, "name", "control"),
    ({"name": "a\nb"}, "name", "control"),
    ({"currency": "cny"}, "currency", "ISO 4217"),
    ({"currency": "XXX"}, "currency", "ISO 4217"),
    ({"currency": "BTC"}, "currency", "ISO 4217"),
    ({"stock": 0}, "stock", "from 1"),
    ({"stock": -5}, "stock", "from 1"),
    ({"stock": (1 << 60) // 1_000_000 + 1}, "stock", "guessed"),
    ({"stock": 10**30}, "stock", "from 1"),
    ({"stock": 3, "shards": 4}, "stock", "4 or more"),
    ({"stock": 10**9, "value": {"type": "balance", "minor": 10**7}}, "stock", "2^53"),
    ({"shards": 0}, "shards", "from 1 to 32"),
    ({"shards": 33}, "shards", "from 1 to 32"),
    ({"value": {"type": "amount_off", "minor": 0}}, "value.minor", "from 1"),
    ({"value": {"type": "amount_off", "minor": TWO_TO_53}}, "value.minor", "below 2^53"),
    ({"value__threshold_minor": -1}, "value.threshold_minor", "from 0"),
    ({"value": {"type": "percent", "basis_points": 0, "cap_minor": 1}}, "value.basis_points", "from 1 to 10000"),
    ({"value": {"type": "percent", "basis_points": 10_001, "cap_minor": 1}}, "value.basis_points", "from 1 to 10000"),
    ({"value": {"type": "percent", "basis_points": 5000, "cap_minor": 0}}, "value.cap_minor", "from 1"),
    ({"value": {"type": "fixed_price", "minor": 0}}, "value.minor", "from 1"),
    ({"value": {"type": "gift_item", "sku": " "}}, "value.sku", "1 to 64"),
    ({"value": {"type": "free_shipping", "cap_minor": -1}}, "value.cap_minor", "from 1"),
    ({"value": {"type": "balance", "minor": -1}}, "value.minor", "from 1"),
    ({"limits__per_holder": 0}, "limits.per_holder", "from 1 to 100"),
    ({"limits__per_holder": 101}, "limits.per_holder", "from 1 to 100"),
    ({"limits__per_holder_per_day": 0}, "limits.per_holder_per_day", "from 1 to 100"),
    ({"limits__per_day": 0}, "limits.per_day", "from 1"),
    ({"limits__per_day": 3, "shards": 4}, "limits.per_day", "from 4 (one a shard)"),
    ({"limits__budget_minor": 0}, "limits.budget_minor", "from 1"),
    ({"limits__budget_minor": 499}, "limits.budget_minor", "500 or more"),
    ({"limits__budget_minor": 1999, "shards": 4}, "limits.budget_minor", "2000 or more"),
    ({"limits__budget_minor": TWO_TO_53}, "limits.budget_minor", "below 2^53"),
    ({"limits__budget_minor": 9, "value": {"type": "free_shipping"}}, "limits.budget_minor", "cap_minor"),
    ({"limits__budget_minor": 9, "value": {"type": "gift_item", "sku": "a"}}, "limits.budget_minor", "cap_minor"),
    ({"starts_at": "2026-11-22"}, "starts_at", "RFC 3339"),
    ({"starts_at": "2026-11-22T10:00:00"}, "starts_at", "offset"),
    ({"starts_at": "1999-12-31T23:59:59Z"}, "starts_at", "between 2000"),
    ({"ends_at": "tomorrow"}, "ends_at", "RFC 3339"),
    ({"ends_at": "9999-12-31T23:59:59Z"}, "ends_at", "and 2200"),
    ({"ends_at": "2026-11-22T10:00:00Z"}, "ends_at", "after starts_at"),
    ({"starts_at": "2020-01-01T00:00:00Z", "ends_at": "2020-01-02T00:00:00Z"}, "ends_at", "in the future"),
    ({"ends_at": "2030-11-22T10:00:00Z", "limits__per_day": 5}, "ends_at", "1098 days"),
    ({"ends_at": "2030-11-22T10:00:00Z", "limits__per_holder_per_day": 1}, "ends_at", "1098 days"),
    ({"timezone": "Mars/Olympus"}, "timezone", "IANA"),
    ({"timezone": "../../etc/passwd"}, "timezone", "IANA"),
    ({"timezone": ""}, "timezone", "IANA"),
    ({"legal_entity": "Main Ltd"}, "legal_entity", "legal entity"),
    ({"legal_entity": ""}, "legal_entity", "legal entity"),
    ({"validity": {}}, "validity", "either"),
    ({"validity": {"days": 1, "until": "2027-01-01T00:00:00Z"}}, "validity", "either"),
    ({"validity": {"days": 0}}, "validity.days", "from 1"),
    ({"validity": {"days": 3651}}, "validity.days", "3650"),
    ({"validity": {"until": "soon"}}, "validity.until", "RFC 3339"),
    ({"validity": {"until": "2026-11-22T10:59:59Z"}}, "validity.until", "not before ends_at"),
    ({"channels": ["app", "app"]}, "channels", "each once"),
    ({"channels": ["app,web"]}, "channels[0]", "a-z"),
    ({"channels": ["app", ""]}, "channels[1]", "1 to 32"),
    ({"channels": [f"c{n}" for n in range(17)]}, "channels", "at most 16"),
    ({"funders": []}, "funders", "1 to 16"),
    ({"funders": [{"account": "a", "basis_points": 9999}]}, "funders", "sum to 10000"),
    ({"funders": [{"account": "a", "basis_points": 5000}] * 2}, "funders", "each account once"),
    ({"funders": [{"account": "A b", "basis_points": 10_000}]}, "funders[0].account", "a-z"),
    (
        {"funders": [{"account": "a", "basis_points": 10_001}, {"account": "b", "basis_points": -1}]},
        "funders[0].basis_points",
        "from 1 to 10000",
    ),
]


@pytest.mark.parametrize(("changes", "field", "rule"), REFUSED, ids=str)
def test_a_broken_rule_names_field_and_rule(changes: dict[str, Any], field: str, rule: str) -> None:
    """A body that breaks one rule is refused with that field and what is allowed there."""
    with pytest.raises(Refusal) as refused:
        decide(a_body(**changes))

    error = refused.value.context["errors"][0]
    assert (refused.value.code, error["field"]) == ("bad_request", field)
    assert rule in error["rule"]
    assert refused.value.detail.startswith(f"{field}: ")


MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"id": DROP}, "id"),
    ({"colour": "red"}, "colour"),
    ({"stock": 1.0}, "stock"),
    ({"stock": "100"}, "stock"),
    ({"stock": True}, "stock"),
    ({"stock": None}, "stock"),
    ({"shards": None}, "shards"),
    ({"value": {"type": "amount_off", "minor": 5.5}}, "value.minor"),
    ({"value": {"type": "balance", "minor": 5, "cap_minor": 5}}, "cap_minor"),
    ({"value": {"type": "magic"}}, "value.type"),
    ({"value": {"minor": 5}}, "value"),
    ({"limits__per_year": 3}, "per_year"),
    ({"limits__per_holder": None}, "limits.per_holder"),
    ({"validity": {"weeks": 1}}, "weeks"),
    ({"funders": [{"account": "a"}]}, "basis_points"),
    ({"channels": "app"}, "channels"),
]


@pytest.mark.parametrize(("changes", "field"), MALFORMED, ids=str)
def test_a_malformed_body_names_the_field(changes: dict[str, Any], field: str) -> None:
    """A field of a wrong type (floats, numbers as text), missing or unknown is refused by name."""
    with pytest.raises(Refusal) as refused:
        decide(a_body(**changes))

    assert refused.value.code == "bad_request"
    assert field in refused.value.detail


def test_all_broken_rules_are_told_at_once() -> None:
    """A body with several mistakes is refused once, with all of them, in the order of the fields."""
    with pytest.raises(Refusal) as refused:
        decide(a_body(id="X", currency="ABC", stock=0, shards=99, limits__per_day=0, timezone="No/Where"))

    fields = [error["field"] for error in refused.value.context["errors"]]
    assert fields == ["id", "currency", "shards", "stock", "limits.per_day", "timezone"]


def test_times_are_kept_in_one_form() -> None:
    """Times with an offset or without milliseconds become UTC with milliseconds."""
    definition = decide(a_body(starts_at="2026-11-22T18:00:00+08:00", validity={"until": "2026-12-01t00:00:00.5z"}))

    assert definition.starts_at == "2026-11-22T10:00:00.000Z"
    assert definition.validity.until == "2026-12-01T00:00:00.500Z"
