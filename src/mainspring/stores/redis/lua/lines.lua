-- uses request
-- Keys, places, and the lines in which jobs wait: all that one needs which just comes.
local function lane_of(queue, task) return #queue .. ':' .. queue .. ':' .. task end

local lines = {}
local function line_of(name, lane)
  local by_lane = lines[name] or {}
  lines[name] = by_lane
  local line = by_lane[lane] or at .. name .. ':' .. lane
  by_lane[lane] = line
  return line
end

local function hash_of(key) return at .. 'job:' .. key end

-- Texts of equal length sort as their numbers do. A score could not hold all three.
local function place_of(priority, run_at, key)
  return string.format('%010d%017d%016d', priority + 2147483648, run_at, key)
end

local function run_at_of(place) return string.sub(place, 11, 27) end

local function keep_lane(queue, task, lane)
  if call('SADD', at .. 'lanes', lane) == 1 then call('SADD', at .. 'queues:' .. task, queue) end
end

-- Whether nothing is before a place in a line that is in the order of `rank`s.
local heads = {}
local function is_first(line, place, rank)
  if heads[line] == nil then heads[line] = call('ZRANGE', line, 0, 0)[1] or false end
  local first = not heads[line] or rank(place) < rank(heads[line])
  if first then heads[line] = place end
  return first
end

local function by_place(place) return place end
local function by_run_at(place) return run_at_of(place) .. place end

-- Lets a pending job wait in its lane. Whoever sleeps knows of no job that is first in its line,
-- and may have come away with nothing though there were others: see `passed_over` in claim.lua.
local function line_up(job, delayed)
  local line, score, rank = line_of('ready', job.lane), 0, by_place
  if delayed then
    line, score, rank = line_of('later', job.lane), run_at_of(job.place), by_run_at
  end
  if not notices.ready
      and (is_first(line, job.place, rank) or call('DEL', at .. 'passed_over') == 1) then
    notify('ready')
  end
  write('ZADD', line, score, job.place)
  if job.expires_at then write('ZADD', at .. 'expiring', job.expires_at, job.key) end
end
