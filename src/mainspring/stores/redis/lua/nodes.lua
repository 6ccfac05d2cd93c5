-- uses request
-- Nodes that have joined and not left: {key, fields of its hash, jobs that it holds}.
local nodes = {}
for _, node in ipairs(call('SMEMBERS', at .. 'nodes')) do
  local fields = redis.pcall('HGETALL', at .. 'node:' .. node)
  local held = redis.pcall('HLEN', at .. 'held:' .. node)
  if string.match(node, '^%d+$') and #fields > 0 then
    nodes[#nodes + 1] = {tonumber(node), fields, type(held) == 'number' and held or 0}
  end
end
return reply({now, nodes})
