"""`fairclaim ledger` on books of known content: balances, statements, journals, and heads that outlive a rewriting."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from reconciler.books.head import read_head
from reconciler.postings import seal
from reconciler.verifying import FEWER, REWRITTEN, verify
from tests.integration.booked import FIRST, Booked, book, some_journals
from tests.integration.commands import Cli
from tests.integration.draining import Books

DAY = FIRST + timedelta(days=3)


@pytest.fixture
def books(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Books]:
    """The database as its owner sees it, with two campaigns and two entities; commands find it."""
    monkeypatch.setenv("FAIRCLAIM_POSTGRES_URL", postgres_url)
    with Books(postgres_url) as books:
        books.add_campaign("c", shards=2)
        books.add_campaign("d")
        books.rows("INSERT INTO legal_entities (id) VALUES ('other')")
        yield books


@pytest.fixture
def booked(books: Books) -> list[Booked]:
    """Journals in the books."""
    return book(books, some_journals())


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Command lines."""
    return Cli(capsys)


def tips(booked: list[Booked], before: datetime) -> dict[str, int]:
    """Chain → how many journals it has that were posted before an instant."""
    found: dict[str, int] = {}
    for each in booked:
        if each.posted < before:
            found[each.journal.shard] = found.get(each.journal.shard, 0) + 1
    return found


def test_the_head_of_a_day_is_the_hash_of_its_text(
    books: Books, booked: list[Booked], cli: Cli, tmp_path: Path
) -> None:
    """Each chain with its journals of then and the hash of the last; a day is that of its zone; a file is kept."""
    file = tmp_path / "head.txt"
    data = cli.json("ledger", "head", "--date", str(DAY), "--zone", "Asia/Shanghai", "--out", str(file))
    end = datetime(DAY.year, DAY.month, DAY.day + 1, tzinfo=ZoneInfo("Asia/Shanghai"))
    utc = cli.json("ledger", "head", "--date", str(DAY))

    assert data["head"] == sha256(file.read_bytes()).hexdigest()
    assert {tip["chain"]: tip["journals"] for tip in data["chains"]} == tips(booked, end)
    assert {tip["chain"]: tip["journals"] for tip in utc["chains"]} == tips(booked, end.replace(tzinfo=UTC))
    hashes = dict(books.rows("SELECT encode(hash, 'hex'), shard FROM journals"))
    assert {hashes[tip["head"]]: tip["chain"] for tip in data["chains"]} == {
        chain: chain for chain in tips(booked, end)
    }
    assert cli("ledger", "head", "--date", str(DAY), "--zone", "Asia/Shanghai").out == file.read_text()
    assert read_head(file.read_text()).head == data["head"]
    assert cli.json("ledger", "head", "--date", str(DAY), "--out", str(file), code=4)["code"] == "file_exists"


def test_a_day_that_may_change_has_no_head(books: Books, booked: list[Booked], cli: Cli) -> None:
    """Today and tomorrow are not over; without a date it is a day that is."""
    today = books.value("SELECT (now() AT TIME ZONE 'UTC')::date")
    data = cli.json("ledger", "head")

    assert cli.json("ledger", "head", "--date", str(today), code=4)["code"] == "not_over"
    assert cli.json("ledger", "head", "--date", str(today + timedelta(days=1)), code=4)["code"] == "not_over"
    assert today - timedelta(days=2) <= datetime.fromisoformat(data["date"]).date() < today
    assert sum(tip["journals"] for tip in data["chains"]) == len(booked)


def rewrite(books: Books, chain: str, keep: int) -> None:
    """What an owner can do who has all day: a whole chain anew, its first amount another, cut after *keep* journals."""
    from reconciler.ledger import sealed_row
    from reconciler.queries import QUERIES

    for table in ("journals", "postings"):
        books.rows(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    [(first,)] = books.rows("SELECT min(id) FROM journals WHERE shard = %s", chain)
    books.rows("UPDATE postings SET amount = amount + 1 WHERE journal = %s AND line = 1", first)
    gone = f"IN (SELECT id FROM journals WHERE shard = %s ORDER BY id OFFSET {keep})"
    books.rows(f"DELETE FROM postings WHERE journal {gone}", chain)
    books.rows(f"DELETE FROM journals WHERE id {gone}", chain)
    query = QUERIES["load_journals"].decode().replace("%(shard)s", "%s")
    rows = books.rows(query, chain)
    links = seal(b"", [sealed_row(chain, *row).journal for _, *row in rows])
    for number, link in zip([number for number, *_ in rows][::-1], links[::-1], strict=True):
        books.rows(
            "UPDATE journals SET previous_hash = %s, hash = %s WHERE id = %s", link.previous_hash, link.hash, number
        )
    head = links[-1].hash if links else b""
    books.rows("UPDATE checkpoints SET head = %s WHERE shard = %s", head, chain)
    for table in ("journals", "postings"):
        books.rows(f"ALTER TABLE {table} ENABLE TRIGGER USER")


@pytest.mark.parametrize(("keep", "reason"), [(1000, REWRITTEN), (1, FEWER), (0, FEWER)])
def test_a_kept_head_tells_that_the_books_were_written_anew(
    books: Books, booked: list[Booked], cli: Cli, tmp_path: Path, keep: int, reason: str
) -> None:
    """Chains that hold by themselves are not those of then: rewritten, cut short, or gone; other chains hold."""
    file = str(tmp_path / "head.txt")
    kept = cli.json("ledger", "head", "--date", str(FIRST + timedelta(days=8)), "--out", file)
    data = cli.json("ledger", "verify", "--head", file)
    assert (data["holds"], data["journals"], data["kept"]["head"]) == (True, len(booked), kept["head"])

    rewrite(books, "c/0", keep)

    assert verify(books.url).holds
    data = cli.json("ledger", "verify", "--head", file, code=1)
    faults = {each["shard"]: each["fault"] for each in data["shards"]}
    assert faults.pop("c/0")["reason"] == reason
    assert set(faults.values()) == {None}
    assert cli("ledger", "verify", "--head", file, "--shard", "c/1").code == 0
    assert cli("ledger", "verify").code == 0


def test_what_is_no_head_is_refused(books: Books, cli: Cli, tmp_path: Path) -> None:
    """A file that is missing, cut, or not in order is a usage error."""
    good = f"fairclaim head 2026-11-03 UTC\na/0 1 {'0' * 64}\nb/0 2 {'1' * 64}\n"
    a, b = good.splitlines()[1:]
    assert [tip.journals for tip in read_head(good).chains] == [1, 2]
    for text in (
        "", good[:-1], good.replace("head", "heat"), good.replace(" 2 ", " 02 "), good + "x\n",
        f"fairclaim head 2026-11-03 UTC\n{b}\n{a}\n", f"fairclaim head 2026-11-03 UTC\n{a}\n{a}\n",
        good.replace("2026-11-03", "2026-13-03"),
    ):  # fmt: skip
        file = tmp_path / "head.txt"
        file.write_text(text)
        assert cli.json("ledger", "verify", "--head", str(file), code=2)["code"] == "bad_head", text
    assert cli.json("ledger", "verify", "--head", str(tmp_path / "none"), code=2)["code"] == "bad_head"


def test_balances_statements_and_journals(books: Books, booked: list[Booked], cli: Cli) -> None:
    """What a person sees, in major units; for programs the same figures in minor ones; 2 and 3 as documented."""
    for command in (("balance",), ("statement", "payable"), ("journals",)):
        assert (
            cli.json("ledger", *command, "--campaign", "none", code=3)["message"] == "the books know no campaign 'none'"
        )
        assert cli.json("ledger", *command, "--entity", "none", code=3)["message"] == "the books know no entity 'none'"
    data = cli.json("ledger", "balance", "--as-of", str(DAY))
    [total] = [each for each in data["totals"] if each["commodity"] == "CNY"]
    assert (total["balance"], data["as_of"]) == (0, str(DAY))
    shown = cli("ledger", "balance", "--as-of", str(DAY)).out
    [line] = [each for each in data["items"] if (each["account"], each["commodity"]) == ("payable:m/2 ü", "CNY")]
    assert f"{abs(line['balance']) / 100:,.2f}" in shown
    assert "total" in shown
    assert cli.json("ledger", "balance", "--units")["totals"][0]["commodity"] == "coupon:c"
    names = {each["name"] for each in cli.json("ledger", "balance", "--by", "merchant")["items"]}
    assert names == {"", "m-1", "m/2 ü"}
    assert "(nobody)" in cli("ledger", "balance", "--by", "merchant").out

    data = cli.json("ledger", "statement", "payable:m-1", "--since", str(DAY))
    assert data["lines"][0]["closing"] - data["lines"][0]["opening"] == sum(
        each["debit"] - each["credit"] for each in data["items"] if each["commodity"] == data["lines"][0]["commodity"]
    )
    shown = cli("ledger", "statement", "payable:m-1", "--since", str(DAY)).out
    assert "opening" in shown
    assert "closing" in shown

    assert len(cli.json("ledger", "journals", "--limit", "7")["items"]) == 7
    number = booked[0].number
    assert cli.json("ledger", "journals", str(number))["chain"] == booked[0].journal.shard
    assert booked[0].journal.postings[0].destination in cli("ledger", "journals", str(number)).out
    assert booked[0].journal.shard in cli("ledger", "journals").out
    assert cli("ledger", "journals", "999999").code == 3
    for command in (("balance",), ("statement",), ("journals", "--account")):
        assert cli.json("ledger", *command, "cash", code=2)["code"] == "bad_account"
        assert cli.json("ledger", *command, "payable:none", code=3)["code"] == "not_found"
    for chain in ("none/0", "manual:none", ""):
        assert cli.json("ledger", "journals", "--chain", chain, code=3)["code"] == "not_found"
    assert cli("ledger", "journals", "--chain", "manual:other").code == 0
    assert cli.json("ledger", "journals", "--verb", "redem", code=2)["message"].startswith("--verb: one of restock, ")
    assert "--as-of" in cli.json("ledger", "balance", "--as-of", "soon", code=2)["message"]
    assert "--zone" in cli.json("ledger", "head", "--zone", "Moon", code=2)["message"]
    assert cli("ledger", "balance", "--postgres-url", "postgresql://nobody@127.0.0.1:1/nothing").code == 6
