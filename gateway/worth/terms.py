"""What a redemption has to know of a campaign: a part of its definition, kept in every shard's rules as ``terms``."""

from typing import Literal

import msgspec

from gateway.campaigns.definition import (
    Balance,
    Conditions,
    Definition,
    Funder,
    OnEnd,
    OnRollback,
    Scope,
    Stacking,
    Value,
)

Kind = Literal["once", "balance"]


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """
    The terms of a coupon; each is as the definition has it.

    Unknown fields are refused: a gateway that does not know a term would pay the wrong amount.
    """

    value: Value
    currency: str
    funders: tuple[Funder, ...]
    scope: Scope = Scope()
    conditions: Conditions = Conditions()
    stacking: Stacking = Stacking()
    transferable: bool = False
    on_rollback: OnRollback = OnRollback()
    on_expiry: OnEnd = OnEnd()
    on_revoke: OnEnd = OnEnd()

    @property
    def kind(self) -> Kind:
        """What a redemption takes of a coupon: all of it, or as much as the discount."""
        return kind_of(self.value)


_DECODER = msgspec.json.Decoder(Terms)


def kind_of(value: Value) -> Kind:
    """The kind of a coupon of this *value*."""
    return "balance" if isinstance(value, Balance) else "once"


def terms_of(definition: Definition) -> Terms:
    """The terms of a checked *definition*."""
    return Terms(**{name: getattr(definition, name) for name in Terms.__struct_fields__})


def write_terms(terms: Terms) -> str:
    """The JSON text of *terms*, for a shard's rules."""
    return msgspec.json.encode(terms).decode()


def read_terms(text: str | bytes) -> Terms:
    """The terms as write_terms wrote them. Errors: msgspec.DecodeError, if it is none of ours."""
    return _DECODER.decode(text)
