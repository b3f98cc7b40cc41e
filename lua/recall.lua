#!lua flags=no-writes
-- recall: one redemption at this instant, and the terms of its campaign.
--
-- KEYS   rules counters stock holders coupons holds uses redemptions
-- ARGV   server  the run id of the Redis this connection talks to
--        frozen  the digest of the terms the caller knows, '' for none
--        id      the redemption
-- REPLY  msgpack: now_ms, ready, frozen, terms ('' where the caller knows them), record, state of its coupon, left. The
--        record is as redeem.lua and rollback.lua pack it; false, and the rest '' and 0, where there is none
--- @include outcomes clock integers commit entry coupon holder overlay life
local rules_key, counters_key, stock_key, holders_key, coupons_key, holds_key, uses_key, redemptions_key = unpack(KEYS)
local life = life_begin({ rules = rules_key, counters = counters_key, stock = stock_key, holders = holders_key,
  coupons = coupons_key, holds = holds_key, uses = uses_key }, ARGV[1])
local packed, frozen = redis.call('HGET', redemptions_key, ARGV[3]), life.frozen or ''
local record = packed and cmsgpack.unpack(packed)
local coupon = record and life_coupon(life, record[1])
local terms = frozen ~= ARGV[2] and redis.call('HGET', rules_key, 'terms') or ''
return cmsgpack.pack({ life.now_ms, life.ready and true or false, frozen, terms, record,
  coupon and life_state(life, coupon) or '', coupon and coupon.left or 0 })
