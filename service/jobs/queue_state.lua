-- What a poll needs to know of the queue: the place of a job in it, and the jobs that compete with it. Writes nothing, so that
-- a full Redis still answers it.
--
-- KEYS: owners, pace, workers, running, queued. ARGV: prefix of the owners' queues (service/contract/queue.lua), name of the
-- queue of returned jobs, owner, job id, how many competing jobs of a list to read, how many running and how many queued ones the
-- caller knows. A list is read only if the caller knows less than half of what it would read.
-- Replies {place, pace, time, workers with their scores, {running jobs, the first of them}, {queued jobs, the first of them}}.
--
-- The place takes the jobs of an owner to be like its first one. Of more than MOST owners, the others count as the read ones do.

local MOST = 64
local owners, pace, workers, running, queued = unpack(KEYS)
local prefix, returned, owner, id = unpack(ARGV)
local sample = tonumber(ARGV[5])

-- The turn that one job of an owner takes: its images over the weight.
local function share(name)
  local first = redis.call('ZRANGE', prefix .. name, 0, 0)[1]
  local fields = first and redis.pcall('HMGET', 'spn:job:' .. first, 'num_images', 'weight') or {}
  return (tonumber(fields[1]) or 1) / (tonumber(fields[2]) or 1)
end

-- The place of the job: jobs of its owner before it, jobs of others before it. false for a job that does not wait.
local function place()
  local rank = redis.call('ZRANK', prefix .. owner, id)
  if not rank then return false end
  local turn = (tonumber(redis.call('ZSCORE', owners, owner)) or 0) + rank * share(owner)
  local all = redis.call('ZRANGEBYSCORE', owners, '(-inf', turn, 'WITHSCORES')
  local ahead, read = 0, math.min(#all, 2 * MOST)
  for i = 1, read, 2 do
    local name, first = all[i], tonumber(all[i + 1])
    if name ~= owner then
      local jobs = (turn - first) / share(name)
      jobs = math.ceil(jobs) + (jobs == math.floor(jobs) and name < owner and 1 or 0) -- of equal turns the name decides
      ahead = ahead + math.min(jobs, redis.call('ZCARD', prefix .. name))
    end
  end
  if read > 0 then ahead = math.ceil(ahead * #all / read) end
  return {rank, ahead + redis.call('ZCARD', prefix .. returned)}
end

-- How many jobs a list has, and the first of them: id, owner, images, slices of the first image, lanes of a base slice. false
-- for what a damaged record does not have.
local function jobs(list, known)
  local count, found = redis.call('ZCARD', list), {}
  if 2 * known >= math.min(count, sample) then return {count, found} end
  for _, job in ipairs(redis.call('ZRANGE', list, 0, sample - 1)) do
    local fields = redis.pcall('HMGET', 'spn:job:' .. job, 'owner', 'num_images', 'done:0', 'lanes')
    if fields.err then fields = {false, false, false, false} end
    table.insert(found, {job, unpack(fields)})
  end
  return {count, found}
end

return {place(), redis.call('HGETALL', pace), redis.call('TIME'), redis.call('ZRANGE', workers, 0, -1, 'WITHSCORES'),
        jobs(running, tonumber(ARGV[6])), jobs(queued, tonumber(ARGV[7]))}
