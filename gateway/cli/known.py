"""What commands say of a name that the books don't know."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.cli.output import NOT_FOUND, Fail


@contextmanager
def known_names() -> Iterator[None]:
    """Errors: Fail(NOT_FOUND) that names it, and what shows those that there are."""
    from reconciler.reports.known import Unknown

    try:
        yield
    except Unknown as error:
        shown = " or ".join(
            f"`fairclaim {each.of} {each.name}{each.by and f' --by {each.by}'}`" for each in error.shown
        )
        hint = f"{shown} shows those that there are"
        raise Fail(NOT_FOUND, "not_found", f"the books know no {error.field} {error.name!r}", hint) from None
