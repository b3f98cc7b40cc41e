"""`fairclaim claim`: claim a coupon as a user would, through HTTP and with a token."""

from typing import Annotated, Any
from urllib.parse import quote
from uuid import uuid4

import typer

from gateway.cli.flags import JsonFlag, settings_from
from gateway.cli.options import DataDir, GatewayUrl, ReadyFile, flag_of
from gateway.cli.output import Fail, emit
from gateway.cli.ready import find, read_ready
from gateway.cli.tables import facts
from gateway.cli.token import Holder, Mint
from gateway.settings import PREFIX

TOKEN_TTL_S = 300
_UNDECIDED = ("unknown", "time_out")


def claim(
    campaign: Annotated[str, typer.Argument(help="The campaign's id.", show_default=False)],
    holder: Holder,
    key: Annotated[
        str | None,
        flag_of(
            "claim", "--key", "-k", help="Idempotency-Key; the same one gives the same coupon. A new one by default."
        ),
    ] = None,
    channel: Annotated[
        str | None, flag_of("claim", "--channel", help="Where the claim comes from, such as app.")
    ] = None,
    gateway_url: GatewayUrl = None,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Claim a coupon as a user would; a refusal ends with exit code 4 and its code.

    \b
    Example:
      fairclaim claim demo --holder ann --channel app

    Exit codes: 0 claimed or replayed, 2 usage, 3 no such campaign, 4 refused, 5 credentials, 6 unavailable or unknown.
    """
    from gateway.cli.client import Gateway

    settings = settings_from(ready_file=ready_file, data_dir=data_dir)
    text, _ = Mint(settings).token(holder, TOKEN_TTL_S)
    url = gateway_url or find("gateway_url", None, read_ready(settings), PREFIX + "GATEWAY_URL")
    key = key or str(uuid4())
    body = {} if channel is None else {"channel": channel}
    try:
        answer = Gateway(url, text).ask("POST", f"/v1/campaigns/{quote(campaign, safe='')}/claims", body, key=key)
    except Fail as fail:
        if fail.code in _UNDECIDED:
            fail.hint = f"repeat it with --key {key} to learn what became of it"
        if fail.code == "unauthenticated":
            fail.hint = f"it was signed with {PREFIX}JWT_KEYS or the ready file's key; the gateway has another one"
        raise
    replayed = answer.headers.get("idempotency-replayed") == "true"
    claimed: dict[str, Any] = {"outcome": "replayed" if replayed else "claimed", **answer.body, "key": key}
    emit(claimed, as_json, lambda: _human(claimed))


def _human(claimed: dict[str, Any]) -> str:
    value = dict(claimed["value"])
    terms = ", ".join(f"{name} {term}" for name, term in value.items() if name != "type" and term is not None)
    return facts(
        [
            ("outcome", claimed["outcome"]),
            ("code", claimed.get("display_code", claimed["code"])),
            ("value", f"{value['type']} {terms}".strip()),
            ("currency", claimed.get("currency")),
            ("seq", claimed["seq"]),
            ("expires", claimed["expires_at"]),
            ("key", claimed["key"]),
        ]
    )
