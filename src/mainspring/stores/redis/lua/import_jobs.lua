-- uses job
-- Keeps jobs of another store under their keys, of which none runs. Request: for each {key, id,
-- queue, task, state, priority, run_at, whether it is delayed, fields of the hash and their values
-- in turn, unique or false, expires_at or false, ended_at or false, keep_until or false, past
-- attempts, lines of the log, tags}; names of nodes. Answers for each 'kept', 'there', 'key taken'
-- or 'unique taken'. A name of a node is kept for its histories, as that of no node there is.
local arrivals = {}
local OTHERS = 'copied:'

local function arrival_of(new)
  local known = job_of(text(new[1]))
  if known then return id_in(known.id, known.key) == new[2] and 'there' or 'key taken' end
  local bearer = not FINAL[new[5]] and new[10] and call('HGET', at .. 'unique', new[10])
  local job = bearer and find(bearer)
  if job and not FINAL[job.state] then return 'unique taken' end
  return 'kept'
end

local function keep_lane(queue, task, lane)
  if call('SADD', at .. 'lanes', lane) == 1 then call('SADD', at .. 'queues:' .. task, queue) end
end

local function push_all(list, entries)
  for _, entry in ipairs(entries) do call('RPUSH', list, cmsgpack.pack(entry)) end
end

-- Puts a job into its line, and wakes nobody: workers are stopped.
local function put(job, new)
  if FINAL[new[5]] then
    local line = new[13] and 'kept' or new[5]
    if new[13] then call('ZADD', at .. 'keeping', text(new[13]), job.key) end
    call('ZADD', line_of(line, job.lane), text(new[12]), job.key)
    return
  end
  local line, score = line_of('ready', job.lane), 0
  if new[8] then line, score = line_of('later', job.lane), run_at_of(job.place) end
  call('ZADD', line, score, job.place)
  if new[11] then call('ZADD', at .. 'expiring', text(new[11]), job.key) end
  if new[10] then call('HSET', at .. 'unique', new[10], new[2]) end
end

local function import(new)
  local key = text(new[1])
  local lane = lane_of(new[3], new[4])
  local job = {key = key, lane = lane, place = place_of(new[6], new[7], key)}
  keep_lane(new[3], new[4], lane)
  call('HSET', hash_of(key), 'id', new[2], 'lane', lane, 'state', new[5], 'place', job.place,
    unpack(new[9]))
  call('ZADD', at .. 'jobs', key, key)
  put(job, new)
  push_all(at .. 'past:' .. key, new[14])
  push_all(at .. 'log:' .. key, new[15])
  for _, tag in ipairs(new[16]) do call('ZADD', at .. 'tag:' .. tag, key, key) end
end

for i, new in ipairs(asked[1]) do
  arrivals[i] = arrival_of(new)
  if arrivals[i] == 'kept' then import(new) end
end
for _, name in ipairs(asked[2]) do
  call('HSET', at .. 'node_names', OTHERS .. name, name)
  call('ZADD', at .. 'ended_nodes', text(now), OTHERS .. name)
end
return reply(arrivals)
