-- uses job
-- Ends of jobs. Request: ids. Answers {id, task, state, result or '', failure or ''} of those
-- that have ended.
local ends = {}
for _, id in ipairs(asked[1]) do
  local job = find(id)
  if job and FINAL[job.state] then
    local row = call('HMGET', hash_of(job.key), 'result', 'failure')
    local _, task = names_of(job.lane)
    ends[#ends + 1] = {id, task, job.state, row[1] or '', row[2] or ''}
  end
end
return reply(ends)
