-- uses request
-- Renews a node's lease. Request: node, lease, report or false.
-- Answers {key, fence} of each of its jobs that is to be cancelled; false: it is gone.
local node = text(asked[1])
local hash = at .. 'node:' .. node
if call('HEXISTS', hash, 'lease_until') == 0 then return reply(false) end
write_though_full()
call('HSET', hash, 'lease_until', text(now + asked[2]))
if asked[3] then call('HSET', hash, 'report', asked[3]) end
local grants = {}
for _, key in ipairs(call('SMEMBERS', at .. 'cancelling:' .. node)) do
  local fence = tonumber(string.match(call('HGET', at .. 'held:' .. node, key) or '', '^%d+'))
  if tonumber(key) and fence then grants[#grants + 1] = {tonumber(key), fence} end
end
return reply(grants)
