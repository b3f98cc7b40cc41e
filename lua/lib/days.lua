-- days: the midnights of the campaign's zone, compiled by the gateway as milliseconds in 11 hex
-- digits each, ascending, because Lua knows no zones.
-- Gives the start of the day now_ms falls in and of the next one, 0 where there is none.
local DAY_CHARS = 11
local function day_around(days, now_ms)
  local function day(n)
    return tonumber(string.sub(days, (n - 1) * DAY_CHARS + 1, n * DAY_CHARS), 16) or 0
  end
  local low, high = 0, #days / DAY_CHARS
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if day(middle) <= now_ms then low = middle else high = middle - 1 end
  end
  return day(low), day(low + 1)
end
