"""What the query of an upload says of the file: read, checked, and described for the document of the API."""

from datetime import date
from typing import Annotated, Any

import msgspec
from starlette.requests import Request

from gateway.api.operation import Parameter
from gateway.campaigns.currencies import CURRENCIES
from gateway.errors import Refusal
from gateway.routes.paging import query_value
from reconciler.outside.files import AskedFile, Measure

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]

FILE_PARAMETERS = (
    Parameter("name", _Name, "What the file is called.", required=True),
    Parameter(
        "currency", Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")], "The currency of its amounts.", required=True
    ),
    Parameter("since", date, "The first day of the orders.", required=True),
    Parameter("until", date, "The last day of the orders.", required=True),
    Parameter("measure", Measure, "What an amount is: net of what came back (by default), discount, or order."),
    Parameter("entity", _Name, "The legal entity whose redemptions they are; main by default."),
    Parameter("zone", str, "The IANA zone of the days; UTC by default."),
    Parameter("merchant", _Name, "Only redemptions of this merchant."),
    Parameter("store", _Name, "Only redemptions of this store."),
    Parameter("corrects", _Name, "The file whose place it takes."),
)  # fmt: skip


def check_file(asked: AskedFile) -> None:
    """Errors: ValueError, whose text begins with the name of the field that is wrong."""
    if asked.currency not in CURRENCIES:
        raise ValueError("currency: a currency code of ISO 4217, like CNY.")
    asked.check()


def asked_file(request: Request) -> AskedFile:
    """What the query asks. Errors: Refusal("bad_request") naming the field."""
    given: dict[str, Any] = {}
    for parameter in FILE_PARAMETERS:
        text = query_value(request, parameter.name)
        if text is not None:
            given[parameter.name] = text
        elif parameter.required:
            raise Refusal("bad_request", f"{parameter.name}: it is needed.", field=parameter.name)
    for name in ("since", "until"):
        try:
            given[name] = date.fromisoformat(given[name])
        except ValueError:
            raise Refusal("bad_request", f"{name}: a date, such as 2026-11-30.", field=name) from None
    asked = AskedFile(**given)
    try:
        check_file(asked)
    except ValueError as error:
        raise Refusal("bad_request", str(error), field=str(error).partition(":")[0]) from None
    return asked
