-- uses request
-- Highest numbers that were given: {key of a job, fence of a lock}.
return reply({tonumber(call('GET', at .. 'keys') or 0), tonumber(call('GET', at .. 'lock_fences') or 0)})
