-- uses job
-- Log lines of a job. Request: id. Answers {time, fence, text} of each, oldest first.
local job, lines = find(asked[1]), {}
if not job then return reply(lines) end
for i, line in ipairs(call('LRANGE', at .. 'log:' .. job.key, 0, -1)) do
  lines[i] = cmsgpack.unpack(line)
end
return reply(lines)
