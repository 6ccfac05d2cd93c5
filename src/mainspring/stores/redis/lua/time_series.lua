-- uses request
-- Time series: of each kind a sorted set of keys by their moment, and a hash of texts by key.
-- (`chronicle_keys`, their counter, keeps the name that it had at first.)
-- What is of another type was written by somebody else, and begins anew.
local MOST_READ = 500

local function moments_of(kind) return at .. 'moments:' .. kind end
local function texts_of(kind) return at .. 'texts:' .. kind end

local function member_of(key) return string.format('%016.0f', key) end

local function of_type(key, type)
  local is = call('TYPE', key).ok
  if is ~= type and is ~= 'none' then call('DEL', key) end
end

local function add(kind, moment, words)
  of_type(moments_of(kind), 'zset')
  of_type(texts_of(kind), 'hash')
  local member = member_of(call('INCR', at .. 'chronicle_keys'))
  call('ZADD', moments_of(kind), moment, member)
  call('HSET', texts_of(kind), member, words)
end

local function drop(kind, members)
  for first = 1, #members, MOST_READ do
    local last = math.min(first + MOST_READ - 1, #members)
    redis.pcall('ZREM', moments_of(kind), unpack(members, first, last))
    redis.pcall('HDEL', texts_of(kind), unpack(members, first, last))
  end
end
