"""`fairclaim replay` against a gateway on sockets and its books: the truth, planted faults, and being stopped."""

import asyncio
import csv
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.lane import Lane
from loadtest.client import Address, local_address
from loadtest.target import Target
from loadtest.trace import campaigns, replay
from loadtest.trace.campaigns import Terms
from loadtest.trace.course import Course, in_order_of_file
from loadtest.trace.generate import Size, write
from loadtest.trace.judged import Booked
from loadtest.trace.play import Play
from loadtest.trace.rows import Row
from loadtest.trace.truth import Truth, compare
from tests.conftest import redis_binaries
from tests.http import JWT_KEYS, Worker
from tests.integration.commands import Cli, Ran
from tests.integration.draining import draining
from tests.integration.stacks import environment
from tests.traces import lines, trace, written

pytestmark = pytest.mark.parametrize("redis_server", list(redis_binaries().items())[:1], ids=["valkey"], indirect=True)

CROWD = ("a x 01", "a x 01", "b x 02", "c x 01", "b x 02", "d x 02", "a y 01 20160702", "c y 02", "c y 02")
"""With two units of x and y: claimed by a and b, and by a and c; a, b and c come again; nothing is left for c and d."""


@dataclass
class Sale:
    """A gateway with its drain, and how to ask it."""

    cli: Cli
    ready_file: Path
    target: Target

    async def replay(self, *arguments: str) -> Ran:
        """One command against it, in a thread of its own."""
        return await asyncio.to_thread(self.cli, "replay", *arguments, "--ready-file", str(self.ready_file))


@pytest.fixture
async def sale(
    redis_url: str, postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Sale]:
    """A worker on empty servers, behind the lane, and a reconciler."""
    async with Worker(redis_url, postgres_url, tmp_path, http=Lane) as worker, draining(redis_url, postgres_url):
        admin = (await worker.key("admin"))["Authorization"].partition(" ")[2]
        kid, _, secret = JWT_KEYS.partition("=")
        settings = worker.settings
        ready = {
            "gateway_url": f"http://127.0.0.1:{worker.port}",
            "redis_url": redis_url,
            "postgres_url": postgres_url,
            "admin_key": admin,
            "jwt": {"kid": kid, "secret": secret, "audience": settings.jwt_audience, "issuer": settings.jwt_issuer},
        }
        path = tmp_path / "ready.json"
        path.write_text(json.dumps(ready))
        yield Sale(Cli(capsys), path, Target.of(ready))


@pytest.fixture
def unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """No verdict is asked for, which takes a program of its own each time: everything is said to hold."""

    async def judge(target: Target, address: Address, told: dict[str, Booked], *more: Any) -> dict[str, Any]:
        return {
            "holds": True,
            "campaign": next(iter(told)) if len(told) == 1 else None,
            "invariants": [{"holds": True}],
        }

    monkeypatch.setattr(replay, "judge", judge)


async def test_a_trace_comes_to_the_truth(sale: Sale, tmp_path: Path) -> None:
    """
    A generated month: every row, the books and the verdict are as they have to be; each row is in the report.

    The same run again finds what it has; another run is another sale.
    """
    file, report = tmp_path / "month.csv", tmp_path / "rows.csv"
    with file.open("w") as out:
        write(Size(400, 250, 12, repeats=0.1, used=0.2), out)
    with file.open() as text:
        rows = list(csv.DictReader(text))
    first = {(row["User_id"], row["Coupon_id"]): row for row in reversed(rows)}
    threshold = [row["Discount_rate"] for row in first.values() if ":" in row["Discount_rate"]]

    ran = await sale.replay(str(file), "--json", "--report", str(report))

    assert ran.code == 0, ran
    found, truth = ran.data, ran.data["found"]
    assert (found["holds"], found["first"], found["verdict"]["holds"]) == (True, None, True)
    assert (truth["claimed"], truth["limit_reached"], truth["sold_out"]) == (len(first), 400 - len(first), 0)
    assert truth["face_minor"] == sum(100 * int(text.partition(":")[2]) for text in threshold)
    assert truth["rates"] == len(first) - len(threshold)
    assert truth["redeemed"] == sum(row["Date"] != "null" for row in first.values()) > 20
    with report.open() as text:
        told = list(csv.DictReader(text))
    assert [row["found"] for row in told].count("claimed") == len({row["code"] for row in told} - {""}) == len(first)

    again = await sale.replay(str(file), "--json", "--run", found["run"])
    assert (again.code, again.data["found"]) == (0, truth)
    assert again.data["verdict"]["invariants"][0]["figures"] == found["verdict"]["invariants"][0]["figures"]


@pytest.mark.usefixtures("unjudged")
async def test_scarce_stock_goes_in_the_order_of_play(sale: Sale, tmp_path: Path) -> None:
    """Who is first in the file gets the coupon, and with a speed who is first by day; a person is shown the table."""
    file, report = written(tmp_path, lines(*CROWD)), tmp_path / "rows.csv"

    ran = await sale.replay(str(file), "--stock", "2")

    assert ran.code == 0, ran
    shown = {" ".join(line.split()) for line in ran.out.splitlines()}
    assert {"claimed 4 4", "limit_reached 3 3", "sold_out 2 2", "redeemed 1 1"} <= shown
    assert {"taken off their orders CNY 5.00 CNY 5.00", "every row is as the oracle says"} <= shown
    assert "verdict: 1 invariants hold, of everything in the books" in ran.out
    assert "answers 10 of 10" in ran.err

    ran = await sale.replay(str(file), "--stock", "2", "--coupon", "x", "--speed", "1e7", "--report", str(report))
    assert ran.code == 0, ran
    told = csv.DictReader(report.read_text().splitlines())
    assert [row["user"] for row in told if row["found"] == "claimed"] == ["a", "c"]
    assert "verdict: 1 invariants hold\n" in ran.out, "one campaign is judged alone"


FAULTS: list[tuple[dict[str, Any], int | None, str, str, str]] = [
    ({"limits": {"per_holder": 2}}, None, "claim", "limit_reached", "claimed"),
    ({"stock": 3}, 2, "claim", "sold_out", "claimed"),
    ({"stock": 1}, 2, "claim", "claimed", "sold_out"),
    ({"value": {"type": "amount_off", "minor": 501, "threshold_minor": 3000}}, 2, "claim", "claimed", "claimed as {"),
    ({"scope": {"stores": ["elsewhere"]}}, 2, "redemption", "redeemed", "conditions_not_met"),
]


async def test_a_planted_fault_is_found(sale: Sale, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit or a stock that is off by one, another discount, a coupon that can't be spent: its first row is told."""
    rows, right = trace(*CROWD).rows, campaigns.definition
    for number, (fault, stock, step, expected, found) in enumerate(FAULTS):
        monkeypatch.setattr(campaigns, "definition", lambda *given, fault=fault: {**right(*given), **fault})

        truth = await played(sale, rows, Terms(f"fault{number}", "CNY", stock, 1))

        first = truth.differing[0]
        assert (first.step, first.expected) == (step, expected), fault
        assert first.found.startswith(found), fault


async def played(sale: Sale, rows: list[Row], terms: Terms) -> Truth:
    """What a replay comes to, without its books."""
    address = local_address(sale.target.gateway_url)
    course = Course(rows, in_order_of_file(rows), terms.stock, terms.limit)
    play = Play(sale.target, address, rows, course, terms)
    await campaigns.make_campaigns(sale.target, address, rows, terms, lambda made: None)
    await play.run(8, lambda answered: None)
    return compare(rows, course, play)


@pytest.mark.usefixtures("unjudged")
async def test_a_fault_ends_with_1_and_its_first_row(
    sale: Sale, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command says how many rows differ and shows the first: its line, user, coupon, and both outcomes."""
    right = campaigns.definition
    monkeypatch.setattr(campaigns, "definition", lambda *given: {**right(*given), "limits": {"per_holder": 2}})

    ran = await sale.replay(str(written(tmp_path, lines("a x 01", "b x 01", "b x 02", "c x 01", "a x 03"))))

    assert ran.code == 1, ran
    assert (
        "2 rows are not as the oracle says, first line 4: the claim of user b on coupon x should be limit_reached,"
        " and is claimed" in ran.out
    )


@pytest.mark.usefixtures("unjudged")
async def test_ctrl_c_says_how_far_it_came_and_the_run_goes_on(sale: Sale, tmp_path: Path) -> None:
    """130, one clean message without a traceback; with --run the rest is played and all of it is as it has to be."""
    file = written(tmp_path, lines("a x 01", "b x 01", "c x 31"))
    command = [sys.executable, "-m", "gateway.cli", "replay", str(file), "--speed", "1000", "--run", "halt"]
    replaying = await asyncio.create_subprocess_exec(
        *command,
        stderr=asyncio.subprocess.PIPE,
        env=environment(FAIRCLAIM_READY_FILE=str(sale.ready_file)),
    )
    assert replaying.stderr is not None
    async with asyncio.timeout(240):
        async for line in replaying.stderr:
            if b"answers 0 of 3" in line:
                break
        replaying.send_signal(signal.SIGINT)
        told = (await replaying.stderr.read()).decode()
        code = await replaying.wait()

    assert code == 130, told
    assert "Traceback" not in told
    assert re.search(r"^fairclaim: stopped: [0-2] of 3 rows were answered, all as the oracle says$", told, re.MULTILINE)
    assert "--run halt with the same file and flags goes on with it" in told

    ran = await sale.replay(str(file), "--run", "halt", "--json")
    assert (ran.code, ran.data["found"]["claimed"]) == (0, 3)
