#!/usr/bin/python3
"""1, 2 and 4 workers: no packet of one flow reordered, every counter exact to the packet. Numbered packets of all
kinds enter on three ports and every receive queue at once; each port's transmit queues are either one a worker, or
one in all, so that frames change worker by ring. More workers than CPUs are legal: they take turns, which is when
order is lost if it can be."""
import os
import sys

import router
from router import check, test
from flows import LINKS, PEER, World, dropped, plain, punted, tunnelled
from world import ADJ_PEER, GROUP_ECMP

COUNT = 1500  # packets of each flow


def all_kinds(world, n):
    """One flow of every kind, all with number n."""
    out = [f(world, n=n, family=family, **kw) for family in (4, 6) for f, kw in (
        (plain, {"link": "a", "out": "b"}), (plain, {"link": "b", "out": "c"}), (plain, {"link": "a", "out": "q"}),
        (plain, {"link": "q", "out": "a"}), (plain, {"link": "a", "out": "vx"}), (plain, {"link": "b", "out": "wx"}),
        (tunnelled, {"tunnel": "vx", "out": "b"}), (tunnelled, {"tunnel": "wx", "out": "a"}),
        (dropped, {"link": "a"}), (dropped, {"link": "c"}))]
    return out


def make_flows(world, queues):
    flows = []
    for q in range(queues):
        for flow in all_kinds(world, 2 * q) + all_kinds(world, 2 * q + 1):
            flow.queue = q
            flows.append(flow)
    rare = [punted(world, "a", 4), punted(world, "b", 6)]  # each class has a budget: what is beyond is counted too
    for i, flow in enumerate(rare):
        flow.queue = i % queues
    return flows + rare


def check_flows(flows, answer):
    """Every forwarded packet came out once, in order, by one next hop; nothing else did."""
    for flow, got in zip(flows, answer["flows"]):
        kind, where = flow.fate
        want = COUNT if kind == "out" else 0
        check(got["sent"] == COUNT and got["received"] == want and got["reordered"] == 0,
              f"{kind} {where} from {flow.link}, queue {flow.queue}: {got}")
        if kind == "out":
            port = LINKS[where][2] if LINKS[where][2] is not None else LINKS["u"][2]
            check([e["port"] for e in got["exits"]] == [port], f"from {flow.link} to {where}: {got}")


def expected_pairs(flows):
    """The matrix as RFC-less arithmetic has it: {(in, out): [packets, bytes]}, tunnels' outer packets apart."""
    pairs = {}
    for flow in flows:
        if flow.fate[0] == "out":
            cell = pairs.setdefault((LINKS[flow.link][0], LINKS[flow.fate[1]][0]), [0, 0])
            cell[0] += COUNT
            cell[1] += COUNT * flow.ip_bytes
    return pairs


def check_counters(flows, answer):
    pairs = {(i, o): [p, b] for i, o, p, b in answer["pairs"]}
    for cell, want in expected_pairs(flows).items():
        check(pairs.pop(cell, None) == want, f"pair {cell}: want {want}, have {answer['pairs']}")
    u = LINKS["u"][0]
    into = sum(COUNT for f in flows if f.fate[1] in ("vx", "wx"))
    out_of = sum(COUNT for f in flows if f.link in ("vx", "wx"))
    check(pairs.pop((0, u), [0])[0] == into, "outer packets sent:", answer["pairs"])
    check(pairs.pop((u, 0), [0])[0] == out_of, "outer packets received:", answer["pairs"])
    check(not pairs, f"pairs nobody sent: {pairs}")
    punts = sum(COUNT for f in flows if f.fate[0] == "punt")
    up = sum(c["to_kernel"] for c in answer["classes"].values())
    limited = sum(answer["drops"].pop(r, 0) for r in ("punt_limited", "punt_full"))
    check(up + limited == punts, f"{punts} to addresses of ours: {up} went up, {limited} beyond their budget")
    drops = sum(COUNT for f in flows if f.fate[0] == "drop")
    check(answer["drops"] == {"blackhole": drops}, f"drops {answer['drops']}, want {drops} blackhole")
    check(answer["strange"] == 0 and answer["leaked"] == 0, f"strange {answer['strange']}, leaked {answer['leaked']}")


def workers(args, n, owned):
    world = World(args.build, workers=n, queues=n, tx_queues=1 if owned else n, adaptive=True)
    try:
        flows = make_flows(world, n)
        answer = world.run("stream", flows=[f.json() for f in flows], count=COUNT, timeout_ms=50000)
        check_flows(flows, answer)
        check_counters(flows, answer)
        check((answer["handed_over"] > 0) == (owned and n > 1), f"handed over: {answer['handed_over']}")
    finally:
        status = world.run.close()
    check(status == 0, f"pktrun ended with status {status}")
    return f"{len(flows)} flows, {len(flows) * COUNT} packets, {answer['handed_over']} changed worker"


@test
def one_worker(args):
    return workers(args, 1, False)


@test
def two_workers(args):
    return workers(args, 2, False)


@test
def two_workers_one_owns_each_port(args):
    return workers(args, 2, True)


@test
def four_workers(args):
    return workers(args, 4, False)


@test
def four_workers_one_owns_each_port(args):
    return workers(args, 4, True)


def group_legs(dead):
    return {"cmd": "group_set", "group": GROUP_ECMP, "legs": [
        {"adj": ADJ_PEER[x], "key": 1000 + i, "weight": 1, "tier": 0, "alive": x != dead} for i, x in enumerate("bcq")]}


def leg_of(e):
    """The leg an exit belongs to, by the neighbour's address."""
    return next(name for name in "bcq" if PEER[name] == e["mac"])


@test
def a_leg_dies_and_lives_again(args):
    """Two workers, one owner a port; every 300 packets a leg of the group dies or is back. Nothing is lost or out of
    order, and only flows of that leg ever change theirs."""
    world = World(args.build, workers=2, queues=2, tx_queues=1, adaptive=True)
    try:
        flows = [plain(world, "a", "b", family, i, f"10.50.{i}.7" if family == 4 else f"2001:db8:50::{i + 16:x}")
                 for family in (4, 6) for i in range(32)]
        for i, flow in enumerate(flows):
            flow.queue = i % 2
        answer = world.run("stream", flows=[f.json() for f in flows], count=COUNT, every=300, timeout_ms=50000,
                           during=[group_legs("b"), group_legs(None)])
        check(not answer["drops"] and answer["leaked"] == 0, answer["drops"])
        moved = 0
        for i, got in enumerate(answer["flows"]):
            legs = {leg_of(e) for e in got["exits"]}
            check(got["received"] == COUNT and got["reordered"] == 0, f"flow {i}: {got}")
            check(len(legs) == 1 or (len(legs) == 2 and "b" in legs), f"flow {i} of a living leg moved: {got}")
            moved += len(legs) == 2
        check(len(flows) / 6 < moved < len(flows) / 2, f"{moved} of {len(flows)} flows moved")
    finally:
        status = world.run.close()
    check(status == 0, f"pktrun ended with status {status}")
    return f"{len(flows)} flows, {moved} of them to and fro"


sys.exit(router.run(root=False))
