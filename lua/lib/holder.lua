-- holder: what one holder has claimed, records of 12 characters of idempotency hash and 18 of code,
-- oldest first. The hash is 8 characters of the key and 4 of the payload (keys.py makes it).
-- A record whose coupon gave its place back (held_free) has the high bit of its code's first character set:
-- it answers a replay, and counts for no limit any more.
local HELD_BYTES, KEY_BYTES, IDEM_BYTES, FREED = 30, 8, 12, 128
local function held_at(held, at)
  local first, rest = string.byte(held, at + IDEM_BYTES), string.sub(held, at + IDEM_BYTES + 1, at + HELD_BYTES - 1)
  return string.char(first % FREED) .. rest, first >= FREED
end
-- The codes that count; all of them where *freed* is true.
local function held_codes(held, freed)
  local codes = {}
  for at = 1, #held, HELD_BYTES do
    local code, gone = held_at(held, at)
    if freed or not gone then codes[#codes + 1] = code end
  end
  return codes
end
-- How many count.
local function held_count(held)
  return string.find(held, '[\128-\255]') and #held_codes(held) or #held / HELD_BYTES
end
-- The code claimed with this key before, and whether the payload is the same; nil if none.
local function held_find(held, idem)
  local key = string.sub(idem, 1, KEY_BYTES)
  for at = 1, #held, HELD_BYTES do
    if string.sub(held, at, at + KEY_BYTES - 1) == key then
      return held_at(held, at), string.sub(held, at, at + IDEM_BYTES - 1) == idem
    end
  end
end
-- The records with the place of *code* given back.
local function held_free(held, code)
  for at = 1, #held, HELD_BYTES do
    local its_code, gone = held_at(held, at)
    if its_code == code and not gone then
      local place = at + IDEM_BYTES
      return string.sub(held, 1, place - 1) .. string.char(string.byte(held, place) + FREED) .. string.sub(held, place + 1)
    end
  end
  return held
end
