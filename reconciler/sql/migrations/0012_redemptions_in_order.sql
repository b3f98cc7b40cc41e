-- Redemptions in the order of their state changes, and those of a merchant, without reading the others.

-- Until they are made nobody writes to redemptions: claims go on, what the drain can't book waits in the stream. A million
-- redemptions take 5 seconds on two busy cores.
CREATE INDEX redemptions_shard_idx ON redemptions (shard, seq);
CREATE INDEX redemptions_merchant_idx ON redemptions (merchant) WHERE merchant IS NOT NULL;
