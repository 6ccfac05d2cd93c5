-- uses job
-- Keeps new jobs. Request: call, believed, tick, jobs, replaced, remembered.
--   call        {caller, number}: the last call of each caller is answered again as it was
--   believed    {unique keys, '<id> <state>' of who bears each, idempotency keys, id of each}
--   tick        {schedule, its text as believed, its new text}, or false
--   jobs        {nonce, queue, task, priority, delay, payload, unique or false, expires or -1,
--              options or false}
--   replaced    {unique key, priority, delay, payload, expires or -1, options or false}
--   remembered  {idempotency key, id, or the place among the new jobs}
-- Answers the key of the first job; or what to believe instead; or false: the tick was made.
local CALLS, DAY = 600, 86400
local caller, believed, tick = at .. 'call:' .. asked[1][1], asked[2], asked[3]
local jobs, replaced, remembered = asked[4], asked[5], asked[6]

local function bearer_of(unique)
  local id = call('HGET', at .. 'unique', unique)
  local job = id and find(id)
  return job and id .. ' ' .. job.state or ''
end

local function answer_of(name)
  local answer = call('GET', at .. 'answer:' .. name)
  local till, id = string.match(answer or '', '^(%d+) (%d+%-%x+)$')
  return till and tonumber(time_in(till, 0)) > now and id or ''
end

local function is_as_believed()
  local bearers, answers, same = {}, {}, true
  for i, unique in ipairs(believed[1]) do
    bearers[i] = bearer_of(unique)
    same = same and bearers[i] == believed[2][i]
  end
  for i, name in ipairs(believed[3]) do
    answers[i] = answer_of(name)
    same = same and answers[i] == believed[4][i]
  end
  return same, {bearers, answers}
end

local function expires_at(age) return age >= 0 and text(now + age) or nil end

local function keep_options(key, options)
  call('HSET', hash_of(key), 'options', options)
  for _, tag in ipairs(tags_in(options)) do call('ZADD', at .. 'tag:' .. tag, key, key) end
end

local lanes, created_at = {}, text(now)
local function insert(key, id, new)
  local lane = lane_of(new[2], new[3])
  if not lanes[lane] then keep_lane(new[2], new[3], lane) end
  lanes[lane] = true
  local job = {key = key, lane = lane, place = place_of(new[4], now + new[5], key),
    expires_at = expires_at(new[8])}
  local hash = hash_of(key)
  call('HSET', hash, 'id', id, 'lane', lane, 'state', 'pending', 'place', job.place,
    'created_at', created_at, 'payload', new[6])
  if job.expires_at then call('HSET', hash, 'expires_at', job.expires_at) end
  if new[9] then keep_options(key, new[9]) end
  if new[7] then
    call('HSET', hash, 'unique', new[7])
    call('HSET', at .. 'unique', new[7], id)
  end
  write('ZADD', at .. 'jobs', key, key)
  line_up(job, new[5] > 0)
end

local function replace(new)
  local job = find(call('HGET', at .. 'unique', new[1]))
  step_out(job)
  job.place, job.expires_at = place_of(new[2], now + new[3], job.key), expires_at(new[5])
  call('HSET', hash_of(job.key), 'place', job.place, 'payload', new[4])
  if job.expires_at then
    call('HSET', hash_of(job.key), 'expires_at', job.expires_at)
  else
    call('HDEL', hash_of(job.key), 'expires_at')
  end
  untag(job.key)
  call('HDEL', hash_of(job.key), 'options')
  if new[6] then keep_options(job.key, new[6]) end
  line_up(job, new[3] > 0)
end

local number, first = string.match(call('GET', caller) or '', '^(%d+) (%d+)$')
if number == text(asked[1][2]) then
  notify('ready')
  return reply(tonumber(first))
end
local same, actual = is_as_believed()
if not same then return reply(actual) end
if tick and call('HGET', at .. 'schedules', tick[1]) ~= tick[2] then return reply(false) end

first = call('INCRBY', at .. 'keys', #jobs) - #jobs + 1
call('SET', caller, text(asked[1][2]) .. ' ' .. text(first), 'EX', CALLS)
local ids = {}
for i, new in ipairs(jobs) do
  local key = text(first + i - 1)
  ids[i] = key .. '-' .. new[1]
  insert(key, ids[i], new)
end
for _, new in ipairs(replaced) do replace(new) end
for _, memory in ipairs(remembered) do
  local id = type(memory[2]) == 'number' and ids[memory[2]] or memory[2]
  call('SET', at .. 'answer:' .. memory[1], text(now + DAY * 1000000) .. ' ' .. id, 'EX', DAY)
end
if tick then call('HSET', at .. 'schedules', tick[1], tick[3]) end
return reply(first)
