-- wrk: send each line of a file once as a claim, wait for the last answer, and end. For one thread.
--
-- Arguments after `--`: connections, path, Idempotency-Key prefix, file; a line is "<token> <key>". Whoever started wrk
-- reads "over" on stdout when every answer is there, and interrupts wrk (it would sleep for the rest of its -d). The last
-- line is JSON: answers by status, errors by kind, seconds from the first request to the last answer (-1 where some never
-- came), latency in µs.
local ffi = require('ffi')
ffi.cdef([[
  typedef struct { long seconds, nanoseconds; } bench_time;
  int clock_gettime(int clock, bench_time *time);
]])
local MONOTONIC = 1

local function now_s()
  local time = ffi.new('bench_time')
  ffi.C.clock_gettime(MONOTONIC, time)
  return tonumber(time.seconds) + tonumber(time.nanoseconds) / 1e9
end

local sender

function setup(thread)
  sender = thread
end

local connections, head, middle, tail, next_line, previewed
local resting = 0
statuses = {}

function init(args)
  connections = tonumber(args[1])
  head = 'POST ' .. args[2] .. ' HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer '
  middle = '\r\nIdempotency-Key: ' .. args[3]
  tail = '\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'
  next_line = io.lines(args[4])
end

local function claim(line)
  local blank = string.find(line, ' ', 1, true)
  return head .. string.sub(line, 1, blank - 1) .. middle .. string.sub(line, blank + 1) .. tail
end

local function first_request()
  -- wrk asks once before the start, only to see how many requests one string holds.
  if not previewed then
    previewed = next_line()
    return claim(previewed)
  end
  began_s = now_s()
  return claim(previewed)
end

function request()
  if not began_s then return first_request() end
  local line = next_line and next_line()
  if line then return claim(line) end
  -- A connection asks for its next request when it has its answer; it rests when it is given nothing to write.
  next_line, resting = nil, resting + 1
  if resting == connections then
    ended_s = now_s()
    io.write('over\n')
    io.flush()
    wrk.thread:stop()
  end
  return ''
end

function response(status)
  statuses[status] = (statuses[status] or 0) + 1
end

function done(summary, latency)
  local began, ended, words = sender:get('began_s'), sender:get('ended_s'), {}
  for status, answers in pairs(sender:get('statuses')) do
    words[#words + 1] = string.format('"%d": %d', status, answers)
  end
  local errors = summary.errors
  io.write(string.format(
    '{"statuses": {%s}, "errors": {"connect": %d, "read": %d, "write": %d, "timeout": %d}, '
      .. '"elapsed_s": %.6f, "p50_us": %d, "p99_us": %d}\n',
    table.concat(words, ', '), errors.connect, errors.read, errors.write, errors.timeout,
    ended and ended - began or -1, latency:percentile(50), latency:percentile(99)))
end
