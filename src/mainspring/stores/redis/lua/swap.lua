-- uses request
-- Keeps texts of schedules. Request: {name, text as believed, false (none) or true (any), new text
-- or false: drop it}.
-- Answers whether all were as believed; else nothing is changed.
for _, one in ipairs(asked[1]) do
  if one[2] ~= true and call('HGET', at .. 'schedules', one[1]) ~= one[2] then return reply(false) end
end
for _, one in ipairs(asked[1]) do
  if one[3] then
    call('HSET', at .. 'schedules', one[1], one[3])
  else
    call('HDEL', at .. 'schedules', one[1])
  end
end
return reply(true)
