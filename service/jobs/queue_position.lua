-- The place of a waiting job, from the owners' queues (service/contract/queue.lua). Writes nothing.
--
-- KEYS: owners. ARGV: prefix of the owners' queues, name of the queue of returned jobs, owner, job id.
-- Replies {jobs of this owner before it, jobs of others before it}, or nil for a job that does not wait.
--
-- The jobs of an owner are taken to be like its first one. Of more than MOST owners, the others count as the read ones do.

local MOST = 64
local owners, prefix, returned, owner, id = KEYS[1], unpack(ARGV)

-- The turn that one job of an owner takes: its images over the weight.
local function share(name)
  local first = redis.call('ZRANGE', prefix .. name, 0, 0)[1]
  local fields = first and redis.pcall('HMGET', 'spn:job:' .. first, 'num_images', 'weight') or {}
  return (tonumber(fields[1]) or 1) / (tonumber(fields[2]) or 1)
end

local rank = redis.call('ZRANK', prefix .. owner, id)
if not rank then return end
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
