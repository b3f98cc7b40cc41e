-- holder: what one holder has claimed, records of 12 characters of idempotency hash and 18 of code,
-- oldest first. The hash is 8 characters of the key and 4 of the payload (keys.py makes it).
local HELD_BYTES, KEY_BYTES, IDEM_BYTES = 30, 8, 12
local function held_codes(held)
  local codes = {}
  for at = IDEM_BYTES + 1, #held, HELD_BYTES do
    codes[#codes + 1] = string.sub(held, at, at + HELD_BYTES - IDEM_BYTES - 1)
  end
  return codes
end
-- The code claimed with this key before, and whether the payload is the same; nil if none.
local function held_find(held, idem)
  local key = string.sub(idem, 1, KEY_BYTES)
  for at = 1, #held, HELD_BYTES do
    if string.sub(held, at, at + KEY_BYTES - 1) == key then
      local same = string.sub(held, at, at + IDEM_BYTES - 1) == idem
      return string.sub(held, at + IDEM_BYTES, at + HELD_BYTES - 1), same
    end
  end
end
