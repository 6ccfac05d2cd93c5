-- uses job
-- Drops final jobs. Request: ids. Answers how many.
local dropped = 0
for _, id in ipairs(asked[1]) do
  local job = find(id)
  if job and FINAL[job.state] then
    drop(job)
    dropped = dropped + 1
  end
end
return reply(dropped)
