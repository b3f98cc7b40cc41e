"""What a campaign offers, as a customer reads it: a few large letters, and the condition below."""

import re
from typing import Any, NamedTuple

from gateway.console.locales import N_, Words


class Offer(NamedTuple):
    """*large* is what one gets, *small* on what condition."""

    large: str
    small: str


def offer_of(value: dict[str, Any], currency: str, words: Words) -> Offer:
    """The offer of a *value* as a campaign has it."""

    def money(name: str) -> str:
        return words.price(value[name], currency)

    any_order = words.say(N_("off any order"))
    match value["type"]:
        case "amount_off" if value.get("every"):
            return Offer(
                money("minor"), words.say(N_("off every %(amount)s you spend"), amount=money("threshold_minor"))
            )
        case "amount_off" if value.get("threshold_minor"):
            says = N_("off an order of %(amount)s or more")
            return Offer(money("minor"), words.say(says, amount=money("threshold_minor")))
        case "amount_off":
            return Offer(money("minor"), any_order)
        case "percent":
            share = words.say(N_("%(percent)s %%"), percent=words.number(value["basis_points"] / 100))
            return Offer(share, words.say(N_("off, up to %(amount)s"), amount=money("cap_minor")))
        case "fixed_price":
            return Offer(money("minor"), words.say(N_("is all you pay for it")))
        case "balance":
            return Offer(money("minor"), words.say(N_("to spend as you like")))
        case "gift_item":
            return Offer(words.say(N_("A gift")), words.say(N_("with your order")))
        case _:
            return Offer(words.say(N_("Free")), words.say(N_("shipping for your order")))


def parts_of(large: str) -> tuple[str, str, int]:
    """*large* as it is set: the sign of the currency before it, the rest, and how wide it is, 1 (¥5) to 5 (A gift)."""
    found = re.fullmatch(r"(\D{1,4}?)\s?(\d.*)", large)
    sign, figure = (found[1], found[2]) if found else ("", large)
    letters = len(figure) + len(sign) * 0.45
    return sign, figure, next((size for size, most in enumerate((2, 3, 4, 6), 1) if letters <= most), 5)
