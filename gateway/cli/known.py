"""What commands say of a name that the books don't know."""

from collections.abc import Iterator
from contextlib import contextmanager

from gateway.cli.output import NOT_FOUND, Fail


@contextmanager
def known_names() -> Iterator[None]:
    """Errors: Fail(NOT_FOUND) that names the flag, and the reports that show what there is."""
    from reconciler.reports.known import Unknown

    try:
        yield
    except Unknown as error:
        shown = " or ".join(f"`fairclaim report {each.report}{each.by and f' --by {each.by}'}`" for each in error.shown)
        hint = f"{shown} shows those that there are"
        raise Fail(NOT_FOUND, "not_found", f"--{error.field}: the books know no {error.name!r}", hint) from None
