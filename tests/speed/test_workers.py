#!/usr/bin/python3
"""1, 2 and 4 workers: no packet of one flow reordered, every counter exact to the packet. Numbered packets of all
kinds enter on three ports and every receive queue at once; each port's transmit queues are either one a worker, or
one in all, so that frames change worker by ring. More workers than CPUs are legal: they take turns, which is when
order is lost if it can be."""
import os
import sys

import router
from router import check, test
from flows import LINKS, World, dropped, plain, punted, tunnelled

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


sys.exit(router.run(root=False))
