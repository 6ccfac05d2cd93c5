-- uses job
-- Moves pending jobs. Request: ids, delay or false, priority or false.
-- Answers for each whether it waited.
local ids, delay, priority = asked[1], asked[2], asked[3]

-- Whether the job still waits for its time after this, and where.
local function place_anew(job)
  local run_at = tonumber(run_at_of(job.place))
  local delayed = call('ZSCORE', line_of('later', job.lane), job.place) ~= false
  if delay then
    delayed = delay > 0
    run_at = delayed and now + delay or math.min(run_at, now)
  end
  return delayed, place_of(priority or priority_of(job.place), run_at, job.key)
end

local function move(job)
  local delayed, place = place_anew(job)
  step_out(job)
  job.place = place
  call('HSET', hash_of(job.key), 'place', place)
  line_up(job, delayed)
end

local waited = {}
for i, id in ipairs(ids) do
  local job = find(id)
  waited[i] = job ~= nil and job.state == 'pending'
  if waited[i] then
    move(job)
    flush() -- an id may be given twice
    notify('ready')
  end
end
return reply(waited)
