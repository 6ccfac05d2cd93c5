-- uses job
-- Drops final jobs by age. Request: {line, age} of each line to look at, queue or false, task or
-- false, limit; of a purge of all also the age at which names of nodes go, and then so do those
-- whose own keeping time is over. Answers how many.
local MOST_NODES = 500
local lines, queue, task, limit = asked[1], asked[2], asked[3], asked[4]
local dropped = 0

local function drop_until(set, till)
  local old = call('ZRANGE', set, '-inf', text(till), 'BYSCORE', 'LIMIT', 0, limit - dropped)
  for _, key in ipairs(old) do
    local job = job_of(key)
    call('ZREM', set, key)
    if job and FINAL[job.state] then drop(job) end
  end
  dropped = dropped + #old
end

-- A node's name is kept as long as any job that it has run.
local function forget_nodes(till)
  local ended = call('ZRANGE', at .. 'ended_nodes', '-inf', text(till), 'BYSCORE', 'LIMIT', 0,
    MOST_NODES)
  if #ended == 0 then return end
  call('HDEL', at .. 'node_names', unpack(ended))
  call('ZREM', at .. 'ended_nodes', unpack(ended))
end

local lanes = call('SMEMBERS', at .. 'lanes')
for _, lane in ipairs(lanes) do
  local of_queue, of_task = names_of(lane)
  if (not queue or queue == of_queue) and (not task or task == of_task) then
    for _, line in ipairs(lines) do
      if dropped < limit then drop_until(line_of(line[1], lane), now - line[2]) end
    end
  end
end
if asked[5] then
  if dropped < limit then drop_until(at .. 'keeping', now) end
  forget_nodes(now - asked[5])
end
return reply(dropped)
