-- uses request
-- Idempotency keys. Request: cursor, about how many keys of the database to look at.
-- Answers {next cursor ('0': there is none), {idempotency key, 'time id'} of each}.
local begin = at .. 'answer:'
local cursor, names = unpack(call('SCAN', asked[1], 'MATCH', begin .. '*', 'COUNT', asked[2]))
local answers = {}
for i, name in ipairs(names) do
  answers[i] = {string.sub(name, #begin + 1), redis.pcall('GET', name) or ''}
end
return reply({cursor, answers})
