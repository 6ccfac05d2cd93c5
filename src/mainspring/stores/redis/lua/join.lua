-- uses request
-- Adds a node. Request: call, name, host, pid, lease, serves. Answers its key.
local caller = at .. 'call:' .. asked[1][1]
local number, known = string.match(call('GET', caller) or '', '^(%d+) (%d+)$')
if number == text(asked[1][2]) then return reply(tonumber(known)) end
write_though_full() -- a worker makes room
local node = text(call('INCR', at .. 'node_keys'))
call('SET', caller, text(asked[1][2]) .. ' ' .. node, 'EX', 600)
call('HSET', at .. 'node:' .. node, 'name', asked[2], 'host', asked[3], 'pid', text(asked[4]),
  'lease_until', text(now + asked[5]), 'serves', asked[6])
call('HSET', at .. 'node_names', node, asked[2])
call('SADD', at .. 'nodes', node)
return reply(tonumber(node))
