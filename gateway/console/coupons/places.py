"""The addresses of coupons."""

from urllib.parse import quote

from gateway.console.access import HOME

COUPONS = f"{HOME}/coupons"


def address_of(code: str) -> str:
    """The page of a coupon."""
    return f"{COUPONS}/{quote(code, safe='')}"
