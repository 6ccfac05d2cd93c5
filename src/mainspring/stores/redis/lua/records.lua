-- uses job
-- Records of jobs, as views read them: {key, id, state, place, fields of the hash, queue, task,
-- node's name or ''}.
local function record_of(job)
  local queue, task = names_of(job.lane)
  local name = job.node and (call('HGET', at .. 'node_names', job.node) or job.node) or ''
  return {tonumber(job.key), id_in(job.id, job.key), job.state, place_in(job), call('HGETALL', hash_of(job.key)),
    queue, task, name}
end
