-- uses job
-- Jobs with all that is kept of them, by their keys. Request: key that they come after or false,
-- limit. Answers {key, id, queue, task, state, place, whether it is delayed, node's name or '',
-- fields of the hash, past attempts, lines of the log}.
local above = asked[1] and '(' .. text(asked[1]) or '-inf'
local jobs = {}

local function name_of(node) return call('HGET', at .. 'node_names', node) or node end

for _, key in ipairs(call('ZRANGE', at .. 'jobs', above, '+inf', 'BYSCORE', 'LIMIT', 0, asked[2])) do
  local job = job_of(key)
  if job then
    local queue, task = names_of(job.lane)
    local past, lines = {}, {}
    for i, entry in ipairs(entries_in(at .. 'past:' .. key, 6)) do
      past[i] = {unpack(entry, 1, 6)}
      past[i][2] = name_of(entry[2])
    end
    for i, line in ipairs(entries_in(at .. 'log:' .. key, 3)) do lines[i] = {unpack(line, 1, 3)} end
    local delayed = redis.pcall('ZSCORE', line_of('later', job.lane), job.place)
    jobs[#jobs + 1] = {tonumber(key), id_in(job.id, key), queue, task, job.state, place_in(job),
      type(delayed) == 'string', job.node and name_of(job.node) or '', call('HGETALL', hash_of(key)),
      past, lines}
  end
end
return reply(jobs)
