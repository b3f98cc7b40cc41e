"""`fairclaim up` over several starts: what survives a good stop, a kill, and a stop under load."""

import re
import shlex
import signal
import stat
import subprocess
import threading
from pathlib import Path

import httpx2
import pytest

from gateway.stack.processes import await_until
from gateway.stack.valkey import Valkey
from tests.integration.stacks import Stack, descendants, lives
from tests.patience import PATIENT

READY_KEYS = {
    "gateway_url", "console_url", "redis_url", "postgres_url", "admin_key", "store_key", "finance_key",
    "demo_campaign", "jwt", "console_user", "console_password",
}  # fmt: skip


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data directory, over several starts."""
    return tmp_path_factory.mktemp("up") / "data"


def test_first_start_answers_the_printed_claim_and_the_next_start_finds_it(data_dir: Path) -> None:
    """The printed curl claims, and again gives the same coupon; Ctrl-C exits 0; all is there next time."""
    with Stack(data_dir, settings=PATIENT) as first:
        assert set(first.ready) == READY_KEYS
        assert set(first.ready["jwt"]) == {"secret", "kid", "audience", "issuer"}
        assert stat.S_IMODE((data_dir / "ready.json").stat().st_mode) == 0o600
        assert first.ready["console_password"] in first.output
        [demo] = re.findall(r"^  demo +(\S+)", first.output, re.MULTILINE)
        assert demo == f"{first.ready['gateway_url']}/demo"
        assert httpx2.get(demo, timeout=60).status_code == 200
        claim, wallet = re.findall(r"^curl .*", first.output, re.MULTILINE)
        answers = [_curl(claim).splitlines() for _ in range(2)]
        assert [answer[0].split()[1] for answer in answers] == ["201", "200"]
        assert answers[0][-1] == answers[1][-1]
        assert await_until(lambda: '"code"' in _curl(wallet), 60)
        code = first.claim("ann").json()["code"]
        assert first.move_demo("paused") == 200
        assert first.stop() == 0, first.output
        assert not (data_dir / "ready.json").exists()

    with Stack(data_dir, settings=PATIENT) as second:
        assert second.ready["console_user"] == "admin"
        assert first.ready["console_password"] not in second.output
        same = ("admin_key", "store_key", "finance_key", "console_password", "jwt", "demo_campaign")
        assert {name: second.ready[name] for name in same} == {name: first.ready[name] for name in same}
        assert second.claim("ann").status_code == 200, "not at once: the ready file came too early"
        assert second.wallet("ann") == [code]
        assert second.claim("bob").json()["code"] == "campaign_paused"
        assert second.move_demo("active") == 200
        assert second.stop(signal.SIGTERM) == 0, second.output


def test_killed_supervisor_takes_all_with_it_and_loses_nothing(data_dir: Path) -> None:
    """After kill -9 of up no process of it is left, and the next up still has what was answered a moment before."""
    with Stack(data_dir, "--workers", "1", settings=PATIENT) as stack:
        family = descendants(stack.process.pid)
        assert len(family) >= 5
        code = stack.claim("carl").json()["code"]
        stack.process.kill()
        stack.process.wait()
        assert await_until(lambda: not [pid for pid in family if lives(pid)], 60)
    assert (data_dir / "ready.json").exists()
    with Stack(data_dir, "--workers", "1", settings=PATIENT) as again:
        assert again.claim("carl").json()["code"] == code
        assert await_until(lambda: again.wallet("carl") == [code], 60)
        again.prove_clean()
        assert again.stop() == 0


def test_stop_under_load_loses_nothing_that_was_answered(data_dir: Path) -> None:
    """SIGTERM among claims: what got 201 is in the books when up has ended, drained before the servers stopped."""
    answered: list[str] = []
    under_way = threading.Event()
    with Stack(data_dir, settings=PATIENT) as stack:

        def claimant(number: int) -> None:
            for turn in range(1000):
                try:
                    answer = stack.claim(f"load-{number}-{turn}")
                except httpx2.TransportError:
                    return
                if answer.status_code == 201:
                    answered.append(answer.json()["code"])
                    under_way.set()

        threads = [threading.Thread(target=claimant, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        assert under_way.wait(60)
        assert stack.stop(signal.SIGTERM) == 0, stack.output
        for thread in threads:
            thread.join()
    assert answered
    log = (data_dir / "logs" / "reconciler.log").read_text().splitlines()
    assert any("drained to the tail" in line for line in log[-4:])
    with Stack(data_dir, "--no-demo", "--workers", "1", settings=PATIENT) as again:
        assert again.ready["demo_campaign"] is None
        assert set(answered) <= again.booked()
        again.prove_clean()
        assert again.stop() == 0


def test_servers_given_by_url_are_used_and_left_running(
    redis_server: Valkey, redis_url: str, postgres_url: str, tmp_path: Path
) -> None:
    """With both URLs up starts no server of its own, works on those given, and leaves them running; its clerk too."""
    urls = ("--redis-url", redis_url, "--postgres-url", postgres_url)
    with Stack(tmp_path / "data", *urls, "--workers", "1", "--json", settings=PATIENT) as stack:
        assert (stack.ready["redis_url"], stack.ready["postgres_url"]) == (redis_url, postgres_url)
        assert stack.parts("valkey-server") == stack.parts("bin/postgres") == []
        assert stack.claim("ann").status_code == 201
        assert httpx2.get(f"{stack.ready['gateway_url']}/demo", timeout=60).status_code == 404, (
            "nobody named a campaign"
        )
        assert await_until(lambda: len(stack.wallet("ann")) == 1, 60)
        export = stack.export("journal", "csv")
        assert export.startswith(b"date,journal,")
        assert b"commitment:demo" in export
        assert stack.stop() == 0
    assert await_until(redis_server.answers, 60)


def _curl(line: str) -> str:
    return subprocess.run(shlex.split(line), check=True, capture_output=True, text=True, timeout=60).stdout
