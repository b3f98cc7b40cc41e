"""A rule of the API that does not hold, as it is said beside the field, in somebody's language. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping

from gateway.campaigns.broken import Broken
from gateway.campaigns.definition import AmountOff, Definition
from gateway.console.campaigns.fields import FIELDS
from gateway.console.locales import N_, Words
from gateway.errors import Refusal
from gateway.forms import Errors

_SAID = [
    (r"either \{\"days\".*", N_("Either for days, or until a time")),
    (r"an RFC 3339 time .*", N_("A day and a time between 2000 and 2200")),
    (r"after starts_at", N_("After the start")),
    (r"in the future", N_("In the future")),
    (r"at most (?P<n>\d+) days after starts_at .*", N_("At most %(n)s days after the start, where a limit is by day")),
    (r"not before ends_at", N_("Not before the campaign ends")),
    (r"an IANA zone.*", N_("A time zone, like Asia/Shanghai")),
    (r"1 to 63 of a-z, 0-9 and hyphen.*", N_("1 to 63 of a-z, 0-9 and hyphen, and no hyphen first")),
    (r"an id that no other campaign has", N_("There is a campaign of this id already")),
    (r"a currency code of ISO 4217.*", N_("A currency code, like CNY")),
    (r"1 to (?P<n>\d+) characters, not only blanks.*", N_("1 to %(n)s characters, on one line")),
    (r"a whole number of minor units from 1.*", N_("An amount, more than nothing")),
    (r"a whole number of minor units from 0.*", N_("An amount, or nothing")),
    (r"a whole number from 1 to 10000(?:; .*)?", N_("More than 0% and at most 100%")),
    (r"(?:null, or )?a whole number from (?P<a>-?\d+)(?: \(one a shard\))? to (?P<b>\d+).*",
     N_("A whole number from %(a)s to %(b)s")),
    (r"at least one coupon a shard, so (?P<n>\d+) or more", N_("At least one coupon for each shard: %(n)s or more")),
    (r"stock times the most .*", N_("So many coupons of this worth are more money than the books can count")),
    (r"only where the most a coupon can cost .*", N_("Say first what one coupon costs at most")),
    (r"enough for one coupon a shard.*", N_("Enough for one coupon at least, and for one on each shard")),
    (r"only with every.*", N_("Only where it is given as often as the amount was spent")),
    (r"1 or more with every.*", N_("What has to be spent each time")),
    (r"required with every.*", N_("Needed here: the most that one coupon can cost")),
    (r"at least value.minor.*", N_("At least the amount")),
    (r"at most (?P<n>\d+), each once.*", N_("At most %(n)s, each of them once")),
    (r"1 to (?P<n>\d+), each account once", N_("1 to %(n)s, each account once")),
    (r"basis_points that sum to 10000", N_("Together they have to pay 100%")),
    (r"1 to 64 of a-z.*", N_("An account is 1 to 64 of a-z, 0-9, hyphen, underscore and dot")),
    (r"1 to 32 of a-z.*", N_("Each is 1 to 32 of a-z, 0-9, hyphen and underscore")),
    (r"null, or 1 to 32 of a-z.*", N_("1 to 32 of a-z, 0-9, hyphen and underscore")),
    (r"nothing that is in scope.*", N_("Nothing that is let in too")),
    (r"not the sku that value gives away", N_("Not the article that is given away")),
    (r"a legal entity that keeps books here.*", N_("A legal entity that keeps books here, like main")),
    (r"restore where value is a balance.*", N_("A balance is always good again: the money comes back to it")),
    (r"none where value is a balance.*", N_("None for a balance; revoke the coupon instead")),
    (r"null where .*", N_("Empty here: it would be without effect")),
    (r"fixed once a coupon is out.*", N_("It stays once a coupon is out, because it moves money")),
    (r"fixed once the campaign is published.*", N_("It stays once the campaign is published")),
    (r"fixed once the campaign has started", N_("It stays once the campaign has started")),
    (r"moves by stock-adjustments.*", N_("Stock of a published campaign goes in and out on its page")),
]  # fmt: skip
_PATTERNS = [(re.compile(pattern), says) for pattern, says in _SAID]


def said(rule: str, words: Words) -> str:
    """*rule* in the language of *words*; as the API says it where it is not known here."""
    for pattern, says in _PATTERNS:
        found = pattern.fullmatch(rule)
        if found:
            values = {name: words.number(int(text)) for name, text in found.groupdict().items()}
            return words.say(says, **values) if values else words.say(says)
    return rule


def field_of(name: str) -> str:
    """The field of the form for one of the API: ``funders[0].account`` is in funders, ``value`` is asked by parts."""
    whole = name.partition("[")[0]
    return whole if whole in FIELDS else next((each for each in FIELDS if each.startswith(f"{whole}.")), "name")


def errors_of(broken: Iterable[Broken], words: Words, changed: Collection[str] = ()) -> Errors:
    """
    The first rule broken of each field, in the order of the form.

    Of a field that is asked by parts it is said at those parts that are *changed*.
    """
    found: Errors = {}
    for each in broken:
        parts = [name for name in changed if name.startswith(f"{each.field}.")]
        for name in parts or [field_of(each.field)]:
            found.setdefault(name, said(each.rule, words))
    return in_order(found)


def errors_in(refusal: Refusal, words: Words, changed: Collection[str] = ()) -> Errors:
    """The fields that *refusal* names, as errors_of() has them; empty where it names none."""
    context: Mapping[str, object] = refusal.context
    named = context.get("errors")
    if not isinstance(named, list):
        return {}
    return errors_of([Broken(each["field"], each["rule"]) for each in named], words, changed)


def senseless(definition: Definition, words: Words) -> Errors:
    """What the API takes, and nobody means who fills in a form: more off an order than it has to be."""
    match definition.value:
        case AmountOff(minor=off, threshold_minor=least) if 0 < least < off:
            says = N_("At least the amount that is taken off; empty is any order")
            return {"value.threshold_minor": words.say(says)}
    return {}


def in_order(errors: Errors) -> Errors:
    """*errors* in the order of the form."""
    return {name: errors[name] for name in FIELDS if name in errors}
