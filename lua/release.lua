#!lua
-- release: let each coupon of a list go that is held for an order.
--
-- KEYS   rules counters stock holders coupons holds uses entries
-- ARGV   server  the run id of the Redis this connection talks to
--        asks    msgpack, flat: code, order, holder, by, detail of each ask. order '' is whatever order; holder is
--                who has to own it and by who has to hold it, '' for whoever
-- REPLY  msgpack: now_ms, replies. A reply is a refusal (< 0), UNCHANGED (nothing is held), or a list: DONE, order,
--        holder · HELD, order, by, until_ms, holder (for another order, or by somebody else)
-- ORDER  NOT_READY > ABSENT > NOT_HOLDER > UNCHANGED > HELD > DONE
-- ENTRY  changed: released
--- @include outcomes clock integers commit entry coupon holder overlay life
local rules_key, counters_key, stock_key, holders_key, coupons_key, holds_key, uses_key, entries_key = unpack(KEYS)
local asks = cmsgpack.unpack(ARGV[2])
assert(#asks % 5 == 0, 'asks have five parts each')
local life = life_begin({ rules = rules_key, counters = counters_key, stock = stock_key, holders = holders_key,
  coupons = coupons_key, holds = holds_key, uses = uses_key, entries = entries_key }, ARGV[1])

local function let_go(code, order, holder, by, detail)
  if not life.ready then return NOT_READY end
  local coupon = life_coupon(life, code)
  if not coupon then return ABSENT end
  if not life_may(life, coupon, holder) then return NOT_HOLDER end
  if coupon.held then
    local hold = life_use(life, coupon, order)
    if not hold then return UNCHANGED end
    if by ~= '' and by ~= hold.by then return { HELD, order, hold.by, hold.until_ms, coupon.holder } end
    life_release_use(life, coupon, order, detail)
    return { DONE, order, coupon.holder }
  end
  if coupon.state ~= 'r' then return UNCHANGED end
  if (order ~= '' and order ~= coupon.order) or (by ~= '' and by ~= coupon.by) then
    return { HELD, coupon.order, coupon.by, coupon.until_ms, coupon.holder }
  end
  order = coupon.order
  life_release(life, coupon, detail)
  return { DONE, order, coupon.holder }
end

local replies = {}
for at = 1, #asks, 5 do
  replies[#replies + 1] = let_go(asks[at], asks[at + 1], asks[at + 2], asks[at + 3], asks[at + 4])
end
life_commit(life)
return cmsgpack.pack({ life.now_ms, replies })
