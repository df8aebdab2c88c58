-- Every change of a job's state, each in one atomic step. Nothing else writes a record or its stream. One call of the script
-- runs several transitions, each on its own, one after the other.
--
--   transition  from                token   effect
--   create      (absent)            -       record, first event, place in the queue, ticket; replies the record's fields.
--                                           Refused when the queue is full or the owner is over a
--                                           limit. A known idempotency key returns its job, and is
--                                           refused only if its body differs. The same job sent twice counts once.
--                                           With a `second` cell a full queue leaves the job to it, and the key remembers
--   acquire     queued, running     new     a lease. Refused while another lease is live or after the deadline. After
--                                           too many attempts without a new slice: failed. Replies `suspect` if a holder
--                                           was lost since the last new slice
--   renew       running             held    the lease is extended
--   append      running             held    finished slices enter the stream; the same slice twice counts once
--   restart     running             held    the slices so far are void (other weights or numerics)
--   release     running             held    the lease is returned, no attempt is spent
--   cancel      queued, running     any     the job ends at once. While another worker's lease is live, that worker stops
--   finish      running             held    succeeded. A job whose results leave Redis is `complete` instead: no slice is
--                                           missing, it has no lease and no deadline, and waits to be stored
--   stored      complete, ended     -       its object is in the object store: a complete job has succeeded. Record and
--                                           stream are kept for `keep_ms` more
--   fail        running             held    failed, with its problem
--   overdue     queued, running     -       failed, once past the deadline; a worker with a live lease has
--                                           `grace_seconds` more to do it itself
--   limit_lease queued, running     -       a lease that ends later than a new one would is shortened: the clock of
--                                           Redis was set back
--   requeue     queued, running     -       waits for a worker again. Refused while a lease is live, or if it waits already
--   erase       any, absent         -       record, stream, idempotency key and deliveries are deleted, in any status. The
--                                           next write of a worker that holds the job is refused, so that it stops
--
-- Token: `new` is a fresh one, `held` that of the lease, `any` may be empty, `-` is not read.
-- succeeded, failed and canceled are final; record and stream are then kept for the job's retention.
-- A refused transition changes nothing. One whose record is damaged replies `broken`, and the others go on. Any other error
-- ends the script: those before have happened, those after have not. So only transitions that count once share a call. When
-- Redis is out of memory, it refuses the first write of a script and with it all that follow; after a first write it lets
-- the script finish.
-- renew and append also reply that the worker should stop: `canceling` after a cancel, `overdue` after the deadline.
-- `announce` and `expire` maintain the two lists around the jobs: live workers, and jobs past their retention. `next` replies
-- the job that a worker should acquire (queue.lua). Two workers may get the same one; the slower is refused and asks again.
-- `unstored` claims jobs whose object in the object store is not yet as Redis has them: to be written, or to be deleted.
-- An event that the job's webhook requests enters the outbox (outbox.lua) in the same step as the stream.
--
-- Fields of a record that are not in its request:
--   token, lease_until, lease_ms   the lease: its secret, its end, its length
--   attempts, fruitless            attempts so far; those since the last new slice
--   suspect                        set when a job was acquired from a lost holder, cleared by a new slice
--   canceling                      set by a cancel while a worker holds the job
--   priority, weight               the job's priority; the weight of its owner
--   given                          slices that every image starts with, which no restart voids
--   done:I, score:I                slices of image I that are in the stream; the verifier's score of its base slice
--   lanes                          lanes of the job's base slices, for the estimate
--   results                        set if the job goes to the object store when it ends
--   completed_at, final_id         of a complete job: when its last slice was there, and the id of its final event. Both are
--                                  in its object before they are in the stream
--
-- KEYS: queued, running, deadlines, ended, outbox, owners, workers of the model (service.contract.redis_keys.model_keys); then
-- the keys of the jobs. The keys of an owner's lists are built here, by `owned` and by queue.lua: a worker does not know the
-- owner.
-- ARGV[1]: a JSON list with an object for each transition: `transition`, `id`, `token` or "", the places in KEYS of `record`,
-- `stream` and, if there is one, `idempotency`, and the transition's arguments by name. The values of slices are bytes, so they
-- cannot be in the JSON: `slice.data` is the place in ARGV of a slice's compressed values. `ticket` has the places of RQ's
-- commands, the first and the last of each.
-- Replies a list with {outcome, ...} for each transition. Times are those of Redis' clock, in ms.

local UNSTORED = 'spn:unstored' -- jobs whose object is not yet as Redis has them, by the time when they may be claimed

-- The transition that runs: its object in the JSON, and the keys of its job.
local call
local key = {queued = KEYS[1], running = KEYS[2], deadlines = KEYS[3], ended = KEYS[4], outbox = KEYS[5], owners = KEYS[6],
             workers = KEYS[7]}

-- The time of this transition in ms: that with which the id of its first event begins. TIME is read only where a time is
-- needed before.
local clock, first_entry
local function now()
  if not clock and first_entry then clock = tonumber(string.match(first_entry, '^%d+')) end
  if not clock then
    local seconds, microseconds = unpack(redis.call('TIME'))
    clock = seconds * 1000 + math.floor(microseconds / 1000)
  end
  return clock
end

-- The record's fields, '' for one that is absent. Those that a transition needs are read at once (`needed`), others when
-- they are used; all changes are written at once. HGET after HGET was most of Redis' work for a job.
local job, changes
local fields_of_record = {__index = function(known, field)
  local value = redis.call('HGET', key.record, field) or ''
  rawset(known, field, value)
  return value
end}

local function read(fields)
  for i, value in ipairs(redis.call('HMGET', key.record, unpack(fields))) do job[fields[i]] = value or '' end
end

local function number(field) return tonumber(job[field]) or 0 end

local function set(field, value)
  job[field] = value
  changes[#changes + 1] = field
  changes[#changes + 1] = value
end

local function set_all(fields)
  for field, value in pairs(fields) do set(field, value) end
end

-- The model's queue. Only some transitions need it, and its functions are made anew at each call.
local made
local function queue()
  made = made or Queue(key.owners)
  return made
end

local function write()
  if #changes > 0 then redis.call('HSET', key.record, unpack(changes)) end
end

local entry_id -- of the next event; '*': a new one
local function add_entry(event, ...)
  local entry = redis.call('XADD', key.stream, entry_id, 'event', event, ...)
  first_entry = first_entry or entry
  return entry
end

local function emit(event, ...)
  local entry = add_entry(event, ...)
  set('last_id', entry)
  return entry
end

local function notify(event, entry, ...)
  if job['webhook:' .. event] == '' then return end
  local delivery = {id = 'msg_' .. call.id .. '-' .. entry, job = call.id, owner = job.owner, receiver = job.receiver,
                    event = event, request = job.request}
  Outbox(key.outbox, now()).add(delivery, 'status', job.status, 'at', now(), ...)
end

-- `slice.score`: the verifier's probability of the label; only a scored base slice has it
local function add_slice(image, slice)
  return add_entry('slice', 'image', image, 'step', slice.step, 'stage', slice.stage, 'k', slice.k, 'bits', slice.bits,
                   'dtype', slice.dtype, 'version', slice.version, 'data', ARGV[slice.data], 'score', slice.score or '')
end

local function notify_slice(image, slice, entry)
  notify('slice', entry, 'image', image, 'step', slice.step, 'stage', slice.stage)
end

-- The key of an owner's list; the same as service.contract.redis_keys.owned_key.
local function owned(owner, list) return (owner == '' and 'spn:' or 'spn:owner:' .. owner .. ':') .. list end

local function leased() return number('lease_until') > 0 and number('lease_until') > now() end

local function past_deadline(grace_seconds)
  local deadline = number('deadline')
  return deadline > 0 and now() >= deadline + (grace_seconds or 0) * 1000
end

-- The reply of renew: whether the worker should go on.
local function verdict()
  if job.canceling ~= '' then return {'canceling'} end
  return {past_deadline() and 'overdue' or 'done'}
end

-- Start or extend the lease.
local function lease()
  local lease_until = now() + call.lease_seconds * 1000
  redis.call('ZADD', key.running, lease_until, call.id)
  set_all({lease_until = lease_until, lease_ms = call.lease_seconds * 1000})
end

-- Let the job's object be written, or deleted if the job is gone. A claim that is under way ends first.
local function store(ended_id) redis.call('ZADD', UNSTORED, 'NX', now(), ended_id) end

-- Remove a job from its owner's list. A stored job has its status there: lists need not read its object.
local function unlist(owner, past)
  redis.call('ZREM', owned(owner, 'jobs'), past, past .. ':succeeded', past .. ':failed', past .. ':canceled')
end

-- End the job: its final event, out of all lists of unfinished jobs, and its retention. `at`: when it ended; `expires_at`: when
-- its retention ends. nil: now, and the retention from now.
local function conclude(status, problem, at, expires_at)
  local owner = job.owner
  local entry = emit(status, 'error', problem or '')
  at, expires_at = at or now(), expires_at or now() + number('retention_ms')
  local retention = math.max(1, expires_at - now())
  if not leased() then queue().remove(call.id, job) end
  redis.call('ZREM', job.status == 'queued' and key.queued or key.running, call.id)
  set_all({status = status, finished_at = at, expires_at = expires_at, error = problem or '', token = '', lease_until = 0})
  notify(status, entry, 'error', problem or '')
  if number('deadline') > 0 then redis.call('ZREM', key.deadlines, call.id) end
  redis.call('ZREM', owned(owner, 'active'), call.id)
  redis.call('ZADD', key.ended, expires_at, owner == '' and call.id or call.id .. ':' .. owner)
  if job.results ~= '' and call.transition ~= 'stored' then store(call.id) end
  redis.call('PEXPIRE', key.record, retention)
  redis.call('PEXPIRE', key.stream, retention)
  if job.idempotency ~= '' and redis.call('PTTL', job.idempotency) > retention then
    redis.call('PEXPIRE', job.idempotency, retention)
  end
  return {'done', entry}
end

-- Seconds until the next job ends, at the rate of the last minute: 1 to 60.
local function turnover()
  local recent = redis.call('ZCOUNT', key.ended, now() + call.retention_ms - 60000, '+inf')
  return math.max(1, math.ceil(60 / math.max(recent, 1)))
end

-- Seconds until the owner may submit again; 0: now. The rate limit counts the submits of the last minute, with those that the
-- API refused (service/jobs/refusal_counter.py).
local function rate_limit_pause()
  if call.per_minute == 0 then return 0 end
  local submits, since = owned(call.owner, 'submits'), '(' .. now() - 60000
  local over = redis.call('ZCOUNT', submits, since, '+inf') - call.per_minute
  if over < 0 then return 0 end
  local nth = redis.call('ZRANGEBYSCORE', submits, since, '+inf', 'WITHSCORES', 'LIMIT', over, 1)
  return math.ceil((nth[2] + 60000 - now()) / 1000)
end

-- Jobs past their deadline do not count: the reaper is about to fail them, and a lost record must not block its owner.
local function at_concurrency_limit()
  return call.concurrent > 0
    and redis.call('ZCOUNT', owned(call.owner, 'active'), '(' .. now(), '+inf') >= call.concurrent
end

-- An owner without a waiting job is accepted in a full queue: no owner can fill it for others.
local function full() return redis.call('ZCARD', key.queued) >= call.bound and queue().length(call.owner) > 0 end

-- The reply that refuses a new job, or nil.
local function refusal()
  local pause = rate_limit_pause()
  if pause > 0 then return {'rate_limited', pause} end
  if at_concurrency_limit() then return {'concurrency_limited', turnover()} end
  if full() then return {'full', turnover()} end
end

-- Enter the new job in the lists: the queue, its owner's lists, the deadlines.
local function place(deadline)
  local owner = call.owner
  redis.call('ZADD', key.queued, now(), call.id)
  queue().add(call.id, job)
  redis.call('ZADD', owned(owner, 'jobs'), now(), call.id)
  redis.call('ZREMRANGEBYSCORE', owned(owner, 'active'), '-inf', now())
  redis.call('ZADD', owned(owner, 'active'), deadline > 0 and deadline or '+inf', call.id)
  if deadline > 0 then redis.call('ZADD', key.deadlines, deadline, call.id) end
  if call.per_minute > 0 then
    redis.call('ZREMRANGEBYSCORE', owned(owner, 'submits'), '-inf', now() - 60000)
    redis.call('ZADD', owned(owner, 'submits'), now(), call.id)
    redis.call('PEXPIRE', owned(owner, 'submits'), 60000)
  end
end

-- The reply that leaves the new job to the second cell. Its key remembers that, so that retries go there too.
local function move()
  if key.idempotency then
    redis.call('HSET', key.idempotency, 'cell', call.second)
    redis.call('EXPIRE', key.idempotency, call.key_seconds)
  end
  return {'moved', call.second}
end

-- The reply for a known idempotency key, or nil.
local function replay()
  local known = redis.call('HMGET', key.idempotency, 'id', 'fingerprint', 'record', 'cell', 'stored')
  if known[4] then return {'moved', known[4]} end
  if not known[1] or not known[5] and redis.call('EXISTS', known[3]) == 0 then return end
  return {known[2] == call.fingerprint and 'replay' or 'clash', known[1]}
end

-- Store the idempotency key of the new job.
local function remember()
  redis.call('HSET', key.idempotency, 'id', call.id, 'fingerprint', call.fingerprint, 'record', key.record)
  redis.call('EXPIRE', key.idempotency, call.key_seconds)
  set('idempotency', key.idempotency)
end

-- Put the ticket of the new job: RQ's own commands. If one fails the job waits without a ticket, and the reaper puts one.
local function put_ticket()
  for _, places in ipairs(call.ticket) do redis.pcall(unpack(ARGV, places[1], places[2])) end
end

-- The reply of `create`: the fields of the record.
local function created()
  write()
  changes = {}
  return {'done', unpack(redis.call('HGETALL', key.record))}
end

local transition = {}

-- `slices`: those that every image starts with.
function transition.create()
  if job.status ~= '' then return created() end
  local refused = key.idempotency and replay() or refusal()
  if refused and refused[1] == 'full' and call.second ~= '' then return move() end
  if refused then return refused end
  emit('status', 'status', 'queued')
  local deadline = call.deadline_seconds > 0 and now() + call.deadline_seconds * 1000 or 0
  set_all({request = call.request, num_images = call.num_images, given = #call.slices, lanes = call.base_lanes,
       retention_ms = call.retention_ms, status = 'queued', created_at = now(), owner = call.owner, deadline = deadline,
       receiver = call.receiver, priority = call.priority, weight = call.weight})
  if call.results then set('results', 1) end
  for _, event in ipairs(call.webhook_events) do set('webhook:' .. event, 1) end
  place(deadline)
  for image = 0, call.num_images - 1 do
    set('done:' .. image, 0)
    for _, slice in ipairs(call.slices) do
      local entry = add_slice(image, slice)
      set_all({last_id = entry, ['done:' .. image] = slice.step + 1})
      if slice.score then set('score:' .. image, slice.score) end
      notify_slice(image, slice, entry)
    end
  end
  if key.idempotency then remember() end
  put_ticket()
  return created()
end

-- Replies `suspect` or '', the request, the weights and numerics of the slices so far, and whether there may be any.
local function acquired(resumed)
  return {'done', job.suspect, job.request, job.weights, job.numerics, resumed and 'resumed' or ''}
end

-- A job that is refused waits no longer: it is held, has ended, or is left to the reaper.
function transition.acquire()
  if job.token == call.token then
    lease()
    return acquired(true)
  end
  if leased() or past_deadline() then
    queue().remove(call.id, job)
    return {leased() and 'leased' or 'overdue'}
  end
  if job.canceling ~= '' then
    conclude('canceled')
    return {'ended'}
  end
  if number('fruitless') >= call.max_attempts then
    conclude('failed', call.problem)
    return {'ended'}
  end
  lease()
  local begins = job.status == 'queued'
  local entry = begins and emit('status', 'status', 'running')
  queue().remove(call.id, job)
  queue().charge(job)
  if job.token ~= '' then set('suspect', 'suspect') end
  local resumed = number('given') > 0 or job.weights ~= ''
  if job.weights == '' then set_all({weights = call.weights, numerics = call.numerics}) end
  set_all({attempts = number('attempts') + 1, fruitless = number('fruitless') + 1, token = call.token})
  if begins then
    redis.call('ZREM', key.queued, call.id)
    set_all({status = 'running', started_at = now()})
    notify('started', entry)
  end
  return acquired(resumed)
end

function transition.renew()
  lease()
  return verdict()
end

-- Most of what Redis does for a job are its appends, so this one reads and writes the record by itself: through `job`, `barred`
-- and `set` it took a third longer.
local function append()
  local slices, fields = call.slices, {'status', 'token', 'completed_at', 'canceling', 'deadline', 'webhook:slice'}
  local given = #fields
  for i = 1, #slices do fields[given + i] = 'done:' .. slices[i].image end
  local done = {}
  local known = redis.call('HMGET', key.record, unpack(fields))
  local status, token, completed_at, canceling, deadline, webhook = unpack(known, 1, given)
  if not status then return {'unknown'} end
  if completed_at or status ~= 'queued' and status ~= 'running' then return {'ended'} end
  if call.token == '' or token ~= call.token then return {'lost'} end
  for i = 1, #slices do
    local steps = tonumber(known[given + i]) or 0
    if slices[i].step > steps then return {'gap'} end
    done[slices[i].image] = steps
  end
  if webhook then job = setmetatable({status = status}, fields_of_record) end
  local entry
  for i = 1, #slices do
    local slice = slices[i]
    if slice.step == done[slice.image] then
      entry = add_slice(slice.image, slice)
      done[slice.image] = slice.step + 1
      changes[#changes + 1] = fields[given + i]
      changes[#changes + 1] = slice.step + 1
      if slice.score then
        changes[#changes + 1] = 'score:' .. slice.image
        changes[#changes + 1] = slice.score
      end
      if webhook then notify_slice(slice.image, slice, entry) end
    end
  end
  if entry then redis.call('HSET', key.record, 'last_id', entry, 'fruitless', '0', 'suspect', '', unpack(changes)) end
  if canceling then return {'canceling'} end
  deadline = tonumber(deadline) or 0
  return {deadline > 0 and now() >= deadline and 'overdue' or 'done'}
end

function transition.restart()
  local entry = emit('restarted')
  set_all({weights = call.weights, numerics = call.numerics})
  for image = 0, number('num_images') - 1 do set_all({['done:' .. image] = number('given'), ['score:' .. image] = ''}) end
  return {'done', entry}
end

-- Let a job without a lease wait for a worker. In `running` it is then behind all leases. Reply whether it did not wait before.
local function wait_again()
  if job.status == 'running' then redis.call('ZADD', key.running, '+inf', call.id) end
  return queue().add(call.id, job)
end

function transition.release()
  if job.canceling ~= '' then return conclude('canceled') end
  wait_again()
  set_all({attempts = number('attempts') - 1, fruitless = math.max(0, number('fruitless') - 1), token = '',
       lease_until = 0})
  return {'done'}
end

function transition.cancel()
  if leased() and call.token ~= job.token then
    set('canceling', 1)
    return {'canceling'}
  end
  return conclude('canceled')
end

function transition.finish()
  if job.results == '' then return conclude('succeeded') end
  local last = tonumber(string.match(job.last_id, '^%d+'))
  set_all({completed_at = now(), final_id = string.format('%.0f-0', math.max(now(), last + 1)), token = '', lease_until = 0})
  redis.call('ZREM', key.running, call.id)
  redis.call('ZREM', key.deadlines, call.id)
  store(call.id)
  return {'complete'}
end

function transition.stored()
  redis.call('ZREM', UNSTORED, call.id) -- the first write, so that a full Redis does not refuse this: it frees memory
  if job.status == 'running' then
    now() -- the id of the final event is older
    entry_id = job.final_id
    conclude('succeeded', nil, number('completed_at'), call.expires_at)
  end
  local keep_ms = math.max(1, math.min(call.keep_ms, number('expires_at') - now()))
  redis.call('PEXPIRE', key.record, keep_ms)
  redis.call('PEXPIRE', key.stream, keep_ms)
  unlist(job.owner, call.id)
  redis.call('ZADD', owned(job.owner, 'jobs'), job.created_at, call.id .. ':' .. job.status)
  if redis.call('EXISTS', job.idempotency) == 1 then redis.call('HSET', job.idempotency, 'stored', 1) end
  return {'done'}
end

function transition.fail() return conclude('failed', call.problem) end

function transition.overdue()
  if not past_deadline() then return {'stale'} end
  if leased() and not past_deadline(call.grace_seconds) then return {'leased'} end
  return conclude('failed', call.problem)
end

function transition.limit_lease()
  local lease_until = now() + number('lease_ms')
  if number('lease_ms') == 0 or number('lease_until') <= lease_until then return {'stale'} end
  redis.call('ZADD', key.running, lease_until, call.id)
  set('lease_until', lease_until)
  return {'done'}
end

function transition.requeue()
  if leased() then return {'leased'} end
  return {wait_again() and 'done' or 'stale'}
end

-- The deliveries of a job are named after the entries of its stream. Of a job that is in the object store alone, the caller
-- knows owner and idempotency key.
function transition.erase()
  if job.receiver ~= '' then
    for _, entry in ipairs(redis.call('XRANGE', key.stream, '-', '+')) do
      Outbox(key.outbox, now()).drop('msg_' .. call.id .. '-' .. entry[1])
    end
  end
  local owner = call.owner
  queue().remove(call.id, job)
  redis.call('ZREM', key.queued, call.id)
  redis.call('ZREM', key.running, call.id)
  redis.call('ZREM', key.deadlines, call.id)
  redis.call('ZREM', owned(owner, 'active'), call.id)
  unlist(owner, call.id)
  redis.call('ZREM', key.ended, owner == '' and call.id or call.id .. ':' .. owner)
  if key.idempotency then redis.call('DEL', key.idempotency) end
  if call.results then store(call.id) end
  redis.call('DEL', key.record, key.stream)
  return {'done'}
end

-- Transitions without a record.
local listing = {}

-- id: that of the worker. `seconds`: until it expires; 0 removes it.
function listing.announce()
  redis.call('ZREMRANGEBYSCORE', key.workers, '-inf', now())
  if call.seconds > 0 then
    redis.call('ZADD', key.workers, now() + call.seconds * 1000, call.id)
  else
    redis.call('ZREM', key.workers, call.id)
  end
  return {'done'}
end

-- The members of `ended` are `id`, or `id:owner` for a job with an owner. `results`: their objects are to be deleted.
function listing.expire()
  local gone = redis.call('ZRANGEBYSCORE', key.ended, '-inf', now(), 'LIMIT', 0, 1000)
  for _, past in ipairs(gone) do
    local ended_id, owner = string.match(past, '^([^:]*):?(.*)$')
    unlist(owner, ended_id)
    redis.call('ZREM', key.ended, past)
    if call.results then store(ended_id) end
  end
  return {'done', #gone}
end

-- Let the jobs of `returned` be due again, whose claims ended without success. Claim at most `count` that are due, for
-- `claim_ms`: nobody else is replied the same ones until then.
function listing.unstored()
  local function due_at(time, each)
    -- ZREM first: a full Redis refuses ZADD as the first write of a script, and these jobs have to leave it
    if redis.call('ZREM', UNSTORED, each) == 1 then redis.call('ZADD', UNSTORED, time, each) end
  end
  for _, each in ipairs(call.returned) do due_at(now(), each) end
  local due = redis.call('ZRANGEBYSCORE', UNSTORED, '-inf', now(), 'LIMIT', 0, call.count)
  for _, each in ipairs(due) do due_at(now() + call.claim_ms, each) end
  return {'done', unpack(due)}
end

-- The next job of all, if `every_owner`; else the next interactive one of an owner not in `except_owners`.
function listing.next()
  local except = not call.every_owner and {} or nil
  for _, owner in ipairs(call.except_owners) do except[owner] = true end
  local found = queue().next(except)
  return found and {'done', found} or {'empty'}
end

local held_only = {renew = true, restart = true, release = true, finish = true, fail = true}

-- The reply that refuses a transition because of the job's status or the token, or nil.
local function barred()
  local complete = job.status == 'running' and job.completed_at ~= ''
  local ends = complete or job.status ~= 'queued' and job.status ~= 'running'
  if call.transition == 'overdue' and ends then redis.call('ZREM', key.deadlines, call.id) end
  if call.transition == 'requeue' and ends then
    redis.call('ZREM', key.queued, call.id)
    redis.call('ZREM', key.running, call.id)
  end
  if call.transition ~= 'erase' then
    if job.status == '' then return {'unknown'} end
    if complete and call.transition == 'cancel' then return {'canceling'} end -- too late: it ends soon, with its images
    if ends ~= (call.transition == 'stored') then return {ends and 'ended' or 'stale'} end
  end
  if call.transition == 'acquire' and call.token == '' then return {'lost'} end
  if held_only[call.transition] and (call.token == '' or job.token ~= call.token) then return {'lost'} end
end

-- Fields that a transition reads besides those that all read.
local needed = {
  acquire = 'attempts fruitless suspect given weights numerics request owner num_images weight webhook:started',
  finish = 'webhook:succeeded owner retention_ms idempotency results last_id',
  stored = 'webhook:succeeded owner retention_ms idempotency results final_id created_at',
  fail = 'webhook:failed owner retention_ms idempotency results',
  cancel = 'webhook:canceled owner retention_ms idempotency results',
}

local function fields_to_read()
  local fields = {'status', 'token', 'lease_until', 'canceling', 'deadline', 'completed_at'}
  for field in string.gmatch(needed[call.transition] or '', '%S+') do table.insert(fields, field) end
  return fields
end

-- Run one transition and return its reply.
local function run(each)
  call, clock, first_entry, entry_id, changes = each, nil, nil, '*', {}
  if listing[call.transition] then return listing[call.transition]() end
  key.record, key.stream, key.idempotency = KEYS[call.record], KEYS[call.stream], KEYS[call.idempotency]
  if call.transition == 'append' then return append() end
  job = setmetatable({}, fields_of_record)
  read(fields_to_read())
  local reply = call.transition ~= 'create' and barred() or transition[call.transition]()
  write()
  return reply
end

-- The reply of a transition; an error reply if the script ends with it.
local function run_alone(each)
  local succeeded, reply = pcall(run, each)
  if succeeded then return reply end
  if string.find(reply, 'WRONGTYPE', 1, true) then
    if call.transition == 'acquire' then pcall(queue().remove, call.id, job) end -- else the job would be next for ever
    return {'broken', reply}
  end
  return redis.error_reply(reply)
end

local replies = {}
for i, each in ipairs(cjson.decode(ARGV[1])) do
  replies[i] = run_alone(each)
  if replies[i].err then return replies[i] end
end
return replies
