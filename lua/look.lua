#!lua flags=no-writes
-- look: a shard at one instant: its rules, stock, counters and stream position.
--
-- KEYS   rules counters stock entries
-- ARGV   server  the run id of the Redis this connection talks to
-- REPLY  msgpack: now_ms, ready (the shard may serve on this Redis), stock (-1: no key), rules
--        (flat), counters (flat), entries on the stream, last entry id
--- @include clock integers position
local rules_key, counters_key, stock_key, entries_key = unpack(KEYS)
local stock, length = redis.call('GET', stock_key), redis.call('XLEN', entries_key)
local ready = stock and redis.call('HGET', rules_key, 'server') == ARGV[1] or false
return cmsgpack.pack({ clock_ms(), ready, stock and whole(stock) or -1, redis.call('HGETALL', rules_key),
  redis.call('HGETALL', counters_key), length, last_entry_id(entries_key) })
