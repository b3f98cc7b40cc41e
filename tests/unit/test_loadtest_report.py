"""The report of a run as a page: what it says first, in its tables and sentences, and that nothing in it breaks out."""

import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from loadtest.report.__main__ import NOT_WRITTEN, USAGE, main
from loadtest.report.charts import sheet_of
from loadtest.report.course import POINTS_MAX, course_of
from loadtest.report.headline import headline_of
from loadtest.report.html import render
from loadtest.report.result import Campaign, Failure, Gate, Mark, Request, Result, Verdict
from loadtest.report.tables import tables_of
from tests.run_results import a_check, a_red_result, a_result, an_empty_result
from vendored import UPLOT

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>'\"&\u2028<!--"
SIX_HOURS = 21_600


class Parts(HTMLParser):
    """The elements of a page with their attributes, and what it says outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {}
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open = tag

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        self.inside.setdefault(self._open, []).append(data)

    @property
    def words(self) -> str:
        """What people read."""
        texts = (text for tag, texts in self.inside.items() if tag not in ("script", "style") for text in texts)
        return re.sub(r"\s+", " ", " ".join(texts))


def embedded(page: str) -> Any:
    """The figures that the charts are drawn of."""
    return json.loads(next(text for text in Parts(page).inside["script"] if text.startswith("{")))


def hostile_result() -> Result:
    """A run all of whose texts are an attack."""
    check = msgspec.structs.replace(a_check("limit", 1), name=HOSTILE, says=HOSTILE, first={HOSTILE: HOSTILE})
    given = a_result(20, campaigns=(HOSTILE,))
    outcomes = {**given.seconds.outcomes, HOSTILE: [1] * 20}
    return msgspec.structs.replace(
        given,
        run=HOSTILE,
        shape=HOSTILE,
        host=HOSTILE,
        settings={HOSTILE: HOSTILE},
        clean=False,
        campaigns=[Campaign(id=HOSTILE, stock=1, limit=1, granted=1, left=0)],
        verdict=Verdict(holds=False, took_s=1, checks=[check]),
        gates=[Gate(name=HOSTILE, asked=HOSTILE, found=HOSTILE, holds=False)],
        outcomes={HOSTILE: 20},
        requests=[Request(name=HOSTILE, count=1, failures=1, per_s=1, p50_ms=1, p95_ms=1, p99_ms=1, max_ms=1)],
        failures=[Failure(name=HOSTILE, says=HOSTILE, count=1)],
        seconds=msgspec.structs.replace(given.seconds, outcomes=outcomes),
        marks=[Mark(at_s=1.0, says=HOSTILE)],
    )


def test_nothing_that_was_named_becomes_markup() -> None:
    """Names, rows and texts that are an attack make no element, no attribute and no end of a script."""
    page, plain = Parts(render(hostile_result())), Parts(render(a_result(20)))

    assert {tag for tag, _ in page.elements} == {tag for tag, _ in plain.elements}
    assert [attributes for tag, attributes in page.elements if tag == "script"] == [
        {"type": "application/json", "id": "sheet"},
        {},
    ]
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "<script>alert(1)" in page.words  # it is shown, as text
    assert embedded(render(hostile_result()))["marks"] == [[1.0, HOSTILE]]


def test_the_page_needs_nobody_else() -> None:
    """It loads nothing: every address in it is its own anchor, empty data, or a word of a comment or of the host."""
    page = render(a_result())
    parts = Parts(page)
    addresses = [
        value or "" for _, attributes in parts.elements for name, value in attributes.items()
        if name in ("href", "src", "action", "srcset", "data", "poster")
    ]  # fmt: skip

    assert all(address.startswith("#") or address == "data:," for address in addresses), addresses
    assert not re.search(r"url\(|@import", "".join(parts.inside["style"]))
    assert set(re.findall(r"https?://[^\s\"'<)]+", page)) == {
        "http://127.0.0.1:8080",
        "https://github.com/leeoniya/uPlot",
    }
    policy = next(a["content"] for tag, a in parts.elements if tag == "meta" and "http-equiv" in a)
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy


def test_the_licence_comes_along() -> None:
    """Whoever gets the page gets the licence of what draws its charts."""
    assert UPLOT.text("LICENSE") in render(a_result(1))


def test_the_same_result_gives_the_same_bytes() -> None:
    """A page has no clock and no chance in it."""
    assert render(a_result(seed=4)) == render(a_result(seed=4))
    assert render(a_result(seed=4)) != render(a_result(seed=5))


@pytest.mark.parametrize(("length", "bytes_max"), [(1, 130_000), (600, 400_000), (SIX_HOURS, 400_000)])
def test_a_page_stays_small(length: int, bytes_max: int) -> None:
    """Ten minutes of two campaigns are below 400 kB and so are six hours, which are drawn within seconds."""
    result = a_result(length, campaigns=("one-sale", "another-sale"))
    began = time.process_time()

    size = len(render(result).encode())

    assert size < bytes_max
    assert time.process_time() - began < 10


def test_a_clean_run_says_so_with_its_number() -> None:
    """The banner has how many coupons of how many, and the requests."""
    said = headline_of(a_result())

    assert (said.clean, said.word) == (True, "Clean")
    assert re.fullmatch(r"22,000 of 22,000 coupons granted, none twice, [\d,]+ requests", said.sentence)


@pytest.mark.parametrize(
    ("campaigns", "sentence"),
    [
        ([Campaign(id="a", stock=10, limit=1, granted=1, left=9)], "1 of 10 coupons granted"),
        ([Campaign(id="a", stock=10, limit=1, granted=14, left=1)], "14 of 15 coupons granted"),
        ([Campaign(id="a", stock=None, limit=1, granted=4, left=3)], "4 of 7 coupons granted"),
        ([Campaign(id="a", stock=10, limit=1, granted=1, left=None)], "1 coupon granted"),
        ([], "No campaign was sold"),
    ],
    ids=["some", "restocked", "of old", "unread", "none"],
)
def test_coupons_are_counted_with_those_that_were_added(campaigns: Any, sentence: str) -> None:
    """What there was to have is what was granted and what is left."""
    assert headline_of(a_result(campaigns=(), seed=2)).sentence.startswith("No campaign")
    given = msgspec.structs.replace(a_result(1), campaigns=campaigns)
    assert headline_of(given).sentence.startswith(sentence)


@pytest.mark.parametrize(
    ("changes", "sentence", "row"),
    [
        (
            {"verdict": Verdict(holds=False, took_s=1, checks=[a_check("stock"), a_check("limit", 3)])},
            "limit does not hold: 3 of 20,134 violate it",
            "more than the limit · campaign sale-7f3a · holder h-001734 · has 2 · may_have 1",
        ),
        ({"verdict": None, "unjudged": "a worker is lost"}, "There is no verdict: a worker is lost", ""),
        (
            {"gates": [Gate(name="p99", asked="<= 9 ms", found="12 ms", holds=False)]},
            "p99: 12 ms, asked: <= 9 ms",
            "",
        ),
        ({"exit_code": 3}, "The run ended with exit code 3", ""),
    ],
    ids=["check", "unjudged", "gate", "else"],
)
def test_a_run_that_is_not_clean_says_the_gravest_first(changes: Any, sentence: str, row: str) -> None:
    """A violated check with its first row, else no verdict, else a gate, else the exit code."""
    said = headline_of(a_result(10, clean=False, **changes))

    assert (said.clean, said.word, said.sentence, said.row) == (False, "Not clean", sentence, row)


def test_every_violated_check_is_in_the_page() -> None:
    """Fourteen of them: the first in the banner, the others counted there, all at the top of their table."""
    words = Parts(render(a_red_result())).words

    assert "limit does not hold: 3 of 20,134 violate it" in words
    assert "The gateway's own verdict does not hold" in headline_of(a_red_result()).more
    assert all(f"what check {at} says of a run" in words for at in range(13))
    assert words.index("what check 12 says") < words.index("are numbered from 1")


@pytest.mark.parametrize("length", [0, 1, 10])
def test_a_run_in_which_nothing_happened_is_a_page_too(length: int) -> None:
    """Without a request, a second or a figure that could be read each chart says so, and there is nothing to draw."""
    page = render(an_empty_result(length))
    words = Parts(page).words

    assert all(chart["lines"] == [] for chart in embedded(page)["charts"])
    assert words.count("Nothing to draw") == 6
    assert words.count("No claim was answered in this run.") == 3
    assert "There is no verdict: the system could not be reached" in words


def test_each_chart_has_its_sentence() -> None:
    """What is drawn is said too, with its peak and what is usual."""
    said = {chart.id: chart.says for chart in sheet_of(a_result()).charts}

    assert re.search(
        r"claims answered, 2,830 in the busiest second \(at 0:11\), .* at most 600 users at once", said["claims"]
    )
    assert re.match(r"Of [\d,]+ claims: [\d,]+ sold_out \(\d+.\d %\), ", said["outcomes"])
    assert re.search(r"p50 is \S+ ms, p95 \S+ ms and p99 \S+ ms; in the slowest, at 0:0\d, p99", said["latency"])
    assert re.match(r"sale-7f3a: 19,\d+ at first, nothing left at 1:06, up at 0:54, 0 at the end", said["stock"])
    assert re.match(
        r"The books were 0.47 s behind at most \(at 0:13\), .* At most 317 state changes waited", said["lag"]
    )
    assert re.match(r"A call to Redis carried 46.6 claims on average in its fullest second", said["batch"])


def test_a_long_run_is_drawn_in_steps_that_hide_no_trouble() -> None:
    """An hour has at most so many points: rates are a mean, the worst second of a step is what is drawn of it."""
    seconds = a_result(3600).seconds
    seconds = msgspec.structs.replace(seconds, p99_ms=[*seconds.p99_ms[:-1], 9_999.0])
    course = course_of(seconds)

    assert len(course.at_s) <= POINTS_MAX
    assert (course.step_s, course.latency_ms["p99"][-1]) == (4, 9_999.0)
    assert course.claims_per_s[0] == pytest.approx(
        sum(sum(values[:4]) for values in seconds.outcomes.values()) / 4, 1e-3
    )
    assert course.stock["sale-7f3a"][0] == seconds.stock["sale-7f3a"][3]
    assert "A point is 4 seconds" in Parts(render(a_result(3600))).words


def test_a_gap_stays_a_gap() -> None:
    """A second that could not be read is no zero."""
    seconds = a_result(3).seconds
    seconds = msgspec.structs.replace(seconds, batch_claims=[2.0, None, 4.0], users=[None] * 3)
    charts = {chart.id: chart for chart in sheet_of(a_result(3, seconds=seconds)).charts}

    assert charts["batch"].lines[0].values == [2, None, 4]
    assert [line.name for line in charts["claims"].lines] == ["claims/s"]


def test_a_latency_that_was_asked_for_is_drawn() -> None:
    """A gate of a percentile of claims is a level in the chart; one of other requests, or of a ratio, is not."""
    gates = [
        Gate(name="p99", asked="<= 1,250 ms", found="12 ms", holds=True),
        Gate(name="p99[redeem]", asked="<= 50 ms", found="12 ms", holds=True),
        Gate(name="errors", asked="<= 0.1 %", found="0 %", holds=True),
    ]
    latency = sheet_of(a_result(gates=gates)).charts[2]

    assert [(limit.value, limit.says) for limit in latency.limits] == [(1250.0, "asked: p99 <= 1,250 ms")]


def test_outcomes_of_a_kind_are_one_layer() -> None:
    """Refusals that share a colour are piled as one; one that nobody knows is among them."""
    seconds = a_result(2).seconds
    outcomes = {"claimed": [3, 0], "not_started": [1, 1], "nobody_knows": [0, 5], "wrong": [0, 1], "sold_out": [0, 0]}
    pile = sheet_of(a_result(2, seconds=msgspec.structs.replace(seconds, outcomes=outcomes))).charts[1].lines

    assert [(line.name, line.values, line.rest) for line in pile] == [
        ("claimed", [3, 0], "3"),
        ("refused otherwise", [1, 6], "7"),
        ("wrong", [0, 1], "1"),
    ]


def test_lists_of_different_lengths_are_refused() -> None:
    """A result whose seconds do not fit together is no result."""
    seconds = msgspec.structs.replace(a_result(3).seconds, users=[1])

    with pytest.raises(ValueError, match="as long as at_s: 3"):
        render(a_result(3, seconds=seconds))


def test_a_page_is_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From result.json, beside it or elsewhere; what is no result, or has no place to go, is said in a line."""
    given, elsewhere = tmp_path / "result.json", tmp_path / "again.html"
    given.write_bytes(a_result(5).encode())

    assert (main([str(given)]), main([str(given), "-o", str(elsewhere)])) == (0, 0)
    assert (tmp_path / "report.html").read_text() == elsewhere.read_text() == render(a_result(5))
    assert main([str(given), "-o", str(tmp_path / "nowhere" / "x.html")]) == NOT_WRITTEN
    given.write_text('{"run": 1}')
    assert (main([str(given)]), main([str(tmp_path / "none.json")])) == (USAGE, USAGE)
    assert capsys.readouterr().err.count("\n") == 3


def test_requests_of_one_kind_are_together_and_spoiled_ones_apart() -> None:
    """What is asked most comes first with all its outcomes; what the load test spoiled itself is folded away."""

    def asked(name: str, times: int) -> Request:
        return Request(name=name, count=times, failures=0, per_s=1, p50_ms=1, p95_ms=1, p99_ms=1, max_ms=1)

    names = {"quote": 50, "claim: sold_out": 60, "redeem: done": 7, "claim: claimed": 9, "claim: dropped": 70,
             "claim over a slow link: claimed": 80, "claim: hung up": 1, "wallet": 40}  # fmt: skip
    tables = {table.id: table for table in tables_of(a_result(requests=[asked(*item) for item in names.items()]))}
    listed = {id_: [cells[0].text for cells in tables[id_].rows] for id_ in ("requests", "spoiled")}

    assert listed["requests"] == [
        "claim: sold_out", "claim: claimed", "claim: hung up", "quote", "wallet", "redeem: done"
    ]  # fmt: skip
    assert listed["spoiled"] == ["claim over a slow link: claimed", "claim: dropped"]
    assert [table.id for table in tables.values() if table.folded] == ["spoiled"]
    assert "spoiled" not in {table.id for table in tables_of(a_result(requests=[asked("quote", 1)]))}
