"""What periods and legal entities refuse, as exit codes."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.cli.connections import run_with_postgres
from gateway.cli.output import CONFLICT, NOT_FOUND, Fail

T = TypeVar("T")


def run_on_periods(act: Callable[[], Awaitable[T]]) -> T:
    """Run *act* and tell what periods and servers say no to. Errors: Fail."""
    from reconciler.periods.closing import NoEntity, WrongState

    try:
        return run_with_postgres(act)
    except NoEntity as error:
        hint = "`fairclaim entity list` shows them"
        raise Fail(NOT_FOUND, "not_found", f"there is no legal entity {str(error)!r}", hint) from None
    except WrongState as error:
        hint = f"it would have to be {' or '.join(error.allowed)}" if error.allowed else "wait until it has"
        raise Fail(CONFLICT, "invalid_state", str(error), hint) from None
