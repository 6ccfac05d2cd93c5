-- uses request
-- Names of the paused queues.
return reply(call('SMEMBERS', at .. 'paused'))
