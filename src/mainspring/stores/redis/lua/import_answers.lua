-- uses request
-- Keeps idempotency keys, of one that is there what holds for longer. Request: {idempotency key,
-- id, time until which it stands for that}.
for _, one in ipairs(asked[1]) do
  local name = at .. 'answer:' .. one[1]
  local till = tonumber(string.match(call('GET', name) or '', '^(%d+) ') or 0)
  if one[3] > till and one[3] > now then
    local left = text(math.ceil((one[3] - now) / 1000))
    call('SET', name, text(one[3]) .. ' ' .. one[2], 'PX', left)
  end
end
return reply(true)
