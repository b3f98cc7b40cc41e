"""What a run leaves behind: result.json that is read back, junit.xml for a CI, files that are whole, the screen."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import pytest

from loadtest.report.files import write_results
from loadtest.report.junit import junit
from loadtest.report.result import (
    Campaign,
    Failure,
    Gate,
    Generator,
    ProductVerdict,
    Request,
    Result,
    Seconds,
    read_result,
)
from loadtest.report.result import Mark as MarkRow
from loadtest.run.gates import ERRORS, UNITS
from loadtest.run.gathering import Gathered, ToldFile
from loadtest.run.plan import Plan
from loadtest.run.recording import Mark
from loadtest.run.sampling import Sampler, Standing, figures
from loadtest.run.screen import screen, show
from loadtest.run.standing import verdict_gate
from loadtest.run.summing import CLEAN, INTERRUPTED, UNCLEAN, UNJUDGED, USAGE, summed
from loadtest.run.timeline import Timeline
from tests.run_results import a_red_result, a_result

START_S = 1_000_000.25


def test_a_result_is_read_back_as_it_was(tmp_path: Path) -> None:
    """Every field survives, whether all is well or nothing is."""
    for number, result in enumerate((a_result(), a_red_result(), a_result(verdict=None, unjudged="no PostgreSQL"))):
        file = tmp_path / f"{number}.json"
        file.write_bytes(result.encode())

        assert read_result(file) == result


def test_a_field_that_is_unknown_wrong_or_missing_is_named(tmp_path: Path) -> None:
    """Whoever reads a result of another version learns what is different, and where."""
    whole = msgspec.json.decode(a_result(length=3).encode())
    for change, says in (
        ({"colour": "red"}, "unknown field `colour`"),
        ({"gates": [{"name": "p99", "asked": "", "found": ""}]}, r"missing required field `holds`.*gates"),
        ({"duration_s": "long"}, r"Expected `float`, got `str`.*duration_s"),
    ):
        file = tmp_path / "result.json"
        file.write_bytes(msgspec.json.encode(whole | change))
        with pytest.raises(msgspec.ValidationError, match=says):
            read_result(file)


def suites(result: Result) -> dict[str, ET.Element]:
    """The suites of a junit.xml, whose shape is that of the schema that CI systems share."""
    root = ET.fromstring(junit(result))  # noqa: S314 - our own
    assert root.tag == "testsuites"
    for suite in root:
        assert suite.tag == "testsuite"
        assert suite.attrib.keys() >= {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.attrib["timestamp"])
        cases = suite.findall("testcase")
        assert [child.tag for child in suite] == ["testcase"] * len(cases)
        assert all(case.attrib.keys() == {"classname", "name", "time"} for case in cases)
        assert len({case.get("name") for case in cases}) == len(cases)
        assert int(suite.attrib["tests"]) == len(cases)
        for kind in ("failure", "error"):
            assert int(suite.attrib[f"{kind}s"]) == len(suite.findall(f"testcase/{kind}"))
            assert all(each.attrib.keys() == {"message", "type"} for each in suite.iter(kind))
    for count in ("tests", "failures", "errors"):
        assert int(root.attrib[count]) == sum(int(suite.attrib[count]) for suite in root)
    return {suite.attrib["name"]: suite for suite in root}


def test_junit_has_a_case_for_each_check_and_gate() -> None:
    """All pass in a clean run; in a red one, the failures are those that do not hold, with the first row."""
    clean, red = a_result(), a_red_result()
    assert clean.verdict is not None
    assert red.verdict is not None
    found = suites(clean)
    assert [case.get("name") for case in found["loadtest.verdict"]] == [check.name for check in clean.verdict.checks]
    assert [case.get("name") for case in found["loadtest.gates"]] == [gate.name for gate in clean.gates]
    assert not list(found["loadtest.verdict"].iter("failure"))

    broken = {check.name: check.first for check in red.verdict.checks if not check.holds}
    failed = {case.get("name"): case.find("failure") for case in suites(red)["loadtest.verdict"] if len(case)}
    assert failed.keys() == broken.keys()
    for name, failure in failed.items():
        assert failure is not None
        assert msgspec.json.decode(failure.text or "") == broken[name or ""]
    assert suites(red)["loadtest.gates"].attrib["failures"] == str(sum(not gate.holds for gate in red.gates))


def test_junit_of_a_run_that_could_not_be_judged_is_an_error() -> None:
    """That nobody knows is no failure of the system, and no success either; odd letters don't break the file."""
    result = a_result(verdict=None, unjudged="gone:\x00\x1b[31m <&>", gates=[verdict_gate(None, "gone\x07", 5)])
    found = suites(result)["loadtest.verdict"]

    assert found.attrib["errors"] == "1"
    [error] = found.iter("error")
    assert (error.text or "").startswith("gone:\ufffd\ufffd[31m <&>")


def test_files_are_whole_or_not_there(tmp_path: Path) -> None:
    """A page that can't be made leaves the others, and no file in the making."""

    def broken(_result: Result) -> str:
        raise ValueError("no page")

    with pytest.raises(ValueError, match="no page"):
        write_results(tmp_path, a_result(), broken)
    assert {path.name for path in tmp_path.iterdir()} == {"result.json", "junit.xml"}

    full = tmp_path / "full"
    (full / "result.json").mkdir(parents=True)
    with pytest.raises(OSError, match=r"result\.json"):
        write_results(full, a_result(), lambda result: result.run)
    assert [path.name for path in full.iterdir()] == ["result.json"]
    (full / "result.json").rmdir()
    full.rmdir()

    write_results(tmp_path, a_red_result(), lambda result: result.run)
    assert {path.name for path in tmp_path.iterdir()} == {"result.json", "junit.xml", "report.html"}
    assert read_result(tmp_path / "result.json") == a_red_result()


def test_the_screen_says_what_failed_and_where_the_report_is() -> None:
    """The first row of each violated check, the gates that do not hold, the exit code and why."""
    red = a_red_result()
    text = screen(red, Path("results/x"), "")
    assert red.verdict is not None
    broken = [check for check in red.verdict.checks if not check.holds]
    for check in broken:
        assert f"  {check.name}: {check.violated:,} of {check.checked:,} violate: {check.says}\n    first: " in text
    for gate in red.gates:
        assert re.search(
            rf"^  {'ok' if gate.holds else 'NO'}  {re.escape(gate.name)} .*{re.escape(gate.found)}$", text, re.M
        )
    assert "Report: results/x/report.html" in text
    assert "No report: disk full" in screen(red, Path("x"), "disk full")
    assert "No verdict: gone" in screen(a_result(verdict=None, unjudged="gone"), Path("x"), "")


def test_the_screen_leaves_json_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever pipes `locust --json` into a program gets JSON and nothing else; the screen goes where logs go."""
    show("clean", piped=False)
    show("piped", piped=True)

    assert capsys.readouterr() == ("\nclean\n", "\npiped\n")


@pytest.mark.parametrize(
    ("stock", "left", "says"),
    [
        (14, 0, "14 granted of a stock of 14, 0 left"),
        (10, 1, "14 granted of a stock of 10 and 5 that came later, 1 left"),
        (10, None, "14 granted of a stock of 10, what is left is not known"),
        (None, 2, "14 granted, 2 left"),
    ],
    ids=["all", "restocked", "unread", "of old"],
)
def test_the_screen_says_what_there_was_to_be_had(stock: int | None, left: int | None, says: str) -> None:
    """More than the first stock is no oversell where more came."""
    campaigns = [Campaign(id="c1", stock=stock, limit=1, granted=14, left=left)]

    assert f"  c1: {says}\n" in screen(msgspec.structs.replace(a_result(1), campaigns=campaigns), Path("x"), "")


PLAN = Plan(
    run="r1", campaigns=("c1",), stock=10, limit=1, holders=5, seed=1, started_s=START_S, shape="steady", created=True,
    parts=1, users=2, spawn_rate=1.0, run_time_s=None, host="",
)  # fmt: skip


def a_summary(tmp_path: Path, timeline: Timeline, **changes: Any) -> Result:
    """What a run of four seconds came to that saw *timeline*."""
    gathered = Gathered("r1", ToldFile(tmp_path / "told.csv.gz"))
    gathered.timeline = timeline
    gathered.marks = [Mark(START_S + 2, "restock"), Mark(START_S + 1, "pause")]
    gathered.codes["c1"] = {"A", "B"}
    sampler = Sampler("http://127.0.0.1:1", "", ("c1",), START_S, lambda: 1)
    sampler.users, sampler.stock["c1"], sampler.batch_claims = {0: 2, 2: 1}, {1: 9}, {1: 3.14159}
    gates = [verdict_gate(a_result().verdict, "", 1)]
    given: dict[str, Any] = {
        "host": "http://h", "mode": "open", "stopped_s": START_S + 4, "settings": {"seed": 1},
        "generator": a_result().generator, "before": {"c1": Standing(5, 11)}, "after": {"c1": Standing(8, 8)},
        "verdict": a_result().verdict, "unjudged": "", "product_verdict": None, "gates": gates,
    }  # fmt: skip
    result = summed(PLAN, gathered, sampler, **given | changes)
    gathered.told.keep()
    return result


def test_a_summary_lays_the_run_out_by_seconds(tmp_path: Path) -> None:
    """Second 0 is that of the start; clocks that are wrong are counted at the ends; nothing is counted away."""
    timeline = Timeline()
    for at_s, outcome in ((-50, "claimed"), (0, "claimed"), (3, "sold_out"), (3.9, "sold_out"), (5000, "sold_out")):
        timeline.add("claim", outcome, 10, START_S + at_s, "", f"claim: {outcome}")
    timeline.add("claim", "wrong", 30, START_S + 1, "status 500", "claim: wrong")
    result = a_summary(tmp_path, timeline)
    seconds = result.seconds

    assert len(seconds.at_s) == 5 + 60
    assert {len(each) for each in (seconds.users, seconds.p99_ms, seconds.batch_claims, seconds.stock["c1"])} == {65}
    assert seconds.outcomes["claimed"][:3] == [2, 0, 0]
    assert (sum(seconds.outcomes["sold_out"]), seconds.outcomes["sold_out"][-1]) == (3, 1)
    assert (seconds.users[:4], seconds.stock["c1"][:3], seconds.stock["c1"][-1]) == (
        [2, None, 1, None],
        [None, 9, None],
        8,
    )
    assert seconds.batch_claims[1] == 3.14
    assert [(mark.at_s, mark.says) for mark in result.marks] == [(1.25, "pause"), (2.25, "restock")]
    assert (result.duration_s, result.goodput_per_s, result.error_ratio) == (4, 1.25, round(1 / 6, 6))
    assert [(each.name, each.says, each.count) for each in result.failures] == [("claim: wrong", "status 500", 1)]
    assert result.campaigns == [Campaign(id="c1", stock=11, limit=1, granted=3, left=8)]


@pytest.mark.parametrize("unread", ["before", "after"])
def test_what_was_granted_is_what_was_told_where_the_campaign_cant_say(tmp_path: Path, unread: str) -> None:
    """A gateway that does not answer at the start or the end leaves what the crowd knows."""
    result = a_summary(tmp_path, Timeline(), **{unread: {"c1": None}})

    assert result.campaigns[0].granted == 2
    assert result.campaigns[0].left == (8 if unread == "before" else None)


def test_the_exit_code_is_by_the_gates_and_the_verdict(tmp_path: Path) -> None:
    """0 where all hold, 1 where one does not, 6 where there is no verdict, whatever else holds."""
    broken = Gate(name="p99", asked="<= 1 ms", found="2 ms", holds=False)

    assert a_summary(tmp_path, Timeline()).exit_code == CLEAN
    unclean = a_summary(tmp_path, Timeline(), gates=[broken])
    assert (unclean.exit_code, unclean.clean) == (UNCLEAN, False)
    unjudged = a_summary(tmp_path, Timeline(), verdict=None, unjudged="gone", gates=[verdict_gate(None, "gone", 1)])
    assert (unjudged.exit_code, unjudged.clean) == (UNJUDGED, False)


def test_figures_are_read_off_the_metrics() -> None:
    """Only those that are wanted, and none that is no number."""
    page = (
        '# HELP fairclaim_batch_claims x\nfairclaim_batch_claims_bucket{le="1"} 5\nfairclaim_batch_claims_sum 120\n'
        "fairclaim_batch_claims_count 40\nfairclaim_drain_lag_seconds nonsense\nfairclaim_drain_lag_seq 7\n"
    )

    assert figures(page) == {
        "fairclaim_batch_claims_sum": 120, "fairclaim_batch_claims_count": 40, "fairclaim_drain_lag_seq": 7
    }  # fmt: skip


PAGE = (Path(__file__).parents[2] / "docs" / "loadtest.md").read_text(encoding="utf-8")


def section(name: str) -> str:
    """A section of docs/loadtest.md."""
    return PAGE.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def test_every_field_of_a_result_is_in_its_table() -> None:
    """docs/loadtest.md names each field of result.json and of its rows, and none that is gone."""
    text = section("What comes out").partition("| field | is |\n|---|---|\n")[2].partition("\n\n")[0]
    rows = [line.split("|")[1:3] for line in text.splitlines()]
    fields = [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]
    structs = {
        "generator": Generator, "campaigns": Campaign, "gates": Gate, "requests": Request, "failures": Failure,
        "seconds": Seconds, "marks": MarkRow, "product_verdict": ProductVerdict,
    }  # fmt: skip

    assert sorted(fields) == sorted(Result.__struct_fields__)
    for field, struct in structs.items():
        [says] = [row[1] for row in rows if f"`{field}`" in row[0]]
        assert {*struct.__struct_fields__} <= {*re.findall(r"`(\w+)`", says)}, field


def test_every_measure_exit_code_and_gate_is_in_the_page() -> None:
    """docs/loadtest.md lists what --fail-on may measure, the gates that come by themselves, and how a run may end."""
    text = section("Gates")
    measures = text.partition("| measure | of | bound |")[2].partition("\n\n")[0]
    listed = [name for line in measures.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    always = {*re.findall(r"^\| `([a-z ]+)` \|", text.partition("| gate | holds when |")[2], re.MULTILINE)}

    assert listed == list(UNITS)
    assert codes == {CLEAN, UNCLEAN, USAGE, UNJUDGED, INTERRUPTED}
    assert always == {ERRORS, "workers", "users", "verdict", "product verdict"}
