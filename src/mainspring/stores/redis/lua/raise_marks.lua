-- uses request
-- Has only higher numbers given. Request: as `marks` answers.
for i, name in ipairs({'keys', 'lock_fences'}) do
  local known = tonumber(call('GET', at .. name) or 0)
  if asked[i] > known then call('SET', at .. name, text(asked[i])) end
end
return reply(true)
