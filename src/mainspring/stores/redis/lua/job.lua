-- uses lines
-- Jobs. Each is a hash, and a member of `jobs` and of one line of its lane (a task in a queue):
-- ready or later (members are places), running, completed, kept, failed or cancelled (keys).
local FINAL = {completed = true, failed = true, cancelled = true}

local function names_of(lane) -- queue and task
  local length, rest = string.match(lane, '^(%d%d?%d?%d?%d?%d?):(.*)$')
  if not length then return '', lane end
  return string.sub(rest, 1, length), string.sub(rest, length + 2)
end

local function priority_of(place) return string.sub(place, 1, 10) - 2147483648 end
-- The key in a place; of what is none something that no job has.
local function key_of(place) return string.match(place, '^0*(%d+)$', 28) or '' end

-- Somebody else may have written into a hash. What we could not count with, or look for, becomes
-- what is at least possible. Claims and ends of jobs come this way: it must cost next to nothing.
local function count_in(field, default)
  local count = field and tonumber(field)
  if count and count >= 0 and count < 1e15 then return field end
  return default
end

local function time_in(field, default)
  local time = field and tonumber(field)
  if time and time > -1e17 and time < 1e17 then return field end
  return default
end

local function id_in(field, key)
  if string.find(field, '^%d+%-%x+$') and #field == #key + 9 then return field end
  return key .. '-00000000'
end

local LIVE = {pending = true, running = true}

local function state_in(field, hash)
  if LIVE[field] or FINAL[field] then return field end
  return call('HEXISTS', hash, 'ended_at') == 1 and 'failed' or 'pending'
end

-- What decides about a job, or nil if there is none.
local function job_of(key)
  local hash = hash_of(key)
  local row = redis.pcall('HMGET', hash, 'id', 'lane', 'state', 'place', 'fence', 'node',
    'claimed_at', 'attempts', 'crashes', 'unique', 'expires_at', 'cancelling')
  if not row[1] then return nil end
  local job = {key = key, id = row[1], lane = row[2] or '0::', state = row[3], place = row[4] or '',
    fence = count_in(row[5]), node = row[6], claimed_at = row[7] and time_in(row[7]),
    attempts = row[8] and count_in(row[8]), crashes = row[9] and count_in(row[9]),
    unique = row[10], expires_at = row[11] and time_in(row[11]), cancelling = row[12]}
  if job.state ~= 'running' then
    job.id, job.state = id_in(job.id, key), state_in(job.state, hash)
  else
    job.node, job.fence = job.node or '0', job.fence or '0'
    job.claimed_at = job.claimed_at or text(now)
  end
  return job
end

local function place_in(job)
  local sound = #job.place == 43 and not string.find(job.place, '%D')
  return sound and key_of(job.place) == job.key and job.place or place_of(0, 0, job.key)
end

-- Adds to a list, which begins anew if something else is in its place.
local function push(list, entry)
  local length = redis.pcall('RPUSH', list, entry)
  if type(length) ~= 'number' then
    call('DEL', list)
    call('RPUSH', list, entry)
  end
end

-- Entries of a list that are lists of so many texts.
local function entries_in(list, length)
  local entries, packed = {}, redis.pcall('LRANGE', list, 0, -1)
  for _, one in ipairs(packed) do
    local sound, entry = pcall(cmsgpack.unpack, one)
    sound = sound and type(entry) == 'table'
    for i = 1, length do sound = sound and type(entry[i]) == 'string' end
    if sound then entries[#entries + 1] = entry end
  end
  return entries
end

-- The same by the public id.
local function find(id)
  local key = string.match(id, '^(%d+)-')
  local job = key and job_of(key)
  return job and id_in(job.id, key) == id and job or nil
end

-- Members of a line; none where something else is in its place.
local function card(line)
  local members = redis.pcall('ZCARD', line)
  return type(members) == 'number' and members or 0
end

local function step_out(job)
  call('ZREM', line_of('ready', job.lane), job.place)
  call('ZREM', line_of('later', job.lane), job.place)
  if job.expires_at then call('ZREM', at .. 'expiring', job.key) end
end

-- Ends a job that is in no line.
local function finish(job, state, ended_at, keep)
  local line = state
  if keep then
    line = 'kept'
    write('ZADD', at .. 'keeping', text(ended_at + keep), job.key)
  end
  write('ZADD', line_of(line, job.lane), text(ended_at), job.key)
  if job.unique then call('HDEL', at .. 'unique', job.unique) end
  notify('ended', job.key)
end

-- Cancels a pending job.
local function end_waiting(job, failure)
  step_out(job)
  call('HSET', hash_of(job.key), 'state', 'cancelled', 'ended_at', text(now), 'failure', failure)
  finish(job, 'cancelled', now)
end

-- Tags in a job's options, which are JSON, or false.
local function tags_in(options)
  local sound, read = pcall(cjson.decode, options or '{}')
  local tags = sound and type(read) == 'table' and read.tags
  local texts = {}
  for _, tag in ipairs(type(tags) == 'table' and tags or {}) do
    if type(tag) == 'string' then texts[#texts + 1] = tag end
  end
  return texts
end

local function untag(key)
  for _, tag in ipairs(tags_in(call('HGET', hash_of(key), 'options'))) do
    call('ZREM', at .. 'tag:' .. tag, key)
  end
end

-- Drops a final job with all that is known of it.
local function drop(job)
  for _, line in ipairs({'completed', 'kept', 'failed', 'cancelled'}) do
    call('ZREM', line_of(line, job.lane), job.key)
  end
  untag(job.key)
  call('ZREM', at .. 'jobs', job.key)
  call('ZREM', at .. 'keeping', job.key)
  call('UNLINK', hash_of(job.key), at .. 'past:' .. job.key, at .. 'log:' .. job.key)
end
