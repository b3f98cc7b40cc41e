"""
What a coupon is worth on an order. Pure: integers in, integers out, nothing is kept and nothing is asked.

    terms.py     what a redemption has to know of a campaign; the rule ``terms`` of its shards
    order.py     an order: its lines, what it has to be
    reason.py    why a coupon takes nothing off, by stable codes
    scope.py     which lines of an order a coupon is good for, and whether it fits the order at all
    allot.py     an amount in parts that sum to it, by largest remainder
    discount.py  what one coupon takes off of what earlier ones left
    stack.py     several coupons on one order: as given, or the best for the customer
    refund.py    what a rollback gives back, down to the exact rest

Amounts are minor units of the order's currency, below 2^53. docs/worth.md has an example of everything.
"""
