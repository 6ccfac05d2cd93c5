-- uses job
-- Log lines of a job. Request: id. Answers {time, fence, text} of each, oldest first.
local job, lines = find(asked[1]), {}
if not job then return reply(lines) end
for i, line in ipairs(entries_in(at .. 'log:' .. job.key, 3)) do lines[i] = {unpack(line, 1, 3)} end
return reply(lines)
