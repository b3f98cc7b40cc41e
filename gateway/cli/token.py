"""`fairclaim token`: a holder's token for development."""

import time
from typing import Annotated, Any

import typer

from gateway.cli.flags import JsonFlag, keys_from, settings_from
from gateway.cli.options import DataDir, ReadyFile, flag_of
from gateway.cli.output import UNAVAILABLE, USAGE, Fail, emit
from gateway.cli.ready import START_HINT, read_ready
from gateway.errors import Refusal
from gateway.settings import PREFIX, Settings
from gateway.tokens import HOLDER_BYTES_MAX, TokenVerifier, mint_token

TTL_S_DEFAULT = 3600
TTL_S_MAX = 30 * 86_400

Holder = Annotated[
    str,
    typer.Option("--holder", "-u", envvar=PREFIX + "HOLDER", help="Who the token is for: its sub.", show_default=False),
]


class Mint:
    """Makes tokens that the gateway in reach accepts: with the keys of its settings, else with the ready file's."""

    def __init__(self, settings: Settings) -> None:
        keys = keys_from(settings)
        self._keys, self._audience, self._issuer = keys, settings.jwt_audience, settings.jwt_issuer
        if not keys:
            jwt: Any = read_ready(settings).get("jwt")
            if not isinstance(jwt, dict) or not all(isinstance(jwt.get(name), str) for name in ("kid", "secret")):
                message = f"no key to sign with: {PREFIX}JWT_KEYS is not set and no ready file was found"
                raise Fail(UNAVAILABLE, "not_running", message, START_HINT)
            self._keys = {jwt["kid"]: jwt["secret"].encode()}
            self._audience, self._issuer = jwt["audience"], jwt["issuer"]

    def token(self, holder: str, ttl_s: int) -> tuple[str, int]:
        """
        A token for *holder* and when it expires, seconds since the epoch.

        Errors: Fail(USAGE) for a holder that the gateway would not accept.
        """
        now_s = time.time()
        token = mint_token(self._keys, holder, audience=self._audience, issuer=self._issuer, ttl_s=ttl_s, now_s=now_s)
        if not self._is_accepted(token, now_s):
            message = f"--holder has to be 1 to {HOLDER_BYTES_MAX} bytes without blanks or control characters"
            raise Fail(USAGE, "bad_holder", message)
        return token, int(now_s) + ttl_s

    def _is_accepted(self, token: str, now_s: float) -> bool:
        try:
            TokenVerifier(self._keys, self._audience, self._issuer, 0).verify(token, now_s)
        except (Refusal, UnicodeError):
            return False
        return True


def token(
    holder: Holder,
    ttl: Annotated[
        int, flag_of("token", "--ttl", min=1, max=TTL_S_MAX, help="Seconds until it expires.", metavar="SECONDS")
    ] = TTL_S_DEFAULT,
    ready_file: ReadyFile = None,
    data_dir: DataDir = None,
    as_json: JsonFlag = False,
) -> None:
    """
    Mint a holder's token for development; prints nothing else, so that it can be used in a command.

    \b
    Example:
      curl -H "Authorization: Bearer $(fairclaim token --holder ann)" http://127.0.0.1:8080/v1/coupons

    Exit codes: 0 done, 2 usage, 6 nothing to sign with: no keys given and nothing running.
    """
    from gateway.wire import rfc3339

    text, expires_s = Mint(settings_from(ready_file=ready_file, data_dir=data_dir)).token(holder, ttl)
    emit({"token": text, "holder": holder, "expires_at": rfc3339(expires_s * 1000)}, as_json, lambda: text)
