-- The outbox of webhook deliveries: its keys, and how a delivery enters and leaves it. transitions.lua adds deliveries,
-- service/webhooks/dispatch.lua takes them out; both scripts begin with this file.
--
--   spn:outbox:owners                  owners, by the time when their next delivery is due
--   spn:outbox:owner:OWNER             receivers of an owner, likewise
--   spn:outbox:receiver:OWNER/HOST     deliveries to a receiver, by the time when they are due
--   spn:outbox:pause:OWNER/HOST        until when the receiver wants no delivery (Retry-After); expires then
--   spn:outbox:DELIVERY                hash: one delivery
--   spn:outbox:job:ID                  hash: the request that the deliveries of a job share, and how many they are. The job
--                                      itself may expire before they are sent
--   spn:outbox:totals                  hash: deliveries, bytes, bytes:OWNER; dropped, which only grows
--
-- Three levels, so that a receiver with many deliveries is never searched for those of another.

-- By MEMORY USAGE a delivery takes 288 bytes with its places in the lists. A job's copy of a request of 380 bytes takes 780.
local DELIVERY_BYTES, SHARED_BYTES = 384, 448
local OWNER_BYTES, ALL_BYTES = 16777216, 67108864
local SLICE_SHARE = 0.5 -- slice events may fill half of that: the events that end a job still fit

local function Outbox(name, now)
  local outbox = {}
  local owners, totals = name .. ':owners', name .. ':totals'

  local function owner_list(owner) return name .. ':owner:' .. owner end
  local function receiver_list(owner, receiver) return name .. ':receiver:' .. owner .. '/' .. receiver end
  local function shared_key(job) return name .. ':job:' .. job end

  local function pause_key(owner, receiver) return name .. ':pause:' .. owner .. '/' .. receiver end

  -- Carry the time when the first delivery to a receiver is due through the levels above, not before the end of its pause.
  local function carry(owner, receiver)
    local first = redis.call('ZRANGE', receiver_list(owner, receiver), 0, 0, 'WITHSCORES')
    if first[1] then
      local pause = tonumber(redis.call('GET', pause_key(owner, receiver)) or 0)
      redis.call('ZADD', owner_list(owner), math.max(first[2], pause), receiver)
    else
      redis.call('ZREM', owner_list(owner), receiver)
    end
    first = redis.call('ZRANGE', owner_list(owner), 0, 0, 'WITHSCORES')
    if first[1] then redis.call('ZADD', owners, first[2], owner) else redis.call('ZREM', owners, owner) end
  end

  local function count(owner, deliveries, bytes)
    redis.call('HINCRBY', totals, 'deliveries', deliveries)
    redis.call('HINCRBY', totals, 'bytes', bytes)
    if redis.call('HINCRBY', totals, 'bytes:' .. owner, bytes) <= 0 then redis.call('HDEL', totals, 'bytes:' .. owner) end
  end

  local function fits(owner, event, bytes)
    local share = event == 'slice' and SLICE_SHARE or 1
    local all, own = unpack(redis.call('HMGET', totals, 'bytes', 'bytes:' .. owner))
    return (all or 0) + bytes <= share * ALL_BYTES and (own or 0) + bytes <= share * OWNER_BYTES
  end

  -- `new`: id, job, owner, receiver, event, and the job's request; then further fields of the delivery.
  function outbox.add(new, ...)
    local shared = shared_key(new.job)
    local bytes = DELIVERY_BYTES + (redis.call('EXISTS', shared) == 1 and 0 or SHARED_BYTES + #new.request)
    if not fits(new.owner, new.event, bytes) then
      redis.call('HINCRBY', totals, 'dropped', 1)
      return
    end
    redis.call('HSETNX', shared, 'request', new.request)
    redis.call('HINCRBY', shared, 'deliveries', 1)
    redis.call('HSET', name .. ':' .. new.id, 'job', new.job, 'owner', new.owner, 'receiver', new.receiver,
               'event', new.event, ...)
    redis.call('ZADD', receiver_list(new.owner, new.receiver), now, new.id)
    carry(new.owner, new.receiver)
    count(new.owner, 1, bytes)
  end

  -- Set when a delivery is due, or remove it from its list with nil.
  function outbox.schedule(id, owner, receiver, due)
    local list = receiver_list(owner, receiver)
    if due then redis.call('ZADD', list, due, id) else redis.call('ZREM', list, id) end
    carry(owner, receiver)
  end

  -- Nothing is due at a receiver for so long.
  function outbox.pause(owner, receiver, milliseconds)
    redis.call('SET', pause_key(owner, receiver), now + milliseconds, 'PX', milliseconds)
  end

  function outbox.drop(id)
    local key = name .. ':' .. id
    local job, owner, receiver = unpack(redis.call('HMGET', key, 'job', 'owner', 'receiver'))
    if not job then return end
    local shared, bytes = shared_key(job), DELIVERY_BYTES
    if redis.call('HINCRBY', shared, 'deliveries', -1) <= 0 then
      bytes = bytes + SHARED_BYTES + redis.call('HSTRLEN', shared, 'request')
      redis.call('DEL', shared)
    end
    redis.call('DEL', key)
    outbox.schedule(id, owner, receiver, nil)
    count(owner, -1, -bytes)
  end

  function outbox.count_dropped() redis.call('HINCRBY', totals, 'dropped', 1) end
  function outbox.key(id) return name .. ':' .. id end
  function outbox.owners() return owners end
  outbox.owner_list, outbox.receiver_list, outbox.shared_key = owner_list, receiver_list, shared_key
  return outbox
end
