"""The gates of a load test: how they are read, what they refuse, and that nothing passes by doing nothing."""

import pytest

from loadtest.report.result import Check, Gate, Verdict
from loadtest.run.gates import NOTHING, judge_gates, read_gates
from loadtest.run.standing import product_gate, users_gate, verdict_gate, workers_gate
from loadtest.run.timeline import Timeline


def a_timeline() -> Timeline:
    """A hundred claims of 1 to 100 ms and ten redemptions of 500 ms, one of which failed."""
    timeline = Timeline()
    for number in range(1, 101):
        timeline.add("claim", "claimed" if number % 2 else "sold_out", number, number / 10, "", "claim: claimed")
    for number in range(10):
        timeline.add("redeem", "done", 500, 1, "" if number else "status 500", "redeem: done")
    return timeline


def judged(text: str, timeline: Timeline | None = None) -> Gate:
    """The row of the first gate in *text*, after ten seconds."""
    return judge_gates(read_gates(text), timeline or a_timeline(), 10)[0]


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("p99<=100", True),
        ("p99<98", False),
        ("p50<=0.051s", True),
        ("p95 <= 96ms", True),
        ("max<=100", True),
        ("max<100", False),
        ("p99[redeem]<=501", True),
        ("p99[redeem: done]<=400", False),
        ("errors<=1%", True),
        ("errors<=0.5%", False),
        ("errors<=0.01", True),
        ("errors<=0.005", False),
        ("errors[redeem]<=10%", True),
        ("errors[claim]<=0", True),
        ("goodput>=10", True),
        ("goodput>10/s", False),
    ],
)
def test_a_gate_holds_by_what_was_counted(text: str, holds: bool) -> None:
    """Each measure, of claims, of everything or of requests by their name, in each of its units."""
    assert judged(text).holds is holds


def test_a_row_says_what_was_asked_and_found() -> None:
    """With units, as people read them."""
    rows = judge_gates(read_gates("p99<=1.5s, errors<=0.1%,goodput>=500,p95[redeem]<=2s"), a_timeline(), 10)

    assert [(row.name, row.asked, row.found) for row in rows] == [
        ("p99", "<= 1,500 ms", "99.5 ms"),
        ("errors", "<= 0.1 %", "0.909 %"),
        ("goodput", ">= 500/s", "10.0/s"),
        ("p95[redeem]", "<= 2,000 ms", "499 ms"),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("p98<=250", "there is no 'p98'; there are p50, p90, p95, p99, p999, max, errors, goodput"),
        ("p99=250", "'p99=250' is no gate: write a measure, <= or >=, and a bound, as in p99<=250"),
        ("p99<=-3", "is no gate"),
        ("verdict", "is no gate"),
        ("p99>=250", "p99 is compared by < and <="),
        ("errors>0.1%", "errors is compared by < and <="),
        ("goodput<=5", "goodput is compared by > and >="),
        ("errors<=1", "write a bound of errors as in errors<=0.1% or errors<=0.001"),
        ("p99<=250%", "write a bound of p99 as in p99<=250, p99<=250ms or p99<=0.25s"),
        ("goodput>=500ms", "write a bound of goodput as in goodput>=500"),
        ("goodput[redeem]>=5", "goodput is of claims, and of no other requests"),
        ("p99<=250,oops", "'oops' is no gate"),
    ],
)
def test_a_wrong_gate_is_refused_by_its_text(text: str, says: str) -> None:
    """What is wrong is named, and what is allowed; nothing is guessed."""
    with pytest.raises(ValueError, match=r"^--fail-on: ") as refused:
        read_gates(text)

    assert says in str(refused.value)


def test_no_gate_holds_where_nothing_was_asked() -> None:
    """Zero requests fail each of them, also those whose bound is 0, and those of a name that nobody asked for."""
    asks = read_gates("p50<=1,p99<=100,max<=100,errors<=100%,goodput>=0".replace("100%", "99%"))
    rows = judge_gates(asks, Timeline(), 10)

    assert [row.holds for row in rows] == [False] * 5
    assert {row.found for row in rows} == {NOTHING}
    assert not judged("p99[till]<=1000").holds


def test_failures_fail_a_run_that_says_nothing_of_errors() -> None:
    """As Locust ends with 1 for them; whoever names a bound of errors, or exit code 0 for them, decides himself."""
    [row] = judge_gates([], a_timeline(), 10)
    assert (row.name, row.found, row.holds) == ("errors", "1 of 110", False)

    assert judge_gates([], a_timeline(), 10, errors_count=False) == []
    assert [row.holds for row in judge_gates(read_gates("errors<=5%"), a_timeline(), 10)] == [True]


def a_verdict(*violated: int) -> Verdict:
    """A verdict whose checks are violated so often."""
    checks = [
        Check(name=f"c{at}", says="so", checked=9, violated=each, first={"row": at} if each else None)
        for at, each in enumerate(violated)
    ]
    return Verdict(holds=not any(violated), took_s=1.0, checks=checks)


def test_the_verdict_is_a_gate() -> None:
    """It holds where every check does and something was asked; and where nobody could judge, it does not."""
    assert verdict_gate(a_verdict(0, 0), "", 1).holds
    assert verdict_gate(a_verdict(0, 3, 1), "", 1) == Gate(
        name="verdict", asked="every check holds", found="c1, c2", holds=False
    )
    assert verdict_gate(a_verdict(0, 0), "", 0).found == NOTHING
    assert not verdict_gate(a_verdict(0, 0), "", 0).holds
    assert verdict_gate(None, "no PostgreSQL", 1).found == "not judged: no PostgreSQL"
    assert not verdict_gate(None, "no PostgreSQL", 1).holds


def test_a_lost_worker_a_broken_user_and_the_gateway_s_own_verdict_are_gates_too() -> None:
    """Each is there where there is something to say, and fails where it is bad."""
    assert workers_gate(0, []) == []
    assert [gate.holds for gate in workers_gate(2, [])] == [True]
    assert [(gate.holds, gate.found) for gate in workers_gate(2, ["w1"])] == [(False, "1 of 2: without w1")]
    assert users_gate({}) == []
    assert [(gate.holds, gate.found) for gate in users_gate({"oops": 3})] == [(False, "3, as in: oops")]
    assert product_gate(None) == []
    assert [gate.holds for own in (True, False) for gate in product_gate(own)] == [True, False]
