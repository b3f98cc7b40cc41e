"""The file of what claimants were told, read line by line."""

import pytest

from reconciler.verdict.told import NotTold, read_told


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([], "line 1: it has to name the columns code and holder"),
        (["code,user", "A,b"], "line 1: it has to name"),
        (["code,holder", "A,"], "line 2: it names no holder"),
        (["code,holder", "A,b", '"A,b'], "line 3: unexpected end of data"),
    ],
)
def test_a_file_of_answers_that_is_none_is_named_by_line(lines: list[str], reason: str) -> None:
    """What is not of the form is refused with the line it is on."""
    with pytest.raises(NotTold, match=reason):
        read_told(lines)


def test_answers_and_claims_without_one_are_told_apart() -> None:
    """Codes in any spelling, claims without an answer by holder, and a code that was told to two."""
    told = read_told(["holder,other,code", "ann,x,ab-cd ef", ",".join(("bob", "", "")), "bob,,", "eve,,ABCDEF"])

    assert told.coupons == {"ABCDEF": "ann"}
    assert told.unanswered == {"bob": 2}
    assert told.twice == ["ABCDEF"]
