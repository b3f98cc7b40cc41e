#!lua
-- rollback: give back what redemptions took, whole or in parts, each part once.
--
-- KEYS   rules counters stock holders coupons holds uses redemptions acts entries
-- ARGV   server  the run id of the Redis this connection talks to
--        asks    msgpack, flat: id, key, payload, rollbacks, minor, fate, extend_ms, returns, detail of each ask.
--                key and payload are the hashes of the Idempotency-Key and of what is asked; rollbacks is how many there
--                were when *minor* was worked out; fate is restore or end, for a coupon that all of it came back of;
--                extend_ms is how long one lives that is past its time, 0 to let it end; returns names what goes back
--                where it ends: 'stock', 'slot', 'stock,slot' or ''
-- REPLY  msgpack: now_ms, replies. A reply is KEY_REUSED, NOT_READY, ABSENT, SHORT (more than is left), or a list:
--        DONE, seq, state of the coupon, expires_ms, back in all · REPLAYED, its number, record · STALE, record
-- ORDER  REPLAYED (KEY_REUSED) > NOT_READY > ABSENT > STALE > SHORT > DONE
-- ENTRY  changed: rolled_back, and released for what lapsed
--- @include outcomes clock integers commit entry coupon holder overlay life ending
local rules_key, counters_key, stock_key, holders_key, coupons_key, holds_key, uses_key, redemptions_key, acts_key,
  entries_key = unpack(KEYS)
local asks = cmsgpack.unpack(ARGV[2])
assert(#asks % 9 == 0, 'asks have nine parts each')
local life = life_begin({ rules = rules_key, counters = counters_key, stock = stock_key, holders = holders_key,
  coupons = coupons_key, holds = holds_key, uses = uses_key, entries = entries_key }, ARGV[1])
local redemptions, acts = overlay(redemptions_key), overlay(acts_key)

-- Where a unit goes that comes back, and the coupon's state with it. A code that many may use is not extended for
-- one of them, and only what nothing is spent of gives back its slot and stock.
local function place_of(coupon, fate, extend_ms, returns)
  if coupon.state == 'v' then return PLACES.v, '' end
  local until_ms, over = '', coupon.state == 'x' or coupon.expires_ms <= life.now_ms
  if fate == 'restore' and over and extend_ms > 0 and not coupon.held then
    coupon.expires_ms = life.now_ms + extend_ms
    until_ms, over = text(coupon.expires_ms), false
  end
  if fate == 'restore' and not over then
    coupon.state = 'c'
    return 'outstanding', until_ms
  end
  if not coupon.held then coupon.state = 'x' end
  if not coupon.held and coupon.left < coupon.of then return 'expired', until_ms end
  if string.find(returns, 'slot', 1, true) then life_free_slot(life, coupon) end
  return string.find(returns, 'stock', 1, true) and 'stock' or 'expired', until_ms
end

-- What comes back to a balance: money, and the unit where none was left of it or its time was over.
local function refill(coupon, minor, all, fate, extend_ms, returns)
  local before = coupon.state
  coupon.left = coupon.left + minor
  if before == 'u' then
    local place, until_ms = place_of(coupon, all and fate or 'restore', extend_ms, returns)
    if coupon.state == 'x' then life.budget = life.budget - coupon.left end
    return 'redeemed', place, until_ms
  end
  if before == 'v' or fate ~= 'restore' or extend_ms == 0 or coupon.expires_ms > life.now_ms then
    if before == 'v' or before == 'x' then life.budget = life.budget - minor end
    return '', '', ''
  end
  coupon.expires_ms, coupon.state = life.now_ms + extend_ms, before == 'x' and 'c' or before
  if before == 'x' then life.budget = life.budget + coupon.left - minor end
  return PLACES[before], PLACES[coupon.state], text(coupon.expires_ms)
end

-- The coupon after *minor* of a redemption came back; *all*: nothing of it is left to come.
local function give_back(coupon, minor, all, fate, extend_ms, returns)
  if life.kind == 'balance' and not coupon.held then return refill(coupon, minor, all, fate, extend_ms, returns) end
  if not all then return '', '', '' end
  if not coupon.held then coupon.left = 1 end
  local place, until_ms = place_of(coupon, fate, extend_ms, returns)
  if place ~= 'outstanding' then life.budget = life.budget - life.unit
  elseif coupon.held then coupon.left = coupon.left + 1 end
  return 'redeemed', place, until_ms
end

local function undo(id, key, payload, rollbacks, minor_text, fate, extend_ms, returns, detail)
  local act = overlay_get(acts, key)
  if act then
    local its_id, number, its_payload = string.match(act, '^(%S+) (%d+) (.*)$')
    if its_id ~= id or its_payload ~= payload then return KEY_REUSED end
    return { REPLAYED, tonumber(number), cmsgpack.unpack(overlay_get(redemptions, id)) }
  end
  if not life.ready then return NOT_READY end
  local record = overlay_get(redemptions, id)
  if not record then return ABSENT end
  local code, seq, at_ms, took, charge, back, state, left, scope, its_detail, parts = unpack(cmsgpack.unpack(record))
  if #parts ~= rollbacks then return { STALE, cmsgpack.unpack(record) } end
  local minor = assert(tonumber(minor_text))
  local in_all = whole(back) + minor
  if in_all > whole(took) or (#parts > 0 and back == text(whole(took))) then return SHORT end
  local coupon = life_coupon(life, code)
  local all = in_all == whole(took)
  local source, place, until_ms = give_back(coupon, minor, all, fate, extend_ms, returns)
  local its_seq = life_step(life, 'rolled_back', coupon, id, minor_text, source, place, place ~= '' and 1 or 0, until_ms,
    detail)
  life_save(life, coupon)
  parts[#parts + 1] = { its_seq, life.now_ms, minor_text, STATE_WORDS[coupon.state], coupon.expires_ms, detail }
  overlay_put(redemptions, id, cmsgpack.pack({ code, seq, at_ms, took, charge, text(in_all), state, left, scope,
    its_detail, parts }))
  overlay_put(acts, key, id .. ' ' .. text(#parts) .. ' ' .. payload)
  local of_order = all and overlay_get(acts, scope)
  if of_order and string.match(of_order, '^%S+') == id then overlay_put(acts, scope, false) end
  return { DONE, its_seq, STATE_WORDS[coupon.state], coupon.expires_ms, text(in_all) }
end

local replies = {}
for at = 1, #asks, 9 do
  replies[#replies + 1] = undo(unpack(asks, at, at + 8))
end
life_commit(life, redemptions, acts)
return cmsgpack.pack({ life.now_ms, replies })
