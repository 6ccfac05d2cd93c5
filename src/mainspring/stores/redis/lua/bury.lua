-- uses outcome
-- Ends a node. Request: node, outcomes of what it held; without one a job goes back uncharged.
-- Answers the keys {requeued, failed, cancelled}; false: it was gone.
local node = text(asked[1])
notify('ready')
notify('ended')
notify('locks')
if call('SISMEMBER', at .. 'nodes', node) == 0 then return reply(false) end
write_though_full()
local keys = end_node(node, asked[2])
return reply({keys.pending, keys.failed, keys.cancelled})
