-- The coupons of an order: those it redeemed, and those it holds.

-- Made in the transaction of the migration, as everything here is, and so not CONCURRENTLY, which can't be: until they are
-- there nobody writes to the two tables. Claims go on, what the drain can't book waits in the stream, and pages read.
-- A million coupons and 400,000 redemptions take 4 seconds on two busy cores.
CREATE INDEX redemptions_order_idx ON redemptions (order_id) WHERE order_id IS NOT NULL;
-- Only what is held has an order, so a claim is not in it and costs what it did.
CREATE INDEX coupons_order_idx ON coupons (order_id) WHERE state = 'reserved';
