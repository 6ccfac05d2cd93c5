-- uses time_series
-- Keeps a text. Request: kind, text, its age.
add(asked[1], text(now - asked[3]), asked[2])
return reply(true)
