-- uses time_series
-- Drops entries of an age, and those of no moment that can be. Request: kind, age, seconds ahead
-- that can't be, limit. Answers how many.
local moments = moments_of(asked[1])
local old = redis.pcall('ZRANGE', moments, '-inf', text(now - asked[2]), 'BYSCORE', 'LIMIT', 0,
  asked[4])
local ahead = redis.pcall('ZRANGE', moments, text(now + asked[3]), 'inf', 'BYSCORE', 'LIMIT', 0,
  asked[4])
write_though_full()
drop(asked[1], old)
drop(asked[1], ahead)
return reply(#old + #ahead)
