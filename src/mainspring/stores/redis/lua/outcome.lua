-- uses job
-- Outcomes: {key, fence, age of the beginning (-1: it never began), age of the end, result}; and but
-- for those that have just completed {final state or '', word of the history, charged, crashed,
-- delay (-1: the job keeps its place), failure, time for which it is kept (-1: as long as others)}.
-- Keys are texts, ages and times microseconds.

local function whole(outcome)
  if outcome[6] then return outcome end
  local key, fence, began, ended, result = unpack(outcome)
  return {key, fence, began, ended, result, 'completed', 'completed', 1, 0, -1, '', -1}
end

-- The word on record for an earlier claim.
local function recorded(key, node, fence)
  local job = job_of(key)
  if not job then return '' end
  if FINAL[job.state] and job.node == node and job.fence == fence then return job.state end
  for _, past in ipairs(entries_in(at .. 'past:' .. key, 6)) do
    if past[1] == fence and past[2] == node then return past[5] end
  end
  return ''
end

local function forget_last_attempt(job)
  call('HDEL', hash_of(job.key), 'began_at', 'cancelling', 'failure')
end

-- Takes a running job from its node.
local function take_from_node(job)
  write('ZREM', line_of('running', job.lane), job.key)
  write('HDEL', at .. 'held:' .. job.node, job.key)
  if job.cancelling then call('SREM', at .. 'cancelling:' .. job.node, job.key) end
  if job.fence ~= '1' or job.cancelling then forget_last_attempt(job) end
end

local function end_attempt(job, outcome, state, failure, began_at, ended_at)
  local hash, result, keep = hash_of(job.key), outcome[5], outcome[12] >= 0 and outcome[12]
  call('HSET', hash, 'state', state, 'began_at', began_at, 'ended_at', text(ended_at),
    'attempts', text(job.attempts or 0), unpack(result ~= '' and {'result', result} or {}))
  if failure ~= '' then call('HSET', hash, 'failure', failure) end
  if job.crashes then call('HSET', hash, 'crashes', text(job.crashes)) end
  if keep then call('HSET', hash, 'keep_until', text(ended_at + keep)) end
  finish(job, state, ended_at, keep)
end

local function wait_again(job, outcome, failure, began_at, ended_at)
  local hash, delay = hash_of(job.key), outcome[10]
  push(at .. 'past:' .. job.key,
    cmsgpack.pack({job.fence, job.node, began_at, text(ended_at), outcome[7], failure}))
  job.place = place_in(job)
  if delay >= 0 then job.place = place_of(priority_of(job.place), now + delay, job.key) end
  call('HSET', hash, 'state', 'pending', 'place', job.place, 'attempts', text(job.attempts or 0),
    'crashes', text(job.crashes or 0))
  call('HDEL', hash, 'node', 'claimed_at')
  if failure ~= '' then call('HSET', hash, 'failure', failure) end
  line_up(job, delay > 0)
end

-- Records an outcome of the claim that is the job's last; answers the state that follows.
-- A job that was asked to be cancelled never waits again.
local function settle(job, outcome)
  local state, failure = outcome[6], outcome[11]
  local began_at = outcome[3] >= 0 and text(now - outcome[3]) or job.claimed_at
  local ended_at = now - outcome[4]
  take_from_node(job)
  if outcome[8] > 0 then job.attempts = (job.attempts or 0) + 1 end
  if outcome[9] > 0 then job.crashes = (job.crashes or 0) + 1 end
  if state == '' and job.cancelling then state, failure = 'cancelled', CANCELLED end
  if state == '' then
    wait_again(job, outcome, failure, began_at, ended_at)
    return 'pending'
  end
  end_attempt(job, outcome, state, failure, began_at, ended_at)
  return state
end

-- Records an outcome of any job; true, or the word on record if the node does not hold it.
local function settled(node, key, outcome)
  local job, fence = job_of(key), text(outcome[2])
  if job and job.state == 'running' and job.node == node and job.fence == fence then
    settle(job, whole(outcome))
    return true
  end
  return recorded(key, node, fence)
end

-- Claims of a node as it holds them, by key: the fence, and behind that the lane of a job of which
-- no more need be known to end it: see `take` in claim.lua.
local function held_by(node, outcomes)
  local held = {}
  for first = 1, #outcomes, 1000 do
    local keys = {}
    for i = first, math.min(first + 999, #outcomes) do keys[#keys + 1] = outcomes[i][1] end
    for i, claim in ipairs(call('HMGET', at .. 'held:' .. node, unpack(keys))) do
      held[keys[i]] = claim
    end
  end
  return held
end

-- Ends such a job that has just completed, by one write; false if it is no such job, or none any more.
local function complete(node, outcome, claim)
  local key, fence, began, ended, result, state = unpack(outcome)
  if state or fence ~= 1 or not claim or string.sub(claim, 1, 2) ~= '1 ' then return false end
  local hash, ended_at, lane = hash_of(key), text(now - ended), string.sub(claim, 3)
  local began_at = began >= 0 and text(now - began)
    or time_in(call('HGET', hash, 'claimed_at'), now_text)
  local added = call('HSET', hash, 'state', 'completed', 'began_at', began_at, 'ended_at', ended_at,
    'attempts', '1', 'result', result)
  if added == 5 then
    call('DEL', hash) -- somebody else had dropped it
    return false
  end
  write('ZREM', line_of('running', lane), key)
  write('HDEL', at .. 'held:' .. node, key)
  write('ZADD', line_of('completed', lane), ended_at, key)
  notify('ended', key)
  return true
end

-- Ends a node; what it held goes back uncharged, where no outcome is given. Answers the keys.
local function end_node(node, outcomes)
  local by_key, keys = {}, {pending = {}, failed = {}, cancelled = {}}
  for _, outcome in ipairs(outcomes) do by_key[outcome[1]] = outcome end
  for _, key in ipairs(call('HKEYS', at .. 'held:' .. node)) do
    local job = job_of(key)
    if job and job.state == 'running' and job.node == node then
      local state = settle(job, by_key[key] or RELEASED)
      if keys[state] then table.insert(keys[state], tonumber(key)) end
    end
  end
  call('SREM', at .. 'nodes', node)
  call('ZADD', at .. 'ended_nodes', text(now), node)
  call('DEL', at .. 'node:' .. node, at .. 'held:' .. node, at .. 'cancelling:' .. node)
  return keys
end
