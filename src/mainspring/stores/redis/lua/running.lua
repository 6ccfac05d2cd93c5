-- uses job
-- Jobs that nodes hold: {key of the node, task}.
local running = {}
for _, node in ipairs(call('SMEMBERS', at .. 'nodes')) do
  local held = redis.pcall('HKEYS', at .. 'held:' .. node)
  if string.match(node, '^%d+$') and not held.err then
    for _, key in ipairs(held) do
      local lane = redis.pcall('HGET', hash_of(key), 'lane')
      if type(lane) == 'string' then
        local _, task = names_of(lane)
        running[#running + 1] = {tonumber(node), task}
      end
    end
  end
end
return reply(running)
