-- uses outcome claim
-- Records a node's outcomes and claims work for it. Request: node, outcomes, wants.
-- Answers {for each outcome true, or the word on record, lapsed, next due or -1, claims, now}.
local LONGEST_WAIT = 86400000000
local node, outcomes, wants = text(asked[1]), asked[2], asked[3]
local lease_until = call('HGET', at .. 'node:' .. node, 'lease_until')
if not lease_until then return reply(false) end

local accepted = {}
if #outcomes > 0 or #wants > 0 then write_though_full() end
local held = held_by(node, outcomes)
local none_cancelled = call('EXISTS', at .. 'cancelling:' .. node) == 0
for i, outcome in ipairs(outcomes) do
  local key = outcome[1]
  local ended = none_cancelled and complete(node, outcome, held[key])
  held[key] = nil -- there may be a second outcome
  accepted[i] = ended or settled(node, key, outcome)
end
flush()
if tonumber(time_in(lease_until, 0)) <= now then return reply({accepted, true, -1, {}, now})
end

local function soon(due) return math.min(math.max(due - now, 0), LONGEST_WAIT) end

local next_due, claims, lanes, is_paused = nil, {}, {}, {}
if #wants > 0 then is_paused = paused() end
for i, want in ipairs(wants) do
  lanes[i] = lanes_of(want, is_paused)
  for _, lane in ipairs(lanes[i]) do
    local due = promote(lane)
    if due and (not next_due or due < next_due) then next_due = due end
  end
end
for i, want in ipairs(wants) do claim(node, want, lanes[i], claims) end
return reply({accepted, false, next_due and soon(next_due) or -1, claims, now})
