-- uses job
-- Cancels jobs. Request: ids. Answers for each whether it was live.
local live, jobs = {}, {}
write_though_full()
for i, id in ipairs(asked[1]) do
  local job = find(id)
  live[i] = job ~= nil and not FINAL[job.state]
  jobs[i] = job or false
end
for i, job in ipairs(jobs) do
  if live[i] and job.state == 'running' then
    call('HSET', hash_of(job.key), 'cancelling', 1)
    call('SADD', at .. 'cancelling:' .. job.node, job.key)
    notify('orders')
  elseif live[i] and not FINAL[job_of(job.key).state] then -- an id may be given twice
    end_waiting(job, CANCELLED)
  end
end
return reply(live)
