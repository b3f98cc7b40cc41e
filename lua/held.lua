#!lua flags=no-writes
-- held: what one holder has claimed of a shard, oldest first, as it is at this instant.
--
-- KEYS   holders coupons uses
-- ARGV   holder
-- REPLY  msgpack: list of code, state (1 character), seq, claimed_ms, expires_ms. A coupon past its time is
--        expired, and one whose hold has lapsed is claimed, whether or not that is booked yet
--- @include clock coupon holder
local now_ms = clock_ms()
local held, coupons = redis.call('HGET', KEYS[1], ARGV[1]), {}
for i, code in ipairs(held_codes(held or '', true)) do
  local state, seq, claimed_ms, expires_ms = coupon_unpack(redis.call('HGET', KEYS[2], code))
  if state == 'r' then
    local uses = redis.call('HGET', KEYS[3], code)
    local until_ms = uses and cmsgpack.unpack(uses)[5] or 0
    if until_ms <= now_ms then state = 'c' end
  end
  if state == 'c' and expires_ms <= now_ms then state = 'x' end
  coupons[i] = { code, state, seq, claimed_ms, expires_ms }
end
return cmsgpack.pack(coupons)
