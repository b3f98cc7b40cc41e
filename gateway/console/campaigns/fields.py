"""Every field of a definition as it is asked for: its name is the one that check.py gives it."""

from typing import Literal, NamedTuple

from gateway.console.locales import N_

Kind = Literal[
    "text", "currency", "money", "share", "number", "moment", "zone", "tick", "choice", "radios", "list", "funders"
]
Options = tuple[tuple[str, str], ...]


class Field(NamedTuple):
    """One field: *only* are the kinds of value that have it, *options* are values and their messages."""

    name: str
    kind: Kind
    label: str
    hint: str = ""
    only: tuple[str, ...] = ()
    options: Options = ()


class Step(NamedTuple):
    """A step of the wizard; *more* are fields that few need."""

    name: str
    title: str
    fields: tuple[Field, ...]
    more: tuple[Field, ...] = ()


VALUES: Options = (
    ("amount_off", N_("An amount off")),
    ("percent", N_("A percentage off")),
    ("fixed_price", N_("A fixed price")),
    ("gift_item", N_("A gift")),
    ("free_shipping", N_("Free shipping")),
    ("balance", N_("A balance to spend")),
)
_KEEP: Options = (("keep", N_("is used up")), ("restore", N_("is free again")))
_VALID: Options = (("days", N_("Days after the claim")), ("until", N_("Until a time")))
_ROLLBACK: Options = (("restore", N_("is good again")), ("end", N_("ends")))
_NAMES = N_("Separated by commas; none is all of them.")
_NONE = N_("Empty is no limit.")

STEPS = (
    Step(
        "worth",
        N_("What it is worth"),
        (
            Field("name", "text", N_("Campaign name"), N_("As customers see it.")),
            Field("id", "text", N_("Id"), N_("In addresses and reports: a-z, 0-9 and hyphen. It stays as it is.")),
            Field("value.type", "radios", N_("What a coupon gives"), options=VALUES),
            Field("currency", "currency", N_("Currency"), N_("A code of three letters, like CNY.")),
            Field("value.minor", "money", N_("Amount"), only=("amount_off", "fixed_price", "balance")),
            Field("value.threshold_minor", "money", N_("On orders over"), N_("Empty is any order."), ("amount_off",)),
            Field("value.every", "tick", N_("As often as that was spent"), only=("amount_off",)),
            Field("value.basis_points", "share", N_("Percent off"), only=("percent",)),
            Field("value.sku", "text", N_("Article"), N_("Its SKU."), ("gift_item",)),
            Field(
                "value.cap_minor",
                "money",
                N_("At most"),
                N_("The most that one coupon can cost."),
                ("amount_off", "percent", "fixed_price", "gift_item", "free_shipping"),
            ),
        ),
    ),
    Step(
        "who",
        N_("Who and how many"),
        (
            Field("stock", "number", N_("Coupons"), N_("How many there are at the start.")),
            Field("limits.per_holder", "number", N_("For one person")),
            Field("limits.per_holder_per_day", "number", N_("For one person a day"), _NONE),
            Field("limits.per_day", "number", N_("For everybody a day"), _NONE),
            Field("limits.budget_minor", "money", N_("Budget"), _NONE),
            Field("channels", "list", N_("Claimed in the channels"), _NAMES),
        ),
        (
            Field("conditions.first_order", "tick", N_("Only on a first order")),
            Field("conditions.quantity_min", "number", N_("Articles in the order, at least")),
            Field("transferable", "tick", N_("May be passed on to somebody else")),
        ),
    ),
    Step(
        "when",
        N_("When"),
        (
            Field("timezone", "zone", N_("Time zone"), N_("All times below are of this zone.")),
            Field("starts_at", "moment", N_("Starts")),
            Field("ends_at", "moment", N_("Ends")),
            Field("validity.kind", "choice", N_("A coupon is good for"), options=_VALID),
            Field("validity.days", "number", N_("Days"), N_("Of 24 hours, after the claim.")),
            Field("validity.until", "moment", N_("Until")),
        ),
    ),
    Step(
        "where",
        N_("Where it holds"),
        (
            Field("scope.stores", "list", N_("Stores"), _NAMES),
            Field("scope.channels", "list", N_("Redeemed in the channels"), _NAMES),
            Field("scope.skus", "list", N_("Articles"), _NAMES),
            Field("scope.categories", "list", N_("Categories"), _NAMES),
        ),
        (
            Field("scope.stores_excluded", "list", N_("Not in the stores")),
            Field("scope.channels_excluded", "list", N_("Not in the channels")),
            Field("scope.skus_excluded", "list", N_("Not for the articles")),
            Field("scope.categories_excluded", "list", N_("Not for the categories")),
            Field("stacking.exclusive", "tick", N_("With no other coupon on an order")),
            Field("stacking.group", "text", N_("Group"), N_("One coupon of each group goes on an order.")),
            Field("stacking.priority", "number", N_("Priority"), N_("A higher one comes first.")),
        ),
    ),
    Step(
        "pays",
        N_("Who pays"),
        (
            Field("funders", "funders", N_("Funders"), N_("One a line: an account and its percentage.")),
            Field("legal_entity", "text", N_("Legal entity"), N_("Whose books its money is in.")),
        ),
        (
            Field("shards", "number", N_("Shards"), N_("More than one only for very large sales.")),
            Field("on_rollback.coupon", "choice", N_("After a rollback the coupon"), options=_ROLLBACK),
            Field("on_rollback.extend_days", "number", N_("Days more after a late rollback"), N_("Empty is none.")),
            Field("on_rollback.stock", "choice", N_("Where it ends, its unit"), options=_KEEP),
            Field("on_rollback.holder_slot", "choice", N_("Where it ends, its holder’s claim"), options=_KEEP),
            Field("on_rollback.reasons_exempt", "list", N_("It always ends for the reasons")),
            Field("on_expiry.stock", "choice", N_("After expiry, its unit"), options=_KEEP),
            Field("on_expiry.holder_slot", "choice", N_("After expiry, its holder’s claim"), options=_KEEP),
            Field("on_revoke.stock", "choice", N_("After revocation, its unit"), options=_KEEP),
            Field("on_revoke.holder_slot", "choice", N_("After revocation, its holder’s claim"), options=_KEEP),
        ),
    ),
)
FIELDS = {field.name: field for step in STEPS for field in (*step.fields, *step.more)}
STEP_OF = {field.name: step.name for step in STEPS for field in (*step.fields, *step.more)}
