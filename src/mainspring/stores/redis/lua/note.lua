-- uses request
-- Keeps progress and log lines. Request: notes {key, fence, progress or false, message or false,
-- {age, text} of each line}, lines kept of a job. A note of another claim than the last is dropped.
write_though_full()
for _, note in ipairs(asked[1]) do
  local key = text(note[1])
  local hash, log = at .. 'job:' .. key, at .. 'log:' .. key
  if call('HGET', hash, 'fence') == text(note[2]) then
    if note[3] then call('HSET', hash, 'progress', note[3]) end
    if note[4] then call('HSET', hash, 'message', note[4]) end
    for _, line in ipairs(note[5]) do
      call('RPUSH', log, cmsgpack.pack({text(now - line[1]), text(note[2]), line[2]}))
    end
    if #note[5] > 0 then call('LTRIM', log, -asked[2], -1) end
  end
end
return reply(true)
