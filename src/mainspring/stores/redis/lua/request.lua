-- Request and answer of every script.
-- KEYS[1] begins all keys; ARGV: sender, stored time ('': the server's own), request, MessagePack.
local call, at = redis.call, KEYS[1]
local asked = cmsgpack.unpack(ARGV[3])

local now = tonumber(ARGV[2])
if not now then
  local time = call('TIME')
  now = time[1] * 1000000 + time[2]
end

-- A whole number as text: tostring and cjson round at 14 digits, and '%.0f' is slow.
local function text(number) return string.format('%d', number) end
local now_text = text(now)

local MOST_KEYS = 1000
local notices = {}

-- Notifies a topic when the script has come to its end; a key names a job it is about.
local function notify(topic, key)
  local keys = notices[topic] or {}
  notices[topic] = keys
  keys[#keys + 1] = key
end

-- A full server refuses what may grow as a script's first write only; whoever makes room must
-- not be refused, so that a write which can't grow comes first.
local function write_though_full() call('DEL', at .. 'nothing') end

-- Writes that may wait for each other: those of one command and key become one call.
local written, waiting = {}, {}

local function write(command, key, first, second)
  local by_key = waiting[command] or {}
  waiting[command] = by_key
  local arguments = by_key[key]
  if not arguments then
    arguments = {}
    by_key[key], written[#written + 1] = arguments, {command, key, arguments}
  end
  arguments[#arguments + 1] = first
  if second then arguments[#arguments + 1] = second end
end

local function flush()
  for _, one in ipairs(written) do
    local command, key, arguments = unpack(one)
    for first = 1, #arguments, 1000 do
      call(command, key, unpack(arguments, first, math.min(first + 999, #arguments)))
    end
  end
  written, waiting = {}, {}
end

local function reply(answer)
  flush()
  local topics = {}
  for topic, keys in pairs(notices) do
    if #keys > MOST_KEYS then keys = {} end
    topics[#topics + 1] = {topic, keys}
    -- pcall: a user who may not publish has written all the same.
    redis.pcall('PUBLISH', at .. topic, ARGV[1] .. ' ' .. table.concat(keys, ','))
  end
  return cmsgpack.pack({topics, answer})
end
