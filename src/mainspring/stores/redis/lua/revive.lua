-- uses outcome
-- Lets final jobs run again. Request: ids asked for, believed, ids to revive, payload or false.
-- Believed of each id asked for: {state, hash of its unique key or false, id of the live job that
-- bears it or ''}. A hash, since a key of somebody else may be no text.
-- Answers true; or what to believe instead.
local ids, believed, payload = asked[1], asked[2], asked[4]

local function fact_of(id)
  local job = find(id)
  if not job then return {'', false, ''} end
  local bearer = job.unique and call('HGET', at .. 'unique', job.unique)
  bearer = bearer and string.match(bearer, '^%d+%-%x+$')
  return {job.state, job.unique and redis.sha1hex(job.unique) or false, bearer or ''}
end

local facts, same = {}, true
for i, id in ipairs(ids) do
  facts[i] = fact_of(id)
  local other = believed[i] or {}
  same = same and facts[i][1] == other[1] and facts[i][2] == other[2] and facts[i][3] == other[3]
end
if not same then return reply(facts) end

-- The last attempt is of the past from now on.
local function note_last_attempt(job)
  local row = call('HMGET', hash_of(job.key), 'began_at', 'ended_at', 'failure')
  if job.node then
    push(at .. 'past:' .. job.key, cmsgpack.pack(
      {job.fence or '0', job.node, row[1] or row[2] or '', row[2] or '', job.state, row[3] or ''}))
    return row[3] or ''
  end
  local entries = entries_in(at .. 'past:' .. job.key, 6)
  return #entries > 0 and entries[#entries][6] or ''
end

local function revive(job)
  local hash, failure = hash_of(job.key), note_last_attempt(job)
  call('ZREM', line_of(job.state, job.lane), job.key)
  call('HDEL', hash, 'node', 'claimed_at', 'began_at', 'ended_at', 'attempts', 'crashes',
    'expires_at', 'failure')
  job.place, job.expires_at = place_of(priority_of(place_in(job)), now, job.key), nil
  call('HSET', hash, 'state', 'pending', 'place', job.place)
  if failure ~= '' then call('HSET', hash, 'failure', failure) end
  if payload then call('HSET', hash, 'payload', payload) end
  if job.unique then call('HSET', at .. 'unique', job.unique, job.id) end
  line_up(job, false)
end

for _, id in ipairs(asked[3]) do revive(find(id)) end
notify('ready')
return reply(true)
