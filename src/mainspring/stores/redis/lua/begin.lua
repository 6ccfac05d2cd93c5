-- uses request
-- Prepares the store for a server as it runs now. Request: the run id of the server, a name for
-- the store. Answers its name.
--
-- After a failover the server may have lost its last writes, and would give keys and fences a second time.
local SKIPPED = 1000000
write_though_full() -- those who make room have to connect
if call('GET', at .. 'run_id') ~= asked[1] then
  for _, counter in ipairs({'keys', 'node_keys', 'lock_fences', 'chronicle_keys'}) do
    if call('EXISTS', at .. counter) == 1 then call('INCRBY', at .. counter, SKIPPED) end
  end
  call('SET', at .. 'run_id', asked[1])
end
call('SET', at .. 'name', asked[2], 'NX')
return reply(call('GET', at .. 'name'))
