"""What `up` prints once everything answers."""

import os
import secrets
import shlex
import shutil
import sys
import uuid
from importlib.metadata import version
from pathlib import Path

from gateway.settings import Settings
from gateway.stack.ready import Ready
from gateway.tokens import mint_token

TOKEN_TTL_S = 86_400


def screen(ready: Ready, settings: Settings, now_s: float, show_password: bool) -> str:
    """Links, a claim to paste, how to see it, how to stop; the first admin's password where *show_password* says so."""
    lines = [
        f"Fairclaim {version('fairclaim')} is up: {settings.workers} gateway workers, the reconciler, the clerk, "
        "the servers.",
        "",
        f"  gateway    {ready.gateway_url}",
        f"  console    {ready.console_url}   ({_sign_in(ready, show_password)})",
        f"  till       {ready.gateway_url}/till   (sign in with the store key)",
        f"  API        {ready.gateway_url}/docs",
        f"  state      {ready.gateway_url}/readyz   {ready.gateway_url}/metrics",
        f"  URLs, keys {shown_path(Path(settings.data_dir) / 'ready.json')}   (secret)",
        f"  logs       {shown_path(Path(settings.data_dir) / 'logs')}",
    ]
    if settings.demo_campaign:
        lines.insert(4, f"  demo       {ready.gateway_url}/demo   (a flash sale, as a customer's phone shows it)")
    if ready.demo_campaign:
        lines += _claim(ready, settings, now_s)
    return "\n".join(
        [*lines, "", "Stop with Ctrl-C: it drains and stops; the data stays.", f"{_command(settings)} --help"]
    )


def _sign_in(ready: Ready, show_password: bool) -> str:
    if ready.console_user is None:
        return "sign in; `fairclaim user list` shows who may"
    if show_password:
        return f"sign in as {ready.console_user}, password {ready.console_password}, shown this once"
    return f"sign in as {ready.console_user}; the password is with the keys"


def _claim(ready: Ready, settings: Settings, now_s: float) -> list[str]:
    jwt = ready.jwt
    token = mint_token(
        {jwt.kid: jwt.secret.encode()},
        f"guest-{secrets.token_hex(4)}",  # a new one each time: the last one may have claimed already
        audience=jwt.audience,
        issuer=jwt.issuer,
        ttl_s=TOKEN_TTL_S,
        now_s=now_s,
    )
    holder = f"-H 'Authorization: Bearer {token}'"
    claim = f"{ready.gateway_url}/v1/campaigns/{ready.demo_campaign}/claims"
    return [
        "",
        "Claim a coupon; sent again, the same line gives the same coupon:",
        "",
        f"curl -sSi -X POST {claim} {holder} -H 'Idempotency-Key: {uuid.uuid4()}' "
        "-H 'Content-Type: application/json' -d '{}'",
        "",
        "See it in the wallet, and the sale as a whole:",
        "",
        f"curl -sS {ready.gateway_url}/v1/coupons {holder}",
        f"{_command(settings)} status",
    ]


def _command(settings: Settings) -> str:
    """How to call fairclaim from the shell `up` was started in."""
    name = "fairclaim"
    if not shutil.which(name):
        name = shown_path(Path(sys.executable).parent / name)
    default = Path(Settings().data_dir).absolute()
    where = "" if Path(settings.data_dir) == default else f"FAIRCLAIM_DATA_DIR={shlex.quote(settings.data_dir)} "
    return where + name


def shown_path(path: Path) -> str:
    """*path* from here if that is shorter."""
    return min(os.path.relpath(path), str(path), key=len)
