-- name: of_holder
-- The coupons of a holder. A search is this or of_order, then one of the orders below, which each have a place to go on
-- after: %(at)s and %(code)s of the last one seen.
SELECT code, campaign, holder, state, seq, channel, batch, units, claimed_at, expires_at FROM coupons
WHERE holder = %(who)s

-- name: of_order
-- The coupons that an order redeemed, or holds.
SELECT code, campaign, holder, state, seq, channel, batch, units, claimed_at, expires_at FROM coupons
WHERE code IN (
    SELECT code FROM redemptions WHERE order_id = %(who)s
    UNION
    SELECT code FROM coupons WHERE order_id = %(who)s AND state = 'reserved'
)

-- name: newest
-- The first comparison is what the index serves; the second settles equal times.
AND claimed_at <= %(at)s AND (claimed_at < %(at)s OR code > %(code)s)
AND (%(state)s = '' OR state = %(state)s) AND (%(campaign)s = '' OR campaign = %(campaign)s)
ORDER BY claimed_at DESC, code LIMIT %(limit)s

-- name: oldest
-- The same from the other end.
AND claimed_at >= %(at)s AND (claimed_at > %(at)s OR code < %(code)s)
AND (%(state)s = '' OR state = %(state)s) AND (%(campaign)s = '' OR campaign = %(campaign)s)
ORDER BY claimed_at, code DESC LIMIT %(limit)s

-- name: ending
-- What ends next is first.
AND (expires_at, code) > (%(at)s, %(code)s)
AND (%(state)s = '' OR state = %(state)s) AND (%(campaign)s = '' OR campaign = %(campaign)s)
ORDER BY expires_at, code LIMIT %(limit)s

-- name: lasting
-- The same from the other end.
AND (expires_at, code) < (%(at)s, %(code)s)
AND (%(state)s = '' OR state = %(state)s) AND (%(campaign)s = '' OR campaign = %(campaign)s)
ORDER BY expires_at DESC, code DESC LIMIT %(limit)s
