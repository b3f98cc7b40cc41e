"""
The till page: what a store needs of coupons, in a browser, with or without JavaScript.

    sessions    the signed cookie of a signed-in till, and the token every form of it carries
    money       amounts as people read and type them, exactly
    forms       what was typed, and the order it makes
    words       refusals, and what to do about them
    desk        what the pages ask of the services
    store_desk  the same, of the services of gateway/redeeming
    pages       templates, assets and headers

The pages themselves are gateway/routes/till.py. Nothing here decides what a coupon is worth or whether it is used.
"""
