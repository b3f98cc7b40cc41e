"""What may be asked of codes, how a CSV is read, and what a coupon says on paper: no server needed."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.codes import CodeMaker, fold_code, parse_code, read_code, show_code
from gateway.errors import Refusal
from gateway.issuing.batch import Batch, Flight, Kind, Part, Reply, landed, next_flight
from gateway.issuing.csv_lines import LINES_MAX, BadLine, cell, read_lines
from gateway.issuing.wording import until, worth
from lua.keys import CampaignId
from lua.outcomes import Outcome
from tests.integration.campaigning import a_definition


@given(st.text())
def test_a_named_code_never_reads_as_one_made_here(text: str) -> None:
    """Whatever is folded is none of ours, is folded to itself, and has only signs that mean nothing anywhere."""
    code = fold_code(text)
    if code is not None:
        assert parse_code(code) is None
        assert fold_code(code) == read_code(code) == code
        assert code.isascii()
        assert not set(code) & set("=+-@ ,\"'<>&{}")
        assert 4 <= len(code) <= 64


@given(st.integers(1, 1000), st.integers(0, 31))
def test_a_code_made_here_is_never_folded(number: int, shard: int) -> None:
    """It is read as what it is, and shown in groups; a named one of as many characters is shown as it is."""
    code = CodeMaker(number, shard).take(1)[0]

    assert fold_code(code) is None
    assert read_code(f"{code[:9]}-{code[9:]}") == code
    assert show_code(code) == f"{code[:6]}-{code[6:12]}-{code[12:]}"
    assert show_code("ABCDEFGH_JKLMNPQRS") == "ABCDEFGH_JKLMNPQRS"


@given(st.binary(max_size=200))
def test_any_file_is_read_or_refused(data: bytes) -> None:
    """Bytes of any sort are lines with and without codes, or a bad request."""
    try:
        lines = read_lines(data)
    except Refusal as refusal:
        assert refusal.code == "bad_request"
        return
    numbers = [line.line for line in lines.good] + [line.line for line in lines.bad]
    assert len(set(numbers)) == len(numbers)
    assert all(fold_code(line.shown) == line.code for line in lines.good)
    assert all("\0" not in line.text and len(line.text) <= 64 for line in lines.bad)


def test_a_file_has_a_bound() -> None:
    """One line more than may be is refused."""
    with pytest.raises(Refusal) as refused:
        read_lines(b"x\n" * (LINES_MAX + 1))

    assert refused.value.code == "too_large"


@pytest.mark.parametrize("header", ["voucher", "Coupon Code", "coupon_code", "name,Coupon-Code", "VOUCHERS;VALUE"])
def test_a_foreign_header_is_no_code(header: str) -> None:
    """A first line without a digit is told as one that gives no code; codes are in the first column all the same."""
    lines = read_lines(f"{header}\r\nAB12CD34,x\r\nSUMMER\r\n".encode())

    assert lines.bad == [BadLine(1, header.partition(",")[0], "header")]
    assert [line.code for line in lines.good] == ["AB12CD34", "SUMMER"]
    ours = read_lines(b"value,Code\r\nx,SUMMER\r\n")
    assert (ours.bad, [line.code for line in ours.good]) == ([], ["SUMMER"])
    assert [line.code for line in read_lines(b"summer24\r\n").good] == ["SUMMER24"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@A1", "\tx", "\r=1"])
def test_a_cell_is_no_formula(text: str) -> None:
    """What a spreadsheet would run begins with an apostrophe, inside the quotes where there are some."""
    assert cell(text).lstrip('"').startswith("'")
    assert cell('a,"b"') == '"a,""b"""'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (
            {"type": "amount_off", "minor": 500, "threshold_minor": 3000},
            "5.00\u00a0CNY off an order of 30.00\u00a0CNY or more",
        ),
        ({"type": "amount_off", "minor": 500}, "5.00\u00a0CNY off"),
        (
            {"type": "amount_off", "minor": 500, "threshold_minor": 3000, "every": True, "cap_minor": 2000},
            "5.00\u00a0CNY off for every 30.00\u00a0CNY spent, at most 20.00\u00a0CNY",
        ),
        (
            {"type": "percent", "basis_points": 1250, "cap_minor": 123_456_700},
            "12.5 % off, at most 1\u202f234\u202f567.00\u00a0CNY",
        ),
        ({"type": "percent", "basis_points": 2000, "cap_minor": 5000}, "20 % off, at most 50.00\u00a0CNY"),
        ({"type": "fixed_price", "minor": 99}, "An article for 0.99\u00a0CNY"),
        ({"type": "gift_item", "sku": "mug"}, "A free mug"),
        ({"type": "free_shipping"}, "Free shipping"),
        ({"type": "balance", "minor": 5000}, "50.00\u00a0CNY to spend"),
    ],
)
def test_each_kind_of_value_has_its_sentence(value: dict[str, object], text: str) -> None:
    """What a coupon is worth, in words for paper."""

    assert worth(a_definition(value=value)) == text


def test_expiry_is_told_in_the_campaign_s_zone() -> None:
    """Midnight in Shanghai is shown as that."""
    assert until(datetime(2026, 12, 31, 16, tzinfo=UTC), "Asia/Shanghai") == "2027-01-01 00:00 Asia/Shanghai"


def a_batch(shards: int = 2, units: int = 1) -> Batch:
    """A batch of a thousand."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return Batch(
        "cb_1", CampaignId("c"), "k", b"", Kind.SINGLE, 1000, units, now, "who", [Part()] * shards, requested_at=now
    )


def test_a_flight_goes_to_the_fullest_shard() -> None:
    """As many as remain, as a chunk may have, as the stock has; none where no shard has enough for one."""
    assert next_flight(a_batch(), 1000, [10, 700]) == Flight(1, 0, 500)
    assert next_flight(a_batch(), 3, [10, 700]) == Flight(1, 0, 3)
    assert next_flight(a_batch(units=8), 3, [10, 15]) == Flight(1, 0, 1)
    assert next_flight(a_batch(units=16), 3, [10, 15]) is None


def test_what_landed_is_what_the_shard_says() -> None:
    """The count of a batch is the sum of what its shards said last, also where that is less than before."""
    flying = msgspec.structs.replace(a_batch(), flight=Flight(1, 0, 500), parts=[Part(2, 700), Part(0, 0)])
    after = landed(flying, Reply(Outcome.DONE, Part(1, 300), 7))
    lost = landed(msgspec.structs.replace(after, flight=Flight(0, 2, 100)), Reply(Outcome.BEHIND, Part(1, 500), 7))

    assert (after.done, after.flight, after.parts) == (1000, None, [Part(2, 700), Part(1, 300)])
    assert (lost.done, lost.parts) == (800, [Part(1, 500), Part(1, 300)])
