"""The floor on a Redis-compatible server as a contender; run as a module it is its worker.

The least that a durable queue there can do: order by priority and time, a fence, results, claims in
batches and in one script with the last batch's outcomes, wake-ups by publish. It has no retries,
leases, rescue, history, timeouts, slots or loops.
"""

from __future__ import annotations

import sys
import time
from importlib.metadata import version
from typing import TYPE_CHECKING

from benchmarks.contenders import workload
from benchmarks.contenders.redis_server import socket_in
from benchmarks.contenders.setup import Setup
from msgspec import json, msgpack
from redis import Redis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis.client import PubSub

BATCH = 256
PATIENCE = 60.0

PRELUDE = """
local call, asked = redis.call, cmsgpack.unpack(ARGV[1])
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local function text(number) return string.format('%.0f', number) end
"""
ENQUEUE = f"""{PRELUDE}
local first = call('INCRBY', 'keys', #asked) - #asked + 1
local ring = call('ZCARD', 'ready') == 0
for i, new in ipairs(asked) do
  local key = first + i - 1
  local place = string.format('%010.0f%016.0f%016.0f', new[1] + 2147483648, now, key)
  call('HSET', 'job:' .. text(key), 'place', place, 'created_at', text(now), 'payload', new[2])
  call('ZADD', 'ready', 0, place)
end
if ring then call('PUBLISH', 'ready', '') end
return first
"""
EXCHANGE = f"""{PRELUDE}
local ended = {{}}
for i, outcome in ipairs(asked[1]) do
  local key = text(outcome[1])
  if call('HGET', 'held', key) == text(outcome[2]) then
    call('HDEL', 'held', key)
    call('HSET', 'job:' .. key, 'ended_at', text(now), 'result', outcome[3])
    call('ZADD', 'finished', text(now), key)
    ended[#ended + 1] = key
  end
end
local claims, places = {{}}, call('ZRANGE', 'ready', 0, asked[2] - 1)
for i, place in ipairs(places) do
  local key = text(string.sub(place, 27))
  local fence = call('HINCRBY', 'job:' .. key, 'fence', 1)
  call('HSET', 'job:' .. key, 'claimed_at', text(now))
  call('HSET', 'held', key, fence)
  claims[i] = {{tonumber(key), fence, call('HGET', 'job:' .. key, 'payload')}}
end
if #places > 0 then call('ZREM', 'ready', unpack(places)) end
if #ended > 0 then call('PUBLISH', 'ended', table.concat(ended, ',')) end
return cmsgpack.pack(claims)
"""


class Contender:
    """The two scripts, and a subscription for results."""

    version = f"redis-py {version('redis')}"
    worker = (sys.executable, "-m", "benchmarks.contenders.on_floor_redis")

    def __init__(self) -> None:
        self._server = Redis(unix_socket_path=socket_in(Setup.from_environment().folder))
        self._enqueue = self._server.register_script(ENQUEUE)
        self._exchange = self._server.register_script(EXCHANGE)
        self._ended = self.subscribed("ended")

    def subscribed(self, channel: str) -> PubSub:
        listener: PubSub = self._server.pubsub()
        listener.subscribe(channel)
        listener.get_message(timeout=PATIENCE)
        return listener

    def enqueue(self, first: int, second: int) -> int:
        return self.enqueue_many([(first, second)])[0]

    share = enqueue

    def enqueue_many(self, calls: Sequence[tuple[int, int]]) -> range:
        jobs = [(0, json.encode(call).decode()) for call in calls]
        first: int = self._enqueue(args=[msgpack.encode(jobs)])
        return range(first, first + len(jobs))

    def exchange(self, outcomes: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
        answer = self._exchange(args=[msgpack.encode((outcomes, BATCH))])
        claims: list[tuple[int, int, str]] = msgpack.decode(answer)
        return claims

    def result(self, handle: int) -> object:
        deadline = time.monotonic() + PATIENCE
        while (found := self._server.hget(f"job:{handle}", "result")) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(handle)
            self._ended.get_message(timeout=PATIENCE)
        return json.decode(found)

    def finished(self) -> int:
        count: int = self._server.zcard("finished")
        return count


def work() -> None:
    floor, perform = Contender(), getattr(workload, Setup.from_environment().task)
    ready = floor.subscribed("ready")
    outcomes: list[tuple[int, int, str]] = []
    while True:
        claims = floor.exchange(outcomes)
        outcomes = [
            (key, fence, json.encode(perform(*json.decode(payload))).decode())
            for key, fence, payload in claims
        ]
        if not claims:
            ready.get_message(timeout=PATIENCE)


if __name__ == "__main__":
    work()
