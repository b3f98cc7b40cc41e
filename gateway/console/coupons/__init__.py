"""
The room of the coupons: found by code, holder and order; one coupon's whole life; what the staff may do to it.
"""
