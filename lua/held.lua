#!lua flags=no-writes
-- held: what one holder has claimed of a shard, oldest first.
--
-- KEYS   holders coupons
-- ARGV   holder
-- REPLY  msgpack: list of code, state (1 character), seq, claimed_ms, expires_ms
--- @include coupon holder
local held, coupons = redis.call('HGET', KEYS[1], ARGV[1]), {}
for i, code in ipairs(held_codes(held or '')) do
  local state, seq, claimed_ms, expires_ms = coupon_unpack(redis.call('HGET', KEYS[2], code))
  coupons[i] = { code, state, seq, claimed_ms, expires_ms }
end
return cmsgpack.pack(coupons)
