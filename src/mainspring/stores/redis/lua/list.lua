-- uses records
-- Records of jobs, newest first or oldest first. Request: states or false, queue or false, task or
-- false, key that they come after or -1, limit, most jobs to look at, number to skip, 'newest' or
-- 'oldest', tag or false. Answers {records, number looked at, key after which the next page begins
-- or -1: there is none, number still to skip}.
--
-- Few jobs that fit are read from their lines; else the first of all, or of those that bear the
-- tag, are looked through.
local FEW = 5000
local LINES = {pending = {'ready', 'later'}, running = {'running'}, failed = {'failed'},
  completed = {'completed', 'kept'}, cancelled = {'cancelled'}}
local states, queue, task, before, limit, most, skip, order, tag = unpack(asked, 1, 9)
local oldest = order == 'oldest'

local function fits(of_queue, of_task)
  return (not queue or queue == of_queue) and (not task or task == of_task)
end

local function lines_that_fit()
  local lines, count = {}, 0
  for _, lane in ipairs(call('SMEMBERS', at .. 'lanes')) do
    if fits(names_of(lane)) then
      for _, state in ipairs(states or {'pending', 'running', 'completed', 'failed', 'cancelled'}) do
        for _, name in ipairs(LINES[state]) do
          lines[#lines + 1] = line_of(name, lane)
          count = count + card(lines[#lines])
        end
      end
    end
  end
  return lines, count
end

local function comes_after(key)
  if oldest then return key > before end
  return key < before
end

local function keys_in(lines)
  local keys = {}
  for _, line in ipairs(lines) do
    for _, member in ipairs(redis.pcall('ZRANGE', line, 0, -1)) do
      local key = tonumber(#member > 20 and string.sub(member, 28) or member)
      if key and (before < 0 or comes_after(key)) then keys[#keys + 1] = key end
    end
  end
  table.sort(keys, function(one, other)
    if oldest then return one < other end
    return one > other
  end)
  return keys
end

local function newest()
  local all = tag and at .. 'tag:' .. tag or at .. 'jobs'
  if oldest then
    local above = before < 0 and '-inf' or '(' .. text(before)
    return call('ZRANGE', all, above, '+inf', 'BYSCORE', 'LIMIT', 0, most)
  end
  local below = before < 0 and '+inf' or '(' .. text(before)
  return call('ZRANGE', all, below, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, most)
end

local is_wanted = {}
for _, state in ipairs(states or {}) do is_wanted[state] = true end

local keys
if not tag and (states or queue or task) then
  local lines, count = lines_that_fit()
  if count <= FEW then keys = keys_in(lines) end
end
keys = keys or newest()

local records, looked, last = {}, 0, -1
for _, key in ipairs(keys) do
  if #records == limit or looked == most then break end
  local number = tonumber(key)
  looked, last = looked + 1, number or last
  local job = number and job_of(text(number))
  if job and (not states or is_wanted[job.state]) and fits(names_of(job.lane)) then
    if skip > 0 then
      skip = skip - 1
    else
      records[#records + 1] = record_of(job)
    end
  end
end
local more = #records == limit or looked == most
return reply({records, looked, more and last or -1, skip})
