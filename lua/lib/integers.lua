-- integers: counters as decimal text. tostring() turns 1e14 into "1e+14"; '%.0f' is exact below 2^53.
local function text(number)
  return string.format('%.0f', number)
end
local function whole(value)
  return tonumber(value or nil) or 0
end
