"""Exports: whoever dies, what comes out is one snapshot of the books, whole, with a manifest that proves it."""

import asyncio
import csv
import io
import os
import signal
import stat
from collections.abc import Callable
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
import pytest

from reconciler.exports import making, spool, work
from reconciler.exports.manifest import manifest_bytes
from reconciler.exports.store import end
from reconciler.reports.shape import Asked
from reconciler.reports.writing import FORMATS, Format
from tests.conftest import Eventually
from tests.integration.bookkeeping import add_journals, close_through
from tests.integration.exporting import ROWS_PART, Exports

NOVEMBER = Asked(since=date(2026, 11, 1), until=date(2026, 11, 30))
JOURNALS = 12
ROWS = 4 * JOURNALS


@pytest.fixture
def site(postgres_url: str, tmp_path: Path) -> Exports:
    """Books of twelve journals."""
    add_journals(postgres_url, JOURNALS)
    return Exports(postgres_url, tmp_path / "exports")


@pytest.mark.parametrize("format", FORMATS)
async def test_an_export_is_the_report_in_every_format(site: Exports, format: Format) -> None:
    """It has the bytes that writing it at once gives, its rows are counted, and nothing else is left behind."""
    export = await site.ask(format)
    assert (export.state, export.percent) == ("waiting", None)

    site.make(export)

    done = site.row(export)
    assert (done.state, done.rows, done.parts, done.percent, done.failed) == (
        "done",
        ROWS,
        -(-ROWS // ROWS_PART),
        100,
        None,
    )
    assert site.file(export) == site.expected(format)
    assert [path.name for path in (site.folder / export.id).iterdir()] == [done.spool.file]


async def test_a_clerk_makes_them_in_the_order_they_were_asked_for(
    site: Exports, caplog: pytest.LogCaptureFixture
) -> None:
    """One after the other, each by a process of its own that ends well, until there is none."""
    first, second = await site.ask("xlsx"), await site.ask("csv")
    assert await site.work() is True
    assert (site.row(first).state, site.row(second).state) == ("done", "waiting")
    assert await site.work() is True
    assert await site.work() is False

    assert site.file(first) == site.expected("xlsx")
    assert site.file(second) == site.expected("csv")
    assert caplog.records == []
    assert stat.S_IMODE(site.folder.stat().st_mode) == 0o700


async def test_a_manifest_says_what_the_file_is(site: Exports) -> None:
    """Bytes, SHA-256, rows, sums a currency, and of each chain its seqs in the time and the hash it ends in."""
    add_journals(site.url, 5, shard="rice/0", currency="JPY")
    add_journals(site.url, 2, first=6, shard="rice/0", since="2026-12-01")
    export = await site.ask("csv", NOVEMBER)
    site.make(export)
    data, manifest = site.file(export), site.row(export).manifest

    assert manifest is not None
    assert (manifest["bytes"], manifest["sha256"]) == (len(data), sha256(data).hexdigest())
    assert (manifest["file"], manifest["rows"]) == ("journal_2026-11-01_2026-11-30.csv", ROWS + 4 * 5)
    assert manifest["asked"] == {"since": "2026-11-01", "until": "2026-11-30"}
    lines = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    debit = sum(round(float(line["debit"]) * 100) for line in lines if line["currency"] == "CNY")
    credit = sum(round(float(line["credit"])) for line in lines if line["currency"] == "JPY")
    by_currency = {each["currency"]: each["sums"] for each in manifest["sums"]}
    assert by_currency["CNY"] == {"debit": debit, "credit": debit}
    assert by_currency["JPY"] == {"debit": credit, "credit": credit}
    assert [(chain["shard"], chain["first_seq"], chain["last_seq"]) for chain in manifest["chains"]] == [
        ("rice/0", 1, 5),
        ("tea/0", 1, JOURNALS),
    ]
    assert [chain["head"] for chain in manifest["chains"]] == [
        sha256(each).hexdigest() for each in (b"rice/05", b"tea/012")
    ]
    assert manifest["closed"] is False


@pytest.mark.parametrize("format", FORMATS)
async def test_a_closed_month_is_exported_twice_to_the_same_bytes(site: Exports, format: Format) -> None:
    """Whatever is posted after it and in what parts it is read: file and manifest are the same, byte for byte."""
    close_through(site.url, "2026-11-30")
    first = await site.ask(format, NOVEMBER)
    site.make(first)
    add_journals(site.url, 9, first=JOURNALS + 1, since="2026-12-01")
    second = await site.ask(format, NOVEMBER)
    making.make(site.take(second, "w", rows_part=1000))

    assert site.file(first) == site.file(second)
    one, other = site.row(first).manifest, site.row(second).manifest
    assert one is not None
    assert other is not None
    assert one["closed"] is True
    assert manifest_bytes(one) == manifest_bytes(other)


class Died(BaseException):
    """What a process that is killed does: nothing more."""


def dying(nth: int, act: Callable[..., Any], *, after: bool) -> Callable[..., Any]:
    """*act*, which dies in its *nth* call, before or after it has done something."""
    calls = 0

    def once(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth and not after:
            raise Died
        found = act(*arguments, **named)
        if calls == nth:
            raise Died
        return found

    return once


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("what", ["keep", "change"])
async def test_whoever_dies_anywhere_is_followed_by_one_that_goes_on(
    site: Exports, monkeypatch: pytest.MonkeyPatch, what: str, after: bool
) -> None:
    """Killed before or after any file and any row it writes, an export is finished by the next one, the same."""
    where: Any = making if what == "keep" else making._Making
    act, nth, died = getattr(where, what), 0, True
    while died:
        nth += 1
        export = await site.ask("ndjson")
        with monkeypatch.context() as patch:
            patch.setattr(where, what, dying(nth, act, after=after))
            try:
                site.make(export, f"first{nth}")
                died = False
            except Died:
                died = True
        if site.row(export).state != "done":
            site.make(export, f"second{nth}")
        assert site.file(export) == site.expected("ndjson")
    assert nth > ROWS // ROWS_PART


async def test_parts_that_are_still_the_same_are_kept(site: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who goes on reads in a snapshot of its own: what is the same stays, the rest is written anew; never a mixture."""
    export = await site.ask("ndjson")
    with monkeypatch.context() as patch:
        patch.setattr(making, "keep", dying(4, spool.keep, after=False))
        with pytest.raises(Died):
            site.make(export, "first")
    kept = [part.file for part in site.row(export).spool.parts]
    assert len(kept) == 3
    # Dated among the rows that were read: in the middle of the third part.
    add_journals(site.url, 1, first=101, since="2026-11-01", days=31)
    with monkeypatch.context() as patch:
        patch.setattr(making._Making, "_write", lambda *_: None)
        site.make(export, "second")
    parts = [part.file for part in site.row(export).spool.parts]
    same = [before for before, after in zip(kept, parts, strict=False) if before == after]
    assert 0 < len(same) < len(kept)
    assert parts[: len(same)] == same

    site.make(export, "third")

    assert site.file(export) == site.expected("ndjson")


async def test_a_part_that_is_lost_is_read_again(site: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where somebody cleared the folder, or changed a byte in it, the rows come from the books once more."""
    harms: list[Callable[[Path], Any]] = [Path.unlink, lambda path: path.write_bytes(b"\x90")]
    for harm in harms:
        export = await site.ask()
        with monkeypatch.context() as patch:
            patch.setattr(making._Making, "_write", lambda *_: None)
            site.make(export)
        harm(site.folder / export.id / site.row(export).spool.parts[2].file)

        site.make(export, "second")

        assert site.file(export) == site.expected()


async def test_a_worker_that_was_thought_dead_changes_nothing(site: Exports, monkeypatch: pytest.MonkeyPatch) -> None:
    """It finds out at the next thing it writes down, and what it left on the disk is nobody's."""
    export = await site.ask()
    late = site.take(export, "late")
    slow = spool.keep

    def while_another_one_makes_it(*arguments: Any) -> Any:
        monkeypatch.setattr(making, "keep", slow)
        site.make(export, "second")
        return slow(*arguments)

    monkeypatch.setattr(making, "keep", while_another_one_makes_it)
    with pytest.raises(making.Gone):
        making.make(late)

    assert site.file(export) == site.expected()
    assert site.row(export).spool.file == "second.csv"


async def test_a_killed_process_is_tried_again_and_not_for_ever(
    site: Exports, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a SIGKILL the export rests and is made; one that never comes further fails and says so."""
    monkeypatch.setattr(work, "REST_S", 0)
    monkeypatch.setattr(work, "TRIES_MAX", 2)
    export = await site.ask()
    with psycopg.connect(site.url) as blocker:
        blocker.execute("LOCK TABLE journals IN ACCESS EXCLUSIVE MODE")
        for _ in range(2):
            at_work = asyncio.create_task(site.work())
            pid = await eventually(lambda: _pid_of_making(export.id), within_s=60)
            os.kill(pid, signal.SIGKILL)
            assert await asyncio.wait_for(at_work, 60) is True
            assert (site.row(export).state, site.row(export).worker) == ("running", None)
    assert await site.work() is True
    failed = site.row(export)
    words = "given up after 2 tries; the last one: its process ended by signal 9"
    assert (failed.state, failed.failed) == ("failed", words)


def _pid_of_making(export: str) -> int | None:
    """The process that makes *export*; its temporary files are in its folder."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if f"/{export}".encode() in (entry / "environ").read_bytes():
                    return int(entry.name)
            except OSError:
                continue
    return None


async def test_an_export_that_is_cancelled_ends_at_once(
    site: Exports, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process is killed, the next one is made, and its folder is cleared away; also that of a file given up."""
    monkeypatch.setattr(work, "BEAT_S", 0.05)
    monkeypatch.setattr(work, "TIDY_EVERY_S", 0)
    export = await site.ask()
    with psycopg.connect(site.url) as blocker:
        blocker.execute("LOCK TABLE journals IN ACCESS EXCLUSIVE MODE")
        at_work = asyncio.create_task(site.work())
        await eventually(lambda: _pid_of_making(export.id), within_s=60)
        assert (await _end(site, export.id)).state == "cancelled"
        assert await asyncio.wait_for(at_work, 60) is True
    other = await site.ask()
    site.make(other)
    await site.work()
    assert site.row(export).state == "cancelled"
    assert {path.name for path in site.folder.iterdir()} == {other.id}

    assert (await _end(site, other.id)).state == "removed"
    (site.folder / "somebody-else-s").mkdir()
    await site.work()
    assert {path.name for path in site.folder.iterdir()} == {"somebody-else-s"}


async def _end(site: Exports, export: str) -> Any:
    async with await psycopg.AsyncConnection.connect(site.url, options="-c role=fairclaim_gateway") as connection:
        return await end(connection, export, "test")


async def test_a_file_is_kept_for_as_long_as_was_said(site: Exports) -> None:
    """After keep_days the file is removed, and the row says that it was there."""
    export = await site.ask()
    site.make(export)
    site.set(export, "finished_at = now() - interval '31 days'")
    await site.work()

    assert site.row(export).state == "removed"
    assert list(site.folder.iterdir()) == []
    logged = "SELECT actor, action FROM audit_log WHERE subject = %s ORDER BY id DESC LIMIT 1"
    with psycopg.connect(site.url) as connection:
        row = connection.execute(logged, [f"export:{export.id}"]).fetchone()
    assert row == ("clerk", "export.removed")


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        ("Traceback\n  File x\nOSError: no space left\n", 1, "OSError: no space left"),
        ("", -9, "its process ended by signal 9"),
        ("", 3, "its process ended with exit code 3"),
        ("psycopg: postgresql://ann:p@ss@db/x is away", 1, "psycopg: postgresql://…@db/x is away"),
        ("host=db password='a b' port=5", 1, "host=db password=… port=5"),
        ("x" * 900, 1, "x" * 500),
    ],
)
def test_the_last_words_of_a_process_keep_its_secrets(said: str, code: int, words: str) -> None:
    """The last line, or how it ended; never what may be a password, and not without an end."""
    assert work.last_words(said, code) == words


async def test_what_can_t_be_made_says_why(site: Exports) -> None:
    """An amount that no file takes, and a disk that takes nothing: it is over, has a reason, and is not tried again."""
    with psycopg.connect(site.url) as connection:
        connection.execute(
            "UPDATE account_days SET debit = debit + 10::numeric ^ 30 WHERE account = 'budget:available'"
        )
    export = await site.ask("csv", Asked(since=date(2026, 12, 1)))
    site.make(export)
    failed = site.row(export)
    assert failed.state == "failed"
    assert failed.failed

    other = await site.ask()
    (site.folder / other.id).mkdir(parents=True)
    (site.folder / other.id / "w.csv").mkdir()
    site.make(other)
    assert site.row(other).state == "failed"
    assert "Is a directory" in str(site.row(other).failed)
