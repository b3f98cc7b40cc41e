#!lua
-- revoke: take each coupon of a list away from whoever has it. What it was spent on stays.
--
-- KEYS   rules counters stock holders coupons holds uses entries
-- ARGV   server  the run id of the Redis this connection talks to
--        asks    msgpack, flat: code and detail of each ask
-- REPLY  msgpack: now_ms, replies. A reply is a list: DONE, seq, holder · WRONG_STATE, state, holder; or UNCHANGED
--        (revoked before) · ABSENT · NOT_READY
-- ORDER  NOT_READY > ABSENT > UNCHANGED > WRONG_STATE > DONE
-- ENTRY  changed: revoked, and released for what was held
--- @include outcomes clock integers commit entry coupon holder overlay life ending
local rules_key, counters_key, stock_key, holders_key, coupons_key, holds_key, uses_key, entries_key = unpack(KEYS)
local asks = cmsgpack.unpack(ARGV[2])
assert(#asks % 2 == 0, 'asks have two parts each')
local life = life_begin({ rules = rules_key, counters = counters_key, stock = stock_key, holders = holders_key,
  coupons = coupons_key, holds = holds_key, uses = uses_key, entries = entries_key }, ARGV[1])

local function take_away(code, detail)
  if not life.ready then return NOT_READY end
  local coupon = life_coupon(life, code)
  if not coupon then return ABSENT end
  local state = life_state(life, coupon)
  if state == 'v' then return UNCHANGED end
  if state ~= 'c' and state ~= 'r' then return { WRONG_STATE, state, coupon.holder } end
  if state == 'r' then life_release(life, coupon, '{"reason":"revoked"}') end
  return { DONE, life_end(life, coupon, 'v', detail), coupon.holder }
end

local replies = {}
for at = 1, #asks, 2 do replies[#replies + 1] = take_away(asks[at], asks[at + 1]) end
life_commit(life)
return cmsgpack.pack({ life.now_ms, replies })
