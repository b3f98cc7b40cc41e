#!lua
-- adjust: move stock in (restock, delta > 0) or out (withdraw, delta < 0), once a key.
--
-- KEYS   rules counters stock adjustments entries
-- ARGV   server  the run id of the Redis this connection talks to
--        key     idempotency key of this adjustment, 1..255 characters
--        delta   coupons in or out, a whole number, not 0
--        reason  why, a person's words
--        actor   who
-- REPLY  list: outcome, seq, stock after. DONE · REPLAYED (as the first time) · KEY_REUSED (another
--        delta) · NOT_READY · STOCK_FLOOR (fewer left than to be withdrawn; stock is what is left)
-- ORDER  NOT_READY > KEY_REUSED > REPLAYED > STOCK_FLOOR > DONE
-- ENTRY  adjusted: delta, reason, actor, key
--- @include outcomes clock integers commit entry
local rules_key, counters_key, stock_key, adjustments_key, entries_key = unpack(KEYS)
local server, key, delta, reason, actor = ARGV[1], ARGV[2], assert(tonumber(ARGV[3])), ARGV[4], ARGV[5]

-- Check.
local epoch, ready_for, version = unpack(redis.call('HMGET', rules_key, 'epoch', 'server', 'version'))
local stock, seq = redis.call('GET', stock_key), redis.call('HGET', counters_key, 'seq')
local earlier = redis.call('HGET', adjustments_key, key)
if not epoch or not stock or ready_for ~= server then return { NOT_READY, 0, 0 } end
if earlier then
  local its_delta, its_seq, its_stock = unpack(cmsgpack.unpack(earlier))
  if its_delta ~= delta then return { KEY_REUSED, 0, 0 } end
  return { REPLAYED, its_seq, its_stock }
end
local left = whole(stock) + delta
if left < 0 then return { STOCK_FLOOR, 0, whole(stock) } end

-- Write.
local next_seq = whole(seq) + 1
local undone = {
  { { 'DECRBY', stock_key, text(delta) } },
  restore_fields(counters_key, { 'seq' }, { seq = seq }),
  { { 'HDEL', adjustments_key, key } },
}
commit({
  { 'INCRBY', stock_key, text(delta) },
  { 'HSET', counters_key, 'seq', text(next_seq) },
  { 'HSET', adjustments_key, key, cmsgpack.pack({ delta, next_seq, left }) },
  entry_of_one(entries_key, next_seq, 'adjusted', tonumber(epoch), tonumber(version), clock_ms(),
    delta, reason, actor, key),
}, function(i) return undone[i] end)
return { DONE, next_seq, left }
