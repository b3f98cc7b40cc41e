"""
What a definition has to be beyond its types. Pure: every rule that is broken is named, with its field.

Amounts stay below 2^53, the largest whole number that Lua, JSON readers and spreadsheets agree on.
"""

from collections.abc import Generator

from msgspec.structs import replace

from gateway.campaigns.bounds import (
    ACCOUNT_PATTERN,
    CHANNELS_MAX,
    FUNDERS_MAX,
    ID_PATTERN,
    NAME_CHARS_MAX,
    PER_HOLDER_MAX,
    VALIDITY_DAYS_MAX,
)
from gateway.campaigns.broken import (
    CHANNEL_PATTERN,
    CHANNEL_RULE,
    MINOR_MAX,
    Broken,
    Found,
    is_text,
    refuse,
    text_rule,
)
from gateway.campaigns.check_worth import broken_value, broken_worth
from gateway.campaigns.compile import DAY_LIMIT_WINDOW_MS_MAX
from gateway.campaigns.currencies import CURRENCIES
from gateway.campaigns.days import zone_names
from gateway.campaigns.definition import DAY_MS, Definition, Funder, Limits, Validity, parse_ms
from gateway.codes import STOCK_MAX
from gateway.wire import rfc3339
from lua.keys import SHARDS_MAX

ENTITY_RULE = "a legal entity that keeps books here, like main"
EARLIEST_MS, LATEST_MS = 946_684_800_000, 7_258_118_400_000  # 2000-01-01, 2200-01-01


def checked(definition: Definition, now_ms: int) -> Definition:
    """
    The definition, its times in the one form they are kept in.

    Units: *now_ms* is Redis TIME, milliseconds since the epoch.
    Errors: Refusal("bad_request") with errors, a list of {field, rule}.
    """
    broken = list(broken_rules(definition, now_ms))
    if broken:
        raise refuse("bad_request", broken)
    validity = definition.validity
    if validity.until is not None:
        validity = Validity(until=_canonical(validity.until))
    return replace(
        definition,
        starts_at=_canonical(definition.starts_at),
        ends_at=_canonical(definition.ends_at),
        validity=validity,
    )


def _canonical(time: str) -> str:
    ms = parse_ms(time)
    assert ms is not None
    return rfc3339(ms)


def broken_rules(definition: Definition, now_ms: int) -> Found:
    """Every rule that *definition* breaks at *now_ms*, in the order of its fields."""
    if not ID_PATTERN.fullmatch(definition.id):
        yield Broken("id", "1 to 63 of a-z, 0-9 and hyphen, not a hyphen first")
    if not is_text(definition.name, NAME_CHARS_MAX):
        yield Broken("name", text_rule(NAME_CHARS_MAX))
    if definition.currency not in CURRENCIES:
        yield Broken("currency", "a currency code of ISO 4217, like CNY")
    value = list(broken_value(definition.value))
    yield from value
    sliced = 1 <= definition.shards <= SHARDS_MAX
    if not sliced:
        yield Broken("shards", f"a whole number from 1 to {SHARDS_MAX}")
    shards = definition.shards if sliced else 1
    yield from _stock(definition.stock, shards, None if value else definition.unit_minor)
    yield from _limits(definition.limits, shards, None if value else definition.unit_minor, not value)
    yield from _times(definition, now_ms)
    if definition.timezone not in zone_names():
        yield Broken("timezone", "an IANA zone, like Asia/Shanghai")
    if not ID_PATTERN.fullmatch(definition.legal_entity):
        yield Broken("legal_entity", ENTITY_RULE)
    yield from _channels(definition.channels)
    yield from _funders(definition.funders)
    yield from broken_worth(definition)


def _stock(stock: int, shards: int, unit_minor: int | None) -> Found:
    if not 1 <= stock <= STOCK_MAX:
        yield Broken("stock", f"a whole number from 1 to {STOCK_MAX}, so that a guessed code misses")
    elif stock < shards:
        yield Broken("stock", f"at least one coupon a shard, so {shards} or more")
    elif stock * (unit_minor or 0) > MINOR_MAX:
        yield Broken("stock", "stock times the most one coupon can cost has to stay below 2^53 minor units")


def _limits(limits: Limits, shards: int, unit_minor: int | None, value_holds: bool) -> Found:
    for name in ("per_holder", "per_holder_per_day"):
        limit = getattr(limits, name)
        if limit is not None and not 1 <= limit <= PER_HOLDER_MAX:
            yield Broken(f"limits.{name}", f"a whole number from 1 to {PER_HOLDER_MAX}")
    if limits.per_day is not None and not shards <= limits.per_day <= STOCK_MAX:
        yield Broken("limits.per_day", f"a whole number from {shards} (one a shard) to {STOCK_MAX}")
    budget_minor = limits.budget_minor
    if budget_minor is None:
        return
    if not 1 <= budget_minor <= MINOR_MAX:
        yield Broken("limits.budget_minor", "a whole number of minor units from 1, below 2^53")
    elif value_holds and unit_minor is None:
        yield Broken("limits.budget_minor", "only where the most a coupon can cost is known: give value.cap_minor")
    elif unit_minor is not None and budget_minor < unit_minor * shards:
        yield Broken("limits.budget_minor", f"enough for one coupon a shard, so {unit_minor * shards} or more")


def _times(definition: Definition, now_ms: int) -> Found:
    starts_ms = yield from _time("starts_at", definition.starts_at)
    ends_ms = yield from _time("ends_at", definition.ends_at)
    if starts_ms is not None and ends_ms is not None:
        if ends_ms <= starts_ms:
            yield Broken("ends_at", "after starts_at")
        elif ends_ms <= now_ms:
            yield Broken("ends_at", "in the future")
        limits = definition.limits
        by_day = limits.per_day is not None or limits.per_holder_per_day is not None
        if by_day and ends_ms - starts_ms > DAY_LIMIT_WINDOW_MS_MAX:
            days_max = DAY_LIMIT_WINDOW_MS_MAX // DAY_MS
            yield Broken("ends_at", f"at most {days_max} days after starts_at where a limit is by day")
    validity = definition.validity
    if (validity.days is None) == (validity.until is None):
        yield Broken("validity", 'either {"days": n} or {"until": time}')
    elif validity.days is not None and not 1 <= validity.days <= VALIDITY_DAYS_MAX:
        yield Broken("validity.days", f"a whole number from 1 to {VALIDITY_DAYS_MAX}")
    elif validity.until is not None:
        until_ms = yield from _time("validity.until", validity.until)
        if until_ms is not None and ends_ms is not None and until_ms < ends_ms:
            yield Broken("validity.until", "not before ends_at")


def _time(field: str, text: str) -> Generator[Broken, None, int | None]:
    ms = parse_ms(text)
    if ms is not None and EARLIEST_MS <= ms < LATEST_MS:
        return ms
    yield Broken(field, "an RFC 3339 time with its offset between 2000 and 2200, like 2026-11-22T10:00:00Z")
    return None


def _channels(channels: tuple[str, ...]) -> Found:
    if len(channels) > CHANNELS_MAX or len(set(channels)) != len(channels):
        yield Broken("channels", f"at most {CHANNELS_MAX}, each once; none means every channel")
    for n, channel in enumerate(channels[:CHANNELS_MAX]):
        if not CHANNEL_PATTERN.fullmatch(channel):
            yield Broken(f"channels[{n}]", CHANNEL_RULE)


def _funders(funders: tuple[Funder, ...]) -> Found:
    accounts = {funder.account for funder in funders}
    if not 1 <= len(funders) <= FUNDERS_MAX or len(accounts) != len(funders):
        yield Broken("funders", f"1 to {FUNDERS_MAX}, each account once")
    elif sum(funder.basis_points for funder in funders) != 10_000:
        yield Broken("funders", "basis_points that sum to 10000")
    for n, funder in enumerate(funders[:FUNDERS_MAX]):
        if not ACCOUNT_PATTERN.fullmatch(funder.account):
            yield Broken(f"funders[{n}].account", "1 to 64 of a-z, 0-9, hyphen, underscore, dot; not a sign first")
        if not 1 <= funder.basis_points <= 10_000:
            yield Broken(f"funders[{n}].basis_points", "a whole number from 1 to 10000")
