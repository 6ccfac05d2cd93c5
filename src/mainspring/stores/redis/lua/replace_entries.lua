-- uses time_series
-- Puts one entry in the place of others. Request: kind, keys, the new kind, moment and text.
-- Answers false if any of the others is not there.
local members = {}
for i, key in ipairs(asked[2]) do
  members[i] = member_of(key)
  if redis.pcall('HEXISTS', texts_of(asked[1]), members[i]) ~= 1 then return reply(false) end
end
write_though_full()
drop(asked[1], members)
add(asked[3], text(asked[4]), asked[5])
return reply(true)
