#!lua
-- expire: book that the time of each coupon of a list is over, where it is.
--
-- KEYS   rules counters stock holders coupons holds uses entries
-- ARGV   server  the run id of the Redis this connection talks to
--        codes   msgpack: a list of at most 512 codes
-- REPLY  msgpack: a list of seq (> 0) · UNCHANGED (its time is not over, or its life is) · ABSENT · NOT_READY
-- ORDER  NOT_READY > ABSENT > UNCHANGED > DONE
-- ENTRY  changed: expired, and released for what was held
--- @include outcomes clock integers commit entry coupon holder overlay life ending
local rules_key, counters_key, stock_key, holders_key, coupons_key, holds_key, uses_key, entries_key = unpack(KEYS)
local codes = cmsgpack.unpack(ARGV[2])
local life = life_begin({ rules = rules_key, counters = counters_key, stock = stock_key, holders = holders_key,
  coupons = coupons_key, holds = holds_key, uses = uses_key, entries = entries_key }, ARGV[1])

local replies = {}
if life.ready then
  overlay_fetch(life.coupons, codes)
  overlay_fetch(life.uses, codes)
end
for i, code in ipairs(codes) do
  local coupon = life.ready and life_coupon(life, code)
  if not life.ready then replies[i] = NOT_READY
  elseif not coupon then replies[i] = ABSENT
  elseif coupon.state == 'c' and coupon.expires_ms <= life.now_ms then
    replies[i] = life_end(life, coupon, 'x', '{"reason":"its time is over"}')
  else replies[i] = UNCHANGED end
end
life_commit(life)
return cmsgpack.pack(replies)
