"""What periods and legal entities refuse, as exit codes."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.cli.connections import run_with_postgres
from gateway.cli.output import CONFLICT, NOT_FOUND, Fail

T = TypeVar("T")

NO_ENTITY = "`fairclaim entity list` shows them"
"""What helps whoever named a legal entity that is not there."""


def run_on_periods(act: Callable[[], Awaitable[T]]) -> T:
    """Run *act* and tell what periods and servers say no to. Errors: Fail."""
    from reconciler.periods.closing import NoEntity, WrongState

    try:
        return run_with_postgres(act)
    except NoEntity as error:
        raise Fail(NOT_FOUND, "not_found", f"there is no legal entity {str(error)!r}", NO_ENTITY) from None
    except WrongState as error:
        raise Fail(CONFLICT, "invalid_state", str(error), error.to_do) from None
