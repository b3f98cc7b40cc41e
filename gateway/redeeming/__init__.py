"""
The life of a coupon after its claim: quoted, held, redeemed, rolled back, at a till or a checkout.

    records.py   what the scripts answer, as types
    states.py    states, and which step is allowed from where
    calls.py     group commit of the scripts
    coupons.py   a code → the coupon, its terms, and whether its asker may know of it
    quotes.py    what coupons would take off an order
    reservations.py, redemptions.py, rollbacks.py, revoking.py   one service a step
    stacks.py    several codes as one redemption: all of them or none, whatever crashes

Redis decides each step; what an order is worth is worked out here, by gateway/worth, and checked there by the digest
of the terms it was worked out by.
"""
