-- The histories of topics: appending to one, and reading one. See redis_history.py.
--
-- A history is two keys. The head is a hash: `run`, the life of the server in which it began;
-- `epoch`; `position`, of the newest message; `size`, the bytes of those that are kept. The kept ones
-- are a stream, whose ids are positions: `m` is the message, `t` when it came, in milliseconds.
--
-- What a server brings along from an earlier life may lack its newest messages, for it writes to its
-- disk, and to its replicas, a little later. So a history of another life is begun anew.
local doing, run, fresh_epoch, head_ttl_ms, ttl_ms = unpack(ARGV, 1, 5)
local head, kept = KEYS[1], KEYS[2]

local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)

local known = redis.call('HMGET', head, 'run', 'epoch', 'position', 'size')
local epoch, position, size = known[2], tonumber(known[3]), tonumber(known[4])
if known[1] ~= run then
  redis.call('DEL', head, kept)
  epoch, position, size = fresh_epoch, 0, 0
  redis.call('HSET', head, 'run', run, 'epoch', epoch, 'position', 0, 'size', 0)
end
redis.call('PEXPIRE', head, head_ttl_ms)

-- after: messages above it are wanted; empty for none.
if doing == 'read' then
  local answer = {epoch, position}
  local after = ARGV[6]
  if after ~= '' then
    for _, entry in ipairs(redis.call('XRANGE', kept, '(' .. after .. '-0', '+')) do
      if now - entry[2][4] < tonumber(ttl_ms) then
        answer[#answer + 1] = entry[2][2]
      end
    end
  end
  return answer
end

-- sent: the message's id, with its cursor while the same message may come again.
local sent = KEYS[3]
-- publish: PUBLISH, or on a cluster SPUBLISH, whose channel has the slot of the keys.
local again_ms, count_max, size_max, publish, channel, mark, message = unpack(ARGV, 6, 12)

local already = redis.call('GET', sent)
if already then
  return already
end

position = position + 1
size = size + #message
local cursor = epoch .. '-' .. string.format('%d', position)
redis.call('XADD', kept, string.format('%d-0', position), 'm', message, 't', now)

-- Two at a time: nearly always the first goes for the one that came, and the second stays.
count_max, size_max, ttl_ms = tonumber(count_max), tonumber(size_max), tonumber(ttl_ms)
local count = redis.call('XLEN', kept)
local gone
repeat
  gone = {}
  for _, entry in ipairs(redis.call('XRANGE', kept, '-', '+', 'COUNT', 2)) do
    if count <= count_max and size <= size_max and now - entry[2][4] < ttl_ms then
      break
    end
    gone[#gone + 1] = entry[1]
    size = size - #entry[2][2]
    count = count - 1
  end
  if #gone > 0 then
    redis.call('XDEL', kept, unpack(gone))
  end
until #gone < 2

redis.call('HSET', head, 'position', string.format('%d', position), 'size', size)
redis.call('PEXPIRE', kept, ttl_ms)
redis.call('SET', sent, cursor, 'PX', again_ms)
redis.call(publish, channel, mark .. cursor .. ' ' .. message)
return cursor
