"""`fairclaim campaign`: create, list, show, move, and stock in and out; all of it through the gateway."""

import time
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote
from uuid import uuid4

import typer

from gateway.cli.flags import JsonFlag
from gateway.cli.options import flag_of
from gateway.cli.output import USAGE, Fail, emit
from gateway.cli.tables import facts, table
from gateway.cli.through import Opened, through_gateway

if TYPE_CHECKING:
    from gateway.cli.client import Gateway

STATES = ("scheduled", "active", "paused", "ended", "archived")

app = typer.Typer(no_args_is_help=True, help="Campaigns: create, list, show, change state, restock or withdraw.")

_of_create = partial(flag_of, "campaign create")

CampaignArgument = Annotated[str, typer.Argument(metavar="CAMPAIGN", help="The campaign's id.", show_default=False)]


@app.command()
@through_gateway
def create(
    opened: Opened,
    file: Annotated[str | None, _of_create("--file", "-f", help="A JSON body, - for standard input.")] = None,
    id_: Annotated[str | None, _of_create("--id", help="Lower-case letters, digits and hyphens.")] = None,
    name: Annotated[str | None, _of_create("--name", help="For people; default: the id.")] = None,
    currency: Annotated[str | None, _of_create("--currency", help="ISO 4217; default EUR.")] = None,
    stock: Annotated[int | None, _of_create("--stock", help="Coupons to begin with.")] = None,
    off: Annotated[int | None, _of_create("--off", help="Amount off, minor units.")] = None,
    threshold: Annotated[int | None, _of_create("--threshold", help="… for orders from this on, minor units.")] = None,
    percent: Annotated[float | None, _of_create("--percent", help="Percent off; needs --cap.")] = None,
    fixed_price: Annotated[int | None, _of_create("--fixed-price", help="An article for this, minor units.")] = None,
    gift: Annotated[str | None, _of_create("--gift", help="An article for nothing: its SKU.")] = None,
    free_shipping: Annotated[bool, _of_create("--free-shipping", help="No shipping to pay.")] = False,
    balance: Annotated[int | None, _of_create("--balance", help="Money to spend, minor units.")] = None,
    cap: Annotated[int | None, _of_create("--cap", help="The most one coupon may cost, minor units.")] = None,
    per_holder: Annotated[int | None, _of_create("--per-holder", help="Coupons a holder; default 1.")] = None,
    per_holder_per_day: Annotated[int | None, _of_create("--per-holder-per-day", help="… a day.")] = None,
    per_day: Annotated[int | None, _of_create("--per-day", help="Coupons a day, all holders.")] = None,
    budget: Annotated[int | None, _of_create("--budget", help="Money for all coupons, minor units.")] = None,
    starts: Annotated[str | None, _of_create("--starts", help="RFC 3339; default: now.")] = None,
    ends: Annotated[str | None, _of_create("--ends", help="RFC 3339; default: an hour later.")] = None,
    timezone: Annotated[str | None, _of_create("--timezone", help="IANA zone the days are of; default UTC.")] = None,
    entity: Annotated[
        str | None, _of_create("--entity", help="Legal entity whose books it is in; default main.")
    ] = None,
    valid_days: Annotated[int | None, _of_create("--valid-days", help="Days a coupon is good; default 7.")] = None,
    valid_until: Annotated[str | None, _of_create("--valid-until", help="… or until this time.")] = None,
    channel: Annotated[list[str] | None, _of_create("--channel", help="Allowed channel; may be repeated.")] = None,
    shards: Annotated[int | None, _of_create("--shards", help="Slices of the stock; default 1.")] = None,
    funder: Annotated[list[str] | None, _of_create("--funder", help="ACCOUNT=BASIS_POINTS; repeat to 10000.")] = None,
    publish: Annotated[bool, _of_create("--publish", help="Schedule it at once: open when the window is.")] = False,
    dry_run: Annotated[bool, _of_create("--dry-run", help="Print the body that would be sent, and stop.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """
    Create a campaign, as a draft; flags go over what --file says.

    \b
    Example:
      fairclaim campaign create --id flash-1 --stock 1000 --off 500 --publish

    Exit codes: 0 created, 2 usage, 4 there is one of this id, 5 credentials, 6 unavailable.
    """
    from gateway.cli.campaign_body import Terms, body_from, read_body

    terms = Terms(
        id_, name, currency, stock, off, threshold, percent, fixed_price, gift, free_shipping, balance, cap,
        per_holder, per_holder_per_day, per_day, budget, starts, ends, timezone, entity, valid_days, valid_until,
        channel or [], shards, funder or [],
    )  # fmt: skip
    body = body_from(terms, None if file is None else read_body(file), round(time.time() * 1000))
    if dry_run:
        emit(body, True, str)
        return
    gateway = opened()
    created = gateway.ask("POST", "/v1/campaigns", body).body
    if publish:
        created = _move(gateway, created["id"], "scheduled")
    emit(created, as_json, lambda: _human(created))


@app.command("list")
@through_gateway
def list_(
    opened: Opened,
    as_json: JsonFlag = False,
) -> None:
    """
    List all campaigns.

    \b
    Example:
      fairclaim campaign list

    Exit codes: 0 done, 2 usage, 5 credentials, 6 unavailable.
    """
    items = opened().ask_all("/v1/campaigns")
    columns = ("id", "name", "state", "starts, UTC@", "ends, UTC@")
    rows = [[item.get(name) for name in ("id", "name", "state", "starts_at", "ends_at")] for item in items]
    emit(
        {"items": items, "next": None},
        as_json,
        lambda: table(columns, rows, none="No campaigns yet: fairclaim campaign create --help"),
    )


@app.command()
@through_gateway
def show(
    opened: Opened,
    campaign: CampaignArgument,
    as_json: JsonFlag = False,
) -> None:
    """
    Show one campaign, with what is left of it.

    \b
    Example:
      fairclaim campaign show demo --json

    Exit codes: 0 done, 2 usage, 3 no such campaign, 5 credentials, 6 unavailable.
    """
    found = opened().ask("GET", _path(campaign)).body
    emit(found, as_json, lambda: _human(found))


@app.command()
@through_gateway
def state(
    opened: Opened,
    campaign: CampaignArgument,
    to: Annotated[str, typer.Argument(help=f"One of {', '.join(STATES)}.", show_default=False)],
    as_json: JsonFlag = False,
) -> None:
    """
    Move a campaign to a state: schedule, pause, resume (active), end, archive. A draft is thrown away by archiving it.

    \b
    Example:
      fairclaim campaign state flash-1 paused

    Exit codes: 0 it is in that state, 2 usage, 3 no such campaign, 4 not from here, 5 credentials, 6 unavailable.
    """
    if to not in STATES:
        raise Fail(USAGE, "usage", f"there is no state {to!r} to go to; one of: {', '.join(STATES)}")
    moved = _move(opened(), campaign, to)
    emit(moved, as_json, lambda: _human(moved))


@app.command()
@through_gateway
def restock(
    opened: Opened,
    campaign: CampaignArgument,
    delta: Annotated[
        int, flag_of("campaign restock", "--delta", help="Coupons in; negative takes them out.", show_default=False)
    ],
    reason: Annotated[str, flag_of("campaign restock", "--reason", help="Why, for the books.", show_default=False)],
    key: Annotated[
        str | None,
        flag_of(
            "campaign restock",
            "--key",
            "-k",
            help="Idempotency-Key; the same one moves stock once. A new one by default.",
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Put stock in, or take it out with a negative delta; never below zero.

    \b
    Example:
      fairclaim campaign restock flash-1 --delta 500 --reason "second pallet"

    Exit codes: 0 moved, now or before, 2 usage, 3 no such campaign, 4 refused, 5 credentials, 6 unavailable.
    """
    gateway = opened()
    key = key or str(uuid4())
    try:
        answer = gateway.ask(
            "POST", f"{_path(campaign)}/stock-adjustments", {"delta": delta, "reason": reason}, key=key
        )
    except Fail as fail:
        if fail.code in ("unknown", "time_out", "not_ready"):
            fail.hint = f"repeat it with --key {key}: the stock is moved once"
        raise
    adjusted: dict[str, Any] = {**answer.body, "key": key}
    emit(adjusted, as_json, lambda: _human(adjusted))


def _path(campaign: str) -> str:
    return f"/v1/campaigns/{quote(campaign, safe='')}"


def _move(gateway: "Gateway", campaign: str, to: str) -> Any:
    return gateway.ask("POST", f"{_path(campaign)}/state", {"to": to}).body


def _human(campaign: dict[str, Any]) -> str:
    """Every field of a campaign, those inside another one behind its name."""
    pairs: list[tuple[str, object]] = []
    for name, value in campaign.items():
        if isinstance(value, dict):
            pairs += [(f"{name}.{inner}", term) for inner, term in value.items()]
        elif isinstance(value, list):
            pairs.append((name, ", ".join(_word(item) for item in value) or None))
        else:
            pairs.append((name, value))
    return facts(pairs)


def _word(item: object) -> str:
    return " ".join(f"{name}={value}" for name, value in item.items()) if isinstance(item, dict) else str(item)
