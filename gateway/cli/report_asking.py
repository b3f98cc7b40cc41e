"""What may be asked of a report, as flags: written once, for every command that asks for one."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

from gateway.cli.options import flag_of
from gateway.cli.signatures import parameters_of, with_parameters

Told = dict[str, str]
"""Member of Asked → its text, of the flags that were given."""

_ABOUT = {
    "since": "The first day.",
    "until": "The last day, all of it; of a balance: as of its end.",
    "as_of": "The day at whose end things stand; else that of --until, else now.",
    "by": "What the rows are of, with commas, such as campaign,month.",
    "entity": "Only this legal entity.",
    "campaign": "Only this campaign.",
    "channel": "Only what was claimed in this channel.",
    "store": "Only what was redeemed in this store.",
    "merchant": "Only this merchant.",
    "funder": "Only this funder.",
    "account": "Only this account.",
    "basis": "By which date journals count: effective, occurred or posted.",
    "zone": "Where days begin and times are shown, such as Asia/Shanghai.",
}


def asks_a_report(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The command *name* with these flags after its first parameter; its function takes what they told as `told`."""
    flags = {
        member: Annotated[str | None, flag_of(name, f"--{member.replace('_', '-')}", help=about, show_default=False)]
        for member, about in _ABOUT.items()
    }

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        first, *others = (each for each in inspect.signature(command).parameters.values() if each.name != "told")

        @wraps(command)
        def run(**given: Any) -> None:
            told = {member: text for member in flags if (text := given.pop(member)) is not None}
            command(**given, told=told)

        return with_parameters(run, [first, *parameters_of(flags), *others])

    return decorated
