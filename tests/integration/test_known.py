"""Which names the books know: what moved, and what a campaign names before anything has."""

import msgspec
import psycopg
import pytest

from reconciler.reports.known import Unknown, check_known
from reconciler.reports.shape import Asked
from tests.integration.bookkeeping import add_journals
from tests.integration.draining import Books

NAMED = {
    "channels": ["app"],
    "funders": [{"account": "brand", "basis_points": 10_000}],
    "scope": {"stores": ["s-1"], "stores_excluded": ["s-2"]},
}
ACCOUNTS = {
    "known": ["payable", "payable:m-1", "clearing", "clearing:bank", "stock", "budget", "commitment:new",
              "expense:promotion:brand", "expense:promotion:platform"],
    "unknown": ["", "payable:m-2", "clear", "stok", "commitment:old", "expense:promotion:nobody", "tea"],
}  # fmt: skip


def test_a_name_is_known_by_what_moved_or_by_a_campaign(postgres_url: str) -> None:
    """Each field by each place where it may be known, and the empty name; a name that is in none is named."""
    add_journals(postgres_url, 2)  # at m-1, funded by the platform, of campaign tea
    with Books(postgres_url) as books:
        books.rows(
            "INSERT INTO campaigns (id, version, state, definition) VALUES ('new', 1, 'draft', %s)",
            msgspec.json.encode(NAMED).decode(),
        )
        books.rows(
            "INSERT INTO movement_days VALUES ('tea/0', '2026-11-01', 'redeem', 'outstanding', 'redeemed', 'web', "
            "'s-3', 'CNY', 'tea', 'main', 1, 1, 1, 1, 1, 1)"
        )
    known = [
        Asked(entity="main"),
        *(Asked(campaign=name) for name in ("tea", "new")),
        *(Asked(channel=name) for name in ("", "app", "web")),
        *(Asked(store=name) for name in ("", "s-1", "s-2", "s-3")),
        *(Asked(merchant=name) for name in ("", "m-1")),
        *(Asked(funder=name) for name in ("brand", "platform")),
        *(Asked(account=name) for name in ACCOUNTS["known"]),
        Asked(entity="main", campaign="tea", funder="platform"),
        Asked(),
    ]
    with psycopg.connect(postgres_url) as connection:
        for asked in known:
            check_known(connection, asked)
        for field in ("entity", "campaign", "channel", "store", "merchant", "funder"):
            for name in ("none", "'", "{}", "%s", *([""] if field in ("entity", "campaign") else [])):
                with pytest.raises(Unknown) as caught:
                    check_known(connection, msgspec.convert({"account": "stock", field: name}, Asked))
                assert (caught.value.field, caught.value.name) == (field, name)
        for account in ACCOUNTS["unknown"]:
            with pytest.raises(Unknown, match="account: "):
                check_known(connection, Asked(account=account))
