-- ending: how the life of a coupon ends before it was spent, and what goes back to others then.
-- The holder may claim once more: his record of the coupon stays, for a replay, and no longer counts.
local function life_free_slot(life, coupon)
  local held = coupon.holder ~= '' and overlay_get(life.holders, coupon.holder)
  if held then overlay_put(life.holders, coupon.holder, held_free(held, coupon.code)) end
end

-- End the life of a coupon that is out, as expired (x) or revoked (v): its units go there, or by policy to stock.
-- A balance that was spent from gives nothing back by policy: it would be given out whole again.
local function life_end(life, coupon, state, detail)
  local intact = coupon.held or coupon.left == coupon.of
  local place, units = intact and life_end_place(life, state) or PLACES[state], coupon.held and coupon.left or 1
  coupon.state = state
  life.budget = life.budget - (life.kind == 'balance' and not coupon.held and coupon.left or life.unit * units)
  if intact and string.find(life.returns[state], 'slot', 1, true) then life_free_slot(life, coupon) end
  local seq = life_step(life, STATE_WORDS[state], coupon, '', '', 'outstanding', place, units, '', detail)
  life_save(life, coupon)
  return seq
end
