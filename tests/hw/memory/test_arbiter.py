"""Arbiter: priorities, one access a cycle, halfwords that never meet on their way."""

import random

import pytest
from support.block_bench import BlockBench

from hw.contract.config import CoreConfig
from hw.memory.arbiter import Arbiter
from hw.memory.word_reader import Target

WISHES = ("result__request", "host__request", "pop__request", "word_ready")


def config(lanes=4):
    return CoreConfig(technology="portable", lanes=lanes)


def winner(bench):
    """Return who has the access of this cycle, by its address."""
    names = {1: "read", 2: "result", 3: "push", 4: "host", 5: "pop"}
    return names.get(bench.get("access")["address"])


def addresses(bench):
    bench.set(read_address=1, result__address=2, push_address=3, host__word=4, pop__address=5)


@pytest.mark.parametrize("write", [0, 1])
def test_priorities(write):
    """Everybody wishes; one after the other gives up."""
    order = ["read", "result", *(["host", "pop"] if write else ["push", "pop", "host"])]

    async def scenario(bench):
        addresses(bench)
        bench.set(read=1, reader_ready=1, host__write=write, host__lane=0,
                  **dict.fromkeys(WISHES, 1))
        # Wishes of streams are registers.
        await bench.tick(2)
        seen = []
        for name, give_up in (("read", "read"), ("result", "result__request"),
                              ("push", "word_ready"), ("host", "host__request"),
                              ("pop", "pop__request")):
            if write and name == "push":
                # The program waits for the host's writes.
                continue
            if not write and name in ("host", "pop"):
                name, give_up = {"host": ("pop", "pop__request"),
                                 "pop": ("host", "host__request")}[name]
            assert winner(bench) == name
            grants = {who: bench.get(f"{who}__grant") for who in ("result", "host", "pop")}
            assert grants == {who: int(who == name) for who in grants}
            assert bench.get("push") == (name == "push")
            assert bench.get("access")["write"] == (
                name in ("result", "push") or (name == "host" and write))
            assert bench.get("access")["result"] == (name == "result")
            seen.append(name)
            bench.set(**{give_up: 0})
            if name in ("read", "push", "host"):
                await bench.tick()
        assert seen == order

    BlockBench(Arbiter(config())).run(scenario)


def test_reads_for_the_word_reader():
    """The word is the host's, or the loader's where it says so; else nobody's."""
    async def scenario(bench):
        addresses(bench)
        tag = {"target": Target.PARAMETERS, "index": 7}
        bench.set(pop_tag=tag)
        for serial in (0, 1):
            bench.set(pop__request=1, pop_serial=serial)
            assert bench.get("pop__grant") and bench.get("reader_start") == serial
            assert bench.get("reader_tag")["target"] == Target.PARAMETERS
            assert bench.get("reader_tag")["index"] == 7
            bench.set(pop__request=0)
        bench.set(host__request=1, host__write=0)
        await bench.tick(3)
        assert not bench.get("host__grant"), "the reader is not ready"
        bench.set(reader_ready=1)
        await bench.tick()
        assert bench.get("host__grant") and bench.get("reader_start")
        assert bench.get("reader_tag")["target"] == Target.HOST

    BlockBench(Arbiter(config())).run(scenario)


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [2, 4])
def test_halfwords_do_not_meet(lanes):
    """Whoever writes from the stream has it in the cycle in which the access is at the lane."""
    rng = random.Random(lanes)

    async def scenario(bench):
        due = {}        # what the stream must be in a cycle
        served = dict.fromkeys(("push", "host", "pop", "result"), 0)
        halfword, position, requested = 0, 0, False
        takes = 0
        for now in range(4000):
            if not requested and rng.random() < 0.3 and bench.get("host__settled"):
                requested, halfword = True, rng.randrange(1 << 15)
                bench.set(host__write=int(rng.random() < 0.7), host__word=4,
                          host__lane=rng.randrange(lanes), host__halfword=halfword)
            bench.set(host__request=int(requested), read=int(rng.random() < 0.3),
                      result__request=int(rng.random() < 0.2),
                      pop__request=int(rng.random() < 0.2), reader_ready=int(rng.random() < 0.8),
                      word_ready=int(rng.random() < 0.7), full=int(rng.random() < 0.1),
                      words__payload=1 << 15 | position, words__valid=1)
            granted = bench.get("host__grant")
            write = granted and bench.get("access")["write"]
            grants = [bench.get(f"{who}__grant") for who in ("result", "host", "pop")]
            assert sum(grants) + bench.get("push") <= 1
            if bench.get("push"):
                for g in range(lanes):
                    assert now + g not in due, "two halfwords meet"
                    due[now + g] = 1 << 15 | (position + g)
                takes += lanes
            if write:
                lane = bench.get("host__lane")
                assert bench.get("mask") == 1 << lane
                assert now + lane not in due, "two halfwords meet"
                due[now + lane] = halfword
            elif bench.get("push"):
                assert bench.get("mask") == (1 << lanes) - 1
            if now in due:
                assert bench.get("stream") == due[now]
            served["push"] += bench.get("push")
            served["host"] += granted
            served["pop"] += grants[2]
            served["result"] += grants[0]
            requested &= not granted
            position += bench.get("words__ready")
            await bench.tick()
        assert min(served.values()) > 100, served
        assert 0 <= takes - position < lanes

    BlockBench(Arbiter(config(lanes))).run(scenario)
