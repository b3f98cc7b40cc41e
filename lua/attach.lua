#!lua
-- attach: let a shard serve on this Redis, once it is known to be no older than the books.
--
-- A Redis that was emptied, restored from a copy or failed over has another run id, so claim answers
-- NOT_READY until the reconciler has compared the shard with its checkpoint here.
--
-- KEYS   rules counters entries
-- ARGV   server    the run id of the Redis this connection talks to
--        epoch     the epoch the books know
--        seq       the last seq in the books
--        entry_id  the stream position of the books, '0-0' for none
-- REPLY  list: outcome, epoch, seq, last entry id, as found. DONE · UNCHANGED (attached already) ·
--        NOT_READY (no rules, or another epoch) · BEHIND (seq or stream is behind the books); either closes
--        a shard that was serving on this Redis, so that no seq is given out twice
-- ORDER  NOT_READY > BEHIND > UNCHANGED > DONE
-- ENTRY  attached: server
--- @include outcomes clock integers commit entry position
local rules_key, counters_key, entries_key = unpack(KEYS)
local server, epoch, seq, entry_id = ARGV[1], ARGV[2], assert(tonumber(ARGV[3])), ARGV[4]

-- Check.
local its_epoch, its_server, version = unpack(redis.call('HMGET', rules_key, 'epoch', 'server', 'version'))
local its_seq, last_id = redis.call('HGET', counters_key, 'seq'), last_entry_id(entries_key)
local function id_parts(id)
  local ms, n = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(n)
end
local function found(outcome)
  return { outcome, its_epoch or '', text(whole(its_seq)), last_id }
end
local function refuse(outcome)
  if its_server == server then commit({ { 'HSET', rules_key, 'server', '' } }) end
  return found(outcome)
end
if its_epoch ~= epoch then return refuse(NOT_READY) end
local last_ms, last_n = id_parts(last_id)
local books_ms, books_n = id_parts(entry_id)
if whole(its_seq) < seq or last_ms < books_ms or (last_ms == books_ms and last_n < books_n) then
  return refuse(BEHIND)
end
if its_server == server then return found(UNCHANGED) end

-- Write.
local next_seq = whole(its_seq) + 1
local undone = {
  restore_fields(rules_key, { 'server' }, { server = its_server }),
  restore_fields(counters_key, { 'seq' }, { seq = its_seq }),
}
commit({
  { 'HSET', rules_key, 'server', server },
  { 'HSET', counters_key, 'seq', text(next_seq) },
  entry_of_one(entries_key, next_seq, 'attached', tonumber(epoch), tonumber(version), clock_ms(), server),
}, function(i) return undone[i] end)
return found(DONE)
