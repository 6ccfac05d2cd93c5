-- uses locks
-- Locks that are held: {name, node, name of the node, fence}.
local rows, held = call('HGETALL', at .. 'locks'), {}
for i = 1, #rows, 2 do
  local node, fence = holder_of(rows[i + 1])
  if node then
    local name = call('HGET', at .. 'node_names', node) or node
    held[#held + 1] = {rows[i], tonumber(node), name, tonumber(fence)}
  end
end
return reply(held)
