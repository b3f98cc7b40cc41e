"""
Every setting: name, unit, default, bounds, and how they bound each other.

The class is the table. Each field is the environment variable FAIRCLAIM_<NAME>, read by environment.py, and
docs/settings.md is compared with it by a test.
"""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from gateway.addresses import read_networks
from lua.keys import CLAIM_BATCH_MAX
from lua.tally import SAMPLES_MAX

PREFIX = "FAIRCLAIM_"


class SettingError(ValueError):
    """A setting is missing, malformed, out of bounds, or at odds with another one; the text names it."""


def _meta(unit: str, why: str, *, low: int | None = None, high: int | None = None, secret: bool = False) -> Meta:
    return Meta(ge=low, le=high, description=why, extra={"unit": unit, "secret": secret})


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """One process's settings. Make it with load_settings()."""

    data_dir: Annotated[str, _meta("path", "where the embedded servers keep their data")] = ".fairclaim"
    redis_url: Annotated[str, _meta("URL", "Redis or Valkey; empty: the embedded one", secret=True)] = ""
    postgres_url: Annotated[str, _meta("URL", "PostgreSQL; empty: the embedded one", secret=True)] = ""
    ready_file: Annotated[str, _meta("path", "where up writes how to reach everything; empty: only in data_dir")] = ""
    log_level: Annotated[str, _meta("debug, info, warning or error", "the least severe line written")] = "info"

    host: Annotated[str, _meta("address", "where the gateway listens")] = "127.0.0.1"
    port: Annotated[int, _meta("port", "0 takes any free one", low=0, high=65535)] = 8080
    lane: Annotated[bool, _meta("true or false", "answer claims in the lane; false leaves them to Starlette")] = True
    connections_max: Annotated[int, _meta("connections", "open at once a worker", low=16, high=1_000_000)] = 10_000
    receipt_s_max: Annotated[int, _meta("s", "from a request's first byte to its last", low=1, high=300)] = 5
    keep_alive_s_max: Annotated[int, _meta("s", "an idle connection is kept", low=1, high=3600)] = 5
    workers: Annotated[
        int, _meta("processes, or auto", "gateway workers; auto: one a core it may use", low=1, high=64)
    ] = 2
    no_demo: Annotated[bool, _meta("true or false", "publish no demo campaign")] = False
    demo_campaign: Annotated[str, _meta("id", "the campaign anybody may claim from at /demo; empty: no page")] = ""
    demo_tickets_max: Annotated[int, _meta("tickets/min", "/demo gives an address", low=1, high=1_000_000)] = 300
    redis_memory_mb: Annotated[int, _meta("MiB", "maxmemory of the embedded Valkey", low=32, high=1_048_576)] = 2048
    fsync: Annotated[str, _meta("everysec or always", "appendfsync of the embedded Valkey")] = "everysec"

    jwt_keys: Annotated[
        str, _meta("kid=secret,…", "HS256 keys of holder tokens, the first one mints; >= 32 bytes each", secret=True)
    ] = ""
    jwt_keys_file: Annotated[
        str, _meta("path", "a file with those keys instead, one a line, read again when it changes")
    ] = ""
    jwt_audience: Annotated[str, _meta("text", "aud a token has to name")] = "fairclaim"
    jwt_issuer: Annotated[str, _meta("text", "iss a token has to name")] = "fairclaim"
    jwt_leeway_s: Annotated[int, _meta("s", "clock difference forgiven in exp and nbf", low=0, high=30)] = 5
    token_cache_max: Annotated[
        int, _meta("tokens", "verified tokens a worker remembers; 0 remembers none", low=0, high=1_048_576)
    ] = 65_536
    ticket_s_max: Annotated[int, _meta("s", "how long a claim ticket is good at most", low=60, high=604_800)] = 86_400
    till_idle_s_max: Annotated[int, _meta("s", "a till stays signed in without being used", low=60, high=43_200)] = 1800
    console_idle_s_max: Annotated[
        int, _meta("s", "somebody stays signed in to the console without using it", low=60, high=86_400)
    ] = 1800
    console_signed_in_s_max: Annotated[
        int, _meta("s", "somebody stays signed in to the console at all", low=300, high=604_800)
    ] = 43_200
    api_key_cache_s: Annotated[int, _meta("s", "how long a revoked API key may still work", low=0, high=60)] = 2

    code_failures_holder_max: Annotated[
        int, _meta("failures/min", "codes not there that a holder may ask for", low=1, high=100_000)
    ] = 10
    code_failures_address_max: Annotated[
        int, _meta("failures/min", "codes not there that all holders of an address may ask for", low=1, high=1_000_000)
    ] = 100
    code_failures_key_address_max: Annotated[
        int, _meta("failures/min", "codes not there that an API key may ask for at an address", low=1, high=100_000)
    ] = 30
    code_failures_key_max: Annotated[
        int, _meta("failures/min", "codes not there that an API key may ask for anywhere", low=1, high=1_000_000)
    ] = 1000
    code_failures_alarm: Annotated[
        int, _meta("failures/min", "of everybody together, above which the alarm sounds", low=1, high=1_000_000)
    ] = 300
    code_limiter_ms_max: Annotated[
        int, _meta("ms", "how long a request may wait for the limiter of these", low=10, high=5000)
    ] = 200
    sign_in_failures_name_address_max: Annotated[
        int, _meta("failures/min", "wrong passwords for a name from one address", low=1, high=100_000)
    ] = 5
    sign_in_failures_address_max: Annotated[
        int, _meta("failures/min", "wrong sign-ins from an address, whatever the name", low=1, high=1_000_000)
    ] = 30
    sign_in_failures_name_max: Annotated[
        int, _meta("failures/min", "wrong passwords for a name from everywhere", low=1, high=1_000_000)
    ] = 100
    trusted_proxies: Annotated[
        str, _meta("address or network,…", "proxies whose X-Forwarded-For is believed; empty: none")
    ] = ""

    claim_batch_max: Annotated[int, _meta("claims", "claims one script call carries", low=1, high=CLAIM_BATCH_MAX)] = (
        CLAIM_BATCH_MAX
    )
    claim_calls_max: Annotated[int, _meta("calls", "calls in flight a worker and shard", low=1, high=2)] = 2
    claim_queue_max: Annotated[int, _meta("claims", "claims that may wait a worker and shard", low=1, high=65536)] = (
        4096
    )
    claim_wait_ms_max: Annotated[int, _meta("ms", "how long a claim may wait unsent", low=10, high=30_000)] = 1000
    redis_call_ms_max: Annotated[int, _meta("ms", "one call to Redis", low=50, high=30_000)] = 2000
    redis_connect_ms_max: Annotated[int, _meta("ms", "one connect to Redis", low=50, high=30_000)] = 1000
    redis_memory_percent_max: Annotated[
        int, _meta("%", "of maxmemory in use, from where on claims are refused with 503", low=10, high=99)
    ] = 85
    retry_after_s_max: Annotated[int, _meta("s", "Retry-After is drawn from 1 to this", low=1, high=60)] = 3
    body_bytes_max: Annotated[int, _meta("bytes", "a request body", low=1024, high=1_048_576)] = 65_536
    import_bytes_max: Annotated[
        int, _meta("bytes", "the body of an import of codes, or of a file of orders", low=1024, high=67_108_864)
    ] = 4_194_304
    head_bytes_max: Annotated[int, _meta("bytes", "request line and headers of a request", low=1024, high=65_536)] = (
        16_384
    )
    claim_body_bytes_max: Annotated[int, _meta("bytes", "the body of a claim", low=64, high=65_536)] = 8192
    postgres_connections_max: Annotated[
        int, _meta("connections", "PostgreSQL connections a worker", low=1, high=64)
    ] = 4
    postgres_ms_max: Annotated[int, _meta("ms", "one statement, or the wait for a connection", low=50, high=60_000)] = (
        3000
    )
    page_rows_max: Annotated[int, _meta("rows", "a page of a list", low=1, high=1000)] = 100
    stop_s_max: Annotated[int, _meta("s", "a worker or the reconciler may take this long to stop", low=1, high=300)] = (
        20
    )

    drain_entries_max: Annotated[
        int, _meta("stream entries", "read and committed at once, a shard", low=1, high=10_000)
    ] = 256
    drain_block_ms: Annotated[int, _meta("ms", "how long a read of the streams waits for more", low=10, high=5000)] = (
        500
    )
    drain_shards_max: Annotated[int, _meta("shards", "streams one reconciler owns", low=1, high=10_000)] = 1000
    drain_retry_ms_max: Annotated[int, _meta("ms", "longest pause before another try", low=10, high=60_000)] = 2000
    sweep_codes_max: Annotated[int, _meta("codes", "coupons past their time one call books", low=1, high=512)] = 512
    sweep_pause_ms: Annotated[
        int, _meta("ms", "from one look for coupons and holds past their time to the next", low=10, high=3_600_000)
    ] = 1000
    stocktake_s: Annotated[int, _meta("s", "from one stocktake of every shard to the next", low=1, high=86_400)] = 10
    stocktake_samples: Annotated[
        int, _meta("coupons, and holders", "compared field by field, a shard and stocktake", low=0, high=SAMPLES_MAX)
    ] = 100

    exports_dir: Annotated[str, _meta("path", "where exports are kept; empty: exports in data_dir")] = ""
    exports_rows_part: Annotated[int, _meta("rows", "of an export held in memory at once", low=100, high=1_000_000)] = (
        50_000
    )
    exports_keep_days: Annotated[int, _meta("days", "the file of an export is kept", low=1, high=3650)] = 30
    exports_open_max: Annotated[int, _meta("exports", "waiting or being made at once", low=1, high=10_000)] = 100

    two_people: Annotated[
        bool, _meta("true or false", "what moves money is only proposed, and done once somebody else approves it")
    ] = False
    proposal_days: Annotated[int, _meta("days", "a proposal waits to be approved", low=1, high=365)] = 7
    proposals_of_one_max: Annotated[int, _meta("proposals", "waiting at once of one maker", low=1, high=100_000)] = 100
    proposals_open_max: Annotated[int, _meta("proposals", "waiting at once", low=1, high=100_000)] = 1000

    alerts_look_s: Annotated[int, _meta("s", "from one look for trouble to the next", low=1, high=60)] = 5
    alert_networks: Annotated[
        str, _meta("address or network,…", "not public, that webhooks may go to, without TLS too; empty: none")
    ] = ""
    public_url: Annotated[str, _meta("URL", "where people reach the console, for links in alerts; empty: no links")] = (
        ""
    )
    smtp_host: Annotated[str, _meta("host", "the server that mails of alerts go through; empty: no mails")] = ""
    smtp_port: Annotated[int, _meta("port", "of that server", low=1, high=65535)] = 587
    smtp_security: Annotated[str, _meta("starttls, tls or none", "how the way to that server is kept secret")] = (
        "starttls"
    )
    smtp_user: Annotated[str, _meta("text", "who signs in to that server; empty: nobody")] = ""
    smtp_password: Annotated[str, _meta("text", "of that user", secret=True)] = ""
    smtp_from: Annotated[str, _meta("address", "whom mails are from; empty: fairclaim at that server")] = ""

    @property
    def exports_folder(self) -> Path:
        """Where exports are kept."""
        return Path(self.exports_dir) if self.exports_dir else Path(self.data_dir) / "exports"

    def checked(self) -> "Settings":
        """
        Return self if the settings agree with each other.

        Errors: SettingError naming both settings.
        """
        relations = (
            (self.claim_batch_max <= self.claim_queue_max, "claim_batch_max", "claim_queue_max", "at most"),
            (self.claim_body_bytes_max <= self.body_bytes_max, "claim_body_bytes_max", "body_bytes_max", "at most"),
            (
                self.redis_connect_ms_max <= self.redis_call_ms_max,
                "redis_connect_ms_max",
                "redis_call_ms_max",
                "at most",
            ),
            (
                self.claim_wait_ms_max + self.redis_call_ms_max <= self.stop_s_max * 1000,
                "claim_wait_ms_max + redis_call_ms_max",
                "stop_s_max",
                "within",
            ),
            (
                self.code_failures_holder_max <= self.code_failures_address_max,
                "code_failures_holder_max",
                "code_failures_address_max",
                "at most",
            ),
            (
                self.code_failures_key_address_max <= self.code_failures_key_max,
                "code_failures_key_address_max",
                "code_failures_key_max",
                "at most",
            ),
            (
                self.console_idle_s_max <= self.console_signed_in_s_max,
                "console_idle_s_max",
                "console_signed_in_s_max",
                "at most",
            ),
            (
                self.sign_in_failures_name_address_max <= self.sign_in_failures_address_max,
                "sign_in_failures_name_address_max",
                "sign_in_failures_address_max",
                "at most",
            ),
            (
                self.sign_in_failures_name_address_max <= self.sign_in_failures_name_max,
                "sign_in_failures_name_address_max",
                "sign_in_failures_name_max",
                "at most",
            ),
            (self.drain_block_ms < self.redis_call_ms_max, "drain_block_ms", "redis_call_ms_max", "below"),
        )
        for holds, left, right, how in relations:
            if not holds:
                raise SettingError(f"{variable_of(left)} has to be {how} {variable_of(right)}")
        self._check_texts()
        return self

    def _check_texts(self) -> None:
        """Errors: SettingError for a text that is none of those that may be, or is at odds with another one."""
        if self.jwt_keys and self.jwt_keys_file:
            raise SettingError(f"{variable_of('jwt_keys')} and {variable_of('jwt_keys_file')} are both set; give one")
        if self.smtp_user and self.smtp_security == "none":
            raise SettingError(f"{variable_of('smtp_user')} needs {variable_of('smtp_security')} starttls or tls")
        if self.public_url and not self.public_url.startswith(("https://", "http://")):
            raise SettingError(f"{variable_of('public_url')} has to begin with https:// or http://")
        for name in ("trusted_proxies", "alert_networks"):
            try:
                read_networks(getattr(self, name))
            except ValueError as error:
                raise SettingError(f"{variable_of(name)}: {error}") from None
        for name, allowed in (
            ("fsync", ("everysec", "always")),
            ("log_level", ("debug", "info", "warning", "error")),
            ("smtp_security", ("starttls", "tls", "none")),
        ):
            if getattr(self, name) not in allowed:
                raise SettingError(f"{variable_of(name)} is {getattr(self, name)!r}; allowed: {', '.join(allowed)}")


def variable_of(names: str) -> str:
    """The variable of a setting, or of several that are joined by `` + ``."""
    return " + ".join(PREFIX + name.upper() for name in names.split(" + "))
