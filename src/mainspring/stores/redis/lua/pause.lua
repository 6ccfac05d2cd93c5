-- uses request
-- Pauses a queue (SADD) or resumes it (SREM). Request: queue, command. Answers whether that is new.
local changed = call(asked[2], at .. 'paused', asked[1]) == 1
if asked[2] == 'SREM' then notify('ready') end
return reply(changed)
