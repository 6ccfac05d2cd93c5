-- uses time_series
-- Entries of a kind, newest first. Request: kind, greatest age, least age, key after which the page
-- begins or false, limit. Answers {now, {key, moment, text} of each}.
local moments, texts = moments_of(asked[1]), texts_of(asked[1])
local first, last, limit = now - asked[2], now - asked[3], asked[5]
local rows, found = {}, nil
if asked[4] then
  local rank = redis.pcall('ZREVRANK', moments, member_of(asked[4]))
  found = type(rank) == 'number'
    and redis.pcall('ZRANGE', moments, rank + 1, rank + limit, 'REV', 'WITHSCORES') or {}
else
  found = redis.pcall('ZRANGE', moments, text(last), text(first), 'BYSCORE', 'REV', 'LIMIT', 0,
    limit, 'WITHSCORES')
end
for i = 1, #found, 2 do
  local key, moment = tonumber(found[i]), tonumber(found[i + 1])
  if key and key < 1e15 and moment >= first and moment <= last then
    local words = redis.pcall('HGET', texts, found[i])
    if type(words) == 'string' then rows[#rows + 1] = {key, moment, words} end
  end
end
return reply({now, rows})
