"""Who a request is from, once its credential has been proven good."""

from typing import NamedTuple

from gateway.keys import ApiKey
from lua.keys import HolderId


class Caller(NamedTuple):
    """Exactly one of the two is set."""

    holder: HolderId | None
    key: ApiKey | None
