-- Steps of a webhook delivery on its way out of the outbox; service/contract/outbox.lua, its keys, comes first.
--
--   dispatch   the next delivery that is due; it is due again after `hidden_seconds`, in case its sender dies
--   postpone   the attempt failed: due again after `seconds`, or dropped if that is over `total_seconds` after the first.
--              Refused if another sender has made the next attempt already. The receiver gets nothing for `pause_seconds`
--   settle     removed
--
-- KEYS: outbox. ARGV: step, one JSON object with its arguments. Times are Redis' own, in ms.

local DAY_MS = 86400000
local MAX_STEPS = 100 -- of one call: deliveries dropped or adopted, owners passed over

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local args = cjson.decode(ARGV[2])
local outbox = Outbox(KEYS[1], now)
local step = {}

-- The member that is due first among those with the fewest attempts in flight. `busy` counts these; -1: no more now.
local function choose(list, busy, look)
  local best, fewest
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', list, '-inf', now, 'LIMIT', 0, look)) do
    local count = busy(member)
    if count == 0 then return member end
    if count > 0 and (not fewest or count < fewest) then best, fewest = member, count end
  end
  return best
end

-- Workers of release 0.1 keep one list of all deliveries, each with its own copy of the request.
local function adopt()
  for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, MAX_STEPS - 1)) do
    local key = outbox.key(id)
    local fields = redis.call('HMGET', key, 'request', 'event', 'status', 'at', 'image', 'step', 'stage', 'error')
    local readable, request = pcall(cjson.decode, fields[1] or '')
    redis.call('ZREM', KEYS[1], id)
    redis.call('DEL', key)
    if readable and fields[2] then
      local details = {'status', fields[3], 'at', fields[4]}
      if fields[6] then for _, each in ipairs({'image', fields[5], 'step', fields[6], 'stage', fields[7]}) do
        table.insert(details, each)
      end end
      if fields[8] then table.insert(details, 'error') table.insert(details, fields[8]) end
      outbox.add({id = id, job = request.id, owner = request.owner or '', receiver = '', event = fields[2],
                  request = fields[1]}, unpack(details))
    end
  end
end

-- Replies {id, request, field, value, ...}, or {} if nothing is due that may be sent now.
function step.dispatch()
  adopt()
  local function owner_load(owner) return args.owners[owner] or 0 end
  for _ = 1, MAX_STEPS do
    local owner = choose(outbox.owners(), owner_load, -1)
    if not owner then return {} end
    local function receiver_load(receiver) return args.receivers[owner .. '/' .. receiver] or 0 end
    local receiver = choose(outbox.owner_list(owner), receiver_load, args.look)
    if not receiver then
      args.owners[owner] = -1
    else
      local id = redis.call('ZRANGE', outbox.receiver_list(owner, receiver), 0, 0)[1]
      local at, job = unpack(redis.call('HMGET', outbox.key(id), 'at', 'job'))
      if not job then
        outbox.schedule(id, owner, receiver, nil)
      elseif tonumber(at) + DAY_MS < now then
        outbox.drop(id)
        outbox.count_dropped()
      else
        redis.call('HINCRBY', outbox.key(id), 'attempts', 1)
        redis.call('HSETNX', outbox.key(id), 'first_at', now)
        outbox.schedule(id, owner, receiver, now + args.hidden_seconds * 1000)
        local request = redis.call('HGET', outbox.shared_key(job), 'request') or ''
        return {id, request, unpack(redis.call('HGETALL', outbox.key(id)))}
      end
    end
  end
  return {}
end

function step.postpone()
  local key = outbox.key(args.id)
  local attempts, first_at, owner, receiver = unpack(redis.call('HMGET', key, 'attempts', 'first_at', 'owner', 'receiver'))
  if tonumber(attempts or 0) ~= args.attempt then return {'stale'} end
  if args.pause_seconds > 0 then outbox.pause(owner, receiver, math.ceil(args.pause_seconds * 1000)) end
  local due = now + args.seconds * 1000
  if due > first_at + args.total_seconds * 1000 then
    outbox.drop(args.id)
    outbox.count_dropped()
    return {'dropped'}
  end
  outbox.schedule(args.id, owner, receiver, due)
  return {'postponed'}
end

function step.settle()
  outbox.drop(args.id)
  return {'settled'}
end

return step[ARGV[1]]()
