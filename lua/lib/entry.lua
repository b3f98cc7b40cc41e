-- entry: the record a write leaves on the shard's stream, as the last write of its call.
--
-- seq and count stand outside the packed body, so that a reader who can't decode the body still
-- knows which numbers it covers. The body is a msgpack array: kind, layout, epoch, version, at_ms,
-- first_seq, then what the kind adds. entries.py holds the same layouts as types.
local ENTRY_LAYOUT = 1
local function entry_write(entries_key, first_seq, count, body)
  return { 'XADD', entries_key, '*', 'seq', text(first_seq), 'count', text(count), 'entry', body }
end
local function entry_of_one(entries_key, seq, kind, epoch, version, at_ms, ...)
  return entry_write(entries_key, seq, 1, cmsgpack.pack({ kind, ENTRY_LAYOUT, epoch, version, at_ms, seq, ... }))
end
