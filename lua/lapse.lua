#!lua
-- lapse: free the holds of a shard whose time is over. Nothing waits for it: a hold past its time binds nobody.
--
-- KEYS   rules counters stock holders coupons holds uses entries
-- ARGV   server  the run id of the Redis this connection talks to
--        limit   holds to free at most, a whole number, at most 512
-- REPLY  msgpack: freed, left (holds that are still overdue); nothing is freed while the shard is not ready
-- ORDER  what is overdue longest goes first
-- ENTRY  changed: released
--- @include outcomes clock integers commit entry coupon holder overlay life
local rules_key, counters_key, stock_key, holders_key, coupons_key, holds_key, uses_key, entries_key = unpack(KEYS)
local limit = math.min(assert(tonumber(ARGV[2])), 512)
local life = life_begin({ rules = rules_key, counters = counters_key, stock = stock_key, holders = holders_key,
  coupons = coupons_key, holds = holds_key, uses = uses_key, entries = entries_key }, ARGV[1])
if not life.ready then return cmsgpack.pack({ 0, 0 }) end
local overdue = redis.call('ZCOUNT', holds_key, '-inf', text(life.now_ms))
local freed = life_lapse(life, limit)
life_commit(life)
return cmsgpack.pack({ freed, overdue - freed })
