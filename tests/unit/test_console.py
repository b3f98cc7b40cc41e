"""The console without a server: addresses, languages, catalogues, times and money, the files it comes with."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256

import pytest
from babel import Locale
from babel.messages.catalog import Message
from markupsafe import Markup

from gateway.console.access import inside
from gateway.console.books.charting import suggested
from gateway.console.books.checking import of_check
from gateway.console.campaigns.fields import FIELDS
from gateway.console.isolating import isolated
from gateway.console.labelling import labels_in
from gateway.console.locales import LANGUAGES, Words, choose
from gateway.console.pages.audit import read_line
from gateway.console.pages.differing import Change
from gateway.console.pages.leading import leads_to
from gateway.console.render import ASSETS, environment
from gateway.console.routes import PAGES
from gateway.console.sessions import Session, Sessions
from gateway.people.person import ROLES
from reconciler.accounts import ACCOUNTS, MONEY_ACCOUNTS
from reconciler.periods.report import Check
from tests.messages import extracted, kept, translated

HTMX_SHA256 = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
"""htmx.org 2.0.11 dist/htmx.min.js, as the npm registry has it."""
AT = datetime(2026, 11, 22, 10, 5, 7, tzinfo=UTC)
KEYS = {"k1": b"1" * 32, "k2": b"2" * 32}
PLACES = re.compile(r"%\(\w+\)s|%%")


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/console", "//evil.example/console", "/console//evil.example", "/console/../till",
        "/consolex", "/till", "\\\\evil.example", "/console\\evil", "javascript:alert(1)", "/console/sign-out",
        "/console/sign-in?next=/console", "/console\n//evil", "/console\r\nx: y", "/console#x", "/console/é", "",
        "/console/%2e%2e/till", "/console/.%2E/till", "/console/./sign-out", "/console/%2E/sign-in?next=/console",
    ],
)  # fmt: skip
def test_no_address_leads_elsewhere(address: str) -> None:
    """Whatever is asked for as the next page, the next page is one of the console, and not the one to sign out."""
    assert inside(address) == "/console"


@pytest.mark.parametrize(
    "address", ["/console", "/console/users", "/console/users/ann.lee", "/console/audit?actor=a%20b&subject=user:x"]
)
def test_an_address_of_ours_is_kept(address: str) -> None:
    """A page of the console, with its query, is where one goes on."""
    assert inside(address) == address


def test_every_menu_entry_is_a_page_with_its_section() -> None:
    """The table names no role that there is not, no path twice, and what is marked for a page is in the menu."""
    paths = [page.path for page in PAGES]
    in_menu = {page.path for page in PAGES if page.menu}

    assert len(set(paths)) == len(paths)
    assert all(set(page.roles) <= set(ROLES) for page in PAGES)
    assert all(bool(page.menu) == bool(page.section) for page in PAGES)
    assert {page.under for page in PAGES} - {""} <= in_menu


@pytest.mark.parametrize("language", list(translated()))
def test_every_message_is_translated_and_no_translation_is_stale(language: str) -> None:
    """A catalogue has exactly the messages of templates and Python, each with its translation and the same places."""
    there = {message.id for message in extracted() if message.id}
    catalogue = [message for message in kept(language) if message.id]

    assert there == {message.id for message in catalogue}
    assert not kept(language).obsolete
    assert [message.id for message in catalogue if message.fuzzy or not all(_strings(message.string))] == []
    assert [message.id for message in catalogue if not _same_places(message)] == []


def _strings(text: object) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text) if isinstance(text, tuple | list) else ("",)


def _same_places(message: Message) -> bool:
    """Of plurals, the last says all there is to say."""
    return sorted(PLACES.findall(_strings(message.id)[-1])) == sorted(PLACES.findall(_strings(message.string)[-1]))


@pytest.mark.parametrize(
    ("chosen", "accepted", "language", "place"),
    [
        ("", "", "en", "en"),
        ("", "zh-CN,zh;q=0.9,en;q=0.8", "zh_Hans", "zh_Hans_CN"),
        ("", "fr-FR,fr;q=0.9", "en", "en"),
        ("", "fr;q=1, en-GB;q=0.8, zh;q=0.9", "zh_Hans", "zh"),
        ("", "en;q=0.1,zh-Hans-CN", "zh_Hans", "zh_Hans_CN"),
        ("en", "zh-CN,en-GB;q=0.5", "en", "en_GB"),
        ("zh_Hans", "en-US", "zh_Hans", "zh_Hans"),
        ("xx", "en-XX-very-odd, en-GB;q=x, *;q=0.1, ;;;", "en", "en"),
        ("../../etc", "\0," * 500, "en", "en"),
    ],
)
def test_the_language_is_the_chosen_one_or_the_browser_s(chosen: str, accepted: str, language: str, place: str) -> None:
    """What somebody chose goes before what his browser accepts; numbers and times are those of the browser's place."""
    found, locale = choose(chosen, accepted)

    assert found == language
    assert str(locale) in (place, str(Locale.parse(place)))


def test_numbers_money_and_times_are_of_the_place_and_the_zone() -> None:
    """Grouped, with the currency's own decimals, in the zone that was asked for."""
    british, chinese = (
        Words("en", Locale.parse("en_GB"), "Europe/London"),
        Words("zh_Hans", Locale.parse("zh_Hans_CN"), "Asia/Shanghai"),
    )

    assert british.number(1234567) == "1,234,567"
    assert british.number(Decimal("0.5")) == "0.5"
    assert british.money(123456, "CNY") == "CN¥1,234.56"
    assert british.money(500, "JPY") == "JP¥500"
    assert chinese.money(500, "CNY") == "¥5.00"
    assert british.time(AT) == "22 Nov 2026, 10:05:07"
    assert chinese.time(AT) == "2026年11月22日 18:05:07"
    assert (british.day(AT), chinese.day(AT.date())) == ("22 Nov 2026", "2026年11月22日")
    assert chinese.iso(AT) == "2026-11-22T10:05:07Z"
    assert (british.tag, chinese.tag) == ("en", "zh-Hans")
    assert chinese.say("Sign in") == "登录"
    assert british.say("%(mib)s MiB", mib="3") == "3 MiB"
    assert list(LANGUAGES) == ["en", "zh_Hans"]


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("Singles’ Day ☂ 双十一", "Singles’ Day ☂ 双十一"),
        ("\u202enwod", "\u2068\u202enwod\u2069"),
        ("שלום 5", "\u2068שלום 5\u2069"),
        ("a\u2069\u202eb", "\u2068a\u202eb\u2069"),
        ("\u2067a\u2069\u2069\u2066b", "\u2068\u2067a\u2069\u2066b\u2069\u2069"),
    ],
)
def test_a_name_does_not_turn_what_stands_beside_it(typed: str, shown: str) -> None:
    """What turns the way of reading is in an isolate that it can't end, in messages too; the rest is as it is."""
    words = Words("en", Locale.parse("en_GB"), "UTC")
    assert isolated(typed) == shown
    assert words.say("%(maker)s, approved by %(checker)s", maker=typed, checker="bo") == f"{shown}, approved by bo"
    page = environment("en").from_string("{{ _('Report %(number)s', number=name) }}").render(name=f"<{typed}>")
    assert page == f"Report {isolated(f'<{typed}>')}".replace("<", "&lt;").replace(">", "&gt;")


def test_whoever_did_something_is_called_by_his_name() -> None:
    """No page shows the actor as the log has him: each that names one says who it is in words."""
    made = environment("en")
    assert made.loader is not None
    raw = {
        (name, said)
        for name in made.list_templates()
        for said in re.findall(
            r"{{ *(\w+\.(?:\w+_by|maker|checker|actor)\b[^|}]*)}}", made.loader.get_source(made, name)[0]
        )
    }
    assert raw == {("audit.html", "given.actor ")}, "what was typed to filter by"


def test_fields_are_called_what_stands_beside_them() -> None:
    """A label without its hint, behind the name of its group; text stays text, and is escaped where it is shown."""
    page = """
        <label for="a">One &lt;b&gt; <span class="hint"><span>x</span> CNY</span> two</label><input id="a">
        <fieldset aria-label="Line 1"><label for="b" class="x">Debit</label></fieldset>
        <fieldset id="c"><legend>Roles</legend><label for="c-1">Admin</label></fieldset><label>of none</label>"""
    found = labels_in(Markup(page))  # noqa: S704 - as a template gives it
    assert found == {"a": "One <b> two", "b": "Line 1: Debit", "c": "Roles", "c-1": "Admin"}
    assert not any(hasattr(called, "__html__") for called in found.values())


def test_a_session_comes_back_until_its_time_is_over() -> None:
    """As it was sealed, until idle_s_max after that and signed_in_s_max after its start; not with another key."""
    sessions = Sessions({"k1": KEYS["k1"]}, 100, 250)
    session = sessions.sign_in("ann", "stamp", 1000.5, language="en", zone="UTC")
    text = sessions.seal(session, 1000.5)

    assert sessions.open(text, 1099) == session
    assert sessions.open(text, 1100) is None
    assert sessions.open(sessions.seal(session, 1200), 1249) is not None
    assert sessions.open(sessions.seal(session, 1200), 1250) is None
    assert sessions.open(text[:-1] + ("A" if text[-1] != "A" else "B"), 1001) is None
    assert Sessions({"k1": KEYS["k2"]}, 100, 250).open(text, 1001) is None
    assert sessions.visit(1000).form != sessions.visit(1000).form
    assert isinstance(session, Session)


def test_htmx_is_the_one_that_was_published() -> None:
    """The script that others wrote is byte for byte what the registry has."""
    assert sha256(ASSETS.files["htmx.min.js"].data).hexdigest() == HTMX_SHA256


def test_the_stylesheet_is_ours_and_loads_nothing() -> None:
    """No other file, no other host, no font to fetch."""
    text = ASSETS.files["console.css"].data.decode()

    assert not re.search(r"url\(|@import|@font-face", text)


def test_an_act_is_shown_by_what_changed() -> None:
    """Fields that differ, before and after; what was not there, or is no more; the rest by name; nothing endless."""
    row = {"id": 7, "at": AT, "actor": "user:ann", "action": "user.roles_changed", "subject": "user:bob"}
    detail = {
        "before": {"roles": ["store"], "display": "Bob", "old": 1},
        "after": {"roles": ["store", "finance"], "display": "Bob", "new": None},
        "reason": "x" * 500,
        "steps": [{"shard": "flash/0"}],
    }

    words = Words(*choose("en", ""), "UTC")
    line = read_line({**row, "detail": detail}, words)

    assert line.changes == [
        Change("roles", "store", "store, finance"),
        Change("old", "1", None),
        Change("new", None, "none"),
    ]
    assert line.rest == [("reason", "x" * 300 + " …"), ("steps", '[{"shard":"flash/0"}]')]
    created = read_line({**row, "detail": {"before": None, "after": {"a": True}}}, words)
    assert created.changes == [Change("a", None, "yes")]
    assert read_line({**row, "detail": {"before": 3}}, words).rest == [("before", "3")]
    assert read_line({**row, "detail": {}}, words).changes == []


def test_an_act_that_is_called_like_a_field_of_campaigns() -> None:
    """
    Stock that somebody approved has shards, which are no number there: the page is shown all the same. The name of a
    key is no campaign's, nor the value of a threshold what a coupon gives. Whatever stands in a field, it is said.
    """
    words = Words(*choose("en", ""), "UTC")
    row = {"id": 7, "at": AT, "actor": "user:ann", "action": "proposal.applied", "subject": "proposal:pr_1"}
    shards = [{"shard": f"flash/{n}", "delta": delta, "seq": 9, "stock": 5} for n, delta in enumerate((1000, -2))]
    after = {"delta": 100, "stock": 400, "shards": shards}
    line = read_line(
        {**row, "detail": {"kind": "stock_adjustment", "before": {"stock": 300}, "after": after}}, words, "CNY"
    )
    assert line.changes == [Change("stock", "300", "400")]
    assert ("Shards", "flash/0: +1,000, flash/1: -2") in line.rest

    made = read_line({**row, "action": "key.created", "detail": {"name": "till 7"}}, words)
    assert made.rest == [("name", "till 7")]
    levels = {"before": {"value": None, "is_off": False}, "after": {"value": 1000.0, "is_off": False}}
    chosen = read_line({**row, "action": "alert.threshold_changed", "detail": levels}, words)
    assert chosen.changes == [Change("Threshold", "none", "1,000")]
    told = read_line({**row, "action": "receiver.made", "detail": {"before": None, "after": {"kinds": []}}}, words)
    assert told.changes == [Change("Told of", None, "everything")]
    for value in (1, 1.5, True, "a", ["a"], [1], [{"a": 1}]):
        strange = read_line({**row, "action": "x.done", "detail": dict.fromkeys(FIELDS, value)}, words, "CNY")
        assert len(strange.rest) == len(FIELDS), value


@pytest.mark.parametrize(
    ("subject", "address"),
    [
        ("campaign:flash-1 of a batch", "/console/campaigns/flash-1"),
        ("coupon:00040GBM1K1ZJHHDBT", "/console/coupons/00040GBM1K1ZJHHDBT"),
        ("break 7", "/console/books/breaks/7"),
        ("holder:amy&state=x", "/console/coupons?holder=amy%26state%3Dx"),
        ("order:A 1 2", "/console/coupons?order=A+1+2"),
        ("campaign:flash-1 holder:amy b", "/console/campaigns/flash-1"),
        ("export:../../account", "/console/books/exports/..%2F..%2Faccount"),
        ("period:main/2026-11", "/console/books/periods/main/month/2026-11-01"),
        ("period:main/2026-11-30", "/console/books/periods/main/day/2026-11-30"),
        ("user:ann", ""),
        ("receiver:ar_1", ""),
        ("coupons", ""),
        ("javascript:alert(1)", ""),
        ("", ""),
    ],
)
def test_an_act_leads_to_what_it_was_done_to(subject: str, address: str) -> None:
    """What has a page is linked, whoever named it; users are an admin's alone."""
    assert leads_to(subject) == address
    assert leads_to(subject, is_admin=True) == (address or ("/console/users/ann" if subject == "user:ann" else ""))


def test_the_first_stock_has_a_reason_in_every_language() -> None:
    """Nobody gave it: it is the gateway's own, and no key is told."""
    row = {"id": 1, "at": AT, "actor": "user:ann", "action": "stock.done", "subject": "campaign:flash"}
    row["detail"] = {"key": "«initial»", "delta": 100, "reason": "initial stock"}
    line = read_line(row, Words("zh_Hans", Locale("zh", "Hans"), "UTC"))
    assert line.rest == [("增减", "100"), ("原因", "初始库存")]


@pytest.mark.parametrize(
    ("name", "found", "says"),
    [
        ("hold", "it is open: put it on hold first", "尚未暂停记账。"),
        ("over", "in Asia/Shanghai it is 2026-11-30: wait until it is over", "Asia/Shanghai 现在是 2026年11月30日。"),
        ("order", "2026-11-29 and what follows it is open: close it first", "2026年11月29日 及其之后仍未关账。"),
        ("still", "something was booked meanwhile: try again", "期间有新的入账。"),
        ("manual", "mj_07 is drafted: decide it", "mj_07 is drafted: decide it"),
    ],
)
def test_what_keeps_a_period_open_is_told_in_words(name: str, found: str, says: str) -> None:
    """What a check of a close found is said in the reader's language; what is a number of something stays as it is."""
    told = of_check(
        Check(name, "period", "", False, {}, [found]), "main", Words("zh_Hans", Locale("zh", "Hans"), "UTC")
    )
    assert [part.value for [part] in told.found] == [says]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_account_of_the_chart_is_suggested_in_words(language: str) -> None:
    """Each account is there, with what it holds."""
    said = dict(suggested(Words(language, Locale.parse(language), "UTC")))
    assert {account.removesuffix(":") for account in said} == ACCOUNTS.keys() | MONEY_ACCOUNTS.keys()
    assert all(said.values())
    assert language == "en" or not any(holds.isascii() for holds in said.values())
