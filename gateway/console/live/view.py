"""A frame as a page shows it, to people with and without JavaScript: the figures, in words."""

from typing import NamedTuple

from gateway.console.campaigns.listing import STATE_WORDS
from gateway.console.figures import LAG_S_HIGH
from gateway.console.live.frame import Frame, SaleNow
from gateway.console.locales import N_, Words

STATES = {
    "scheduled": N_("Before its start"),
    "active": N_("Running"),
    "sold_out": N_("Sold out"),
    "paused": N_("Paused"),
    "ended": N_("Ended"),
    "draft": N_("Draft"),
    "archived": N_("Archived"),
}
BADGES = {state: look or "plain" for state, (_, look) in STATE_WORDS.items()}
"""How a state looks: as in the list of campaigns."""
UNKNOWN = "–"


class Figure(NamedTuple):
    """*key* is what a script finds it by, *of_sale* says in what; *name*, *unit* and *says* are as shown."""

    key: str
    name: str
    value: str
    unit: str
    says: str
    is_bad: bool = False
    of_sale: bool = False


def sale_of(frame: Frame, campaign: str) -> SaleNow | None:
    """The sale of *campaign* in *frame*."""
    return next((each for each in frame.sales if each.id == campaign), None)


def figures(frame: Frame, words: Words, sale: SaleNow | None = None) -> list[Figure]:
    """The large figures: of one *sale* where it is given, and what there is of all of them only."""
    say = words.say
    one = sale is not None
    stock, left_s = (sale.stock, sale.left_s) if sale else (frame.stock, frame.left_s)
    lag_s = sale.lag_s if sale else frame.lag_s
    own = []
    if sale:
        own = [
            Figure("per_s", say(N_("Rate")), number(sale.per_s, words), "", say(N_("coupons of this sale a second"))),
            Figure("claimed", say(N_("Claimed")), number(sale.claimed, words), "", say(N_("coupons, ever"))),
        ]
        own = [each._replace(of_sale=True) for each in own]
    late = say(N_("at the rate of the last 15 seconds"))
    return [
        *own,
        *([] if one else [_answers(frame, words)]),
        Figure("stock", say(N_("Stock left")), number(stock, words), "", say(N_("coupons")), of_sale=one),
        Figure("left_s", say(N_("Sold out in")), left(stock, left_s, words), "", late, of_sale=one),
        *([_answers(frame, words)] if one else []),
        Figure(
            "p99_ms", say(N_("Latency")), number(frame.p99_ms, words), "ms", say(N_("99 of 100 are answered sooner"))
        ),
        Figure(
            "waiting", say(N_("Under way")), number(frame.waiting, words), "", say(N_("claims that wait for Redis"))
        ),
        Figure("batch", say(N_("Batch size")), number(frame.batch, words), "", say(N_("claims a script call"))),
        Figure(
            "lag_s",
            say(N_("Drain lag")),
            number(lag_s, words),
            "s",
            say(N_("age of what is not in the books yet")),
            lag_s is None or lag_s >= LAG_S_HIGH,
            one,
        ),
        Figure(
            "breaks",
            say(N_("Breaks")),
            number(frame.breaks, words),
            "",
            say(N_("differences found and open")),
            frame.breaks != 0,
        ),
    ]


def _answers(frame: Frame, words: Words) -> Figure:
    says = words.say(N_("answered, of all sales together"))
    return Figure("answers_per_s", words.say(N_("Claims a second")), number(frame.answers_per_s, words), "", says)


def number(value: float | None, words: Words) -> str:
    """12,345.6, with one digit behind the point at most, and none from a hundred on."""
    return UNKNOWN if value is None else words.number(round(value, 1) if abs(value) < 100 else round(value))


def left(stock: int | None, seconds: float | None, words: Words) -> str:
    """How long until it is sold out: 4:05, 1:04:05; or that it is."""
    if stock == 0:
        return words.say(N_("Sold out"))
    if seconds is None:
        return UNKNOWN
    if seconds >= 86_400:
        return words.say(N_("> 1 day"))
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
