#!/usr/bin/python3
"""Real FRR, real wires (the lab of tests/netns): a leg's wire is cut, FRR tells so later, prefix by prefix (IPv6:
deleted, then added again), and later still that it is back. Flows of the other leg lose nothing, are never out of
order and never change their leg; those of the dead one return to it."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "netns"))
from harness import check, run, test, wait_for  # noqa: E402
import measure  # noqa: E402
import topo  # noqa: E402
from topo import A_ECMP, B  # noqa: E402

FLOWS, PPS = 16, 100  # of each family
DEAD, LIVING = "aws-dx1", "az-er"


class Flow:
    """A stream of one flow, whose source port is known."""

    def __init__(self, lab, family):
        self.lab, self.family = lab, family
        self.stream = measure.Stream(lab.world, B, A_ECMP, family, pps=PPS)
        self.port = self.source_port()
        self.first = self.leg()

    def source_port(self):
        """Of the socket that the stream's process, and nobody else, has."""
        pid = f"pid={self.stream.child.pid},"
        lines = self.lab.world.run(B.peer, "ss", "-Hunap").stdout.splitlines()
        line = next(line for line in lines if pid in line)
        return int(line.split()[3].rsplit(":", 1)[1])

    def leg(self):
        got = self.lab.get(A_ECMP.addr[self.family], **{"from": B.addr[self.family], "proto": 17, "sport": self.port, "dport": measure.PORT})
        return next((leg["to"].get("link") for leg in got["path"]["legs"] if leg["taken"]), None)

    def result(self, reports):
        return measure.Result(self.stream, reports)


def legs_of_prefix(lab, family):
    """How many legs the kernel's route has: what FRR has said so far."""
    dst = {4: "10.41.0.0/16", 6: "2001:db8:41::/48"}[family]
    routes = lab.gateway.kernel_routes("prod", family).get(dst, [])
    return len(routes[0].get("nexthops", routes)) if routes else 0


def stay(flows, when):
    for f in flows:
        want = f.first if f.first == LIVING or when == "back" else LIVING
        check(f.leg() == want, f"v{f.family} port {f.port}: was on {f.first}, is on {f.leg()} ({when})")


@test
def living_flows_notice_nothing(lab):
    listener, flows, reports = measure.Listener(lab.world, A_ECMP.peer), [], {}
    try:
        flows = [Flow(lab, family) for family in (4, 6) for _ in range(FLOWS)]
        for family in (4, 6):
            legs = [f.first for f in flows if f.family == family]
            check(set(legs) == {DEAD, LIVING}, f"v{family} flows are on {legs}")
        topo.cut(lab.world, "cloud-a")
        wait_for("the wire's end is told", 5, lambda: not lab.link(DEAD)["up"])
        stay(flows, "cut")
        wait_for("FRR's word about both families", 15, lambda: legs_of_prefix(lab, 4) == legs_of_prefix(lab, 6) == 1)
        stay(flows, "FRR said so")
        topo.cut(lab.world, "cloud-a", False)
        lab.converge(60)
        wait_for("all legs again", 15, lambda: legs_of_prefix(lab, 4) == legs_of_prefix(lab, 6) == 2)
        wait_for("every flow is where it was", 5, lambda: all(f.leg() == f.first for f in flows))
        stay(flows, "back")
    finally:
        topo.cut(lab.world, "cloud-a", False)
        for f in flows:
            f.stream.stop()
        measure.settle(lab.world)
        reports = listener.stop()
    lost = 0
    for f in flows:
        r = f.result(reports)
        if f.first == LIVING:
            check(r.lost == 0 and r.reordered == 0 and r.sent > PPS, r)
        lost += r.lost
    return f"{sum(f.first == LIVING for f in flows)} of {len(flows)} flows untouched; the others lost {lost} datagrams"


sys.exit(run())
