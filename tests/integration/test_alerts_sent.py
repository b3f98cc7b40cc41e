"""Alerts on their way: webhooks that are signed, fail, recover and give up; mails; what is secret."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from gateway.alerts import mail, outward, sending
from gateway.alerts.sending import Due
from tests.conftest import ON_VALKEY, Eventually
from tests.http import Worker
from tests.integration.alerting import LOOPBACK, Hook, MailServer
from tests.integration.draining import Books

pytestmark = ON_VALKEY


@pytest.fixture
async def mails() -> AsyncIterator[MailServer]:
    """A mail server."""
    async with MailServer() as server:
        yield server


@pytest.fixture
async def worker(
    redis_url: str, postgres_url: str, tmp_path: Path, mails: MailServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Worker]:
    """A worker that looks every second, sends to loopback, and knows the mail server; no answer is late to it."""
    monkeypatch.setattr(outward, "SECONDS_MAX", 80.0)
    monkeypatch.setattr(outward, "_PHASES_S", dict.fromkeys(("connect", "write", "read", "pool"), 80.0))
    monkeypatch.setattr(mail, "STEP_S_MAX", 80.0)
    monkeypatch.setattr(mail, "SECONDS_MAX", 80.0)
    known: dict[str, Any] = {"smtp_host": "127.0.0.1", "smtp_port": mails.port, "smtp_security": "none"}
    known |= {"alerts_look_s": 1, "alert_networks": LOOPBACK, "public_url": "https://sale.example.com/"}
    async with Worker(redis_url, postgres_url, tmp_path, **known) as worker:
        yield worker


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    """A receiver of webhooks."""
    async with Hook() as hook:
        yield hook


async def ask(worker: Worker, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    """What an admin is answered."""
    answer = await worker.http.request(method, f"/v1/{path}", json=body, headers=await worker.key("admin"))
    assert answer.status_code == status, answer.text
    return answer.json()


async def listen(worker: Worker, address: str, by: str = "webhook", *kinds: str) -> dict[str, Any]:
    """A receiver."""
    body = {"by": by, "name": "on call", "address": address, "kinds": kinds}
    made: dict[str, Any] = await ask(worker, "POST", "alert-receivers", body, 201)
    return made


async def sell_nearly_out(worker: Worker) -> None:
    """A sale of which a tenth is left."""
    await worker.publish(stock=10)
    for number in range(9):
        assert (await worker.claim(f"h{number}")).status_code == 201


def is_signed(secret: str, headers: dict[str, str], body: bytes) -> Any:
    """The body, as the library's receiver reads it. Errors: WebhookVerificationError."""
    return Webhook(secret).verify(body, headers)


async def test_an_alert_arrives_signed_by_webhook_and_by_mail(
    worker: Worker, hook: Hook, mails: MailServer, eventually: Eventually
) -> None:
    """By itself, from a sale that sells to who is told of it: raised, acknowledged, over; each signed, each once."""
    made = await listen(worker, hook.url, "webhook", "low_stock")
    await listen(worker, "ops@example.com", "email", "low_stock")
    await listen(worker, "books@example.com", "email", "breaks")
    await sell_nearly_out(worker)

    await eventually(lambda: hook.got and mails.got)
    headers, body = hook.got[0]
    told = is_signed(made["secret"], headers, body)
    assert (told["type"], headers["content-type"]) == ("alert.raised", "application/json")
    assert told["data"]["says"] == "Flash has 10% of its stock left."
    assert (told["data"]["kind"], told["data"]["campaign"], told["data"]["figure"]) == ("low_stock", "flash", 10.0)
    assert told["data"]["url"] == f"https://sale.example.com/console/alerts/{told['data']['id']}"
    with pytest.raises(WebhookVerificationError):
        is_signed(made["secret"], headers, body + b" ")
    [message] = mails.got
    assert (message["to"], message["subject"]) == ("ops@example.com", "[Fairclaim] warning: low stock (flash)")
    assert "Flash has 10% of its stock left." in message.get_content()

    await ask(worker, "POST", f"alerts/{told['data']['id']}/acknowledge", {"note": "on it"})
    await worker.state("ended")
    await eventually(lambda: len(hook.got) == 3 and len(mails.got) == 3)
    types = {is_signed(made["secret"], *each)["type"] for each in hook.got}
    assert types == {"alert.raised", "alert.acknowledged", "alert.cleared"}
    assert len({headers["webhook-id"] for headers, _ in hook.got}) == 3
    [seen] = (await ask(worker, "GET", "alerts?kind=low_stock"))["items"]
    assert (seen["note"], seen["acknowledged_by"].endswith(" test admin")) == ("on it", True)

    async def are_sent() -> bool:  # noted once the receiver has answered
        sent = (await ask(worker, "GET", f"alerts/{seen['id']}"))["deliveries"]
        return [each["state"] for each in sent] == ["sent"] * 6

    await eventually(are_sent)
    await eventually(lambda: worker.counted("fairclaim_alert_deliveries_total")["sent"] == 6)


async def test_what_fails_is_sent_again_with_the_same_id(
    worker: Worker, hook: Hook, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receiver that fails, hangs up or redirects gets the same body with the same id later; then it has arrived."""
    monkeypatch.setattr(sending, "WAITS_S", (0,) * 1000)
    made = await listen(worker, hook.url, "webhook", "low_stock")
    hook.status = 500
    await sell_nearly_out(worker)
    await eventually(lambda: len(hook.got) >= 1)
    [before] = (await ask(worker, "GET", "alert-receivers"))["items"]
    hook.status, hook.location = 302, hook.url
    tries = len(hook.got)
    await eventually(lambda: len(hook.got) > tries)
    hook.status = 0
    tries = len(hook.got)
    await eventually(lambda: len(hook.got) > tries)
    hook.status = 200

    async def has_arrived() -> bool:
        return worker.counted("fairclaim_alert_deliveries_total")["sent"] == 1

    await eventually(has_arrived)
    assert len({(headers["webhook-id"], body) for headers, body in hook.got}) == 1
    assert is_signed(made["secret"], *hook.got[-1])["type"] == "alert.raised"
    [after] = (await ask(worker, "GET", "alert-receivers"))["items"]
    assert (before["last_sent_at"], before["state"]) == (None, "on")
    assert (after["last_error"], after["failing_since"], after["last_sent_at"] is not None) == (None, None, True)


async def test_a_receiver_that_is_gone_is_turned_off(worker: Worker, hook: Hook, eventually: Eventually) -> None:
    """410 turns it off at once, and after days in which nothing arrives so does anything; on again it is told anew."""
    made = await listen(worker, hook.url, "webhook", "low_stock")  # one delivery at a time: no other one is under way
    path = f"alert-receivers/{made['id']}"
    hook.status = 410
    await sell_nearly_out(worker)

    async def state() -> str:
        [found] = (await ask(worker, "GET", "alert-receivers"))["items"]
        return str(found["state"])

    async def is_off() -> bool:
        return await state() == "failed"

    await eventually(is_off)
    [found] = (await ask(worker, "GET", "alert-receivers"))["items"]
    assert found["reason"] == "the receiver answered 410"
    hook.status = 500
    await ask(worker, "POST", f"{path}/state", {"to": "on"})
    with Books(worker.settings.postgres_url) as books:
        books.rows("UPDATE alert_receivers SET failing_since = now() - interval '6 days'")
        await worker.state("ended")
        await eventually(is_off)
        audited = books.rows("SELECT action FROM audit_log WHERE subject = %s ORDER BY id", f"receiver:{made['id']}")
        assert {state for (state,) in books.rows("SELECT state FROM alert_deliveries")} <= {"failed", "dropped"}
    assert [action for (action,) in audited] == [
        "receiver.made",
        "receiver.failed",
        "receiver.moved",
        "receiver.failed",
    ]


async def test_turning_a_receiver_off_while_something_arrives(
    worker: Worker, hook: Hook, eventually: Eventually
) -> None:
    """Whoever turns it off and who notes that it has arrived don't lock each other out, in whatever order they come."""
    await listen(worker, hook.url)
    url = worker.settings.postgres_url
    async with await psycopg.AsyncConnection.connect(url) as off:
        with Books(url) as books:
            books.rows(
                "INSERT INTO alert_deliveries (id, receiver, type, payload, next_at) "
                "SELECT 'one', id, 'alert.test', '{}', now() + interval '1 day' FROM alert_receivers"
            )
            await off.execute("SELECT id FROM alert_receivers FOR UPDATE")
            books.rows("UPDATE alert_deliveries SET next_at = now()")

            async def waits() -> bool:
                waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                return bool(books.value(f"{waiting} AND datname = current_database()"))

            await eventually(waits)
            await off.execute("UPDATE alert_deliveries SET state = 'dropped', ended_at = now()")
            await off.commit()

            async def is_noted() -> bool:
                return worker.counted("fairclaim_alert_deliveries_total")["sent"] == 1

            await eventually(is_noted)
            assert books.value("SELECT state FROM alert_deliveries") == "dropped"


async def test_after_the_last_try_it_has_failed(worker: Worker, hook: Hook, eventually: Eventually) -> None:
    """A delivery that was tried as often as may be is not tried again, and the others go on."""
    await listen(worker, hook.url, "webhook", "low_stock")
    with Books(worker.settings.postgres_url) as books:
        books.rows(
            "INSERT INTO alert_deliveries (id, receiver, type, payload, tries) "
            "SELECT 'old', id, 'alert.raised', '{}', %s FROM alert_receivers",
            len(sending.WAITS_S),
        )
        hook.status = 503

        async def has_failed() -> bool:
            return bool(books.value("SELECT state = 'failed' FROM alert_deliveries WHERE id = 'old'"))

        await eventually(has_failed)
    assert len(hook.got) == 1


async def test_a_trial_and_another_secret(worker: Worker, hook: Hook, mails: MailServer) -> None:
    """A trial says what became of it. After one rotation, or two, the first secret signs beside the last."""
    made = await listen(worker, hook.url)
    path = f"alert-receivers/{made['id']}"
    assert await ask(worker, "POST", f"{path}/test") == {"arrived": True, "error": None}
    rotated = await ask(worker, "POST", f"{path}/secret")
    assert rotated["secret"] != made["secret"]
    assert rotated["old_secret_until"]
    rotated = await ask(worker, "POST", f"{path}/secret")  # a second click keeps what the receiver has
    hook.status = 500
    assert await ask(worker, "POST", f"{path}/test") == {"arrived": False, "error": "the receiver answered 500"}
    for secret in (made["secret"], rotated["secret"]):
        assert is_signed(secret, *hook.got[-1])["type"] == "alert.test"
    with pytest.raises(WebhookVerificationError):
        is_signed(rotated["secret"], *hook.got[0])

    post = await listen(worker, "ops@example.com", "email")
    assert (post["secret"], await ask(worker, "POST", f"alert-receivers/{post['id']}/test")) == (
        None,
        {"arrived": True, "error": None},
    )
    assert mails.got[0]["subject"] == "[Fairclaim] trial"
    mails.refuse = "550 nobody here"
    refused = await ask(worker, "POST", f"alert-receivers/{post['id']}/test")
    assert refused == {"arrived": False, "error": "the mail server refused the address (550)"}


async def test_secrets_are_shown_once_and_nowhere_else(
    worker: Worker, hook: Hook, eventually: Eventually, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither what signs nor the path of the address is in a list, the audit log, a log line or a text of a failure."""
    caplog.set_level(logging.DEBUG)
    made = await listen(worker, hook.url)
    rotated = await ask(worker, "POST", f"alert-receivers/{made['id']}/secret")
    hook.status = 500
    await sell_nearly_out(worker)
    await eventually(lambda: hook.got)
    await ask(worker, "POST", f"alert-receivers/{made['id']}/test")
    await eventually(lambda: any("did not arrive" in record.message for record in caplog.records))

    seen = str(await ask(worker, "GET", "alert-receivers")) + str(await ask(worker, "GET", "alerts/1"))
    with Books(worker.settings.postgres_url) as books:
        for query in ("SELECT * FROM audit_log", "SELECT error, payload FROM alert_deliveries"):
            seen += str(books.rows(query))
    seen += "".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert f"127.0.0.1:{hook.port}" in seen
    for secret in (made["secret"], rotated["secret"], "s3cret-path"):
        assert secret.removeprefix("whsec_") not in seen
    assert "s3cret" not in repr(Due("a", "b", "c", "d", 0, "webhook", hook.url, "s3cret", "s3cret"))


async def test_a_removed_receiver_gets_nothing_more(worker: Worker, hook: Hook, eventually: Eventually) -> None:
    """What was written down for it just as it was removed or turned off is dropped, and others get theirs."""
    gone, off, on = [await listen(worker, f"{hook.url}?{name}") for name in ("gone", "off", "on")]
    await ask(worker, "POST", f"alert-receivers/{gone['id']}/state", {"to": "removed"})
    await ask(worker, "POST", f"alert-receivers/{off['id']}/state", {"to": "off"})
    with Books(worker.settings.postgres_url) as books:
        books.rows(
            "INSERT INTO alert_deliveries (id, receiver, type, payload) "
            "SELECT id, id, 'alert.raised', '{}' FROM alert_receivers"
        )

        async def all_ended() -> bool:
            return bool(books.value("SELECT count(*) = 3 FROM alert_deliveries WHERE ended_at IS NOT NULL"))

        await eventually(all_ended)
        states = dict(books.rows("SELECT id, state FROM alert_deliveries"))
    assert states == {gone["id"]: "dropped", off["id"]: "dropped", on["id"]: "sent"}
    assert [headers["webhook-id"] for headers, _ in hook.got] == [on["id"]]
