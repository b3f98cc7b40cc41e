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
-- ENTRY  claimed: expires_ms, unit_minor, the asks that were granted: flat, as they came
--- @include outcomes clock integers commit entry coupon holder days
local rules_key, counters_key, stock_key, holders_key, coupons_key, entries_key = unpack(KEYS)
local server, asks = ARGV[1], cmsgpack.unpack(ARGV[2])
assert(#asks % 4 == 0, 'asks have four parts each')
local now_ms = clock_ms()

-- Check: everything is decided before anything is written.
local epoch, ready_for, version, state, starts_ms, ends_ms, per_holder, per_holder_per_day, per_day, budget_minor,
  unit_minor, validity_ms, until_ms, channels, days, value, currency = unpack(redis.call('HMGET', rules_key,
    'epoch', 'server', 'version', 'state', 'starts_ms', 'ends_ms', 'per_holder', 'per_holder_per_day', 'per_day',
    'budget_minor', 'unit_minor', 'validity_ms', 'until_ms', 'channels', 'days', 'value', 'currency'))
local stock_text = redis.call('GET', stock_key)
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
for i = 1, #asks / 4 do
  holders[i], codes[i] = asks[i * 4 - 3], asks[i * 4 - 1]
end
local records = redis.call('HMGET', holders_key, unpack(holders))
-- Whether a code is taken matters only where one may be granted.
local taken = ready and not refusal and stock > 0 and redis.call('HMGET', coupons_key, unpack(codes)) or {}

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
  if (#held > 0 and held_count(held) or 0) >= per_holder then return { LIMIT_REACHED, unpack(held_codes(held)) } end
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

-- Grant. The calls of the writes grow with the asks: a table less for each.
local replies, granted, changed = {}, {}, {}
local holder_call, coupon_call, place = { 'HSET', holders_key }, { 'HSET', coupons_key }, {}
local coupon_rest = struct.pack('>I6I6', now_ms, expires_ms) -- of a coupon only seq and holder differ
local count = 0
for i = 1, #holders do
  local at = i * 4 - 3
  local holder, idem, code = asks[at], asks[at + 1], asks[at + 2]
  local held = held_now[holder] or records[i] or ''
  local outcome = decide(held, idem, code, asks[at + 3], taken[i] or granted_seq[code])
  if outcome == CLAIMED then
    count = count + 1
    seq, stock, day_claimed, budget_used = seq + 1, stock - 1, day_claimed + 1, budget_used + unit
    if not place[holder] then
      changed[#changed + 1] = i
      place[holder] = #changed * 2 + 2
      holder_call[place[holder] - 1] = holder
    end
    held = held .. idem .. code
    held_now[holder], holder_call[place[holder]] = held, held
    granted[count], granted_seq[code] = i, seq
    coupon_call[count * 2 + 1], coupon_call[count * 2 + 2] = code, coupon_pack('c', seq, coupon_rest, holder)
    outcome = seq
  end
  replies[i] = outcome
end

-- Write.
if count > 0 then
  local counter_call = { 'HSET', counters_key, 'seq', text(seq), 'claimed', text(claimed + count) }
  if budget then
    counter_call[7], counter_call[8] = 'budget_used', text(budget_used)
  end
  if days_known or per_day then
    counter_call[#counter_call + 1], counter_call[#counter_call + 2] = day_field, text(day_claimed)
  end
  local grants = ARGV[2] -- the asks as they came, msgpack already
  if count < #holders then
    local flat = {}
    for n, i in ipairs(granted) do
      for part = 1, 4 do flat[n * 4 - 4 + part] = asks[i * 4 - 4 + part] end
    end
    grants = cmsgpack.pack(flat)
  end
  local head = cmsgpack.pack('claimed', ENTRY_LAYOUT, tonumber(epoch), tonumber(version), now_ms, first_seq,
    expires_ms, unit_minor)
  commit({
    holder_call, coupon_call, { 'DECRBY', stock_key, count }, counter_call,
    entry_write(entries_key, first_seq, count, '\153' .. head .. grants), -- 0x99: an array of nine
  }, function(i)
    local fields, before = {}, {}
    if i == 1 then
      for n, at in ipairs(changed) do
        fields[n], before[holders[at]] = holders[at], records[at]
      end
      return restore_fields(holders_key, fields, before)
    elseif i == 2 then
      for n, at in ipairs(granted) do fields[n] = codes[at] end
      return { { 'HDEL', coupons_key, unpack(fields) } }
    elseif i == 3 then
      return { { 'INCRBY', stock_key, count } }
    end
    return restore_fields(counters_key, { 'seq', 'claimed', 'budget_used', day_field },
      { seq = counters[1], claimed = counters[2], budget_used = counters[3], [day_field] = counters[4] })
  end)
end
return cmsgpack.pack({ now_ms, whole(version), stock, whole(starts_ms), whole(ends_ms), day_ends_ms, expires_ms,
  value or '', currency or '', replies })
