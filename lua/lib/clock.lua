-- clock: the one clock of a shard, milliseconds since the epoch by Redis TIME.
-- TIME is frozen inside a script, so every claim of a call has the same instant.
local function clock_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
