#!lua flags=no-writes
-- inspect: what a list of coupons is at this instant, and the terms they are redeemed by.
--
-- KEYS   rules counters stock holders coupons holds uses
-- ARGV   server  the run id of the Redis this connection talks to
--        frozen  the digest of the terms the caller knows, '' for none
--        asks    msgpack, flat: code and order of each ask, the order '' where none matters
-- REPLY  msgpack: now_ms, ready, frozen, terms ('' where the caller knows them), coupons. A coupon is
--        state (1 character), holder, seq, claimed_ms, expires_ms, left, of, order, by, until_ms, shared; false
--        where there is none. Of a code many may use, order, by and until_ms are those of the ask's own hold
--- @include outcomes clock integers commit entry coupon holder overlay life
local rules_key, counters_key, stock_key, holders_key, coupons_key, holds_key, uses_key = unpack(KEYS)
local asks = cmsgpack.unpack(ARGV[3])
local life = life_begin({ rules = rules_key, counters = counters_key, stock = stock_key, holders = holders_key,
  coupons = coupons_key, holds = holds_key, uses = uses_key }, ARGV[1])
local codes, found = {}, {}
for i = 1, #asks / 2 do codes[i] = asks[i * 2 - 1] end
overlay_fetch(life.coupons, codes)
overlay_fetch(life.uses, codes)
for i, code in ipairs(codes) do
  local coupon, order = life_coupon(life, code), asks[i * 2]
  if not coupon then
    found[i] = false
  else
    if coupon.held then life_room(life, coupon) end
    local hold = coupon.held and order ~= '' and life_use(life, coupon, order) or coupon
    found[i] = { life_state(life, coupon), coupon.holder, coupon.seq, coupon.claimed_ms, coupon.expires_ms, coupon.left,
      coupon.of, hold == coupon and coupon.order or order, hold.by, hold.until_ms, coupon.held ~= nil }
  end
end
local frozen = life.frozen or ''
local terms = frozen ~= ARGV[2] and redis.call('HGET', rules_key, 'terms') or ''
return cmsgpack.pack({ life.now_ms, life.ready and true or false, frozen, terms, found })
