"""What a rollback gives back: the rest, an amount, or lines, and how partial ones add up."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Refusal
from gateway.worth.allot import allot
from gateway.worth.refund import LineAsk, Parts, RefundAsk, refund_of

STORED = Parts((250, 0, 50), 100, (300, 100))
NOTHING = Parts.zero_like(STORED)


def refused(ask: RefundAsk, given_back: Parts = NOTHING) -> Refusal:
    """The refusal that *ask* has to meet."""
    with pytest.raises(Refusal) as refusal:
        refund_of(STORED, given_back, ask)
    return refusal.value


@pytest.mark.parametrize(
    ("ask", "parts"),
    [
        (RefundAsk(), STORED),
        (RefundAsk(amount_minor=400), STORED),
        (RefundAsk(amount_minor=200), Parts((125, 0, 25), 50, (150, 50))),
        (RefundAsk(amount_minor=1), Parts((1, 0, 0), 0, (1, 0))),
        (RefundAsk(amount_minor=3), Parts((2, 0, 0), 1, (2, 1))),
        (RefundAsk(lines=(LineAsk(0),)), Parts((250, 0, 0), 0, (188, 62))),
        (RefundAsk(lines=(LineAsk(2, 20),)), Parts((0, 0, 20), 0, (15, 5))),
        (RefundAsk(lines=(LineAsk(2), LineAsk(0, 1))), Parts((1, 0, 50), 0, (38, 13))),
    ],
    ids=str,
)
def test_a_rollback_gives_back(ask: RefundAsk, parts: Parts) -> None:
    """The rest, an amount in proportion to what is left, or what is asked of lines; funders share it."""
    assert refund_of(STORED, NOTHING, ask) == parts
    assert parts.minor == sum(parts.funders)


def test_the_last_of_several_gives_back_the_exact_rest() -> None:
    """Of each line, of shipping and of each funder, whatever was rounded before."""
    first = refund_of(STORED, NOTHING, RefundAsk(amount_minor=133))
    second = refund_of(STORED, first, RefundAsk(lines=(LineAsk(0, 77),)))
    so_far = first.plus(second)
    last = refund_of(STORED, so_far, RefundAsk())

    assert so_far.plus(last) == STORED
    assert refund_of(STORED, so_far, RefundAsk(amount_minor=400 - 133 - 77)) == last


def test_more_than_is_left_is_refused_with_what_is_left() -> None:
    """The amount that can still be given back is in the refusal, the line's where a line was asked for."""
    so_far = Parts((250, 0, 0), 50, (225, 75))

    whole = refused(RefundAsk(amount_minor=101), so_far)
    line = refused(RefundAsk(lines=(LineAsk(2, 51),)), so_far)
    empty = refused(RefundAsk(lines=(LineAsk(2, 1), LineAsk(0))), so_far)
    nothing_left = refused(RefundAsk(), STORED)

    assert {each.code for each in (whole, line, empty, nothing_left)} == {"rollback_exceeds"}
    assert [each.context["left_minor"] for each in (whole, line, empty, nothing_left)] == [100, 50, 0, 0]
    assert [each.context.get("field") for each in (whole, line, empty)] == [
        None,
        "lines[0].discount_minor",
        "lines[1].discount_minor",
    ]


@pytest.mark.parametrize(
    ("ask", "field"),
    [
        (RefundAsk(amount_minor=0), "amount_minor"),
        (RefundAsk(amount_minor=-5), "amount_minor"),
        (RefundAsk(amount_minor=1 << 53), "amount_minor"),
        (RefundAsk(amount_minor=5, lines=(LineAsk(0),)), "lines"),
        (RefundAsk(lines=()), "lines"),
        (RefundAsk(lines=(LineAsk(3),)), "lines[0].index"),
        (RefundAsk(lines=(LineAsk(-1),)), "lines[0].index"),
        (RefundAsk(lines=(LineAsk(0, 1), LineAsk(0, 1))), "lines[1].index"),
        (RefundAsk(lines=(LineAsk(0, 0),)), "lines[0].discount_minor"),
    ],
    ids=str,
)
def test_what_can_t_be_asked_is_named(ask: RefundAsk, field: str) -> None:
    """Lines that are not there or come twice, amounts below one, and both at once are bad requests."""
    refusal = refused(ask)

    assert (refusal.code, refusal.context["errors"][0]["field"]) == ("bad_request", field)


amounts = st.integers(0, 5) | st.integers(0, 1 << 44)


@st.composite
def redemptions(draw: st.DrawFn) -> Parts:
    """What was taken of 1 to 6 lines and shipping, and how 1 to 3 funders paid it."""
    lines = tuple(draw(st.lists(amounts, min_size=1, max_size=6)))
    shipping = draw(amounts) + (not any(lines))
    points = draw(st.lists(st.integers(1, 10_000), min_size=1, max_size=3))
    return Parts(lines, shipping, tuple(allot(sum(lines) + shipping, points)))


@st.composite
def _asks(draw: st.DrawFn, left: Parts) -> RefundAsk:
    """Something that can be asked while *left* is left."""
    places = [at for at, minor in enumerate(left.lines) if minor]
    how = draw(st.sampled_from(("rest", "amount", "amount", "lines") if places else ("rest", "amount")))
    if how == "rest":
        return RefundAsk()
    if how == "amount":
        return RefundAsk(amount_minor=draw(st.integers(1, min(left.minor, 3)) | st.integers(1, left.minor)))
    chosen = draw(st.lists(st.sampled_from(places), min_size=1, unique=True))
    return RefundAsk(lines=tuple(LineAsk(at, draw(st.none() | st.integers(1, left.lines[at]))) for at in chosen))


@settings(deadline=None)
@given(stored=redemptions(), data=st.data())
def test_partial_rollbacks_always_end_at_what_was_taken(stored: Parts, data: st.DataObject) -> None:
    """However much is asked in whichever way: no part is ever overdrawn, and the end is exact to the unit."""
    so_far = Parts.zero_like(stored)
    for _ in range(data.draw(st.integers(0, 8))):
        left = stored.less(so_far)
        if left.minor == 0:
            break
        ask = data.draw(_asks(left))
        back = refund_of(stored, so_far, ask)

        assert back == refund_of(stored, so_far, ask)
        assert back.minor == sum(back.funders) >= 1
        assert ask.amount_minor in (None, back.minor)
        so_far = so_far.plus(back)
        rest = stored.less(so_far)
        assert min(*rest.lines, rest.shipping_minor, *rest.funders) >= 0

    if so_far != stored:
        so_far = so_far.plus(refund_of(stored, so_far, RefundAsk()))
    assert so_far == stored
