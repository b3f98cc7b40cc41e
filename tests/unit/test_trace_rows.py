"""What a trace may say, and that whatever it may not say is named by its line and column."""

import gzip
from datetime import date
from pathlib import Path

import pytest

from loadtest.trace.discount import Discount, parse_discount
from loadtest.trace.rows import PROBLEMS_MAX, NotATrace, parse, read_trace
from tests.traces import CENTS, HEADER, lines, trace, written

ROW = "u1,7,c1,30:5,0,20160703"


@pytest.mark.parametrize(
    ("text", "minor_per_major", "discount"),
    [
        ("30:5", 100, Discount(0, 3000, 500, 3000, 500)),
        ("30:5", 1, Discount(0, 30, 5, 30, 5)),
        ("30.5:1.25", 100, Discount(0, 3050, 125, 3050, 125)),
        ("5:5", 1000, Discount(0, 5000, 5000, 5000, 5000)),
        ("0.9", 100, Discount(10, 0, 0, 10_000, 1000)),
        ("0.85", 1, Discount(15, 0, 0, 100, 15)),
        ("0.05", 100, Discount(95, 0, 0, 10_000, 9500)),
    ],
)
def test_both_forms_of_a_discount(text: str, minor_per_major: int, discount: Discount) -> None:
    """An amount off from a threshold and a rate are in minor units, with the order that proves what they take off."""
    assert parse_discount(text, minor_per_major) == discount


def test_a_discount_is_the_value_of_a_campaign() -> None:
    """Threshold and amount, or basis points with a cap that no rate reaches."""
    assert parse_discount("30:5", CENTS).value() == {"type": "amount_off", "minor": 500, "threshold_minor": 3000}
    assert parse_discount("0.9", CENTS).value() == {"type": "percent", "basis_points": 1000, "cap_minor": 10_000}


def test_a_trace_is_read_as_it_is(tmp_path: Path) -> None:
    """Columns in any order, others left alone, rows without a coupon left out, blank lines skipped, gzipped or not."""
    text = [
        "Date,Coupon_id,Extra,User_id,Merchant_id,Date_received,Discount_rate",
        "20160709,c1,x,u1,7,20160703,30:5",
        "",
        "20160709,null,x,u1,7,null,null",
        "null,c2,x,U-2,m_9,20160704,0.9",
    ]
    plain = written(tmp_path, text)
    packed = tmp_path / "trace.gz"
    packed.write_bytes(gzip.compress(b"\xef\xbb\xbf" + plain.read_bytes()))

    found = read_trace(plain, CENTS)

    assert [(row.line, row.user, row.merchant, row.coupon, row.used) for row in found.rows] == [
        (2, "u1", "7", "c1", date(2016, 7, 9)),
        (5, "U-2", "m_9", "c2", None),
    ]
    assert (found.without_coupon, found.rows[1].discount.percent) == (1, 10)
    assert read_trace(packed, CENTS) == found
    assert [row.coupon for row in read_trace(plain, CENTS, frozenset({"c2"})).rows] == ["c2"]


WRONG = [
    ("u 1,7,c1,30:5,0,20160703", "User_id: 'u 1' is no id"),
    (",7,c1,30:5,0,20160703", "User_id: '' is no id"),
    (f"{'u' * 65},7,c1,30:5,0,20160703", "User_id: "),
    ("u1,ü,c1,30:5,0,20160703", "Merchant_id: 'ü' is no id"),
    ("u1,7,C1,30:5,0,20160703", "Coupon_id: 'C1' is no id: 0-9 a-z hyphen"),
    (f"u1,7,{'c' * 31},30:5,0,20160703", "Coupon_id: "),
    ("u1,7,c1,fixed,0,20160703", "Discount_rate: 'fixed' is neither like 30:5"),
    ("u1,7,c1,30:,0,20160703", "Discount_rate: '30:' is neither"),
    ("u1,7,c1,1.0,0,20160703", "Discount_rate: '1.0' is neither"),
    ("u1,7,c1,0.0,0,20160703", "Discount_rate: '0.0' leaves nothing to pay"),
    ("u1,7,c1,5:30,0,20160703", "Discount_rate: '5:30' takes nothing off, or more"),
    ("u1,7,c1,30:0,0,20160703", "Discount_rate: '30:0' takes nothing off"),
    ("u1,7,c1,30:0.005,0,20160703", "Discount_rate: 0.005 is finer than the currency's smallest unit"),
    ("u1,7,c1,30:5,0,2016-07-03", "Date_received: '2016-07-03' is no day like 20160703"),
    ("u1,7,c1,30:5,0,20160231", "Date_received: there is no day 20160231"),
    ("u1,7,c1,30:5,0,null", "Date_received: 'null' is no day"),
    ("u1,7,c1,30:5,0", "5 fields, but the first line names 6"),
    ("u1,8,c0,30:5,0,20160703", "Merchant_id: 8 of coupon c0, which had 7 on line 2"),
    ("u1,7,c0,0.9,0,20160703", "Discount_rate: 0.9 of coupon c0, which had 30:5 on line 2"),
]


@pytest.mark.parametrize(("line", "what"), WRONG)
def test_a_wrong_field_is_named_by_line_and_column(line: str, what: str) -> None:
    """Each wrong field is told with its line and column; the lines around it are no reason to hide it."""
    with pytest.raises(NotATrace) as error:
        parse([HEADER, "u0,7,c0,30:5,0,20160703", line, "u9,7,c9,30:5,0,20160703"], CENTS)

    [problem] = error.value.problems
    assert problem.startswith(f"line 3: {what}")


def test_a_redemption_is_on_a_day_not_before_its_claim() -> None:
    """The day of use is a day, and none before the coupon was received."""
    assert trace("u1 c1 03 20160703").rows[0].used == date(2016, 7, 3)
    for used in ("20160702", "soon"):
        with pytest.raises(NotATrace, match=r"^line 2: Date: "):
            trace(f"u1 c1 03 {used}")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ([], "line 1: it needs the column User_id, once"),
        ([HEADER.replace("Coupon_id", "Coupon")], "line 1: it needs the column Coupon_id, once"),
        ([f"{HEADER},User_id"], "line 1: it needs the column User_id, once"),
        ([HEADER], "there is no claim in it"),
        ([HEADER, ROW, 'u1,7,"c1,30:5'], "line 3: unexpected end of data"),
    ],
)
def test_a_file_that_is_no_trace_says_why(text: list[str], what: str) -> None:
    """A missing or doubled column, nothing to play and broken quotes are told, not met as a failure of the program."""
    with pytest.raises(NotATrace) as error:
        parse([f"{line}\n" for line in text], CENTS)

    assert error.value.problems[0] == what


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\xff\xfe", "it is not UTF-8"),
        (gzip.compress(HEADER.encode() * 99, mtime=0)[:40], "it is gzipped, and damaged"),
    ],
    ids=["encoding", "broken off"],
)
def test_a_damaged_file_says_so(tmp_path: Path, content: bytes, what: str) -> None:
    """Another encoding, or a download that broke off."""
    path = tmp_path / "trace"
    path.write_bytes(content)

    with pytest.raises(NotATrace, match=what):
        read_trace(path, CENTS)


def test_enough_problems_are_enough() -> None:
    """A file that is something else altogether is told by its first lines, not by a million of them."""
    with pytest.raises(NotATrace) as error:
        parse([HEADER, *["?" * 3] * 1000], CENTS)

    assert len(error.value.problems) == PROBLEMS_MAX + 1


def test_a_coupon_that_is_not_in_the_file_is_named() -> None:
    """Asked for one coupon that nobody claimed, there is nothing to play, and it says of which."""
    with pytest.raises(NotATrace, match="no claim in it of c9"):
        parse(lines("u1 c1 03"), CENTS, frozenset({"c9"}))
