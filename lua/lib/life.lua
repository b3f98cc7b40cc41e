-- life: what the verbs after the claim share: coupons as the call leaves them, the steps it takes, and their one write.
--
-- A coupon's state is one character: c claimed, r reserved, u redeemed, x expired, v revoked. What is more than that is
-- in uses: left, of, order, by, until_ms, and held for a code that many may use; a hold of such a code is a record of its
-- own under "<code> <order>", because there may be many. What is left of a coupon that ended is what was not spent of it.
local STATE_WORDS = { c = 'claimed', r = 'reserved', u = 'redeemed', x = 'expired', v = 'revoked' }
local PLACES = { c = 'outstanding', r = 'reserved', u = 'redeemed', x = 'expired', v = 'revoked' }
-- Units by where they are, as the stocktake reads them. What is outstanding follows from claimed and these.
local COUNTED = { reserved = 'reserved', redeemed = 'redeemed', expired = 'expired', revoked = 'revoked', stock = 'returned' }

local function life_begin(keys, server)
  local epoch, ready_for, version, frozen, kind, transferable, unit_minor, budget, expiry_returns, revoke_returns =
    unpack(redis.call('HMGET', keys.rules, 'epoch', 'server', 'version', 'frozen', 'kind', 'transferable', 'unit_minor',
      'budget_minor', 'expiry_returns', 'revoke_returns'))
  local stock, counters = redis.call('GET', keys.stock), overlay(keys.counters)
  overlay_fetch(counters, { 'seq', 'budget_used', 'reserved', 'redeemed', 'expired', 'revoked', 'returned' })
  return {
    keys = keys, now_ms = clock_ms(), epoch = epoch, version = version, frozen = frozen, kind = kind,
    ready = epoch and stock and ready_for == server, transferable = transferable == '1', unit = whole(unit_minor),
    budgeted = budget and budget ~= '', returns = { x = expiry_returns or '', v = revoke_returns or '' },
    seq = whole(counters.now.seq), first_seq = whole(counters.now.seq) + 1, steps = {}, open = {}, moved = {}, budget = 0,
    coupons = overlay(keys.coupons), uses = overlay(keys.uses), holds = overlay(keys.holds, true),
    holders = overlay(keys.holders), counters = counters,
  }
end

-- One step: it gets the next seq, and goes on the stream. Units that go to stock are there at once.
local function life_step(life, verb, coupon, ref, minor, source, destination, units, until_ms, detail)
  life.seq = life.seq + 1
  if source == destination or units == 0 then source, destination, units = '', '', 0 end
  local from, to = life.moved[source] or 0, life.moved[destination] or 0
  if units > 0 then life.moved[source], life.moved[destination] = from - units, to + units end
  for _, member in ipairs({ verb, coupon.code, coupon.holder, ref, minor, STATE_WORDS[coupon.state], source, destination,
    text(units), text(coupon.left), until_ms, detail }) do
    life.steps[#life.steps + 1] = member
  end
  return life.seq
end

local function life_save(life, coupon)
  local rest = struct.pack('>I6I6', coupon.claimed_ms, coupon.expires_ms)
  overlay_put(life.coupons, coupon.code, coupon_pack(coupon.state, coupon.seq, rest, coupon.holder))
  local plain = not coupon.held and coupon.until_ms == 0 and coupon.left == (coupon.state == 'u' and 0 or coupon.of)
  overlay_put(life.uses, coupon.code, not plain and cmsgpack.pack({ coupon.left, coupon.of, coupon.order, coupon.by,
    coupon.until_ms, coupon.held }))
end

local function life_release(life, coupon, detail)
  local order = coupon.order
  coupon.state, coupon.order, coupon.by, coupon.until_ms = 'c', '', '', 0
  overlay_put(life.holds, coupon.code, false)
  local seq = life_step(life, 'released', coupon, order, '', 'reserved', 'outstanding', 1, '', detail)
  life_save(life, coupon)
  return seq
end

local LAPSED, LAPSE_MAX = '{"reason":"lapsed"}', 512

-- Where the units of a coupon go that ends, as expired (x) or revoked (v).
local function life_end_place(life, state)
  return string.find(life.returns[state], 'stock', 1, true) and 'stock' or PLACES[state]
end

-- Let the hold of one order on a code that many may use go; where the code has ended, the use ends with it.
local function life_release_use(life, coupon, order, detail)
  local place = 'outstanding'
  overlay_put(life.uses, coupon.code .. ' ' .. order, false)
  overlay_put(life.holds, coupon.code .. ' ' .. order, false)
  coupon.held = coupon.held - 1
  if coupon.state == 'c' then coupon.left = coupon.left + 1
  else place, life.budget = life_end_place(life, coupon.state), life.budget - life.unit end
  life_step(life, 'released', coupon, order, '', 'reserved', place, 1, '', detail)
  life_save(life, coupon)
end

-- The hold of one order on a code that many may use; nil for none. One that has lapsed is freed on the way.
local function life_use(life, coupon, order)
  local record = overlay_get(life.uses, coupon.code .. ' ' .. order)
  if not record then return nil end
  local by, until_ms = unpack(cmsgpack.unpack(record))
  if until_ms <= life.now_ms then return life_release_use(life, coupon, order, LAPSED) end
  return { by = by, until_ms = until_ms }
end

-- The coupon as it is at this instant, nil for none. A hold whose time is over is released on the way.
local function life_coupon(life, code)
  local coupon = life.open[code]
  local record = not coupon and overlay_get(life.coupons, code)
  if record then
    local state, seq, claimed_ms, expires_ms, holder = coupon_unpack(record)
    local uses = overlay_get(life.uses, code)
    local of = life.kind == 'balance' and life.unit or 1
    coupon = { code = code, state = state, seq = seq, claimed_ms = claimed_ms, expires_ms = expires_ms, holder = holder,
      left = state == 'u' and 0 or of, of = of, order = '', by = '', until_ms = 0 }
    if uses then
      coupon.left, coupon.of, coupon.order, coupon.by, coupon.until_ms, coupon.held = unpack(cmsgpack.unpack(uses))
    end
    life.open[code] = coupon
  end
  if coupon and coupon.state == 'r' and coupon.until_ms <= life.now_ms then life_release(life, coupon, LAPSED) end
  return coupon
end

-- Free holds whose time is over, at most *limit*; coupons and codes many may use alike.
local function life_lapse(life, limit)
  local members = redis.call('ZRANGEBYSCORE', life.keys.holds, '-inf', text(life.now_ms), 'LIMIT', 0, limit)
  for _, member in ipairs(members) do
    local code, order = string.match(member, '^(%S+) (.+)$')
    local coupon = life_coupon(life, code or member)
    if order and coupon then life_use(life, coupon, order) end
  end
  return #members
end

-- Whether a code that many may use has a use left. Where all are taken, overdue holds are freed first, once a call.
local function life_room(life, coupon)
  if coupon.left == 0 and not life.lapsed then
    life.lapsed = true
    life_lapse(life, LAPSE_MAX)
  end
  return coupon.left > 0
end

-- The state a step is judged by: a coupon past its time is expired, whether or not that is booked yet.
local function life_state(life, coupon)
  if (coupon.state == 'c' or coupon.state == 'r') and coupon.expires_ms <= life.now_ms then return 'x' end
  return coupon.state
end

-- Whether *holder* ('' for a store) may do something with the coupon.
local function life_may(life, coupon, holder)
  return holder == '' or coupon.holder == '' or coupon.holder == holder or life.transferable
end

-- Write everything, or nothing: *others* are the overlays a verb has besides.
local function life_commit(life, ...)
  if #life.steps == 0 then return end
  overlay_put(life.counters, 'seq', text(life.seq))
  if life.budget ~= 0 and life.budgeted then
    overlay_put(life.counters, 'budget_used', text(whole(life.counters.now.budget_used) + life.budget))
  end
  for place, counter in pairs(COUNTED) do
    local units = life.moved[place] or 0
    if units ~= 0 then overlay_put(life.counters, counter, text(whole(life.counters.now[counter]) + units)) end
  end
  local writes, owners, stock = {}, {}, life.moved.stock or 0
  for _, over in ipairs({ life.coupons, life.uses, life.holds, life.holders, life.counters, ... }) do
    for _, command in ipairs(overlay_commands(over, 'now')) do
      writes[#writes + 1], owners[#writes + 1] = command, over
    end
  end
  if stock ~= 0 then writes[#writes + 1] = { 'INCRBY', life.keys.stock, text(stock) } end
  local body = cmsgpack.pack({ 'changed', ENTRY_LAYOUT, tonumber(life.epoch), tonumber(life.version), life.now_ms,
    life.first_seq, life.steps })
  writes[#writes + 1] = entry_write(life.keys.entries, life.first_seq, life.seq - life.first_seq + 1, body)
  commit(writes, function(i)
    if owners[i] then return overlay_commands(owners[i], 'before') end
    return { { 'DECRBY', life.keys.stock, text(stock) } }
  end)
end
