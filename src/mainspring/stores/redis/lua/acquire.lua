-- uses locks job
-- Gives a node a lock. Request: node, name. Answers its fence; 0: another has it, or the lease has
-- run out; false: the node is gone.
local node, name, rows = text(asked[1]), asked[2], at .. 'locks'
local lease_until = call('HGET', at .. 'node:' .. node, 'lease_until')
if not lease_until then return reply(false) end
if tonumber(time_in(lease_until, 0)) <= now then return reply(0) end
local holder, fence = holder_of(call('HGET', rows, name))
if holder then return reply(holder == node and tonumber(fence) or 0) end
write_though_full()
local held = call('HGETALL', rows)
for i = 1, #held, 2 do
  if not holder_of(held[i + 1]) then call('HDEL', rows, held[i]) end
end
fence = text(call('INCR', at .. 'lock_fences'))
call('HSET', rows, name, node .. ' ' .. fence)
return reply(tonumber(fence))
