"""Where a webhook may go, how it is signed, what a mail is: alerts on their way, without a worker."""

import asyncio
from datetime import UTC, datetime
from email.message import EmailMessage
from ipaddress import ip_address
from typing import Any

import msgspec
import pytest
from babel import Locale

from gateway.alerts.mail import AT_ONCE_MAX, Mailer
from gateway.alerts.outward import BadUrl, Outward, Undelivered
from gateway.alerts.payload import mail
from gateway.alerts.reasons import said
from gateway.alerts.sending import Due, signed
from gateway.console.locales import Words
from gateway.settings import SettingError, Settings
from tests.conftest import Eventually
from tests.integration.alerting import LOOPBACK, Hook


@pytest.mark.parametrize(
    ("networks", "url", "may"),
    [
        ("", "https://hooks.example.com/a?b=c", True),
        ("", "http://hooks.example.com/", False),
        ("", "https://127.0.0.1/", False),
        ("", "https://[::1]/", False),
        ("", "https://10.0.0.8:8443/", False),
        ("", "https://169.254.169.254/latest/meta-data", False),
        ("", "https://[::ffff:10.0.0.8]/", False),
        ("", "https://[64:ff9b::a00:8]/", False),
        ("", "https://user:pass@hooks.example.com/", False),
        ("", "https://hooks.example.com/#part", False),
        ("", "https:///nowhere", False),
        ("", "ftp://hooks.example.com/", False),
        ("", "https://hooks.example.com/\r\nX-Evil: 1", False),
        ("", "https://hooks.example.com:99999/", False),
        ("", "https://[fec0::8]/", False),
        ("", "https://hooks..example.com/", False),
        ("", f"https://{'a' * 64}.example.com/", False),
        ("10.0.0.0/8", "http://10.0.0.8/", True),
        ("10.0.0.0/8", "http://8.8.8.8/", False),
    ],
)
async def test_where_a_webhook_may_be(networks: str, url: str, may: bool) -> None:
    """Public, by HTTPS, or where a setting allows it; nothing that hides another address or a header."""
    outward = Outward(networks)
    if may:
        assert outward.check_url(url) == url
    else:
        with pytest.raises(BadUrl):
            outward.check_url(url)
    await outward.close()


async def test_a_name_that_leads_inside_is_not_followed() -> None:
    """What a name means is looked up when it is sent to: localhost is not public, whatever was checked before."""
    outward = Outward("")
    async with Hook() as hook:
        for url in (f"https://localhost:{hook.port}/", hook.url):
            with pytest.raises(Undelivered, match="not public"):
                await outward.post(url, [], b"{}")
        assert hook.got == []
    inside = ("0.0.0.8", "224.0.0.1", "240.0.0.1", "100.64.0.1", "fe80::1", "fec0::1", "2002:a00:8::", "192.168.0.1")
    for address in inside:
        assert not outward.may_reach(ip_address(address), is_plain=False)
    assert outward.may_reach(ip_address("93.184.216.34"), is_plain=False)
    assert not outward.may_reach(ip_address("93.184.216.34"), is_plain=True)
    await outward.close()


async def test_a_name_that_can_t_be_one_is_not_there() -> None:
    """What is kept from before it was refused ends as any other failure does, and is not tried for ever."""
    outward = Outward("")
    for host in ("hooks..example.com", f"{'a' * 64}.example.com"):
        with pytest.raises(Undelivered, match="no such name"):
            await outward.post(f"https://{host}/", [], b"{}")
    await outward.close()


async def test_a_receiver_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the request and never answers costs as long as may be, and no longer."""
    monkeypatch.setattr("gateway.alerts.outward.SECONDS_MAX", 0.2)
    silent = asyncio.Event()
    served: list[asyncio.Task[Any] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        await silent.wait()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    outward = Outward(LOOPBACK)
    with pytest.raises(Undelivered, match="no answer in time"):
        await outward.post(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", [], b"{}")
    silent.set()
    await asyncio.gather(*filter(None, served))
    await outward.close()
    server.close()
    await server.wait_closed()


async def test_a_mail_server_that_hangs_keeps_nothing_else_waiting(
    monkeypatch: pytest.MonkeyPatch, eventually: Eventually
) -> None:
    """However many mails wait for it: what else is done in threads, as quotes at a till are, goes on."""
    monkeypatch.setattr("gateway.alerts.mail.STEP_S_MAX", 120.0)
    silent = asyncio.Event()
    served: list[asyncio.Task[Any] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(asyncio.current_task())
        await silent.wait()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    known = {"smtp_host": "127.0.0.1", "smtp_port": server.sockets[0].getsockname()[1], "smtp_security": "none"}
    mailer = Mailer(msgspec.structs.replace(Settings(), **known))
    mails = [asyncio.create_task(mailer.send(EmailMessage())) for _ in range(100)]
    await eventually(lambda: len(served) == AT_ONCE_MAX)  # nobody comes when the server has gone
    async with asyncio.timeout(60):
        assert await asyncio.to_thread(lambda: "done") == "done"
    for each in mails:
        each.cancel()
    await asyncio.gather(*mails, return_exceptions=True)
    silent.set()
    await asyncio.gather(*filter(None, served), return_exceptions=True)
    server.close()
    await server.wait_closed()


def test_signatures_are_those_of_the_specification() -> None:
    """The example of Standard Webhooks, to the letter."""
    due = Due(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", "ar", "t", '{"test": 2432232314}', 0, "webhook", "https://x/",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "",
    )  # fmt: skip
    headers = dict(signed(due, datetime.fromtimestamp(1614265330, UTC)))
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (due.id, "1614265330")


def test_a_mail_can_t_be_given_another_header() -> None:
    """What stands in an alert is one line of a subject, or text."""
    data = {"kind": "breaks", "severity": "critical", "campaign": "a\nBcc: eve@example.com", "says": "x", "to_do": "y"}
    body = msgspec.json.encode({"type": "alert.raised", "timestamp": "2026-11-29T10:00:00Z", "data": data}).decode()
    with pytest.raises(ValueError, match="Header"):
        mail("id", body, "f@example.com", "ops@example.com")


def test_what_people_wrote_is_a_line_of_a_mail_and_no_other() -> None:
    """A note, or a name, with line breaks of any kind fakes no line of ours."""
    data = {
        **{"kind": "breaks", "severity": "critical", "campaign": None, "says": "A\nSeverity: none", "to_do": "y"},
        **{"acknowledged_by": "user:mia", "note": "on it\r\nSee: https://evil.example\u2028Over: now\x0bx"},
        "url": "https://sale.example.com/console/alerts/7",
    }
    body = msgspec.json.encode({"type": "alert.acknowledged", "timestamp": "2026-11-29T10:00:00Z", "data": data})
    assert mail("id", body.decode(), "f@example.com", "ops@example.com").get_content().splitlines() == [
        "A Severity: none",
        "",
        "Severity: critical",
        "Seen by: user:mia",
        "Note: on it See: https://evil.example Over: now x",
        "See: https://sale.example.com/console/alerts/7",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"alert_networks": "nowhere"},
        {"public_url": "sale.example.com"},
        {"smtp_security": "ssl"},
        {"smtp_user": "u", "smtp_security": "none"},
    ],
)
def test_settings_that_can_t_be(changes: dict[str, str]) -> None:
    """Refused by name when they are read; a password never goes over a line that is not encrypted."""
    with pytest.raises(SettingError, match=f"FAIRCLAIM_{next(iter(changes)).upper()}"):
        msgspec.structs.replace(Settings(), **changes).checked()


def test_why_is_said_in_a_language() -> None:
    """A reason is kept in English, and told to people in theirs, with what stands in it; an unknown one as it is."""
    chinese = Words("zh_Hans", Locale.parse("zh_Hans"), "UTC")
    assert said("the receiver answered 503", chinese) == "接收方应答 503"
    assert said("no answer in time", chinese) == "未及时应答"
    assert (said("something else", chinese), said(None, chinese)) == ("something else", "")
