-- uses lines
-- Keeps a new job that has nothing but a place: no keys, no expiry, no options, no tick.
-- Does what enqueue.lua does for such a job, by as few calls as may be: each costs as much as it does.
-- Request: caller, number of its call, nonce, queue, task, priority, delay, payload.
-- Answers the job's key.
local CALLS = 600
local caller, number, nonce, queue, task, priority, delay, payload = unpack(asked)
caller, number = at .. 'call:' .. caller, text(number)

local first = call('INCRBY', at .. 'keys', 1)
local key = text(first)
local last = call('SET', caller, number .. ' ' .. key, 'EX', CALLS, 'GET')
local done, made = string.match(last or '', '^(%d+) (%d+)$')
if done == number then -- the same call again: the first answer stands
  call('SET', caller, last, 'EX', CALLS)
  notify('ready')
  return reply(tonumber(made))
end

local lane, place = lane_of(queue, task), place_of(priority, now + delay, first)
keep_lane(queue, task, lane)
call('HSET', hash_of(key), 'id', key .. '-' .. nonce, 'lane', lane, 'state', 'pending',
  'place', place, 'created_at', text(now), 'payload', payload)
call('ZADD', at .. 'jobs', key, key)
line_up({key = key, lane = lane, place = place}, delay > 0)
return reply(first)
