-- uses job
-- Cancels pending jobs whose expiry has passed. Request: limit. Answers their keys.
local late = call('ZRANGE', at .. 'expiring', '-inf', text(now), 'BYSCORE', 'LIMIT', 0, asked[1])
if #late > 0 then write_though_full() end
local ended = {}
for _, key in ipairs(late) do
  local job = job_of(key)
  call('ZREM', at .. 'expiring', key)
  if job and job.state == 'pending' then
    end_waiting(job, EXPIRED)
    ended[#ended + 1] = tonumber(key)
  end
end
return reply(ended)
