-- uses request
-- Schedules. Answers {now, names and texts in turn}.
return reply({now, call('HGETALL', at .. 'schedules')})
