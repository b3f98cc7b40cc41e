#!lua
-- claim: give each holder of a list at most one more coupon of one shard, in list order.
--
-- KEYS   rules counters stock holders coupons entries
-- ARGV   server  the run id of the Redis this connection talks to; rules must name the same
--        asks    msgpack, flat: holder, idem, code, channel of each ask; at most CLAIM_BATCH_MAX asks
-- REPLY  msgpack: now_ms, version, stock, starts_ms, ends_ms, day_ends_ms, expires_ms, value,
--        currency, replies. A reply is the seq of the coupon just claimed (> 0), a refusal (< 0), or
--        a list: REPLAYED, code, seq, claimed_ms, expires_ms · LIMIT_REACHED, code, code, …
-- ORDER  REPLAYED (KEY_REUSED) > NOT_READY > LIMIT_REACHED > NOT_STARTED > ENDED > PAUSED >
--        NOT_ELIGIBLE > PERIOD_LIMIT > BUDGET_EXHAUSTED > SOLD_OUT > CODE_TAKEN > CLAIMED
-- ENTRY  claimed: expires_ms, unit_minor, grants of {holder, code, idem, channel}
--- @include outcomes clock integers commit entry coupon holder days
local rules_key, counters_key, stock_key, holders_key, coupons_key, entries_key = unpack(KEYS)
local server, asks = ARGV[1], cmsgpack.unpack(ARGV[2])
local now_ms = clock_ms()

-- Check: every key is read before any is written, so a key of a wrong type ends the call here.
local epoch, ready_for, version, state, starts_ms, ends_ms, per_holder, per_holder_per_day, per_day, budget_minor,
  unit_minor, validity_ms, until_ms, channels, days, value, currency = unpack(redis.call('HMGET', rules_key,
    'epoch', 'server', 'version', 'state', 'starts_ms', 'ends_ms', 'per_holder', 'per_holder_per_day', 'per_day',
    'budget_minor', 'unit_minor', 'validity_ms', 'until_ms', 'channels', 'days', 'value', 'currency'))
local stock_text = redis.call('GET', stock_key)
redis.call('XLEN', entries_key)
local ready = epoch and stock_text and ready_for == server
local stock, unit, budget = whole(stock_text), whole(unit_minor), tonumber(budget_minor or nil)
per_holder, per_day, per_holder_per_day = whole(per_holder), tonumber(per_day or nil), tonumber(per_holder_per_day or nil)
local day_starts_ms, day_ends_ms = 0, 0
local days_known = days and days ~= ''
if days_known then day_starts_ms, day_ends_ms = day_around(days, now_ms) end
local day_field = 'day:' .. text(day_starts_ms)
local counters = redis.call('HMGET', counters_key, 'seq', 'claimed', 'budget_used', day_field)
local seq, claimed, budget_used, day_claimed =
  whole(counters[1]), whole(counters[2]), whole(counters[3]), whole(counters[4])
local expires_ms = tonumber(until_ms or nil) or now_ms + whole(validity_ms)

local refusal
if state ~= 'ended' and now_ms < whole(starts_ms) then refusal = NOT_STARTED
elseif state == 'ended' or now_ms >= whole(ends_ms) then refusal = ENDED
elseif state == 'paused' then refusal = PAUSED end

local holders, codes = {}, {}
for at = 1, #asks, 4 do
  holders[#holders + 1], codes[#codes + 1] = asks[at], asks[at + 2]
end
local records = redis.call('HMGET', holders_key, unpack(holders))
local taken = redis.call('HMGET', coupons_key, unpack(codes))

local held_now, granted_seq, first_seq = {}, {}, seq + 1

local function replay(code)
  if granted_seq[code] then return { REPLAYED, code, granted_seq[code], now_ms, expires_ms } end
  local _, its_seq, its_claimed_ms, its_expires_ms = coupon_unpack(redis.call('HGET', coupons_key, code))
  return { REPLAYED, code, its_seq, its_claimed_ms, its_expires_ms }
end

local function claimed_today(held)
  local count = 0
  for _, code in ipairs(held_codes(held)) do
    local record = not granted_seq[code] and redis.call('HGET', coupons_key, code)
    local _, _, claimed_ms = nil, nil, now_ms
    if record then _, _, claimed_ms = coupon_unpack(record) end
    if claimed_ms >= day_starts_ms then count = count + 1 end
  end
  return count
end

local function decide(held, idem, code, channel, code_used)
  if #held > 0 then
    local earlier, same = held_find(held, idem)
    if earlier then return same and replay(earlier) or KEY_REUSED end
  end
  if not ready then return NOT_READY end
  if #held / HELD_BYTES >= per_holder then return { LIMIT_REACHED, unpack(held_codes(held)) } end
  if refusal then return refusal end
  if channel ~= '' and channels ~= '' and not string.find(channels, ',' .. channel .. ',', 1, true) then
    return NOT_ELIGIBLE
  end
  if per_holder_per_day and #held > 0 and claimed_today(held) >= per_holder_per_day then return PERIOD_LIMIT end
  if per_day and day_claimed >= per_day then return PERIOD_LIMIT end
  if budget and budget_used + unit > budget then return BUDGET_EXHAUSTED end
  if stock < 1 then return SOLD_OUT end
  if code_used then return CODE_TAKEN end
  return CLAIMED
end

local replies, grants, changed = {}, {}, {}
local coupon_fields, coupon_call = {}, { 'HSET', coupons_key }
for i = 1, #holders do
  local at = i * 4 - 3
  local holder, idem, code, channel = asks[at], asks[at + 1], asks[at + 2], asks[at + 3]
  local held = held_now[holder] or records[i] or ''
  local outcome = decide(held, idem, code, channel, taken[i] or granted_seq[code])
  if outcome == CLAIMED then
    seq, stock, day_claimed, budget_used = seq + 1, stock - 1, day_claimed + 1, budget_used + unit
    if not held_now[holder] then changed[#changed + 1] = { holder, records[i] } end
    held_now[holder] = held .. idem .. code
    granted_seq[code] = seq
    grants[#grants + 1] = { holder, code, idem, channel }
    coupon_fields[#coupon_fields + 1] = code
    coupon_call[#coupon_call + 1] = code
    coupon_call[#coupon_call + 1] = coupon_pack('c', seq, now_ms, expires_ms, holder)
    outcome = seq
  end
  replies[i] = outcome
end

-- Write.
if #grants > 0 then
  local holder_call, holder_fields, before = { 'HSET', holders_key }, {}, {}
  for i, change in ipairs(changed) do
    holder_call[i * 2 + 1], holder_call[i * 2 + 2] = change[1], held_now[change[1]]
    holder_fields[i], before[change[1]] = change[1], change[2]
  end
  local counter_call = { 'HSET', counters_key, 'seq', text(seq), 'claimed', text(claimed + #grants) }
  if budget then
    counter_call[7], counter_call[8] = 'budget_used', text(budget_used)
  end
  if days_known or per_day then
    counter_call[#counter_call + 1], counter_call[#counter_call + 2] = day_field, text(day_claimed)
  end
  commit({
    { call = holder_call, undo = function() return restore_fields(holders_key, holder_fields, before) end },
    { call = coupon_call, undo = function() return { { 'HDEL', coupons_key, unpack(coupon_fields) } } end },
    { call = { 'DECRBY', stock_key, #grants }, undo = function() return { { 'INCRBY', stock_key, #grants } } end },
    { call = counter_call, undo = function()
      return restore_fields(counters_key, { 'seq', 'claimed', 'budget_used', day_field },
        { seq = counters[1], claimed = counters[2], budget_used = counters[3], [day_field] = counters[4] })
    end },
    entry_write(entries_key, first_seq, #grants, 'claimed', tonumber(epoch), tonumber(version), now_ms,
      expires_ms, unit_minor, grants),
  })
end
return cmsgpack.pack({ now_ms, whole(version), stock, whole(starts_ms), whole(ends_ms), day_ends_ms, expires_ms,
  value or '', currency or '', replies })
