-- uses job
-- Attempts of a job. Request: id. Answers {fence, node's name, began, ended or '', word or '',
-- failure or ''} of each, oldest first.
local job = find(asked[1])
if not job then return reply({}) end

local function name_of(node) return call('HGET', at .. 'node_names', node) or node end

local attempts = {}
for i, entry in ipairs(entries_in(at .. 'past:' .. job.key, 6)) do
  attempts[i] = {unpack(entry, 1, 6)}
  attempts[i][2] = name_of(entry[2])
end
if job.node then
  local row = call('HMGET', hash_of(job.key), 'began_at', 'ended_at', 'failure')
  local final = FINAL[job.state]
  attempts[#attempts + 1] = {job.fence or '0', name_of(job.node),
    final and row[1] or job.claimed_at or '', final and row[2] or '', final and job.state or '',
    final and row[3] or ''}
end
return reply(attempts)
