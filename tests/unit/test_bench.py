"""The benchmark's arithmetic and words, without a load: ratios, wrk's last line, tables, targets, arguments."""

import json
import os
from pathlib import Path

import jwt
import pytest

from loadtest.bench.__main__ import main
from loadtest.bench.contest import Round, contender_sheet, judged, ratio_sheets, remarks, spreads, summarise, unjudged
from loadtest.bench.cpu import Cores, share_out, spent_s
from loadtest.bench.entrants import ENTRANTS
from loadtest.bench.figures import Spread, ratios, spread
from loadtest.bench.generator import LOAD_S_MAX, read_traffic, write_asks
from loadtest.bench.report import Section, Sheet, as_json, drawn, shown
from loadtest.bench.stand import Measured
from loadtest.bench.targets import BOUNDS, Verdict, judge, not_measured, target_list
from loadtest.target import TokenMint

KEY = {"kid": "k1", "secret": "s" * 32, "audience": "fairclaim", "issuer": "fairclaim"}


def measured(
    contender: str, gateway_us: float, redis_us: float, *, redis_share: float = 0.3, faults: tuple[str, ...] = ()
) -> Measured:
    """One run with the figures that matter here."""
    return Measured(
        contender=contender,
        answers=1000,
        answers_per_s=20_000,
        gateway_us=gateway_us,
        redis_us=redis_us,
        generator_us=13,
        p50_ms=2,
        p99_ms=9,
        gateway_share=0.8,
        redis_share=redis_share,
        generator_share=0.25,
        others_share=0.02,
        gateway_shares=[1.0],
        faults=list(faults),
    )


ROUNDS: list[Round] = [
    {"lane": measured("lane", 30, 10), "go": measured("go", 60, 40)},
    {"lane": measured("lane", 90, 10), "go": measured("go", 60, 40)},
    {"lane": measured("lane", 70, 10), "go": measured("go", 260, 140)},
]


def test_a_spread_is_the_median_with_the_ends() -> None:
    """Runs in any order give their median, lowest and highest."""
    assert spread([3, 1, 10]) == Spread(3, 1, 10)
    assert spread([4, 2]) == Spread(3, 2, 4)


def test_a_spread_of_one_run_is_shown_as_one_figure() -> None:
    """A single run shows no range, several show both ends."""
    assert spread([0.376]).shown(2) == "0.38"
    assert spread([0.35, 0.39, 0.37]).shown(2) == "0.37 (0.35 to 0.39)"


def test_ratios_are_made_within_each_round() -> None:
    """A round that slowed both sides changes no ratio: 0.4, 1.0 and 0.2 where the medians of the sides give 0.8."""
    found = ratios((round_["lane"].cpu_us, round_["go"].cpu_us) for round_ in ROUNDS)

    assert found == Spread(0.4, 0.2, 1.0)


def test_a_contest_compares_the_lane_with_everybody_else() -> None:
    """The summary has each contender's spreads, and ratios to all but the lane itself."""
    summary = summarise(ROUNDS)

    assert list(summary.contenders) == ["lane", "go"]
    assert summary.contenders["lane"]["cpu_us"] == Spread(80, 40, 100)
    assert summary.ratios == {"go": Spread(0.4, 0.2, 1.0)}
    assert summary.gateway_ratios["go"] == Spread(0.5, 70 / 260, 1.5)


def test_a_contest_without_the_lane_has_no_ratios() -> None:
    """Where the lane did not take part there is nothing to compare, and the target says so."""
    summary = summarise([{"go": measured("go", 60, 40)}])

    assert (summary.ratios, ratio_sheets(summary)) == ({}, [])
    assert judged(summary, {})["cpu_lane_to_go"].holds is None


def test_a_contender_that_is_missing_is_named_in_its_target() -> None:
    """The median ratio is judged; a contender that could not be started leaves its line unmeasured, with the reason."""
    found = judged(summarise(ROUNDS), {"plain": "PyJWT is not installed"})

    assert found["cpu_lane_to_go"].found == "0.40 × (0.20 to 1.00)"
    assert found["cpu_lane_to_go"].holds is True
    assert found["cpu_lane_to_plain"].holds is None
    assert "PyJWT is not installed" in found["cpu_lane_to_plain"].found


def test_a_run_without_wrk_judges_nothing() -> None:
    """The Python crowd fills in the contest's targets as not measured."""
    assert [target.holds for target in unjudged().values()] == [None, None]


def test_a_full_core_of_the_generator_is_told() -> None:
    """Where Redis and the generator share a core and fill it, while the gateway's is not full, the report says so."""
    full = [measured("go", 60, 40, redis_share=0.7)]

    assert "go: the generator, on one core with Redis, was the limit (0.95 of its core)" in remarks(full, True)[0]
    assert remarks(full, False) == []


def test_what_others_use_is_told() -> None:
    """A machine that is busy with something else is named beside the figures."""
    run = measured("lane", 30, 10)
    noisy = Measured(**{**{name: getattr(run, name) for name in run.__struct_fields__}, "others_share": 0.5})

    assert remarks([noisy], True) == ["other processes used 0.50 cores meanwhile: quiet the machine for steady figures"]


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        (set(), ((), (), (), ())),
        ({3}, ((3,), (3,), (3,), (3,))),
        ({0, 1}, ((0,), (1,), (1,), (1,))),
        ({0, 1, 2}, ((0,), (1,), (2,), (2,))),
        ({0, 1, 2, 3, 4}, ((0,), (1,), (2,), (3, 4))),
    ],
)
def test_cores_are_shared_out(cores: set[int], expected: tuple[tuple[int, ...], ...]) -> None:
    """The gateway has its core alone from two cores on; Redis and the generator get theirs as far as they go."""
    shared = share_out(frozenset(cores))

    assert shared == Cores(*(frozenset(each) for each in expected))
    assert shared.apart is (len(cores) > 1)


def test_cpu_time_is_counted() -> None:
    """A process that works has used more CPU time afterwards."""
    before = spent_s(os.getpid())
    total = sum(number * number for number in range(1_000_000))

    assert total > 0
    assert spent_s(os.getpid()) > before


def test_the_last_line_of_wrk_is_read() -> None:
    """Statuses, errors that happened, seconds and latencies come from the line; CPU from the process."""
    line = (
        '{"statuses": {"201": 9990, "409": 10}, "errors": {"connect": 0, "read": 2, "write": 0, "timeout": 0},'
        ' "elapsed_s": 1.500000, "p50_us": 2500, "p99_us": 9000}\n'
    )

    traffic = read_traffic(["Running 120s test\n", "over\n", line], generator_s=0.25)

    assert (traffic.statuses, traffic.errors) == ({201: 9990, 409: 10}, {"read": 2})
    assert (traffic.elapsed_s, traffic.p50_ms, traffic.p99_ms, traffic.generator_s) == (1.5, 2.5, 9.0, 0.25)


def test_an_answer_that_never_came_is_an_error() -> None:
    """A wrk that was cut off before every connection had its answer is not taken for a clean one."""
    line = '{"statuses": {}, "errors": {}, "elapsed_s": -1.0, "p50_us": 0, "p99_us": 0}\n'

    traffic = read_traffic([line], generator_s=0.1)

    assert traffic.errors
    assert traffic.elapsed_s == LOAD_S_MAX


@pytest.mark.parametrize(
    ("lines", "words"), [(["unable to connect to 127.0.0.1:1\n"], "unable to connect"), ([], "it said nothing")]
)
def test_a_wrk_that_failed_is_quoted(lines: list[str], words: str) -> None:
    """What wrk said instead of its figures is in the error."""
    with pytest.raises(RuntimeError, match=words):
        read_traffic(lines, generator_s=0)


def test_asks_are_tokens_and_keys_of_one_length(tmp_path: Path) -> None:
    """Each line is a token that PyJWT accepts, and a key; all are of one length, and of another mint all differ."""
    early, late = (
        write_asks(tmp_path / str(exp), TokenMint(KEY, exp), 100).read_text().splitlines()
        for exp in (4_000_000_001, 4_000_000_002)
    )

    claims = [
        jwt.decode(line.split(" ")[0], KEY["secret"], ["HS256"], audience="fairclaim", issuer="fairclaim")
        for line in early
    ]

    assert len({claim["sub"] for claim in claims}) == len({line.split(" ")[1] for line in early}) == 100
    assert {len(line) for line in (*early, *late)} == {len(early[0])}
    assert not {line.split(" ")[0] for line in early} & {line.split(" ")[0] for line in late}


@pytest.mark.parametrize(
    ("key", "found", "holds"),
    [
        ("cpu_lane_to_go", 0.40, True),
        ("cpu_lane_to_go", 0.41, False),
        ("script_batch", 6.0, True),
        ("script_batch", 5.9, False),
    ],
)
def test_a_target_holds_up_to_its_bound(key: str, found: float, holds: bool) -> None:
    """A bound itself still holds, whichever way it bounds."""
    assert judge(key, found).holds is holds


def test_a_target_says_what_was_found() -> None:
    """Bound and finding carry the unit; a spread of one run is left out."""
    assert judge("memory_valkey", 144.2) == Verdict(BOUNDS["memory_valkey"].name, "≤ 160 bytes", "144 bytes", True)
    assert judge("fsync", 0.914, low=0.88, high=0.932).found == "0.91 × (0.88 to 0.93)"
    assert judge("fsync", 0.914, low=0.914, high=0.914).found == "0.91 ×"


def test_every_target_is_on_the_list() -> None:
    """Targets that no measure filled in are listed as not measured, in the order of the table."""
    listed = target_list({"fsync": judge("fsync", 0.9)})

    assert [target.name for target in listed] == [bound.name for bound in BOUNDS.values()]
    assert [target.holds for target in listed] == [True if key == "fsync" else None for key in BOUNDS]


def test_a_table_is_drawn_in_columns() -> None:
    """Rows line up under their header, labels to the left and figures to the right."""
    header, _, first, second = drawn(
        Sheet(("", "gateway", "sum"), [("go", "60.0", "100.0"), ("lane", "9.5", "7.1")])
    ).splitlines()

    assert first.split() == ["go", "60.0", "100.0"]
    assert second.split() == ["lane", "9.5", "7.1"]
    assert header.index("sum") + 3 == first.index("100.0") + 5 == second.index("7.1") + 3


def test_contenders_have_one_row_each() -> None:
    """The sheet of a contest has the medians of every figure, and no label is cut."""
    sheet = contender_sheet({"lane, 1024 connections": spreads([round_["lane"] for round_ in ROUNDS])})

    assert "lane, 1024 connections" in drawn(sheet)
    assert "…" not in drawn(sheet)
    assert sheet.rows[0][1:4] == ("70.0", "10.0", "80.0")


def test_the_report_marks_targets_and_faults() -> None:
    """✓, ✗ and – stand before the targets, and every fault under the verdict."""
    section = Section("Contest", [], ["a note"], ["lane, lane--0001: 1 × timeout"], {}, None)
    targets = [judge("fsync", 0.9), judge("fsync", 0.1), not_measured("fsync", "no lane")]

    text = shown([section], targets)

    assert [line.split()[0] for line in text.splitlines() if "fsync" in line] == ["✓", "✗", "–"]
    assert text.endswith("NOT CLEAN:\n  lane, lane--0001: 1 × timeout")
    assert shown([section._replace(faults=[])], targets).endswith("The run was clean.")


def test_the_report_is_json_too() -> None:
    """Figures, notes, faults and targets of a run are in the file."""
    section = Section("Contest", [], [], [], {}, summarise(ROUNDS))

    report = json.loads(as_json({"cores": 2}, {"contest": section}, [judge("fsync", 0.9)], True))

    assert report["passed"] is True
    assert report["targets"][0]["holds"] is True
    assert report["measures"]["contest"]["figures"]["ratios"]["go"] == {"median": 0.4, "low": 0.2, "high": 1.0}
    assert len(report["measures"]["contest"]["figures"]["rounds"]) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["--only", "nonsense"],
        ["--contenders", "lane,rust"],
        ["--claims", "0"],
        ["--rounds", "many"],
        ["--generator", "locust"],
    ],
)
def test_wrong_arguments_end_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A value that is not allowed is refused before anything starts, and named."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    assert ended.value.code == 2
    assert arguments[1].split(",")[-1] in capsys.readouterr().err.splitlines()[-1]


def test_a_json_file_needs_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A report that could not be written is refused before the run."""
    with pytest.raises(SystemExit) as ended:
        main(["--generator", "python", "--json", str(tmp_path / "nowhere" / "run.json")])

    assert ended.value.code == 2
    assert "there is no folder" in capsys.readouterr().err


def test_a_missing_wrk_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without wrk the benchmark says how to get it, with exit code 2."""
    monkeypatch.setenv("PATH", "")

    assert main(["--quick"]) == 2
    assert capsys.readouterr().err.splitlines() == ["bench: wrk is not installed: apt-get install wrk"]


def test_a_missing_go_leaves_its_contender_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Go the contender says what to install; the gateways of the project lack nothing."""
    monkeypatch.setenv("PATH", "")

    assert "apt-get install" in (ENTRANTS["go"].missing() or "")
    assert (ENTRANTS["lane"].missing(), ENTRANTS["starlette"].missing()) == (None, None)
