#!lua
-- issue: put codes that nobody holds into a shard: one chunk of a code batch, once a chunk.
--
-- KEYS   rules counters stock coupons uses batches entries
-- ARGV   server  the run id of the Redis this connection talks to
--        chunk   msgpack: code batch, number of the chunk on this shard (from 0), units of each code,
--                expires_ms (0: that of a coupon claimed now), codes; at most ISSUE_CHUNK_MAX. Without
--                codes the chunk is passed over, so that nothing is issued under its number any more
-- REPLY  list: outcome, next chunk, codes of the batch on this shard, stock after; of CODE_TAKEN then
--        the places of the codes that are in use. DONE · REPLAYED (done or passed over before) ·
--        BEHIND (a chunk before this one is not here) · NOT_READY · ENDED · BUDGET_EXHAUSTED · SOLD_OUT
-- ORDER  NOT_READY > REPLAYED > BEHIND > ENDED > BUDGET_EXHAUSTED > SOLD_OUT > CODE_TAKEN > DONE
-- ENTRY  issued: expires_ms, unit_minor, batch, units, codes
--- @include outcomes clock integers commit entry coupon
local rules_key, counters_key, stock_key, coupons_key, uses_key, batches_key, entries_key = unpack(KEYS)
local server, codes = ARGV[1], cmsgpack.unpack(ARGV[2])
local batch, chunk, units, expires_ms = unpack(codes, 1, 4)
codes = { unpack(codes, 5) }
assert(type(batch) == 'string' and chunk >= 0 and units >= 1 and expires_ms >= 0, 'a batch, three numbers, codes')
local now_ms, count, wanted = clock_ms(), #codes, #codes * units
-- What lib/life.lua reads of a code that many may use: left, of, order, by, until_ms, held.
local use_record = units > 1 and cmsgpack.pack({ units, units, '', '', 0, 0 })

-- Check.
local epoch, ready_for, version, state, ends_ms, budget_minor, unit_minor, validity_ms, until_ms =
  unpack(redis.call('HMGET', rules_key, 'epoch', 'server', 'version', 'state', 'ends_ms', 'budget_minor',
    'unit_minor', 'validity_ms', 'until_ms'))
local counters = redis.call('HMGET', counters_key, 'seq', 'claimed', 'budget_used')
local stock_text, known = redis.call('GET', stock_key), redis.call('HGET', batches_key, batch)
local seq, claimed, budget_used = whole(counters[1]), whole(counters[2]), whole(counters[3])
local stock, budget, cost = whole(stock_text), tonumber(budget_minor or nil), wanted * whole(unit_minor)
local next_chunk, issued = 0, 0
if known then next_chunk, issued = unpack(cmsgpack.unpack(known)) end

local function reply(outcome, places)
  return { outcome, next_chunk, issued, stock, unpack(places or {}) }
end
if not epoch or not stock_text or ready_for ~= server then return reply(NOT_READY) end
if chunk < next_chunk then return reply(REPLAYED) end
if chunk > next_chunk then return reply(BEHIND) end
local taken, seen = {}, {}
if count > 0 then
  if state == 'ended' or now_ms >= whole(ends_ms) then return reply(ENDED) end
  if budget and budget_used + cost > budget then return reply(BUDGET_EXHAUSTED) end
  if wanted > stock then return reply(SOLD_OUT) end
  for i, record in ipairs(redis.call('HMGET', coupons_key, unpack(codes))) do
    if record or seen[codes[i]] then taken[#taken + 1] = i end
    seen[codes[i]] = true
  end
  if #taken > 0 then return reply(CODE_TAKEN, taken) end
end

-- Write.
if expires_ms == 0 then expires_ms = tonumber(until_ms or nil) or now_ms + whole(validity_ms) end
next_chunk, issued, stock = next_chunk + 1, issued + count, stock - wanted
local writes = { { 'HSET', batches_key, batch, cmsgpack.pack({ next_chunk, issued }) } }
local undone = { restore_fields(batches_key, { batch }, { [batch] = known }) }
local function write(command, undo)
  writes[#writes + 1], undone[#undone + 1] = command, undo
end
if count > 0 then
  local times, coupon_call, uses_call = struct.pack('>I6I6', now_ms, expires_ms), {}, {}
  for i, code in ipairs(codes) do
    coupon_call[i * 2 - 1], coupon_call[i * 2] = code, coupon_pack('c', seq + i, times, '')
    uses_call[i * 2 - 1], uses_call[i * 2] = code, use_record
  end
  write({ 'HSET', coupons_key, unpack(coupon_call) }, { { 'HDEL', coupons_key, unpack(codes) } })
  if use_record then write({ 'HSET', uses_key, unpack(uses_call) }, { { 'HDEL', uses_key, unpack(codes) } }) end
  write({ 'DECRBY', stock_key, text(wanted) }, { { 'INCRBY', stock_key, text(wanted) } })
  local counter_call = { 'HSET', counters_key, 'seq', text(seq + count), 'claimed', text(claimed + wanted) }
  if budget then
    counter_call[7], counter_call[8] = 'budget_used', text(budget_used + cost)
  end
  write(counter_call, restore_fields(counters_key, { 'seq', 'claimed', 'budget_used' },
    { seq = counters[1], claimed = counters[2], budget_used = counters[3] }))
  write(entry_write(entries_key, seq + 1, count, cmsgpack.pack({ 'issued', ENTRY_LAYOUT, tonumber(epoch),
    tonumber(version), now_ms, seq + 1, expires_ms, unit_minor, batch, units, codes })))
end
commit(writes, function(i) return undone[i] end)
return reply(DONE)
