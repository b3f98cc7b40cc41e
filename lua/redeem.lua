#!lua
-- redeem: spend each coupon of a list on one order, once an idempotency scope.
--
-- KEYS   rules counters stock holders coupons holds uses redemptions acts entries
-- ARGV   server  the run id of the Redis this connection talks to
--        frozen  the digest of the terms the discounts were worked out by
--        asks    msgpack, flat: id, code, order, holder, key, scope, payload, charge, minor, detail of each ask.
--                id is the redemption's to be; holder has to own it, '' for whoever; key and scope are the hashes of the
--                Idempotency-Key and of code and order, payload of what is asked; charge is what it takes of a balance,
--                minor the discount, both as text; an empty minor asks only whether it was done before, or can't be
-- REPLY  msgpack: now_ms, replies. A reply is a refusal (< 0), or a list: DONE, seq, holder, state, left · REPLAYED, id,
--        record · HELD, order, by, until_ms, holder · WRONG_STATE, state, holder · SHORT, left, holder
-- ORDER  REPLAYED by key (KEY_REUSED) > NOT_READY > ABSENT > NOT_HOLDER > REPLAYED by order (KEY_REUSED) > HELD >
--        WRONG_STATE > STALE > SHORT > DONE
-- ENTRY  changed: redeemed, and released for what lapsed
--- @include outcomes clock integers commit entry coupon holder overlay life
local rules_key, counters_key, stock_key, holders_key, coupons_key, holds_key, uses_key, redemptions_key, acts_key,
  entries_key = unpack(KEYS)
local frozen, asks = ARGV[2], cmsgpack.unpack(ARGV[3])
assert(#asks % 10 == 0, 'asks have ten parts each')
local life = life_begin({ rules = rules_key, counters = counters_key, stock = stock_key, holders = holders_key,
  coupons = coupons_key, holds = holds_key, uses = uses_key, entries = entries_key }, ARGV[1])
local redemptions, acts = overlay(redemptions_key), overlay(acts_key)

-- What was done under a scope before; nil for nothing. An act is the redemption's id, a blank, and the payload's hash.
local function earlier(scope, payload)
  local act = overlay_get(acts, scope)
  if not act then return nil end
  local id, its_payload = string.match(act, '^(%S+) (.*)$')
  if its_payload ~= payload then return KEY_REUSED end
  return { REPLAYED, id, cmsgpack.unpack(overlay_get(redemptions, id)) }
end

-- Take *charge* of the coupon. Gives where its unit leaves from, where it goes, and how many.
local function take(coupon, order, charge)
  if coupon.held then
    local source = life_use(life, coupon, order) and 'reserved' or 'outstanding'
    if source == 'reserved' then
      overlay_put(life.uses, coupon.code .. ' ' .. order, false)
      overlay_put(life.holds, coupon.code .. ' ' .. order, false)
      coupon.held = coupon.held - 1
    else
      coupon.left = coupon.left - 1
    end
    coupon.state = coupon.left + coupon.held == 0 and 'u' or coupon.state
    return source, 'redeemed'
  end
  local source = PLACES[coupon.state]
  if coupon.state == 'r' then overlay_put(life.holds, coupon.code, false) end
  coupon.left = coupon.left - charge
  coupon.state, coupon.order, coupon.by, coupon.until_ms = coupon.left == 0 and 'u' or 'c', '', '', 0
  return source, PLACES[coupon.state]
end

local function short(coupon, order, charge)
  if not coupon.held then return coupon.left < charge end
  return not life_use(life, coupon, order) and not life_room(life, coupon)
end

local function spend(id, code, order, holder, key, scope, payload, charge, minor, detail)
  local before = earlier(key, payload)
  if before then return before end
  if not life.ready then return NOT_READY end
  local coupon = life_coupon(life, code)
  if not coupon then return ABSENT end
  if not life_may(life, coupon, holder) then return NOT_HOLDER end
  before = earlier(scope, payload)
  if before then return before end
  local state = life_state(life, coupon)
  if state == 'r' and coupon.order ~= order then
    return { HELD, coupon.order, coupon.by, coupon.until_ms, coupon.holder }
  end
  if state ~= 'c' and state ~= 'r' then return { WRONG_STATE, state, coupon.holder } end
  if life.frozen ~= frozen or minor == '' then return STALE end
  charge = life.kind == 'balance' and not coupon.held and assert(tonumber(charge)) or 1
  if short(coupon, order, charge) then return { SHORT, coupon.left, coupon.holder } end
  local source, place = take(coupon, order, charge)
  local seq = life_step(life, 'redeemed', coupon, id, minor, source, place, 1, '', detail)
  life_save(life, coupon)
  overlay_put(redemptions, id, cmsgpack.pack({ code, seq, life.now_ms, minor, text(charge), '0', coupon.state,
    text(coupon.left), scope, detail, {} }))
  overlay_put(acts, key, id .. ' ' .. payload)
  overlay_put(acts, scope, id .. ' ' .. payload)
  return { DONE, seq, coupon.holder, coupon.state, coupon.left }
end

local ids, codes, scopes, replies = {}, {}, {}, {}
for at = 1, #asks, 10 do
  ids[#ids + 1], codes[#codes + 1] = asks[at], asks[at + 1]
  scopes[#scopes + 1], scopes[#scopes + 2] = asks[at + 4], asks[at + 5]
end
overlay_fetch(life.coupons, codes)
overlay_fetch(life.uses, codes)
overlay_fetch(acts, scopes)
overlay_fetch(redemptions, ids)
for at = 1, #asks, 10 do
  replies[#replies + 1] = spend(unpack(asks, at, at + 9))
end
life_commit(life, redemptions, acts)
return cmsgpack.pack({ life.now_ms, replies })
