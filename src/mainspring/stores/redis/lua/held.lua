-- uses claim
-- Claims that a node holds. Request: node. Answers {claims, now}; false: it has gone.
local node, claims = text(asked[1]), {}
if call('HEXISTS', at .. 'node:' .. node, 'lease_until') == 0 then return reply(false) end
for _, key in ipairs(call('HKEYS', at .. 'held:' .. node)) do
  local row, job = row_of(key), job_of(key)
  if job and job.state == 'running' and tonumber(key) then
    claims[#claims + 1] = grant(key, job.lane, row, tonumber(job.fence), job.place)
  end
end
return reply({claims, now})
