-- The jobs of a model that wait for a worker: one queue for each owner, and whose turn it is. transitions.lua begins with
-- this file.
--
--   spn:owners:MODEL          owners by turn: the images that workers took from an owner's queue, over the owner's weight
--   spn:waiting:MODEL:OWNER   jobs of an owner: interactive ones first, then batch ones, each by time of creation
--   spn:waiting:MODEL:!       jobs that a worker returned or lost, of all owners. They are always first
--
-- The owner with the lowest turn is next, and each job moves the turn by its images over the weight. So owners that wait get
-- images in the ratio of their weights (start-time fair queueing, Goyal, Vin & Cheng 1996). An owner that begins to wait
-- gets the lowest turn: it has no debt and no savings. An owner without waiting jobs leaves when `next` passes it.

local RETURNED = '!' -- no owner has this name
local BATCH = 1e15   -- added to the time of creation, in ms, of a batch job

local function Queue(owners)
  local queue = {}
  local prefix = string.gsub(owners, '^spn:owners:', 'spn:waiting:') .. ':'

  -- The owner under which `job`, a record, waits or would wait.
  local function place(job) return job.status == 'running' and RETURNED or job.owner end

  -- Let `job` wait; it stays where it is if it does already. Reply whether it is new.
  function queue.add(id, job)
    local owner = place(job)
    local order = (tonumber(job.created_at) or 0) + (job.priority == 'batch' and BATCH or 0)
    if redis.call('ZADD', prefix .. owner, 'NX', order, id) == 0 then return false end
    if owner == RETURNED then
      redis.call('ZADD', owners, '-inf', owner)
    else
      local lowest = redis.call('ZRANGEBYSCORE', owners, '(-inf', '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
      redis.call('ZADD', owners, 'NX', lowest or 0, owner)
    end
    return true
  end

  function queue.remove(id, job) redis.call('ZREM', prefix .. place(job), id) end

  -- Count the images of `job` for its owner. Those of a returned job were counted before.
  function queue.charge(job)
    if job.status ~= 'queued' then return end
    redis.call('ZINCRBY', owners, (tonumber(job.num_images) or 1) / (tonumber(job.weight) or 1), job.owner)
  end

  function queue.length(owner) return redis.call('ZCARD', prefix .. owner) end

  -- The first waiting job of an owner and its order. An entry whose job has ended or has no readable record is removed.
  local function first(owner)
    local id, order = unpack(redis.call('ZRANGE', prefix .. owner, 0, 0, 'WITHSCORES'))
    if not id then return end
    local status = redis.pcall('HGET', 'spn:job:' .. id, 'status')
    if status == 'queued' or status == 'running' then return id, tonumber(order) end
    redis.call('ZREM', prefix .. owner, id)
    return first(owner)
  end

  -- The id of the job that is next, or nil. With `except`, a set of owners: the next interactive job of another owner.
  function queue.next(except)
    for _, owner in ipairs(redis.call('ZRANGE', owners, 0, -1)) do
      if not except or not (except[owner] or owner == RETURNED) then
        local id, order = first(owner)
        if not id then
          redis.call('ZREM', owners, owner)
        elseif not except or order < BATCH then
          return id
        end
      end
    end
  end

  return queue
end
