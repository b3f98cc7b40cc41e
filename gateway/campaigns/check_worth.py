"""What the terms of a redemption have to be: value, scope, conditions, stacking, and what becomes of a coupon. Pure."""

from gateway.campaigns.bounds import (
    EXTEND_DAYS_MAX,
    GROUP_PATTERN,
    PRIORITY_MAX,
    QUANTITY_MAX,
    REASON_CHARS_MAX,
    REASONS_EXEMPT_MAX,
    SCOPE_CHANNELS_MAX,
    SCOPE_NAMES_MAX,
    SKU_CHARS_MAX,
)
from gateway.campaigns.broken import (
    CHANNEL_PATTERN,
    CHANNEL_RULE,
    MINOR_MAX,
    Broken,
    Found,
    is_text,
    text_rule,
)
from gateway.campaigns.definition import (
    AmountOff,
    Balance,
    Conditions,
    Definition,
    GiftItem,
    OnRollback,
    Percent,
    Scope,
    Stacking,
    Value,
)


def broken_value(value: Value) -> Found:
    """Every rule that *value* breaks."""
    for name in ("minor", "cap_minor"):
        amount = getattr(value, name, None)
        if amount is not None and not 1 <= amount <= MINOR_MAX:
            yield Broken(f"value.{name}", "a whole number of minor units from 1, below 2^53")
    if not 0 <= getattr(value, "threshold_minor", 0) <= MINOR_MAX:
        yield Broken("value.threshold_minor", "a whole number of minor units from 0, below 2^53")
    if isinstance(value, AmountOff):
        yield from _every(value)
    if isinstance(value, Percent) and not 1 <= value.basis_points <= 10_000:
        yield Broken("value.basis_points", "a whole number from 1 to 10000; 10000 is the whole price")
    if not is_text(getattr(value, "sku", "-"), SKU_CHARS_MAX):
        yield Broken("value.sku", text_rule(SKU_CHARS_MAX))


def _every(value: AmountOff) -> Found:
    if not value.every:
        if value.cap_minor is not None:
            yield Broken("value.cap_minor", "only with every; without it minor is the most a coupon can cost")
        return
    if value.threshold_minor == 0:
        yield Broken("value.threshold_minor", "1 or more with every: what has to be spent each time")
    if value.cap_minor is None:
        yield Broken("value.cap_minor", "required with every: the most one coupon can cost")
    elif 1 <= value.cap_minor < value.minor:
        yield Broken("value.cap_minor", f"at least value.minor, so {value.minor} or more")


def broken_worth(definition: Definition) -> Found:
    """Every rule that the other terms of *definition* break, in the order of its fields."""
    yield from _scope(definition.scope)
    if isinstance(definition.value, GiftItem) and definition.value.sku in definition.scope.skus_excluded:
        yield Broken("scope.skus_excluded", "not the sku that value gives away")
    yield from _conditions(definition.conditions)
    yield from _stacking(definition.stacking)
    yield from _on_rollback(definition.on_rollback)
    if isinstance(definition.value, Balance):
        yield from _balance(definition)


def _balance(definition: Definition) -> Found:
    """What comes back of a balance is its holder's money: it is there again, and a thief's is revoked."""
    if definition.on_rollback.coupon != "restore":
        yield Broken("on_rollback.coupon", "restore where value is a balance: its money comes back to it")
    if definition.on_rollback.reasons_exempt:
        yield Broken("on_rollback.reasons_exempt", "none where value is a balance; revoke the coupon instead")
    if definition.on_rollback.extend_days is not None and definition.limits.budget_minor is not None:
        rule = "null where value is a balance and there is a budget: what expired is in the budget again"
        yield Broken("on_rollback.extend_days", rule)


def _scope(scope: Scope) -> Found:
    for kind in ("skus", "categories", "stores"):
        for name in (kind, f"{kind}_excluded"):
            yield from _names(f"scope.{name}", getattr(scope, name))
    for name in ("channels", "channels_excluded"):
        channels: tuple[str, ...] = getattr(scope, name)
        if len(channels) > SCOPE_CHANNELS_MAX or len(set(channels)) != len(channels):
            yield Broken(f"scope.{name}", f"at most {SCOPE_CHANNELS_MAX}, each once")
        for n, channel in enumerate(channels[:SCOPE_CHANNELS_MAX]):
            if not CHANNEL_PATTERN.fullmatch(channel):
                yield Broken(f"scope.{name}[{n}]", CHANNEL_RULE)
    for kind in ("skus", "categories", "stores", "channels"):
        if not set(getattr(scope, kind)).isdisjoint(getattr(scope, f"{kind}_excluded")):
            yield Broken(f"scope.{kind}_excluded", f"nothing that is in scope.{kind} too")


def _names(field: str, names: tuple[str, ...]) -> Found:
    if len(names) > SCOPE_NAMES_MAX or len(set(names)) != len(names):
        yield Broken(field, f"at most {SCOPE_NAMES_MAX}, each once")
    for n, name in enumerate(names[:SCOPE_NAMES_MAX]):
        if not is_text(name, SKU_CHARS_MAX):
            yield Broken(f"{field}[{n}]", text_rule(SKU_CHARS_MAX))


def _conditions(conditions: Conditions) -> Found:
    if not 1 <= conditions.quantity_min <= QUANTITY_MAX:
        yield Broken("conditions.quantity_min", f"a whole number from 1 to {QUANTITY_MAX}")


def _stacking(stacking: Stacking) -> Found:
    if stacking.group is not None and not GROUP_PATTERN.fullmatch(stacking.group):
        yield Broken("stacking.group", "null, or 1 to 32 of a-z, 0-9, hyphen, underscore; not a sign first")
    if not -PRIORITY_MAX <= stacking.priority <= PRIORITY_MAX:
        yield Broken("stacking.priority", f"a whole number from -{PRIORITY_MAX} to {PRIORITY_MAX}")


def _on_rollback(policy: OnRollback) -> Found:
    if policy.extend_days is not None:
        if not 1 <= policy.extend_days <= EXTEND_DAYS_MAX:
            yield Broken("on_rollback.extend_days", f"null, or a whole number from 1 to {EXTEND_DAYS_MAX}")
        elif policy.coupon == "end":
            yield Broken("on_rollback.extend_days", 'null where coupon is "end": there is nothing to extend')
    reasons = policy.reasons_exempt
    if len(reasons) > REASONS_EXEMPT_MAX or len(set(reasons)) != len(reasons):
        yield Broken("on_rollback.reasons_exempt", f"at most {REASONS_EXEMPT_MAX}, each once")
    for n, reason in enumerate(reasons[:REASONS_EXEMPT_MAX]):
        if not is_text(reason, REASON_CHARS_MAX):
            yield Broken(f"on_rollback.reasons_exempt[{n}]", text_rule(REASON_CHARS_MAX))
