-- uses request
-- Nodes that have joined and not left: {key, fields of its hash, jobs that it holds}.
local nodes = {}
for i, node in ipairs(call('SMEMBERS', at .. 'nodes')) do
  nodes[i] = {tonumber(node), call('HGETALL', at .. 'node:' .. node),
    call('HLEN', at .. 'held:' .. node)}
end
return reply({now, nodes})
