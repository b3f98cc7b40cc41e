-- position: the id of the last entry a stream ever had, '0-0' for none; trimming does not change it.
local function last_entry_id(entries_key)
  if redis.call('EXISTS', entries_key) == 1 then
    local info = redis.call('XINFO', 'STREAM', entries_key)
    for at = 1, #info, 2 do
      if info[at] == 'last-generated-id' then return info[at + 1] end
    end
  end
  return '0-0'
end
