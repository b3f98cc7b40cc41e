#!lua
-- publish: put one version of a campaign's compiled rules into a shard; idempotent by version.
--
-- KEYS   rules counters stock entries
-- ARGV   server  the run id of the Redis this connection talks to
--        fresh   '1' when the books have nothing of this shard, so that it may be created
--        epoch   the epoch the books know
--        fields  msgpack, flat: every rule's name and text, version, state and frozen among them
-- REPLY  DONE · UNCHANGED (this version or a later one is there) · NOT_READY (the shard is not the
--        one the books know) · FROZEN (what moves money differs, and a coupon is out)
-- ORDER  NOT_READY > UNCHANGED > FROZEN > DONE
-- ENTRY  published: state
--- @include outcomes clock integers commit entry
local rules_key, counters_key, stock_key, entries_key = unpack(KEYS)
local server, fresh, epoch, fields = ARGV[1], ARGV[2] == '1', ARGV[3], cmsgpack.unpack(ARGV[4])
local rules = {}
for at = 1, #fields, 2 do rules[fields[at]] = fields[at + 1] end

-- Check.
local known = redis.call('HMGET', rules_key, 'epoch', 'server', 'version', 'frozen')
local seq, claimed = unpack(redis.call('HMGET', counters_key, 'seq', 'claimed'))
local stock = redis.call('GET', stock_key)
if known[1] then
  if known[1] ~= epoch or known[2] ~= server then return NOT_READY end
  if tonumber(known[3]) >= tonumber(rules.version) then return UNCHANGED end
  if known[4] ~= rules.frozen and whole(claimed) > 0 then return FROZEN end
elseif not fresh then
  return NOT_READY
end

-- Write.
local names, rules_call = { 'epoch', 'server' }, { 'HSET', rules_key, 'epoch', epoch, 'server', server }
for name, rule in pairs(rules) do
  names[#names + 1] = name
  rules_call[#rules_call + 1] = name
  rules_call[#rules_call + 1] = rule
end
local old, before = redis.call('HMGET', rules_key, unpack(names)), {}
for i, name in ipairs(names) do before[name] = old[i] end
local next_seq = whole(seq) + 1
local writes = { rules_call, { 'HSET', counters_key, 'seq', text(next_seq) } }
local undone = {
  restore_fields(rules_key, names, before),
  restore_fields(counters_key, { 'seq' }, { seq = seq }),
  { { 'DEL', stock_key } },
}
if not stock then writes[3] = { 'SET', stock_key, '0' } end
writes[#writes + 1] = entry_of_one(entries_key, next_seq, 'published', tonumber(epoch), tonumber(rules.version),
  clock_ms(), rules.state)
commit(writes, function(i) return undone[i] end)
return DONE
