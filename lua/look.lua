#!lua flags=no-writes
-- look: a shard at one instant: its rules, stock, counters and stream position.
--
-- KEYS   rules counters stock entries
-- ARGV   server  the run id of the Redis this connection talks to
-- REPLY  msgpack: now_ms, ready (the shard may serve on this Redis), stock (-1: no key), rules
--        (flat), counters (flat), entries on the stream, last entry id
--- @include clock integers
local rules_key, counters_key, stock_key, entries_key = unpack(KEYS)
local stock, length, last_id = redis.call('GET', stock_key), redis.call('XLEN', entries_key), '0-0'
if redis.call('EXISTS', entries_key) == 1 then
  local info = redis.call('XINFO', 'STREAM', entries_key)
  for at = 1, #info, 2 do
    if info[at] == 'last-generated-id' then last_id = info[at + 1] end
  end
end
local ready = stock and redis.call('HGET', rules_key, 'server') == ARGV[1] or false
return cmsgpack.pack({ clock_ms(), ready, stock and whole(stock) or -1, redis.call('HGETALL', rules_key),
  redis.call('HGETALL', counters_key), length, last_id })
