-- Every change of a job's state, atomically, in one table. Nothing else writes a record or its stream.
--
--   transition  from                token   what happens
--   create      (absent)            -       record, first event, place in the queue; refused when the queue is full or
--                                           the owner over a limit; a known idempotency key: that job, never refused;
--                                           sent twice, as over a broken connection, counts once
--   acquire     queued, running     new     a lease; refused while another one lives or past the deadline; too many
--                                           fruitless tries: failed. Says `suspect` if a holder was lost since the last
--                                           new slice
--   renew       running             held    the lease lives on
--   append      running             held    one finished slice joins the stream; twice the same slice counts once
--   restart     running             held    the slices drawn are void (other weights or numerics)
--   release     running             held    the lease goes back, no attempt is spent
--   cancel      queued, running     any     ends at once unless another's lease lives: then that worker is asked to
--   finish      running             held    succeeded
--   fail        running             held    failed, with its problem
--   overdue     queued, running     -       failed, once past the deadline; a living lease gets `grace` to do it itself
--   requeue     queued, running     -       the next ticket, if the last one is still `expected` and no lease lives
--
-- succeeded, failed and canceled are never left; record and stream then live for the job's retention.
-- A refused transition changes nothing. Where Redis is out of memory every transition is refused as a whole, because its
-- first write is one that Redis refuses then; after a first write it lets a script finish.
-- renew and append also tell the worker to stop: `canceling` as somebody asked, `overdue` as the deadline has passed.
-- `announce` and `expire` keep the two lists around the jobs: live workers, and jobs past their retention.
-- An event that the job's webhook asks for enters the outbox in the step in which it enters the stream; `dispatch`,
-- `postpone` and `settle` lead it out.
--
-- KEYS: record, stream, queued, running, deadlines, ended, outbox (service.contract.redis_keys.Keys); create: + idempotency
-- An owner's own lists are named here, by `owned`: the record knows its owner, a worker does not.
-- ARGV: transition, job id, token or "", then the transition's own. Replies {outcome, ...}. Times are Redis' own, in ms.

local record, stream, queued, running, deadlines, ended = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local outbox = KEYS[7]
local name, id, token = ARGV[1], ARGV[2], ARGV[3]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function get(field) return redis.call('HGET', record, field) or '' end
local function number(field) return tonumber(get(field)) or 0 end
local function set(...) redis.call('HSET', record, ...) end

local function emit(event, ...)
  local entry = redis.call('XADD', stream, '*', 'event', event, ...)
  set('last_id', entry)
  return entry
end

-- A delivery has its own copy of all it tells: the job may be gone before it is sent. Unsent it is kept for a day.
local function tell(event, entry, ...)
  if get('webhook:' .. event) == '' then return end
  local delivery = 'msg_' .. id .. '-' .. entry
  local key = outbox .. ':' .. delivery
  redis.call('HSET', key, 'event', event, 'status', get('status'), 'at', now, 'request', get('request'), ...)
  redis.call('EXPIRE', key, 86400)
  redis.call('ZADD', outbox, now, delivery)
end

-- `score`: the verifier's probability of the label, of a base slice that has one, else ''
local function emit_slice(image, step, stage, k, bits, dtype, version, data, score)
  local entry = emit('slice', 'image', image, 'step', step, 'stage', stage, 'k', k, 'bits', bits, 'dtype', dtype,
                     'version', version, 'data', data, 'score', score)
  if score ~= '' then set('score:' .. image, score) end
  tell('slice', entry, 'image', image, 'step', step, 'stage', stage)
end

-- As service.contract.redis_keys.owned_key.
local function owned(owner, list) return (owner == '' and 'spn:' or 'spn:owner:' .. owner .. ':') .. list end

local function leased() return number('lease_until') > now end

local function past_deadline(grace_seconds)
  local deadline = number('deadline')
  return deadline > 0 and now >= deadline + (grace_seconds or 0) * 1000
end

local function verdict()
  if get('canceling') ~= '' then return {'canceling'} end
  return {past_deadline() and 'overdue' or 'done'}
end

local function lease(seconds)
  local lease_until = now + seconds * 1000
  set('lease_until', lease_until)
  redis.call('ZADD', running, lease_until, id)
end

local function conclude(status, problem)
  local retention, owner = number('retention_ms'), get('owner')
  set('status', status, 'finished_at', now, 'expires_at', now + retention, 'error', problem or '',
      'token', '', 'lease_until', 0)
  redis.call('ZREM', queued, id)
  redis.call('ZREM', running, id)
  redis.call('ZREM', deadlines, id)
  redis.call('ZREM', owned(owner, 'active'), id)
  redis.call('ZADD', ended, now + retention, owner == '' and id or id .. ':' .. owner)
  local entry = emit(status, 'error', problem or '')
  tell(status, entry, 'error', problem or '')
  redis.call('PEXPIRE', record, retention)
  redis.call('PEXPIRE', stream, retention)
  return {'done', entry}
end

-- Seconds until the next job ends, if they go on ending as they did in the last minute: 1 to 60.
local function turnover(retention_ms)
  local recent = redis.call('ZCOUNT', ended, now + retention_ms - 60000, '+inf')
  return math.max(1, math.ceil(60 / math.max(recent, 1)))
end

-- Seconds until the owner may submit again, 0 for now: a sliding minute of the submits that were accepted.
local function too_fast(owner, per_minute)
  if per_minute == 0 then return 0 end
  local submits, since = owned(owner, 'submits'), '(' .. now - 60000
  local over = redis.call('ZCOUNT', submits, since, '+inf') - per_minute
  if over < 0 then return 0 end
  local nth = redis.call('ZRANGEBYSCORE', submits, since, '+inf', 'WITHSCORES', 'LIMIT', over, 1)
  return math.ceil((nth[2] + 60000 - now) / 1000)
end

-- Jobs past their deadline do not count: they are about to be failed, and a lost record cannot block its owner for ever.
local function too_many(owner, concurrent)
  return concurrent > 0 and redis.call('ZCOUNT', owned(owner, 'active'), '(' .. now, '+inf') >= concurrent
end

-- How a new job is refused, or nil.
local function refusal(bound, owner, per_minute, concurrent, retention_ms)
  local pause = too_fast(owner, per_minute)
  if pause > 0 then return {'hurried', pause} end
  if too_many(owner, concurrent) then return {'crowded', turnover(retention_ms)} end
  if redis.call('ZCARD', queued) >= bound then return {'full', turnover(retention_ms)} end
end

local function place(owner, deadline, per_minute)
  redis.call('ZADD', queued, now, id)
  redis.call('ZADD', owned(owner, 'jobs'), now, id)
  redis.call('ZREMRANGEBYSCORE', owned(owner, 'active'), '-inf', now)
  redis.call('ZADD', owned(owner, 'active'), deadline > 0 and deadline or '+inf', id)
  if deadline > 0 then redis.call('ZADD', deadlines, deadline, id) end
  if per_minute > 0 then
    redis.call('ZREMRANGEBYSCORE', owned(owner, 'submits'), '-inf', now - 60000)
    redis.call('ZADD', owned(owner, 'submits'), now, id)
    redis.call('PEXPIRE', owned(owner, 'submits'), 60000)
  end
end

local transition = {}

-- then one slice per eight arguments: those that every picture starts with
function transition.create(bound, owner, per_minute, concurrent, deadline_seconds, key_seconds, fingerprint, request,
                           webhook_events, num_images, given, base_lanes, retention_ms, ...)
  if get('status') ~= '' then return {'done', id} end
  local replay = KEYS[8] and redis.call('HMGET', KEYS[8], 'id', 'fingerprint', 'record') or {}
  if replay[1] and redis.call('EXISTS', replay[3]) == 1 then
    return {replay[2] == fingerprint and 'replay' or 'clash', replay[1]}
  end
  bound, per_minute, concurrent = tonumber(bound), tonumber(per_minute), tonumber(concurrent)
  local refused = refusal(bound, owner, per_minute, concurrent, retention_ms)
  if refused then return refused end
  local deadline = tonumber(deadline_seconds) > 0 and now + deadline_seconds * 1000 or 0
  set('request', request, 'num_images', num_images, 'given', given, 'lanes', base_lanes, 'retention_ms', retention_ms,
      'status', 'queued', 'created_at', now, 'ticket', 1, 'ticketed_at', now, 'owner', owner, 'deadline', deadline)
  for event in string.gmatch(webhook_events, '%a+') do set('webhook:' .. event, 1) end
  place(owner, deadline, per_minute)
  emit('status', 'status', 'queued')
  local slices = {...}
  for image = 0, num_images - 1 do
    for i = 1, #slices, 8 do emit_slice(image, unpack(slices, i, i + 7)) end
    set('done:' .. image, given)
  end
  if KEYS[8] then
    redis.call('HSET', KEYS[8], 'id', id, 'fingerprint', fingerprint, 'record', record)
    redis.call('EXPIRE', KEYS[8], key_seconds)
  end
  return {'done', id}
end

function transition.acquire(seconds, max_attempts, problem, weights, numerics)
  if get('token') == token then
    lease(seconds)
    return {'done', get('suspect')}
  end
  if leased() then return {'leased'} end
  if get('canceling') ~= '' then
    conclude('canceled')
    return {'ended'}
  end
  if past_deadline() then return {'overdue'} end
  if number('fruitless') >= tonumber(max_attempts) then
    conclude('failed', problem)
    return {'ended'}
  end
  redis.call('HINCRBY', record, 'attempts', 1)
  redis.call('HINCRBY', record, 'fruitless', 1)
  if get('weights') == '' then set('weights', weights, 'numerics', numerics) end
  if get('token') ~= '' then set('suspect', 'suspect') end
  set('token', token)
  redis.call('ZREM', queued, id)
  lease(seconds)
  if get('status') == 'queued' then
    set('status', 'running', 'started_at', now)
    tell('started', emit('status', 'status', 'running'))
  end
  return {'done', get('suspect')}
end

function transition.renew(seconds)
  lease(seconds)
  return verdict()
end

function transition.append(image, step, ...)
  local drawn = 'done:' .. image
  if tonumber(step) > number(drawn) then return {'gap'} end
  if tonumber(step) == number(drawn) then
    emit_slice(image, step, ...)
    redis.call('HINCRBY', record, drawn, 1)
    set('fruitless', 0, 'suspect', '')
  end
  return verdict()
end

function transition.restart(weights, numerics)
  set('weights', weights, 'numerics', numerics)
  for image = 0, number('num_images') - 1 do set('done:' .. image, number('given'), 'score:' .. image, '') end
  return {'done', emit('restarted')}
end

function transition.release()
  if get('canceling') ~= '' then return conclude('canceled') end
  redis.call('HINCRBY', record, 'attempts', -1)
  if number('fruitless') > 0 then redis.call('HINCRBY', record, 'fruitless', -1) end
  set('token', '', 'lease_until', 0, 'ticketed_at', 0)
  redis.call('ZADD', running, 0, id)
  return {'done'}
end

function transition.cancel()
  if leased() and token ~= get('token') then
    set('canceling', 1)
    return {'canceling'}
  end
  return conclude('canceled')
end

function transition.finish() return conclude('succeeded') end

function transition.fail(problem) return conclude('failed', problem) end

function transition.overdue(grace_seconds, problem)
  if not past_deadline() then return {'stale'} end
  if leased() and not past_deadline(grace_seconds) then return {'leased'} end
  return conclude('failed', problem)
end

function transition.requeue(expected)
  if leased() then return {'leased'} end
  if get('ticket') ~= expected then return {'stale'} end
  set('ticketed_at', now)
  return {'done', redis.call('HINCRBY', record, 'ticket', 1)}
end

-- KEYS: workers; ARGV: name, worker, "", seconds to live (0: gone)
if name == 'announce' then
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
  if tonumber(ARGV[4]) == 0 then redis.call('ZREM', KEYS[1], id) else redis.call('ZADD', KEYS[1], now + ARGV[4] * 1000, id) end
  return {'done'}
end

-- KEYS: ended, whose members are `id`, or `id:owner` for a job that has one
if name == 'expire' then
  local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 1000)
  for _, past in ipairs(gone) do
    local job, owner = string.match(past, '^([^:]*):?(.*)$')
    redis.call('ZREM', owned(owner, 'jobs'), job)
    redis.call('ZREM', KEYS[1], past)
  end
  return {'done', #gone}
end

local function forget(key)
  redis.call('ZREM', KEYS[1], id)
  redis.call('DEL', key)
end

-- The delivery that is due first, which is then due again after some seconds, in case its sender dies.
-- KEYS: outbox; ARGV: name, "", "", seconds
if name == 'dispatch' then
  for _, delivery in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 100)) do
    local key = KEYS[1] .. ':' .. delivery
    if redis.call('EXISTS', key) == 1 then
      redis.call('HINCRBY', key, 'attempts', 1)
      redis.call('HSETNX', key, 'first_at', now)
      redis.call('ZADD', KEYS[1], now + ARGV[4] * 1000, delivery)
      return {'done', delivery}
    end
    redis.call('ZREM', KEYS[1], delivery)
  end
  return {'empty'}
end

-- The attempt failed. Dropped if the next one would come too late; no matter if another sender is at the next already.
-- KEYS: outbox, delivery; ARGV: name, delivery, "", attempt, seconds to the next, seconds from the first to the last
if name == 'postpone' then
  local attempts, first_at = unpack(redis.call('HMGET', KEYS[2], 'attempts', 'first_at'))
  if attempts ~= ARGV[4] then return {'stale'} end
  local due = now + ARGV[5] * 1000
  if due > first_at + ARGV[6] * 1000 then
    forget(KEYS[2])
    return {'ended'}
  end
  redis.call('ZADD', KEYS[1], due, id)
  return {'done'}
end

-- KEYS: outbox, delivery; ARGV: name, delivery, ""
if name == 'settle' then
  forget(KEYS[2])
  return {'done'}
end

local held = {renew = true, append = true, restart = true, release = true, finish = true, fail = true}
local status = get('status')

if name ~= 'create' then
  if name == 'overdue' and status ~= 'queued' and status ~= 'running' then redis.call('ZREM', deadlines, id) end
  if status == '' then return {'unknown'} end
  if status ~= 'queued' and status ~= 'running' then return {'ended'} end
  if name == 'acquire' and token == '' then return {'lost'} end
  if held[name] and (token == '' or get('token') ~= token) then return {'lost'} end
end
return transition[name](unpack(ARGV, 4))
