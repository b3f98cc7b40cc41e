-- commit: run the writes of a call so that all of them happen, or none.
--
-- Redis keeps what a failed script wrote. When a write is refused (an ACL, a type, a replica), those
-- before it are undone in reverse and the script ends with the refusal. The stream entry is the last
-- write and so needs no undo.
--
-- writes  list of {command, ...}
-- undo    function(i) -> list of {command, ...} that take write i back; called only when one is refused
local function commit(writes, undo)
  for i = 1, #writes do
    local reply = redis.pcall(unpack(writes[i]))
    if type(reply) == 'table' and reply.err then
      for j = i - 1, 1, -1 do
        for _, command in ipairs(undo(j)) do
          redis.call(unpack(command))
        end
      end
      error(reply.err)
    end
  end
end

-- The undo of an HSET: put back what the fields held, drop those that were not there.
-- before  field -> old value, false or nil where there was none
local function restore_fields(key, fields, before)
  local commands = {}
  for _, field in ipairs(fields) do
    if before[field] then
      commands[#commands + 1] = { 'HSET', key, field, before[field] }
    else
      commands[#commands + 1] = { 'HDEL', key, field }
    end
  end
  return commands
end
