"""Bodies to begin with, for the page at /docs: parts of examples that several routes share."""

from typing import Any

CODE = "00010KSH693V149BXE"
ORDER: dict[str, Any] = {
    "id": "order-1001",
    "currency": "CNY",
    "lines": [
        {"sku": "tea-100", "category": "tea", "quantity": 2, "unit_price_minor": 1500},
        {"sku": "cup-1", "quantity": 1, "unit_price_minor": 990},
    ],
    "shipping_minor": 500,
}
