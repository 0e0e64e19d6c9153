"""The kinds of store, each made by one line, for the tests that all must pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from components.state.plan import StatePlan
from serving.state.interface import Plans, StateStores
from serving.state.item_codes import ItemCodes
from serving.state.memory import MemoryStates
from serving.state.redis import RedisStates
from tests.serving.state.private_cluster import private_cluster
from tests.serving.state.private_redis import private_redis

KINDS = ("memory", "redis", "cluster")
TTL_S = 1_000
ITEMS = tuple(f"i{n}" for n in range(7))


@dataclass(frozen=True)
class Kind:
    """Makes stores of a kind; those of Redis share servers, which are emptied before."""

    name: str
    client: redis.Redis | redis.RedisCluster | None

    def made(self, plans: Plans, codes: ItemCodes | None = None, *, shop: str = "shop") -> StateStores:
        codes = ItemCodes(ITEMS) if codes is None else codes
        if self.client is None:
            return MemoryStates(plans, codes)
        self.client.flushall()
        return RedisStates(self.client, shop=shop, plans=plans, codes=codes, ttl_s=TTL_S)


@contextmanager
def kind_of(name: str) -> Iterator[Kind]:
    if name == "memory":
        yield Kind(name, None)
    elif name == "redis":
        with private_redis() as client:
            yield Kind(name, client)
    else:
        with private_cluster() as ports, redis.RedisCluster(host="127.0.0.1", port=ports[0]) as cluster:
            yield Kind(name, cluster)


PLANS = Plans(
    users=StatePlan(("search", "impression", "click"), (1.5, 3600.0), ("click",), 3, 10_000_000),
    items=StatePlan(("impression", "click"), (7.0,), (), 0, 10_000_000),
)
