#!lua flags=no-writes
-- stocktake: a shard at one instant, to be compared with the books at its seq: what it counts, and a sample of what it holds.
--
-- KEYS   rules counters stock holders coupons holds uses redemptions entries
-- ARGV   server   the run id of the Redis this connection talks to
--        draws    coupons, and holders, to draw by chance; a whole number, at most 1000
--        codes    msgpack: a list of codes to look at besides, at most 1000
--        holders  msgpack: a list of holders to look at besides, at most 1000
-- REPLY  list, as it is and not packed, so that a record changed by hand comes through: now_ms, ready (1: may serve on
--        this Redis), stock (false: no key), rules (name and text in turn), counters (flat), length of coupons, of
--        redemptions and of holds, last entry id, day_starts_ms (0: none), coupons (code, record, uses, deadline of its
--        hold, in turn), holders (holder and records in turn)
--- @include clock integers days position
local rules_key, counters_key, stock_key, holders_key, coupons_key, holds_key, uses_key, redemptions_key,
  entries_key = unpack(KEYS)
local server, draws = ARGV[1], math.min(assert(tonumber(ARGV[2])), 1000)
local codes, holders = cmsgpack.unpack(ARGV[3]), cmsgpack.unpack(ARGV[4])
assert(#codes <= 1000 and #holders <= 1000, 'at most 1000 codes, and holders')
local RULES = { 'epoch', 'version', 'server', 'per_holder', 'per_holder_per_day', 'per_day', 'budget_minor', 'unit_minor',
  'frozen' }

local function zipped(names, ...)
  local flat, columns = {}, { ... }
  for i, name in ipairs(names) do
    flat[#flat + 1] = name
    for _, column in ipairs(columns) do flat[#flat + 1] = column[i] or false end
  end
  return flat
end

-- Some of the fields of a hash by chance, those that were asked for before them, each once.
local function with_drawn(key, names)
  local seen, all = {}, {}
  local drawn = draws > 0 and redis.call('HRANDFIELD', key, -draws) or {}
  for _, list in ipairs({ names, drawn }) do
    for _, name in ipairs(list) do
      if not seen[name] then
        seen[name], all[#all + 1] = true, name
      end
    end
  end
  return all
end

local function values(command, key, names)
  return #names > 0 and redis.call(command, key, unpack(names)) or {}
end

local now_ms, days, stock = clock_ms(), redis.call('HGET', rules_key, 'days'), redis.call('GET', stock_key)
local ready = stock and redis.call('HGET', rules_key, 'server') == server
codes, holders = with_drawn(coupons_key, codes), with_drawn(holders_key, holders)
return {
  now_ms, ready and 1 or 0, stock, zipped(RULES, values('HMGET', rules_key, RULES)),
  redis.call('HGETALL', counters_key), redis.call('HLEN', coupons_key), redis.call('HLEN', redemptions_key),
  redis.call('ZCARD', holds_key), last_entry_id(entries_key), days and days ~= '' and day_around(days, now_ms) or 0,
  zipped(codes, values('HMGET', coupons_key, codes), values('HMGET', uses_key, codes),
    values('ZMSCORE', holds_key, codes)),
  zipped(holders, values('HMGET', holders_key, holders)),
}
