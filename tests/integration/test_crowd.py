"""Locust's crowd against a whole system: what its users do, what goes wrong on the way, and how it starts and stops."""

import json
import signal
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtest.run.arguments import ARGUMENTS
from loadtest.system import System
from loadtest.told import KINDS, Attempt
from tests.conftest import Eventually
from tests.integration.crowding import Crowd, a_port, without_log_lines
from tests.patience import PATIENT

UNHURRIED = ("--slow-ms", "60000", "--patience", "30")
"""A busy machine may take its time to answer the crowd."""
FEW = ("--headless", "--only-summary", "-u", "30", "-r", "30", *UNHURRIED)
"""Until they are stopped: it may take its time to show what a test waits for, too."""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One system for all crowds of this module."""
    with System(tmp_path_factory.mktemp("system"), workers=1, no_demo="true", **PATIENT) as system:
        yield system


def secrets_of(system: System) -> set[str]:
    """What may not be seen anywhere."""
    return {system.target.admin_key, system.target.jwt["secret"], "eyJ"}


def coupons_of(attempts: list[Attempt]) -> dict[str, set[tuple[str, str]]]:
    """Which holder and key were told of a coupon by a claim."""
    found: dict[str, set[tuple[str, str]]] = {}
    for attempt in attempts:
        if attempt.kind == "claim" and attempt.granted:
            found.setdefault(attempt.code, set()).add((attempt.holder, attempt.key))
    return found


async def test_everybody_comes_to_a_sale(system: System, tmp_path: Path) -> None:
    """
    Each user does what he is for: expected refusals have names of their own and nothing fails; the sale sells out, is
    restocked and paused; every attempt is recorded; no secret is in what Locust prints and writes.
    """
    html, stats = tmp_path / "report.html", tmp_path / "stats"
    sale = ("--stock", "150", "--restock", "40", "--restocks", "2", "--pause-after", "2", "--pause-for", "3")
    written = ("--html", str(html), "--json-file", str(stats))
    claims = {f"claim: {name}" for name in ("claimed", "sold_out", "replayed", "limit_reached", "campaign_paused")}
    tills = {"quote", "reserve: done", "redeem: done", "rollback: done"}
    others = {"restock: done", "pause", "resume", "stock", "report", "claims mine", "wallet"}
    with Crowd(tmp_path / "run", system.ready_file, *FEW, *sale, *written, judged=True) as crowd:
        assert await crowd.seen(*claims, *tills, *others, marks=4, coupons=150 + 2 * 40), crowd.text()
        crowd.stop()
        ran = crowd.ended()

    assert ran.code == 0, ran.text
    assert ran.failures == {}
    assert Counter(ran.marks) >= Counter({"restock of 40": 2, "pause": 1, "resume": 1})
    coupons = coupons_of(ran.attempts)
    assert len(coupons) == 150 + 2 * 40
    assert all(len(told) == 1 for told in coupons.values())
    recorded = Counter(attempt.kind for attempt in ran.attempts)
    asked = Counter(request.kind for request in ran.requests if request.kind in KINDS)
    assert recorded.keys() >= {"claim", "redeem", "rollback", "adjust", "reserve"}
    # A user who was stopped while he waited has an attempt and no row.
    assert all(0 <= recorded[kind] - asked[kind] <= 30 for kind in recorded)
    shown = ran.text + html.read_text(encoding="utf-8") + stats.with_suffix(".json").read_text(encoding="utf-8")
    assert not [secret for secret in secrets_of(system) if secret in shown]


async def test_what_goes_wrong_on_the_way_costs_and_wins_nothing(system: System, tmp_path: Path) -> None:
    """
    Dropped replies, slow links, fresh connections and doubles: no failure, whoever missed an answer gets it by the
    same key, one key is one coupon, and a slow link's latency is in no row of others.
    """
    faults = ("--drop-replies", "0.2", "--slow-links", "0.1", "--reconnects", "0.2", "--duplicate-sends", "0.2")
    names = ("claim: dropped", "redeem: dropped", "claim over a slow link: claimed", "claim: replayed")
    with Crowd(tmp_path / "run", system.ready_file, *FEW, "--stock", "100000", *faults, judged=True) as crowd:
        assert await crowd.seen(*names), crowd.text()
        crowd.stop()
        ran = crowd.ended()

    assert ran.code == 0, ran.text
    assert ran.failures == {}
    assert {request.outcome for request in ran.requests if request.name == "claim: dropped"} == {"dropped"}
    assert {request.kind for request in ran.requests if request.name == "claim: dropped"} == {"dropped"}
    assert "claim over a slow link" in {request.kind for request in ran.requests}
    by_key: dict[str, set[str]] = {}
    for attempt in ran.attempts:
        if attempt.kind == "claim" and attempt.granted:
            by_key.setdefault(attempt.key, set()).add(attempt.code)
    assert all(len(codes) == 1 for codes in by_key.values())
    assert all(len(told) == 1 for told in coupons_of(ran.attempts).values())
    missed = {attempt.key for attempt in ran.attempts if attempt.kind == "claim" and attempt.outcome == "unanswered"}
    assert len(missed & by_key.keys()) > 0
    times = Counter(attempt.key for attempt in ran.attempts if attempt.outcome == "claimed" and attempt.kind == "claim")
    assert max(times.values()) == 1


async def test_processes_share_the_people_out_and_tags_choose(system: System, tmp_path: Path) -> None:
    """Two workers of one command line: names of their own each, only who has the tag, one campaign."""
    ports = ("--master-bind-port", a_port(), "--master-port", a_port())
    few = ("--processes", "2", *ports, "--tags", "claim", "bot", "--holders", "40")
    with Crowd(tmp_path / "run", system.ready_file, *FEW, *few) as crowd:
        # Whoever had his turn comes again, and may not have another one.
        assert await crowd.seen("claim: limit_reached", "claim: claimed", people=40), crowd.text()
        crowd.stop()
        ran = crowd.ended()

    assert ran.code == 0, ran.text
    assert ran.failures == {}
    assert {request.kind for request in ran.requests} == {"claim"}
    assert len({attempt.campaign for attempt in ran.attempts}) == 1
    people = {attempt.holder for attempt in ran.attempts if attempt.holder.startswith("h")}
    assert people == {f"h1-{part}-{number}" for part in (0, 1) for number in range(20)}


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_and_term_lose_nothing(
    system: System, tmp_path: Path, by: signal.Signals, eventually: Eventually
) -> None:
    """A run ends at once, judged; each request that Locust counted is recorded, and so is each that was on its way."""
    with Crowd(tmp_path / "run", system.ready_file, *FEW, "--tags", "claim", judged=True) as crowd:
        assert await crowd.seen("claim: claimed", "claim: replayed"), crowd.text()
        with system.stopped("gateway"):
            before = crowd.counted()

            def all_wait() -> bool:
                # Between two signs of life whoever has an answer already reads it and asks again.
                now = crowd.counted()
                return now["alive"] > before["alive"] + 2 and now["sending"] == now["attempt"] + 30

            await eventually(all_wait)
            asked = crowd.counted()["attempt"]
            crowd.stop(by)
            await eventually(lambda: crowd.counted()["attempt"] > asked)
        ran = crowd.ended()

    assert ran.code == 0, ran.text
    assert "Traceback" not in ran.text
    stopped = Counter(attempt.outcome for attempt in ran.attempts)["unanswered"]
    assert len(ran.attempts) == len(ran.requests) + stopped
    assert stopped == 30


async def test_a_worker_needs_a_way_in_of_its_own(system: System, tmp_path: Path) -> None:
    """Secrets do not travel: a worker without a ready file says so and ends; one with variables takes part."""
    key, jwt = system.target.admin_key, system.target.jwt
    led_by = ("--master", "--master-bind-port", a_port(), "--api-key", key, "--expect-workers", "1")
    to_master = ("--worker", "--master-port", a_port())
    said = {
        "FAIRCLAIM_GATEWAY_URL": system.target.gateway_url,
        "FAIRCLAIM_API_KEY": key,
        "FAIRCLAIM_JWT_KEYS": f"{jwt['kid']}={jwt['secret']}",
    }
    nothing = tmp_path / "none.json"
    with Crowd(tmp_path / "leader", system.ready_file, *FEW, *led_by) as leader:
        with Crowd(tmp_path / "poor", nothing, *to_master) as worker:
            poor = worker.ended()
        with Crowd(tmp_path / "rich", nothing, *to_master, variables=said) as worker:
            assert await worker.seen("claim: claimed", "redeem: done"), worker.text() + leader.text()
            leader.stop()
            led, rich = leader.ended(), worker.ended()

    assert poor.code == 6
    [line] = [line for line in without_log_lines(poor.text) if "error" in line]
    assert "this worker can't get in: there is no ready file" in line
    assert (led.code, rich.code) == (0, 0), led.text
    assert rich.failures == {}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--retry-rate", "2"), 2, "argument --retry-rate: has to be a share from 0 to 1, not '2'"),
        (("--tags", "shop"), 2, "no user is left by --tags"),
        (("--host", "http://127.0.0.1:1"), 6, "nothing answers at http://127.0.0.1:1"),
        (("--api-key", "fck_wrong_key_0000000000000000"), 6, "the API key may not"),
        (("--ready-file", "/nowhere/ready.json"), 6, "there is no ready file /nowhere/ready.json"),
    ],
    ids=["argument", "tag", "host", "key", "ready-file"],
)
def test_what_is_wrong_is_said_in_a_line(
    system: System, tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    """No traceback, an exit code, and what to do; once more below Locust's tables, where it came to print them."""
    with Crowd(tmp_path / "run", system.ready_file, "--headless", "--only-summary", *arguments) as crowd:
        ran = crowd.ended()

    assert ran.code == code, ran.text
    assert ran.text.count(says) == 1 + ran.text.count(f"No run: {says}")
    assert "Traceback" not in ran.text
    assert ran.requests == []


def _asked(url: str, form: dict[str, str] | None = None) -> str:
    data = None if form is None else urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(url, data, timeout=20) as answer:  # noqa: S310 - http
        text: str = answer.read().decode()
        return text


async def test_the_web_page_has_the_arguments_and_no_secret(
    system: System, tmp_path: Path, eventually: Eventually
) -> None:
    """What is said there counts, a wrong value stops that run with a line in the log, and the next one goes well."""
    url = f"http://127.0.0.1:{a_port()}"
    at = ("--web-host", "127.0.0.1", "--web-port", a_port(), "--api-key", system.target.admin_key, *UNHURRIED)
    form = {"user_count": "5", "spawn_rate": "5", "host": system.target.gateway_url}
    form |= {"limit": "2", "campaign": "from-page"}
    with Crowd(tmp_path / "run", system.ready_file, *at) as crowd:

        def page() -> str:
            try:
                return _asked(url)
            except OSError:
                return ""

        def state() -> str:
            return str(json.loads(_asked(f"{url}/stats/requests"))["state"])

        shown = await eventually(page, within_s=60)
        assert json.loads(_asked(f"{url}/swarm", {**form, "holders": "0"}))["success"]
        await eventually(lambda: "--holders has to be from 1" in crowd.text())
        await eventually(lambda: state() == "stopped")
        assert json.loads(_asked(f"{url}/swarm", {**form, "holders": "50"}))["success"]
        assert await crowd.seen("claim: replayed", "claim: limit_reached"), crowd.text()
        _asked(f"{url}/stop", {})
        seen = shown + _asked(url) + _asked(f"{url}/stats/report") + _asked(f"{url}/logs")
        crowd.process.send_signal(signal.SIGTERM)
        ran = crowd.ended()

    assert {argument.dest for argument in ARGUMENTS if f'"{argument.dest}"' in shown} == {
        argument.dest for argument in ARGUMENTS if argument.shown
    }
    assert system.target.gateway_url in shown
    assert ran.code == 0, ran.text
    assert {attempt.campaign for attempt in ran.attempts} == {"from-page"}
    assert max(Counter(attempt.holder for attempt in ran.attempts if attempt.outcome == "claimed").values()) == 2
    assert not [secret for secret in secrets_of(system) if secret in seen + ran.text]
