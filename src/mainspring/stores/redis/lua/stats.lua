-- uses job
-- Numbers of jobs of each lane: {queue, task, pending, running, completed, failed, cancelled,
-- scheduled, age of the oldest that is ready or -1}; scheduled are pending, too.
local MOST_PRIORITIES = 32

-- Within a priority a line is in the order of time: the first of each is looked at.
local function age_of_oldest(lane)
  local line, from, oldest = line_of('ready', lane), '-', nil
  for _ = 1, MOST_PRIORITIES do
    local place = redis.pcall('ZRANGE', line, from, '+', 'BYLEX', 'LIMIT', 0, 1)[1]
    if not place then break end
    local priority, run_at = tonumber(string.sub(place, 1, 10)), tonumber(run_at_of(place))
    if priority and run_at then
      oldest = math.min(oldest or now, run_at)
      from = '[' .. string.format('%010.0f', priority + 1)
    else
      from = '(' .. place -- somebody else has put it there
    end
  end
  local due = tonumber(redis.pcall('ZRANGE', line_of('later', lane), 0, 0, 'WITHSCORES')[2])
  if due and due <= now then oldest = math.min(oldest or now, due) end
  return oldest and now - oldest or -1
end

local lanes = {}
for i, lane in ipairs(call('SMEMBERS', at .. 'lanes')) do
  local function count(...)
    local jobs = 0
    for _, line in ipairs({...}) do jobs = jobs + card(line_of(line, lane)) end
    return jobs
  end
  local queue, task = names_of(lane)
  lanes[i] = {queue, task, count('ready', 'later'), count('running'), count('completed', 'kept'),
    count('failed'), count('cancelled'),
    call('ZCOUNT', line_of('later', lane), '(' .. text(now), '+inf'), age_of_oldest(lane)}
end
return reply(lanes)
