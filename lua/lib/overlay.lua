-- overlay: a hash or sorted set as the call leaves it: read through, written at the end, all or none.
-- A list of asks may touch one field several times; each sees what the one before it left.
local function overlay(key, sorted)
  return { key = key, sorted = sorted, before = {}, now = {}, touched = {}, dirty = {} }
end

-- Read many fields of a hash in one call.
local function overlay_fetch(over, fields)
  if #fields == 0 then return end
  for i, value in ipairs(redis.call('HMGET', over.key, unpack(fields))) do
    over.before[fields[i]], over.now[fields[i]] = value, value
  end
end

-- What the field holds now; false for nothing.
local function overlay_get(over, field)
  if over.now[field] == nil then
    local value = redis.call(over.sorted and 'ZSCORE' or 'HGET', over.key, field)
    over.before[field], over.now[field] = value, value
  end
  return over.now[field]
end

-- What the field is to hold; false for nothing.
local function overlay_put(over, field, value)
  overlay_get(over, field)
  if not over.dirty[field] then
    over.dirty[field] = true
    over.touched[#over.touched + 1] = field
  end
  over.now[field] = value
end

-- The commands that bring every touched field to one side: 'now' or 'before'.
local function overlay_commands(over, side)
  local set, drop = { over.sorted and 'ZADD' or 'HSET', over.key }, { over.sorted and 'ZREM' or 'HDEL', over.key }
  for _, field in ipairs(over.touched) do
    local value = over[side][field]
    if not value then
      drop[#drop + 1] = field
    else
      set[#set + 1] = over.sorted and value or field
      set[#set + 1] = over.sorted and field or value
    end
  end
  local commands = {}
  if #set > 2 then commands[1] = set end
  if #drop > 2 then commands[#commands + 1] = drop end
  return commands
end
