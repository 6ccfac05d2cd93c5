-- uses job
-- Numbers of jobs: {queue, task, pending, running, completed, failed, cancelled} of each lane.
local lanes = {}
for i, lane in ipairs(call('SMEMBERS', at .. 'lanes')) do
  local function count(...)
    local jobs = 0
    for _, line in ipairs({...}) do jobs = jobs + card(line_of(line, lane)) end
    return jobs
  end
  local queue, task = names_of(lane)
  lanes[i] = {queue, task, count('ready', 'later'), count('running'), count('completed', 'kept'),
    count('failed'), count('cancelled')}
end
return reply(lanes)
