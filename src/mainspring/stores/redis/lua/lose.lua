-- uses job
-- Takes a lost node's lease for good, so that its rescuer may decide on its jobs. Request: node,
-- dead. Answers {name, host, pid, {key, fence, crashes, task} of each job}; false: it lives, or
-- is gone. It is the same when it is done again after a rescuer that died.
local node = text(asked[1])
local hash = at .. 'node:' .. node
local row = call('HMGET', hash, 'name', 'host', 'pid', 'lease_until')
if not row[1] then return reply(false) end
if not asked[2] and tonumber(time_in(row[4], 0)) > now then return reply(false) end
call('HDEL', hash, 'lease_until')
local held = {}
for _, key in ipairs(call('HKEYS', at .. 'held:' .. node)) do
  local job = job_of(key)
  if job and job.state == 'running' then
    local _, task = names_of(job.lane)
    held[#held + 1] = {tonumber(key), tonumber(job.fence), tonumber(job.crashes or 0), task}
  end
end
return reply({row[1], row[2] or '', tonumber(count_in(row[3], 0)), held})
