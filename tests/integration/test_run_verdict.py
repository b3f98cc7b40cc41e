"""The verdict after a run: each check, broken on purpose by what was told or in the books, is named with its row."""

import ast
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from loadtest.rush import create_campaign
from loadtest.system import System
from loadtest.told import ADJUST, CLAIM, REDEEM, ROLLBACK, UNANSWERED, Attempt, write_told
from loadtest.verdict import Expected, Verdict, judge, live, rows, waiting
from loadtest.verdict.__main__ import main
from loadtest.verdict.found import SAYS
from loadtest.verdict.rows import PAIRS
from tests.integration.small_sale import CAMPAIGN, EXPECTED, LIMIT, STOCK, SmallSale
from tests.patience import PATIENT
from tests.planting import CAUGHT

Attempts = list[Attempt]
Damage = Callable[[Attempts], Attempts]


@pytest.fixture(scope="module")
def sale(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallSale]:
    """A sale that everything happened in, on a whole system, drained."""
    with System(tmp_path_factory.mktemp("system"), workers=1, no_demo="true", stocktake_s="3600", **PATIENT) as system:
        sale = SmallSale(system)
        sale.live()
        assert judged(sale, sale.attempts).holds
        sale.keep()
        yield sale


@pytest.fixture
def by_books(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the questions to the gateway, which have tests of their own and take the most time."""
    monkeypatch.setattr(live.Live, "compare", lambda self, crowd, seed: None)


def judged(sale: SmallSale, attempts: Attempts, expected: Expected = EXPECTED, wait_s: float = 60) -> Verdict:
    """The verdict now."""
    return judge(sale.target, [expected], attempts, wait_s=wait_s)


def why(verdict: Verdict, check: str) -> Any:
    """What is wrong with the first row of *check*; None where it holds."""
    [found] = [each for each in verdict.checks if each.name == check]
    return (found.first or {}).get("why")


def changed(kind: str, key: str, holder: str = "", at: int = 0, /, **fields: Any) -> Damage:
    """The attempt of that ask is told otherwise."""

    def damage(attempts: Attempts) -> Attempts:
        place = places(attempts, kind, key, holder)[at]
        return [*attempts[:place], attempts[place]._replace(**fields), *attempts[place + 1 :]]

    return damage


def more(kind: str, key: str, holder: str = "", times: int = 1, at: int = 0, /, **fields: Any) -> Damage:
    """One more attempt like that one, but for *fields*; a text with %d is another each time."""

    def damage(attempts: Attempts) -> Attempts:
        like = attempts[places(attempts, kind, key, holder)[at]]
        made = [
            {name: value % number if "%d" in str(value) else value for name, value in fields.items()}
            for number in range(times)
        ]
        return [*attempts, *(like._replace(**each) for each in made)]

    return damage


def without(kind: str, key: str, holder: str = "") -> Damage:
    """Nobody was told of that ask, or asked."""
    return lambda attempts: [each for at, each in enumerate(attempts) if at not in places(attempts, kind, key, holder)]


def places(attempts: Attempts, kind: str, key: str, holder: str) -> list[int]:
    """Where the attempts of an ask are."""
    found = [
        at for at, each in enumerate(attempts) if (each.kind, each.key) == (kind, key) and holder in ("", each.holder)
    ]
    assert found
    return found


def too_early(attempts: Attempts) -> Attempts:
    """Somebody was told sold_out before the first claim."""
    first = attempts[0].sent_s
    [like, *_] = [each for each in attempts if each.outcome == "sold_out"]
    return [like._replace(holder="zoe", sent_s=first - 0.4, answered_s=first - 0.3), *attempts]


def limited_early(attempts: Attempts) -> Attempts:
    """Ann was told limit_reached right after her first coupon was hers, a second before the other one."""
    first = attempts[0]
    [limited] = [each for each in attempts if each.outcome == "limit_reached"]
    early = limited._replace(sent_s=first.sent_s - 1, answered_s=first.answered_s - 1)
    return [early if each is limited else each for each in attempts]


TOLD: list[tuple[str, str, Damage]] = [
    ("stock", "more was told than was put in", more(CLAIM, "k1", "flo", STOCK, holder="new-%d", code="NEW-%d")),
    ("sequence", "a number was told that Redis has not counted to", changed(CLAIM, "k1", "flo", seq=999)),
    ("sold_out", "there was stock all the while", too_early),
    ("adjusted", "booked as other units", changed(ADJUST, "pallet", minor=3)),
    ("adjusted", "booked as other units", changed(ADJUST, "pallet", status=UNANSWERED, minor=1)),
    ("adjusted", "booked as other units", more(ADJUST, "pallet", key="another")),
    ("adjusted", "one key was told two amounts", more(ADJUST, "pallet", minor=3)),
    ("adjusted", "it was made with another stock", without(ADJUST, "pallet")),
    ("limit", "was told of more than the limit", more(CLAIM, "k1", "flo", 2, code="NEW-%d", key="more-%d")),
    ("limit_reached", "had fewer by then", changed(CLAIM, "k3", "ann", holder="bob")),
    ("limit_reached", "had fewer by then", limited_early),
    (
        "refused", "the campaign has no such reason",
        more(CLAIM, "k1", "flo", holder="zoe", status=409, outcome="campaign_paused", code=""),
    ),
    (
        "refused", "the campaign has no such reason",
        more(CLAIM, "k1", "flo", holder="zoe", status=404, outcome="not_found", code=""),
    ),
    ("told", "it has no row", changed(CLAIM, "k1", "flo", code="ABSENT")),
    ("told", "the row is of another holder", changed(CLAIM, "k1", "flo", holder="zoe")),
    ("told", "the row has another number", changed(CLAIM, "k1", "flo", seq=999)),
    ("untold", "nobody was told of it", without(CLAIM, "k1", "flo")),
    ("untold", "nobody was told of it", changed(CLAIM, "k1", "flo", status=409, outcome="sold_out", code="")),
    ("replays", "one key was given two coupons", more(CLAIM, "k1", "flo", code="ANOTHER")),
    ("replays", "a coupon was told with two numbers", more(CLAIM, "k1", "flo", seq=999)),
    ("replays", "one coupon was given to two", more(CLAIM, "k1", "flo", holder="zoe")),
    ("replays", "one coupon was given to two", more(CLAIM, "k1", "flo", key="k9")),
    (
        "replays", "whoever has a coupon was refused it",
        more(CLAIM, "k1", "flo", status=409, outcome="sold_out", code="", sent_s=9e9),
    ),
    ("redeemed", "one key was given two redemptions", more(REDEEM, "r1", ref="RD-other")),
    ("redeemed", "a redemption was told in two ways", more(REDEEM, "r1", minor=501)),
    ("redeemed", "it was done by this key, which was refused it", more(REDEEM, "r1", status=409, sent_s=9e9)),
    ("rolled_back", "it was done by this key, which was refused it", more(ROLLBACK, "b1", status=409, sent_s=9e9)),
    ("adjusted", "it was done by this key, which was refused it", more(ADJUST, "pallet", status=409, sent_s=9e9)),
    ("redeemed", "nobody was told of it", without(REDEEM, "r1")),
    ("redeemed", "nobody was told of it", changed(REDEEM, "r2", status=409, outcome="invalid_state")),
    ("redeemed", "the row is of another coupon", changed(REDEEM, "r2", code="ANOTHER")),
    ("redeemed", "the row is of another amount", changed(REDEEM, "r2", minor=400)),
    ("redeemed", "the row has another number", changed(REDEEM, "r2", seq=999)),
    ("redeemed", "it has no row", more(REDEEM, "r2", key="r9", ref="RD-absent")),
    ("rolled_back", "one key was told two rollbacks", more(ROLLBACK, "b1", minor=499)),
    ("rolled_back", "nobody was told of it", without(ROLLBACK, "b1")),
    ("rolled_back", "the row is of another amount", changed(ROLLBACK, "b2", minor=201)),
    ("rolled_back", "it has no row", more(ROLLBACK, "b2", key="b9", seq=999)),
]  # fmt: skip
"""Check, what is wrong, and how what was told is damaged."""


@pytest.mark.parametrize(("check", "says", "damage"), TOLD, ids=[f"{check}-{says}" for check, says, _ in TOLD])
def test_what_was_told_and_is_not_so_is_named(
    sale: SmallSale, by_books: None, check: str, says: str, damage: Damage
) -> None:
    """Each damage of what was told breaks its check, with the first row."""
    verdict = judged(sale, damage(sale.attempts))

    assert why(verdict, check) == says, verdict.screen()


def test_a_request_without_an_answer_explains_one_row_and_no_more(sale: SmallSale, by_books: None) -> None:
    """Lost answers of each kind are no fault; and one lost answer is no excuse for two rows."""
    lost = sale.attempts
    for kind, key, holder in ((CLAIM, "k1", "flo"), (REDEEM, "r2", ""), (ROLLBACK, "b1", ""), (ADJUST, "pallet", "")):
        kept = {"code": lost[places(lost, kind, key, holder)[0]].code} if kind == REDEEM else {}
        lost = changed(kind, key, holder, status=UNANSWERED, outcome="unanswered", **{"code": "", **kept})(lost)
    assert judged(sale, lost).holds

    two = without(CLAIM, "k2", "ed")(changed(CLAIM, "k1", "ed", status=503, outcome="unknown", code="")(sale.attempts))
    assert why(judged(sale, two), "untold") == "nobody was told of it"


ENTRY = "UPDATE coupon_entries SET {} WHERE shard = 'sale/0' AND {}"
AGAIN = (
    "INSERT INTO coupon_entries SELECT (jsonb_populate_record(e, jsonb_build_object('seq',"
    " (SELECT max(seq) + 1 FROM coupon_entries WHERE shard = 'sale/0')))).* FROM coupon_entries AS e"
    " WHERE shard = 'sale/0' AND {}"
)
FLO = "holder = 'flo' AND kind = 'claimed'"
BOOKS: list[tuple[str, str, str]] = [
    ("sequence", "numbers are missing", f"DELETE FROM coupon_entries WHERE shard = 'sale/0' AND {FLO}"),
    ("sequence", "numbers and checkpoint end differently",
     "DELETE FROM coupon_entries AS e USING checkpoints AS c"
     " WHERE c.shard = 'sale/0' AND (e.shard, e.seq) = (c.shard, c.seq)"),
    ("stock", "nothing was left of it", ENTRY.format("delta = 7", "seq = 2")),
    ("sold_out", "demand was higher, and something is left", ENTRY.format("delta = 9", "seq = 2")),
    ("adjusted", "it was made with another stock", ENTRY.format("delta = 9", "seq = 2")),
    ("limit", "this claim is one too many", ENTRY.format("holder = 'ann'", FLO)),
    ("told", "it has more than one row", AGAIN.format(FLO)),
    ("told", "it has no row", ENTRY.format("code = 'ANOTHER'", FLO)),
    ("told", "the row is of another holder", ENTRY.format("holder = 'zoe'", FLO)),
    ("untold", "nobody was told of it", ENTRY.format("code = 'ANOTHER'", FLO)),
    (
        "replays", "one key has two rows",
        "INSERT INTO coupon_entries SELECT (jsonb_populate_record(e, jsonb_build_object('code', 'NEW', 'seq',"
        f" (SELECT max(seq) + 1 FROM coupon_entries WHERE shard = 'sale/0')))).* FROM coupon_entries AS e WHERE {FLO}",
    ),
    ("redeemed", "it was spent already", AGAIN.format("kind = 'redeemed' AND code = (SELECT code FROM redemptions"
     " WHERE rolled_back_minor = 0)")),
    ("redeemed", "the row is of another amount", "UPDATE redemptions SET minor = 499 WHERE rolled_back_minor = 0"),
    ("redeemed", "it has no row", "DELETE FROM redemptions WHERE rolled_back_minor = 0"),
    ("rolled_back", "it has no row", "DELETE FROM rollbacks WHERE minor = 200"),
    ("rows", "a claim and its coupon differ", "UPDATE coupons SET holder = 'zoe' WHERE holder = 'flo'"),
    ("rows", "a claim and its coupon differ", "DELETE FROM coupons WHERE holder = 'flo'"),
    ("rows", "a coupon is not as its last change left it", "UPDATE coupons SET state = 'expired' WHERE holder = 'flo'"),
    ("rows", "a redemption and its change differ", "UPDATE redemptions SET holder = 'zoe' WHERE holder = 'ann'"),
    ("rows", "a rollback and its change differ", "UPDATE rollbacks SET state = 'expired' WHERE minor = 200"),
    ("rows", "a redemption does not have what came back of it",
     "UPDATE redemptions SET rolled_back_minor = 1 WHERE rolled_back_minor = 0"),
    ("rows", "all of it came back, and the coupon is spent",
     "WITH e AS (UPDATE coupon_entries SET state = 'redeemed' WHERE kind = 'rolled_back' AND minor = 500),"
     " c AS (UPDATE coupons SET state = 'redeemed' WHERE code IN (SELECT code FROM redemptions"
     " WHERE rolled_back_minor = 500)) UPDATE rollbacks SET state = 'redeemed' WHERE minor = 500"),
    ("money", "merchants are owed another amount", "UPDATE postings SET amount = amount - 1 WHERE source ~ '^payable'"),
    ("money", "another amount is committed", "UPDATE postings SET amount = 1 WHERE destination = 'commitment:sale'"),
    ("units", "postings and state changes differ", "UPDATE postings SET amount = amount + 1 WHERE source = 'stock'"
     " AND journal = (SELECT max(id) FROM journals WHERE verb = 'claim')"),
    ("units", "coupons and their account differ", "UPDATE coupons SET state = 'expired' WHERE holder = 'flo'"),
]  # fmt: skip
"""Check, what is wrong, and the statement that damages the books."""


@pytest.mark.parametrize(("check", "says", "statement"), BOOKS, ids=[f"{check}-{says}" for check, says, _ in BOOKS])
def test_what_is_wrong_in_the_books_is_named(
    sale: SmallSale, by_books: None, check: str, says: str, statement: str
) -> None:
    """Each damage of the books breaks its check, with the first row."""
    with sale.damaged(statement):
        verdict = judged(sale, sale.attempts)

    assert why(verdict, check) == says, verdict.screen()


MADE: list[tuple[str, str, Expected]] = [
    ("limit", "this claim is one too many", EXPECTED._replace(limit=1)),
    ("stock", "more was granted than was put in", EXPECTED._replace(stock=STOCK - 1)),
    ("sold_out", "demand was higher, and something is left", EXPECTED._replace(stock=STOCK + 1)),
    ("units", "what left supply is not what was put in", EXPECTED._replace(stock=STOCK + 1)),
]
"""Check, what is wrong, and how the campaign was made according to whoever made it."""


@pytest.mark.parametrize(("check", "says", "expected"), MADE, ids=[f"{check}-{says}" for check, says, _ in MADE])
def test_a_campaign_that_is_not_as_it_was_made_is_named(
    sale: SmallSale, by_books: None, check: str, says: str, expected: Expected
) -> None:
    """Stock and limit are those the campaign was made with, not those it says of itself."""
    verdict = judged(sale, sale.attempts, expected)

    assert why(verdict, check) == says, verdict.screen()


def test_a_campaign_that_was_there_before_has_what_the_books_say(sale: SmallSale, by_books: None) -> None:
    """Without a stock, what lies before the first request is nobody's of this run; what comes later has to be told."""
    first = places(sale.attempts, ADJUST, "pallet", "")[0]
    existing = Expected(CAMPAIGN, None, None)

    assert judged(sale, sale.attempts[first:], existing).holds
    late = judged(sale, sale.attempts[:1] + sale.attempts[first + 1 :], existing)
    assert {why(late, "adjusted"), why(late, "untold")} == {"nobody was told of it"}


LIVE: list[tuple[str, set[str], str]] = [
    ("a figure differs in the stocktake", set(), "UPDATE account_days SET debit = debit + 1 WHERE account = 'stock'"),
    ("the campaign's figures differ", {"_stocktake"}, ENTRY.format("delta = 9", "seq = 2")),
    ("a coupon differs", {"_stocktake"}, "UPDATE coupons SET expires_at = expires_at + '1 h' WHERE holder = 'flo'"),
    ("a holder's coupons differ", {"_stocktake", "_coupon"}, "UPDATE coupons SET seq = 99 WHERE holder = 'flo'"),
]
"""What is wrong, the questions that are left out so that another one finds it, and what damages the books."""


@pytest.mark.parametrize(("says", "unasked", "statement"), LIVE, ids=[says for says, *_ in LIVE])
def test_what_differs_between_redis_and_the_books_is_named(
    sale: SmallSale, monkeypatch: pytest.MonkeyPatch, says: str, unasked: set[str], statement: str
) -> None:
    """Each question that is asked over HTTP finds a difference by itself, and the row names both sides."""
    monkeypatch.setattr(live, "AGAIN_S", 0.0)
    for name in unasked:
        monkeypatch.setattr(live.Live, name, lambda *asked: ({}, {}, {}))
    with sale.damaged(statement):
        verdict = judged(sale, sale.attempts)
    [found] = [each for each in verdict.checks if each.name == "redis"]

    assert found.first is not None
    assert found.first["why"] == says
    assert found.first["books"] != found.first["redis"]


def test_a_shard_that_can_not_be_compared_is_no_equal_one(sale: SmallSale, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stocktake that has to leave a shard unfinished does not pass for a clean one."""
    asked = waiting.take_stock

    def unfinished(*question: Any) -> list[dict[str, Any]]:
        return [{**shard, "unfinished": "a key can't be read"} for shard in asked(*question)]

    monkeypatch.setattr(live, "take_stock", unfinished)

    assert why(judged(sale, sale.attempts), "redis") == "a shard can't be compared"


def test_books_that_never_get_there_are_named_and_not_waited_for(sale: SmallSale, by_books: None) -> None:
    """With the reconciler held still, the shard is named with both numbers after the wait; and later all is well."""
    create_campaign(sale.target, "late", 1, 1, 1)
    with sale.system.stopped("reconciler"):
        attempt = sale.claim("ann", "k1", campaign="late")
        behind = judge(sale.target, [Expected("late", 1, 1)], [attempt], wait_s=0.2)
    [drained] = [each for each in behind.checks if each.name == "drained"]

    assert drained.first is not None
    assert (drained.first["why"], drained.first["shard"]) == ("the books do not get there", "late/0")
    assert drained.first["books_seq"] < drained.first["redis_seq"]
    assert judge(sale.target, [Expected("late", 1, 1)], [attempt], wait_s=60).holds


def test_the_command_says_it_all_with_its_exit_code(
    sale: SmallSale, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 and every check; 1 and the first row that violates it, as JSON too."""
    told = tmp_path / "told.csv.gz"
    write_told(told, sale.attempts)
    asked = ["--ready-file", str(sale.system.ready_file), "--told", str(told), "--campaign", CAMPAIGN]

    assert main([*asked, "--stock", str(STOCK), "--limit", str(LIMIT)]) == 0
    assert f"{len(SAYS)} of {len(SAYS)} checks hold" in capsys.readouterr().out
    assert main([*asked, "--limit", "1", "--json"]) == 1
    verdict = json.loads(capsys.readouterr().out)
    [limit] = [check for check in verdict["checks"] if check["name"] == "limit"]
    assert (verdict["holds"], limit["violated"], limit["first"]["holder"]) == (False, 2, "ann")


def test_wrong_arguments_and_systems_that_are_away_are_told_apart(
    sale: SmallSale, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 for what the caller can put right, 6 for a gateway or a database that does not answer."""
    told, ready = tmp_path / "told.csv", sale.system.ready_file
    write_told(told, sale.attempts[:1])
    away = tmp_path / "ready.json"
    away.write_text(ready.read_text().replace(str(urlsplit(sale.target.postgres_url).port), "1"))
    broken = tmp_path / "broken.csv"
    broken.write_text("kind\n")
    asked = [
        (["--ready-file", str(ready), "--told", str(tmp_path / "absent")], 2, "absent"),
        (["--ready-file", str(ready), "--told", str(broken)], 2, "the first line has to be"),
        (["--ready-file", str(ready), "--told", str(told), "--stock", "1"], 2, "--stock follows the --campaign"),
        (["--ready-file", str(ready), "--told", str(told), "--campaign", "none-such"], 2, "no campaign none-such"),
        (["--ready-file", str(away), "--told", str(told)], 6, "PostgreSQL"),
    ]
    for arguments, code, says in asked:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert (ended.value.code, says in capsys.readouterr().err) == (code, True), arguments


def test_every_way_to_break_a_check_is_tried() -> None:
    """What may be wrong with a first row, by the words in the source: here, or by a planted bug."""
    tried = {says for _, says, _ in (*TOLD, *BOOKS, *MADE)} | {says for says, *_ in LIVE}
    tried |= {str(says["why"]) for _, _, says in CAUGHT.values() if "why" in says}
    elsewhere = {"the books do not get there", "a shard can't be compared"}

    assert ways() - {" differs in the stocktake", "a "} == tried - {"a figure differs in the stocktake"} | elsewhere
    assert {check for check, *_ in (*TOLD, *BOOKS)} | {"drained", "redis"} == SAYS.keys()


def ways() -> set[str]:
    """Every text that a check calls a violation by."""
    found: set[str] = {pair.why for pair in PAIRS}
    for file in Path(rows.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr in ("violate", "_violate", "_settle"):
                    found |= {text for part in node.args for text in texts_in(part) if " " in text}
            elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "why":
                found |= texts_in(node.value)
    return found


def texts_in(node: ast.AST) -> set[str]:
    """The texts that are spelt out below *node*."""
    return {each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str)}
