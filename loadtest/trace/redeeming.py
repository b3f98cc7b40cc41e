"""A redemption as the trace's merchant makes it: an order that meets the threshold, in his store, on his terms."""

import json

from loadtest.trace.campaigns import Terms, post
from loadtest.trace.rows import Row


def redemption_request(api_key: str, terms: Terms, row: Row, code: str) -> bytes:
    """The bytes of the redemption of *code*, which *row* got; its key and order carry the run and the line."""
    name = f"{terms.run}-{row.line}"
    line = {"sku": "article", "quantity": 1, "unit_price_minor": row.discount.order_minor}
    order = {"id": name, "currency": terms.currency, "lines": [line], "store": row.merchant}
    body = {"code": code, "order": order, "merchant": row.merchant, "store": row.merchant, "holder": row.user}
    return post(api_key, "/v1/redemptions", json.dumps(body).encode(), key=f"{name}-used")
