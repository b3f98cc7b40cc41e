#!lua
-- reserve: hold each coupon of a list for one order, for a time.
--
-- KEYS   rules counters stock holders coupons holds uses entries
-- ARGV   server  the run id of the Redis this connection talks to
--        asks    msgpack, flat: code, order, holder, by, ttl_ms, detail of each ask; at most ASKS_MAX asks.
--                holder is who has to own it, '' for whoever; by is who holds it
-- REPLY  msgpack: now_ms, replies. A reply is a refusal (< 0), or a list: DONE, until_ms, holder · REPLAYED (the same
--        order holds it), until_ms, holder, by · HELD, order, by, until_ms, holder · WRONG_STATE, state, holder · SHORT, holder (every
--        use of a code many may use is taken)
-- ORDER  NOT_READY > ABSENT > NOT_HOLDER > REPLAYED > HELD > WRONG_STATE > SHORT > DONE
-- ENTRY  changed: reserved, and released for what lapsed
--- @include outcomes clock integers commit entry coupon holder overlay life
local rules_key, counters_key, stock_key, holders_key, coupons_key, holds_key, uses_key, entries_key = unpack(KEYS)
local asks = cmsgpack.unpack(ARGV[2])
assert(#asks % 6 == 0, 'asks have six parts each')
local life = life_begin({ rules = rules_key, counters = counters_key, stock = stock_key, holders = holders_key,
  coupons = coupons_key, holds = holds_key, uses = uses_key, entries = entries_key }, ARGV[1])

local function hold_use(coupon, order, by, until_ms, detail)
  local hold, state = life_use(life, coupon, order), life_state(life, coupon)
  if hold and state == 'c' then return { REPLAYED, hold.until_ms, coupon.holder, hold.by } end
  if state ~= 'c' then return { WRONG_STATE, state, coupon.holder } end
  if not life_room(life, coupon) then return { SHORT, coupon.holder } end
  coupon.left, coupon.held = coupon.left - 1, coupon.held + 1
  overlay_put(life.uses, coupon.code .. ' ' .. order, cmsgpack.pack({ by, until_ms }))
  overlay_put(life.holds, coupon.code .. ' ' .. order, text(until_ms))
  life_step(life, 'reserved', coupon, order, '', 'outstanding', 'reserved', 1, text(until_ms), detail)
  life_save(life, coupon)
  return { DONE, until_ms, coupon.holder }
end

local function hold(code, order, holder, by, ttl_ms, detail)
  if not life.ready then return NOT_READY end
  local coupon = life_coupon(life, code)
  if not coupon then return ABSENT end
  if not life_may(life, coupon, holder) then return NOT_HOLDER end
  local until_ms = math.min(life.now_ms + ttl_ms, coupon.expires_ms)
  if coupon.held then return hold_use(coupon, order, by, until_ms, detail) end
  local state = life_state(life, coupon)
  if state == 'r' then
    if coupon.order == order then return { REPLAYED, coupon.until_ms, coupon.holder, coupon.by } end
    return { HELD, coupon.order, coupon.by, coupon.until_ms, coupon.holder }
  end
  if state ~= 'c' then return { WRONG_STATE, state, coupon.holder } end
  coupon.state, coupon.order, coupon.by, coupon.until_ms = 'r', order, by, until_ms
  overlay_put(life.holds, code, text(until_ms))
  life_step(life, 'reserved', coupon, order, '', 'outstanding', 'reserved', 1, text(until_ms), detail)
  life_save(life, coupon)
  return { DONE, until_ms, coupon.holder }
end

local replies = {}
for at = 1, #asks, 6 do
  replies[#replies + 1] = hold(asks[at], asks[at + 1], asks[at + 2], asks[at + 3], asks[at + 4], asks[at + 5])
end
life_commit(life)
return cmsgpack.pack({ life.now_ms, replies })
