-- uses locks
-- Frees a lock. Request: node, name, fence. Answers whether the node had it with that fence.
local rows = at .. 'locks'
notify('locks')
local holder, fence = holder_of(call('HGET', rows, asked[2]))
if holder ~= text(asked[1]) or fence ~= text(asked[3]) then return reply(false) end
write_though_full()
call('HDEL', rows, asked[2])
return reply(true)
