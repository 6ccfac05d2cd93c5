-- uses job
-- Takes a lost node's lease for good, so that its rescuer may decide on its jobs. Request: node,
-- dead. Answers {name, host, pid, {key, fence, crashes, task} of each job}; false: it lives, or
-- is gone. It is the same when it is done again after a rescuer that died.
local node = text(asked[1])
local hash = at .. 'node:' .. node
local row = call('HMGET', hash, 'name', 'host', 'pid', 'lease_until')
if not row[1] then return reply(false) end
if not asked[2] and tonumber(row[4] or 0) > now then return reply(false) end
call('HDEL', hash, 'lease_until')
local held = {}
for i, key in ipairs(call('HKEYS', at .. 'held:' .. node)) do
  local job = job_of(key)
  local _, task = names_of(job.lane)
  held[i] = {tonumber(key), tonumber(job.fence), tonumber(job.crashes or 0), task}
end
return reply({row[1], row[2], tonumber(row[3]), held})
