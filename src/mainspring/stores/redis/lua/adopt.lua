-- uses job
-- Gives running jobs that no live node holds to a node of their own, whose lease has run out.
-- Request: name of that node, most jobs. Answers the node; false: there are none.
local orphans = {}

local function is_orphan(key)
  local node = job_of(key).node
  return call('SISMEMBER', at .. 'nodes', node) == 0
    or call('HEXISTS', at .. 'held:' .. node, key) == 0
end

for _, lane in ipairs(call('SMEMBERS', at .. 'lanes')) do
  for _, key in ipairs(redis.pcall('ZRANGE', line_of('running', lane), 0, -1)) do
    local job = job_of(key)
    if not job or job.state ~= 'running' then
      call('ZREM', line_of('running', lane), key) -- somebody else has put it there
    elseif #orphans < asked[2] and is_orphan(key) then orphans[#orphans + 1] = key end
  end
end
if #orphans == 0 then return reply(false) end

local node = text(call('INCR', at .. 'node_keys'))
call('HSET', at .. 'node:' .. node, 'name', asked[1], 'host', '', 'pid', '0', 'serves', '{}')
call('HSET', at .. 'node_names', node, asked[1])
for _, other in ipairs(call('SMEMBERS', at .. 'nodes')) do
  call('HDEL', at .. 'held:' .. other, unpack(orphans))
  call('SREM', at .. 'cancelling:' .. other, unpack(orphans))
end
call('SADD', at .. 'nodes', node)
for _, key in ipairs(orphans) do
  local job = job_of(key)
  call('HSET', hash_of(key), 'node', node)
  call('HSETNX', hash_of(key), 'claimed_at', text(now))
  call('HSET', at .. 'held:' .. node, key, job.fence)
  if job.cancelling then call('SADD', at .. 'cancelling:' .. node, key) end
end
return reply(tonumber(node))
