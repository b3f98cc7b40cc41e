"""The clerk's register: the head of each day that is over is in a file of its own, and stays what it was written as."""

from datetime import date, timedelta
from pathlib import Path
from stat import S_IMODE

import pytest
from psycopg import AsyncConnection

from reconciler.books.head import DayHead, day_head, last_day_over
from reconciler.books.register import Register
from tests.integration.booked import book, some_journals
from tests.integration.commands import Cli
from tests.integration.draining import Books


async def heads(url: str, count: int) -> list[DayHead]:
    """The heads of the last *count* days that are over, the oldest first."""
    async with await AsyncConnection.connect(url) as connection:
        last = await last_day_over(connection)
        return [await day_head(connection, str(last - timedelta(days=count - 1 - n))) for n in range(count)]


async def test_every_day_has_its_head_once(
    postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At first that of the last day; after an outage those since; never one over another; and the books agree."""
    with Books(postgres_url) as books:
        books.add_campaign("c", shards=2)
        books.add_campaign("d")
        books.rows("INSERT INTO legal_entities (id) VALUES ('other')")
        book(books, some_journals())
    folder = tmp_path / "exports" / "heads"
    oldest, middle, last = await heads(postgres_url, 3)
    today = date.fromisoformat(str(last.day))

    async def last_day_over(connection: object) -> date:
        return today  # whatever day is over by the time that the test is

    monkeypatch.setattr("reconciler.books.register.last_day_over", last_day_over)

    await Register(postgres_url, folder).once("a")
    assert {each.name: each.read_text() for each in folder.iterdir()} == {f"head-{last.day}.txt": last.text}
    assert [S_IMODE(each.stat().st_mode) for each in (folder, folder.parent)] == [0o700, 0o700]
    (folder / f"head-{last.day}.txt").rename(folder / f"head-{oldest.day}.txt")
    await Register(postgres_url, folder).once("b")
    again = Register(postgres_url, folder)
    for _ in range(2):
        await again.once("c")

    kept = {each.name: each.read_text() for each in folder.iterdir()}
    assert kept == {
        f"head-{day.day}.txt": text.text for day, text in ((oldest, last), (middle, middle), (last, last))
    }, "the file of the oldest day is the one that was there"
    monkeypatch.setenv("FAIRCLAIM_POSTGRES_URL", postgres_url)
    assert Cli(capsys).json("ledger", "verify", "--head", str(folder / f"head-{last.day}.txt"))["holds"]
