"""The checks of Redis: reachable, writable, on disk before it answers, and never dropping a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, BusyLoadingError, NoPermissionError, RedisError, ResponseError
from redis.retry import Retry

from service.contract import registrations
from service.contract.redis_keys import workers_key
from worker.doctor.findings import Finding, advice, fine, wrong

TIMEOUT_SECONDS = 3
OLDEST = (6, 2)
"""The first version in which RQ takes a job from its queue in one command, so that no crash loses it."""

NEARLY_FULL = 0.8

Info = Mapping[str, Any]
"""The answer to INFO, as redis-py reads it."""


def single_try_client(url: str) -> Redis:
    """Return a client that fails at once if Redis does not answer."""
    return Redis.from_url(url, socket_timeout=TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 0))


def redis_findings(url: str, model: str) -> list[Finding]:
    """Return the findings about Redis, its persistence, its memory, and the workers that announced themselves there."""
    with single_try_client(url) as client:
        where = place(client)
        try:
            return list(examined(client, model, where))
        except AuthenticationError as error:
            return [wrong("redis", f"{where}: {error}", "put the password into SPN_REDIS_URL: redis://:PASSWORD@HOST")]
        except NoPermissionError as error:
            cure = "allow this user the keys spn:* and rq:* and the commands of docs/operations.md, Redis"
            return [wrong("redis", f"{where}: {error}", cure)]
        except BusyLoadingError:
            return [wrong("redis", f"{where} is reading its file", "wait until it has, and ask again")]
        except RedisError as error:
            return [wrong("redis", f"{where}: {error}", "start it, or set SPN_REDIS_URL to where it listens")]


def examined(client: Redis, model: str, where: str) -> Iterator[Finding]:
    """Yield the findings in order. Raises RedisError."""
    try:
        info: Info = client.info()
    except NoPermissionError:
        yield advice(
            "redis",
            f"{where}: this user may not run INFO, so version, persistence, eviction and memory are unknown",
            "redis-cli acl setuser NAME +info +config|get; or check them yourself (docs/operations.md, Redis)",
        )
    else:
        yield from server_findings(client, info, where)
    yield workers(client, model)


def server_findings(client: Redis, info: Info, where: str) -> Iterator[Finding]:
    """Yield the findings about the server, from its INFO. Raises RedisError."""
    yield itself(info, where)
    yield persistence(info)
    if info["aof_enabled"]:
        yield syncing(appendfsync(client))
    yield from failures(info)
    yield eviction(info)
    yield memory(info)


def itself(info: Info, where: str) -> Finding:
    """Check version and role."""
    version = str(info["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        return wrong("redis", f"{version} at {where}", f"upgrade to {'.'.join(map(str, OLDEST))} or later")
    if info["role"] != "master":
        return wrong("redis", f"a replica at {where}", "set SPN_REDIS_URL to the primary: a replica refuses writes")
    return fine("redis", f"{version} at {where}")


def persistence(info: Info) -> Finding:
    """Check whether a restart of Redis keeps accepted jobs."""
    if not info["aof_enabled"]:
        cure = "start it with --appendonly yes --appendfsync always; now: redis-cli config set appendonly yes"
        return wrong("persistence", "no append-only file: a restart of Redis loses accepted jobs", cure)
    return fine("persistence", "append-only file")


def syncing(policy: str | None) -> Finding:
    """Check when Redis writes its file to disk."""
    cure = "redis-cli config set appendfsync always, and --appendfsync always at its start"
    match policy:
        case "always":
            return fine("appendfsync", "always: nothing acknowledged is lost")
        case "no":
            return wrong("appendfsync", "no: the operating system decides when jobs reach the disk", cure)
        case None:
            return advice("appendfsync", "CONFIG GET is not allowed here", "make sure that it is always")
    return advice("appendfsync", f"{policy}: a crash of its machine loses up to a second of accepted jobs", cure)


def appendfsync(client: Redis) -> str | None:
    """Return the policy; None if this user may not read it."""
    try:
        return str(client.config_get("appendfsync")["appendfsync"])
    except (ResponseError, KeyError):
        return None


def failures(info: Info) -> Iterator[Finding]:
    """Yield the writes to disk that failed."""
    cure = "look at Redis' log and its disk: full, or not writable?"
    if info.get("aof_last_write_status", "ok") != "ok":
        yield wrong("persistence", "the last write of the append-only file failed: Redis refuses writes", cure)
    if info.get("aof_last_bgrewrite_status", "ok") != "ok":
        yield advice("persistence", "the last rewrite of the append-only file failed: it grows", cure)
    if info["rdb_last_bgsave_status"] != "ok":
        yield wrong("persistence", "the last snapshot failed: Redis refuses writes", f'{cure} Or --save "": not needed')


def eviction(info: Info) -> Finding:
    """Check what happens when memory is full."""
    policy = str(info["maxmemory_policy"])
    if policy != "noeviction":
        cure = "redis-cli config set maxmemory-policy noeviction, and --maxmemory-policy noeviction at its start"
        return wrong("eviction", f"{policy}: accepted jobs are dropped when memory is full", cure)
    return fine("eviction", "noeviction: full means refused, not lost")


def memory(info: Info) -> Finding:
    """Check how much memory is left."""
    used, bound = int(info["used_memory"]), int(info["maxmemory"])
    if not bound:
        cure = "set maxmemory to about half of what its machine can spare (docs/operations.md, sizing)"
        return advice(
            "memory", f"{mebibytes(used)}, no limit: when the machine's memory is full, the kernel kills Redis", cure
        )
    seen = f"{mebibytes(used)} of {mebibytes(bound)}"
    if used > NEARLY_FULL * bound:
        return advice("memory", seen, "raise maxmemory, or lower SPN_RETENTION_SECONDS")
    return fine("memory", seen)


def workers(client: Redis, model: str) -> Finding:
    """Check whether workers of the model live."""
    count = len(live_workers(client, model))
    if not count:
        return advice("workers", f"no worker of {model} lives: its jobs wait", "python -m worker.main")
    return fine("workers", f"{count} for {model}")


def live_workers(client: Redis, model: str) -> list[str]:
    """Return the names of the live workers of `model`, by Redis' own clock. Raises RedisError."""
    return registrations.live_workers(client.zrange(workers_key(model), 0, -1, withscores=True), client.time())


def place(client: Redis) -> str:
    """Return where `client` connects to, without a password."""
    options = client.connection_pool.connection_kwargs
    return str(options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}")


def mebibytes(size: int) -> str:
    """Return a number of bytes as text."""
    return f"{size / (1 << 20):.1f} MiB"
