-- coupon: the packed record of one coupon, 18 bytes and the holder; binary, because every coupon
-- that is out costs it. Big-endian: state (1 character), seq (5), claimed_ms (6), expires_ms (6).
-- rest is claimed_ms and expires_ms packed: a call packs them once.
local function coupon_pack(state, seq, rest, holder)
  return struct.pack('>c1I5', state, seq) .. rest .. holder
end
local function coupon_unpack(record)
  local state, seq, claimed_ms, expires_ms, after = struct.unpack('>c1I5I6I6', record)
  return state, seq, claimed_ms, expires_ms, string.sub(record, after)
end
