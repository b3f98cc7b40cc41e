"""Files of orders from outside, read piece by piece."""

import pytest

from reconciler.outside.differences import csv_of
from reconciler.outside.matching import Difference, Group, Summary, likely
from reconciler.outside.reading import FAULTS_MAX, FaultyFile, Reader


def read(data: bytes, currency: str = "CNY", piece: int = 7) -> list[tuple[str, ...]]:
    """Line, order and minor of every row."""
    reader = Reader("of_1", currency)
    text = "".join(reader.feed(data[at : at + piece]) for at in range(0, len(data), piece)) + reader.finish()
    rows = [tuple(line.split("\t")[1:]) for line in text.splitlines()]
    assert reader.rows == len(rows)
    return rows


@pytest.mark.parametrize("piece", [1, 5, 1000])
def test_pieces_of_any_size_give_the_same_rows(piece: int) -> None:
    """A line may be cut anywhere; a byte order mark, line ends of either kind, quotes and blank lines are no matter."""
    data = '\ufefforder_id,who,minor\r\no-1,"a,b",500\r\n\r\n"o ""2""",x,0\n ö-3 ,,42'.encode()

    assert read(data, piece=piece) == [("2", "o-1", "500"), ("4", 'o "2"', "0"), ("5", "ö-3", "42")]


@pytest.mark.parametrize(
    ("currency", "text", "minor"),
    [
        ("CNY", "12.5", "1250"),
        ("CNY", "12", "1200"),
        ("JPY", "12", "12"),
        ("KWD", "0.125", "125"),
        ("IQD", "0.125", "125"),
    ],
)
def test_amounts_are_in_the_currency(currency: str, text: str, minor: str) -> None:
    """As many decimals as the currency has, and no float in between."""
    assert read(f"Amount,Order_ID\n{text},o-1".encode(), currency) == [("2", "o-1", minor)]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "line 1: the file is empty"),
        (b"order_id,price\no,1", "line 1: it has to name the columns order_id, and minor or amount"),
        (b"order_id,minor,amount\no,1,1", "line 1: it has to name"),
        (b"order_id,minor\no-1", "line 2: it has fewer columns"),
        (b"order_id,minor\n,1", "line 2: order_id: 1 to 255"),
        (b"order_id,minor\no,-1", "line 2: minor: a whole number"),
        (b"order_id,minor\no,1.5", "line 2: minor: a whole number"),
        (b"order_id,amount\no,1.234", "line 2: amount: a number with a point and at most 2 decimals"),
        (b"order_id,amount\no,1e3", "line 2: amount"),
        (b'order_id,minor\n"o,1', "line 2: unexpected end of data"),
        (b"order_id,minor\n\xff,1", "line 2: it is not UTF-8"),
        (b"order_id,minor\n" + b"x" * 70_000, "line 2: the line is too long"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(data: bytes, fault: str) -> None:
    """No file with a wrong line is taken."""
    with pytest.raises(FaultyFile, match=fault):
        read(data, piece=1000)


def test_every_wrong_line_is_named_up_to_a_bound() -> None:
    """All of them where they are few; reading ends at the bound."""
    with pytest.raises(FaultyFile) as few:
        read(b"order_id,minor\na,x\nb,1\nc,y\n", piece=1000)
    assert [fault.line for fault in few.value.faults] == [2, 4]
    with pytest.raises(FaultyFile) as many:
        read(b"order_id,minor\n" + b"a,x\n" * 1000, piece=1000)
    assert len(many.value.faults) == FAULTS_MAX


def test_a_spreadsheet_takes_no_order_for_a_formula() -> None:
    """Text that a spreadsheet would run has a quote before it; numbers are numbers, and what is missing is empty."""
    difference = Difference("=1+1", "missing_here", 2, 1, 0, None, 500, "")

    assert csv_of(None) == "order_id,outcome,line,lines,redemptions,here_minor,there_minor,note\r\n"
    assert csv_of([difference]) == "'=1+1,missing_here,2,1,0,,500,\r\n"


def test_what_is_likely_follows_from_what_was_found() -> None:
    """A cause an outcome, and none where there is none."""
    nothing = Group()
    summary = Summary(2, nothing, nothing, Group(1), Group(1), nothing, nothing)

    assert likely(summary) == (
        "orders were cancelled there and not rolled back here, or the file is cut short; "
        "a refund was booked on one side only"
    )
