-- uses job
-- Claims of jobs that are ready, in the order of their places over all lanes that are wanted.
local WINDOW, MOST_DUE = 64, 1000

local function paused()
  local queues = {}
  for _, queue in ipairs(call('SMEMBERS', at .. 'paused')) do queues[queue] = true end
  return queues
end

-- Lanes of a want: {tasks, queues (false: any), limit, suspects (-1: any)}.
local function lanes_of(want, is_paused)
  local lanes, known = {}, {}
  for _, task in ipairs(want[1]) do
    for _, queue in ipairs(want[2] or call('SMEMBERS', at .. 'queues:' .. task)) do
      local lane = lane_of(queue, task)
      if not is_paused[queue] and not known[lane] then
        known[lane] = true
        lanes[#lanes + 1] = lane
      end
    end
  end
  return lanes
end

-- Makes ready what is due; answers when the first of the others is.
local function promote(lane)
  local later, ready = line_of('later', lane), line_of('ready', lane)
  local due = redis.pcall('ZRANGE', later, '-inf', text(now), 'BYSCORE', 'LIMIT', 0, MOST_DUE)
  for _, place in ipairs(due) do
    call('ZREM', later, place)
    call('ZADD', ready, 0, place)
  end
  return tonumber(redis.pcall('ZRANGE', later, 0, 0, 'WITHSCORES')[2])
end

-- A cursor over a line: a window at a time, so that a claim of few reads few.
local function cursor(lane)
  return {lane = lane, line = line_of('ready', lane), places = {}, i = 1, read = 0}
end

local function head(self)
  if not self.places[self.i] and not self.over then
    self.places = redis.pcall('ZRANGE', self.line, self.read, self.read + WINDOW - 1)
    self.over = #self.places < WINDOW
    self.read, self.i = self.read + #self.places, 1
  end
  return self.places[self.i]
end

local function first_of(cursors)
  local best
  for _, one in ipairs(cursors) do
    local place = head(one)
    if place and (not best or place < head(best)) then best = one end
  end
  return best
end

local CLAIM = {'id', 'fence', 'attempts', 'crashes', 'expires_at', 'payload', 'options', 'state',
  'unique'}

-- What a claim grants of a job that is there; nil if it is not.
local function row_of(key)
  local row = redis.pcall('HMGET', hash_of(key), unpack(CLAIM))
  if not row[1] then return nil end
  row[2] = row[2] and math.floor(count_in(row[2], 0)) or 0
  row[3] = row[3] and math.floor(count_in(row[3], 0)) or 0
  row[4] = row[4] and math.floor(count_in(row[4], 0)) or 0
  row[5] = row[5] and time_in(row[5])
  return row
end

-- The grant of a job to its node, for the answer.
local function grant(key, lane, row, fence, place)
  local expired = row[5] and tonumber(row[5]) <= now or false
  return {key, row[1], fence, row[3] + 1, row[4], expired, row[6] or '', lane, row[7],
    run_at_of(place)}
end

-- Of a job at its first claim, without a key of its own, its lane says all that its end need know.
local function take(node, lane, place, key, row)
  local fence = row[2] + 1
  local is_plain = fence == 1 and row[3] == 0 and row[4] == 0 and not row[9]
  call('HSET', hash_of(key), 'state', 'running', 'node', node, 'claimed_at', now_text,
    'fence', text(fence))
  write('ZREM', line_of('ready', lane), place)
  write('ZADD', line_of('running', lane), now_text, key)
  write('HSET', at .. 'held:' .. node, key, is_plain and '1 ' .. lane or text(fence))
  if row[5] then write('ZREM', at .. 'expiring', key) end
  return grant(key, lane, row, fence, place)
end

-- Adds the claims of a want to others. One that came away short and passed over suspects sleeps
-- though its lines are not empty: the next job that comes has to wake it, first in line or not.
local function claim(node, want, lanes, claims)
  local cursors, passed_over = {}, false
  for i, lane in ipairs(lanes) do cursors[i] = cursor(lane) end
  local left, suspects = want[3], want[4] >= 0 and want[4] or math.huge
  while left > 0 do
    local from = first_of(cursors)
    if not from then break end
    local place = head(from)
    from.i = from.i + 1
    local key = key_of(place)
    local row = row_of(key)
    local suspect = row and row[4] >= SUSPECT_CRASHES
    if not row or row[8] == 'running' or FINAL[row[8]] then
      write('ZREM', from.line, place) -- somebody else has put it there
    elseif suspect and suspects == 0 then
      passed_over = true
    else
      if suspect then suspects = suspects - 1 end
      left = left - 1
      claims[#claims + 1] = take(node, from.lane, place, key, row)
    end
  end
  flush()
  if left > 0 and passed_over then call('SET', at .. 'passed_over', 1) end
end
