"""No input makes a reader fail: whatever arrives is a value or the reader's own refusal."""

from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.requests import Request

from gateway.campaigns.check import checked
from gateway.campaigns.definition import Definition, parse_ms
from gateway.claims import ClaimBody
from gateway.errors import Refusal
from gateway.keys import key_id, make_key
from gateway.routes.paging import make_cursor, read_cursor
from gateway.wire import check_idempotency_key, read_json
from lua.entries import Entry, UnreadableEntry, decode_entry
from tests.builders import now_ms
from tests.entries import ENTRIES

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
FIELDS = ["id", "name", "currency", "stock", "value", "starts_at", "ends_at", "validity", "limits", "timezone",
          "channels", "shards", "funders", "minor", "type", "days", "until", "per_holder"]  # fmt: skip


def record(entry: Entry) -> dict[bytes, bytes]:
    """The stream record of *entry*."""
    seq, count = str(entry.first_seq).encode(), str(entry.count).encode()
    return {b"seq": seq, b"count": count, b"entry": msgspec.msgpack.encode(entry)}


@given(ENTRIES)
def test_every_entry_is_read_as_it_was_written(entry: Entry) -> None:
    """Encoding and decoding an entry of any kind with any members gives that entry."""
    assert decode_entry(record(entry)) == entry


@given(st.dictionaries(st.sampled_from([b"seq", b"count", b"entry", b"x"]), st.binary(max_size=60)))
@example({b"seq": "٣".encode(), b"count": b"1", b"entry": b""})
@example({b"seq": b"9" * 400, b"count": b"1", b"entry": b""})
@example({b"seq": b"1", b"count": b"1", b"entry": b"\x91" * 3000})
def test_no_record_makes_the_entry_reader_fail(fields: dict[bytes, bytes]) -> None:
    """Random fields are an entry or UnreadableEntry, never another exception."""
    try:
        decode_entry(fields)
    except UnreadableEntry as unreadable:
        assert (unreadable.first_seq is None) == (unreadable.count is None)


@given(ENTRIES, st.data())
def test_a_damaged_entry_is_unreadable_or_another_whole_entry(entry: Entry, data: st.DataObject) -> None:
    """One byte changed or the end cut off: read as an entry that covers what the record says, or refused."""
    fields = record(entry)
    body = bytearray(fields[b"entry"])
    place = data.draw(st.integers(0, len(body) - 1))
    if data.draw(st.booleans()):
        body[place] ^= data.draw(st.integers(1, 255))
    else:
        del body[place:]
    try:
        read = decode_entry({**fields, b"entry": bytes(body)})
    except UnreadableEntry as unreadable:
        assert (unreadable.first_seq, unreadable.count) == (entry.first_seq, entry.count)
    else:
        assert (read.first_seq, read.count) == (entry.first_seq, entry.count)


@given(st.binary(max_size=200) | JSON.map(msgspec.json.encode))
def test_no_body_makes_the_claim_reader_fail(data: bytes) -> None:
    """A claim body or bad_request."""
    try:
        assert isinstance(read_json(data, ClaimBody), ClaimBody)
    except Refusal as refusal:
        assert (refusal.code, refusal.status) == ("bad_request", 400)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=10).map(msgspec.json.encode))
def test_no_body_makes_the_campaign_reader_fail(data: bytes) -> None:
    """A definition that holds, or bad_request with the field."""
    try:
        checked(read_json(data, Definition), now_ms())
    except Refusal as refusal:
        assert refusal.code == "bad_request"
        assert refusal.detail


@given(st.text(max_size=100))
def test_no_text_makes_the_small_readers_fail(text: str) -> None:
    """Times, API keys and Idempotency-Keys: a value or the reader's own refusal."""
    assert parse_ms(text) is None or isinstance(parse_ms(text), int)
    assert key_id(text) is None
    try:
        assert check_idempotency_key([text]) == text
    except Refusal as refusal:
        assert refusal.code == "bad_request"


@given(st.integers(0, 80), st.characters())
def test_a_mistyped_api_key_is_told_from_an_unknown_one(at: int, wrong: str) -> None:
    """Any character of a key changed: the checksum refuses it before any look-up."""
    text = make_key().text
    place = at % len(text)
    changed = text[:place] + wrong + text[place + 1 :]

    assert (key_id(changed) is None) == (changed != text)


@given(st.text(max_size=80))
def test_no_text_makes_the_cursor_reader_fail(text: str) -> None:
    """A cursor of another list, a changed one or none of ours: bad_request naming cursor."""
    with pytest.raises(Refusal, match="cursor"):
        read_cursor(_request(text), list[int], "wallet of ann")
    with pytest.raises(Refusal, match="cursor"):
        read_cursor(_request(make_cursor([1], "wallet of bob")), list[int], "wallet of ann")
    assert read_cursor(_request(make_cursor([1], "wallet of ann")), list[int], "wallet of ann") == [1]


def _request(cursor: str) -> Request:
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "headers": []}
    return Request({**scope, "query_string": urlencode({"cursor": cursor}).encode()})
