#!lua
-- claim: one claim of one campaign, one claim a call; the script of the contenders that are not ours.
--
-- KEYS   rules stock holders coupons entries
-- ARGV   holder, key (the Idempotency-Key), code (drawn by the caller)
-- REPLY  outcome, then for claimed and replayed: code, seq, claimed_ms, expires_ms; for limit_reached: the codes held
-- ORDER  campaign_not_found > replayed > limit_reached > not_started > ended > paused > sold_out > claimed
local rules_key, stock_key, holders_key, coupons_key, entries_key = unpack(KEYS)
local holder, key, code = unpack(ARGV)
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local state, starts_ms, ends_ms, per_holder, validity_ms =
  unpack(redis.call('HMGET', rules_key, 'state', 'starts_ms', 'ends_ms', 'per_holder', 'validity_ms'))
if not state then return { 'campaign_not_found' } end

-- What the holder has: a line with the key and a line with the code of each of his claims.
local held = redis.call('HGET', holders_key, holder) or ''
local codes = {}
for its_key, its_code in string.gmatch(held, '([^\n]+)\n([^\n]+)\n') do
  if its_key == key then
    local record = redis.call('HGET', coupons_key, its_code)
    local seq, claimed_ms, expires_ms = string.match(record, '(%d+) (%d+) (%d+)')
    return { 'replayed', its_code, tonumber(seq), tonumber(claimed_ms), tonumber(expires_ms) }
  end
  codes[#codes + 1] = its_code
end
if #codes >= tonumber(per_holder) then return { 'limit_reached', unpack(codes) } end
if now_ms < tonumber(starts_ms) then return { 'not_started' } end
if now_ms >= tonumber(ends_ms) then return { 'campaign_ended' } end
if state ~= 'active' then return { 'campaign_paused' } end
if tonumber(redis.call('GET', stock_key) or 0) < 1 then return { 'sold_out' } end

local expires_ms = now_ms + tonumber(validity_ms)
redis.call('DECR', stock_key)
local seq = redis.call('HINCRBY', rules_key, 'seq', 1)
redis.call('HSET', holders_key, holder, held .. key .. '\n' .. code .. '\n')
redis.call('HSET', coupons_key, code, seq .. ' ' .. now_ms .. ' ' .. expires_ms .. ' ' .. holder)
redis.call('XADD', entries_key, '*', 'seq', seq, 'holder', holder, 'code', code)
return { 'claimed', code, seq, now_ms, expires_ms }
