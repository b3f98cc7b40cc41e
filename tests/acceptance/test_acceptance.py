"""The promises of the README, kept by the whole system as a stranger starts it: `fairclaim up` and nothing else."""

import asyncio
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from time import monotonic
from urllib.request import Request, urlopen

import psycopg
import pytest

from loadtest.bench.__main__ import main as bench
from loadtest.rush import main as rush
from loadtest.system import System
from loadtest.trace.__main__ import main as replay
from loadtest.trace.generate import Size, write
from tests.conftest import Eventually
from tests.patience import PATIENT

BOOKED_S_MAX, TRIES_MAX = 1.0, 5
"""The quickest of some tries: a machine that does other things too may stand still for a second at any time."""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The system, started once for this module, stopped as Ctrl-C stops it (exit 0 or the fixture fails)."""
    with System(tmp_path_factory.mktemp("system"), **PATIENT) as system:
        yield system


def printed_curl(system: System) -> list[str]:
    """The claim that `up` prints, as a shell reads it."""
    text = (system.folder / "up.log").read_text()
    lines = re.findall(r"^\s*(curl .*claims.*(?:\\\n.*)*)$", text, re.MULTILINE)
    assert lines, text
    return shlex.split(lines[0].replace("\\\n", " "))


def booked_after_s(system: System, holder: str, eventually: Eventually) -> float:
    """How long after the answer to *holder*'s claim it is in the books."""
    target, found = system.target, "SELECT FROM coupons WHERE holder = %s"
    head = {
        "Authorization": f"Bearer {target.tokens().token(holder)}",
        "Content-Type": "application/json",
        "Idempotency-Key": holder,
    }
    url = f"{target.gateway_url}/v1/campaigns/demo/claims"
    asked = Request(url, b"{}", head, method="POST")  # noqa: S310 - http
    with psycopg.connect(target.postgres_url, autocommit=True) as books:
        with urlopen(asked, timeout=60) as answer:  # noqa: S310 - as above
            assert answer.status == 201
        answered_s = monotonic()
        asyncio.run(eventually(lambda: books.execute(found, [holder]).rowcount))
        return monotonic() - answered_s


def test_the_printed_claim_wins_replays_and_is_in_the_books(system: System, eventually: Eventually) -> None:
    """Paste the printed line: 201; again: 200, same code; it is in a balanced book, where others are in a second."""
    command = printed_curl(system)

    first, again = (
        subprocess.run([*command, "-i"], capture_output=True, text=True, check=True).stdout for _ in range(2)
    )

    assert " 201 " in first.splitlines()[0]
    assert " 200 " in again.splitlines()[0]
    assert "idempotency-replayed: true" in again.lower()
    bodies = [json.loads(re.search(r"^\{.*\}$", text, re.MULTILINE)[0]) for text in (first, again)]  # type: ignore[index]
    assert bodies[0] == bodies[1]

    def in_the_books() -> bool:
        with psycopg.connect(system.target.postgres_url) as books:
            code, demo = bodies[0]["code"], bodies[0]["campaign"]
            coupon = books.execute("SELECT seq FROM coupons WHERE code = %s", [code]).fetchone()
            entry = books.execute("SELECT seq FROM coupon_entries WHERE code = %s", [code]).fetchone()
            balances: dict[str, int] = dict(
                books.execute(
                    "SELECT account, balance FROM v_balances WHERE commodity = %s", [f"coupon:{demo}"]
                ).fetchall()
            )
        return coupon == entry == (bodies[0]["seq"],) and sum(balances.values()) == 0 and balances["outstanding"] == 1

    asyncio.run(eventually(in_the_books))
    wallet = [part.replace("/v1/campaigns/demo/claims", "/v1/coupons") for part in command]
    plain = [part for part in wallet if part not in ("-X", "POST", "-d", "{}")]
    items = json.loads(
        subprocess.run([*plain, "-s"], capture_output=True, text=True, check=True).stdout.split("\n")[-1]
    )
    assert [item["code"] for item in items["items"]] == [bodies[0]["code"]]
    assert any(booked_after_s(system, f"hasty-{number}", eventually) < BOOKED_S_MAX for number in range(TRIES_MAX))


def test_a_sharded_campaign_is_as_exact(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    """Four shards, limit two: as many granted as there are, nobody over two, and every answer in the books."""
    size = ["--claims", "6000", "--holders", "2000", "--stock", "3000", "--per-holder", "2", "--shards", "4"]

    ready, told = system.folder / "ready.json", system.folder / "told.csv"

    code = rush(["--ready-file", str(ready), *size, "--campaign", "sharded", "--told", str(told), "--json"])
    report = json.loads(capsys.readouterr().out)
    judged = system.command("verdict", "--campaign", "sharded", "--told", str(told), "--json", timeout_s=240)

    assert (code, report["clean"], report["outcomes"]["claimed"]) == (0, True, 3000), report
    assert judged.returncode == 0, judged.stdout
    figures = {each["name"]: each["figures"] for each in json.loads(judged.stdout)["invariants"]}
    assert figures["answers"]["told"] == figures["answers"]["claims"] == 3000


def test_a_trace_replays_to_the_truth(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`make replay` on the system that runs: a generated month is as the oracle says, and so are books and verdict."""
    trace = tmp_path / "trace.csv"
    with trace.open("w") as out:
        write(Size(1000, 700, 20, used=0.1), out)
    monkeypatch.setenv("FAIRCLAIM_READY_FILE", str(system.folder / "ready.json"))

    assert replay([str(trace), "--json"]) == 0

    report = json.loads(capfd.readouterr().out)
    assert (report["holds"], report["answered"], report["found"]) == (True, 1000, report["expected"])
    assert report["verdict"]["holds"] is True


def test_200_000_claims_by_150_000_holders_on_100_000_coupons(
    system: System, capsys: pytest.CaptureFixture[str], eventually: Eventually
) -> None:
    """
    Through HTTP: exactly 100,000 granted, no holder over the limit, Redis equal to the books, seq without a gap.

    Its stock is taken a hundred times and more meanwhile, and never does a figure, a coupon or a holder differ.
    """
    ready, is_over = system.folder / "ready.json", Event()
    size = ["--claims", "200000", "--holders", "150000", "--stock", "100000", "--campaign", "big"]

    def stocktakes() -> Iterator["subprocess.CompletedProcess[str]"]:
        with psycopg.connect(system.target.postgres_url, autocommit=True) as books:
            known = "SELECT FROM checkpoints WHERE campaign = 'big'"
            asyncio.run(eventually(lambda: books.execute(known).rowcount))
        asked = ("stocktake", "--campaign", "big", "--interval", "0.05", "--samples", "20", "--json", "--times")
        yield system.command(*asked, "100", timeout_s=600)
        while not is_over.is_set():
            yield system.command(*asked, "10", timeout_s=600)

    with ThreadPoolExecutor(1) as beside:
        stocktaking = beside.submit(list, stocktakes())
        try:
            code = rush(["--ready-file", str(ready), *size, "--json"])
        finally:
            is_over.set()
        rounds = stocktaking.result()
    report = json.loads(capsys.readouterr().out)
    assert {(each.returncode, json.loads(each.stdout)["found"]) for each in rounds} == {(0, 0)}, rounds
    with psycopg.connect(system.target.postgres_url) as books:
        seqs = books.execute("SELECT DISTINCT seq FROM stocktakes WHERE shard = 'big/0'").fetchall()
        assert len(seqs) > 10, "the stocktakes did not see the rush"
    shown = system.command("status", "--json")

    assert (code, report["clean"], report["outcomes"]["claimed"]) == (0, True, 100_000), report
    assert set(report["outcomes"]) == {"claimed", "limit_reached", "sold_out"}
    assert shown.returncode == 0, shown.stderr
    big = next(campaign for campaign in json.loads(shown.stdout)["campaigns"] if campaign["id"] == "big")
    assert (big["claimed"], big["stock"], big["equal"]) == (100_000, 0, True)
    assert (big["books"]["coupons"], big["books"]["holders_over_limit"], big["books"]["seq_gaps"]) == (100_000, 0, 0)
    judged = system.command("verdict", "--json", timeout_s=240)
    assert judged.returncode == 0, judged.stdout


def test_the_benchmark_runs_and_is_clean(tmp_path: Path) -> None:
    """`make bench` in small: a whole system of its own, one round, clean, with CPU, latency and targets in its file."""
    size = ["--quick", "--generator", "python", "--contenders", "plain,lane", "--claims", "500", "--rounds", "1"]

    assert bench([*size, "--json", str(tmp_path / "bench.json")]) == 0

    report = json.loads((tmp_path / "bench.json").read_text())
    [(name, contest)] = report["measures"].items()
    [round_] = contest["figures"]["rounds"]
    assert (name, report["passed"], contest["faults"]) == ("contest", True, [])
    assert set(round_) == {"plain", "lane"}
    for measured in round_.values():
        assert measured["answers"] == 500
        assert measured["gateway_us"] > 0
        assert measured["p99_ms"] >= measured["p50_ms"] > 0
    assert contest["figures"]["ratios"]["plain"]["median"] > 0
    assert {target["holds"] for target in report["targets"]} == {None}
