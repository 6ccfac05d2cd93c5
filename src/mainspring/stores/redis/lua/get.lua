-- uses records
-- Record of a job. Request: id. Answers it, or false.
local job = find(asked[1])
return reply(job and record_of(job) or false)
