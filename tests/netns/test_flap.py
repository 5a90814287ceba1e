#!/usr/bin/python3
"""A leg goes: with carrier, in silence, by BGP, by its peer's death; the rest of the router does not notice."""
import signal
import sys
import time

from harness import check, run, test, wait_for
import measure
from measure import streams
import peers
import topo
from topo import A_ECMP, B, C

MOVING = [(B, A_ECMP, 4), (B, A_ECMP, 6)]
OTHERS = [(B, C, 4), (C, B, 6)]
ECMP = ("10.41.0.10", "2001:db8:41::10")


def legs(lab, want):
    return all(lab.living(a) == want for a in ECMP)


def gone(lab):
    wait_for("both families' ECMP routes have az-er alone", 15, lambda: legs(lab, {"az-er"}))


def whole(lab):
    lab.converge(60)


def others_lost_nothing(results):
    for r in results[len(MOVING):]:
        check(r.lost == 0, r)


def told(results, begin):
    return f"holes {', '.join(f'{r.gap_ms:.0f}' for r in results[:len(MOVING)])} ms, legs dead after {begin * 1e3:.0f} ms"


@test
def carrier_loss(lab):
    """The fibre is cut: legs die with the carrier, before BGP has said a word; and live again."""
    seen = []

    def during():
        measure.pause(0.3)
        begin = time.monotonic()
        topo.cut(lab.world, "cloud-a")
        gone(lab)
        seen.append(time.monotonic() - begin)
        check(not lab.link("aws-dx1")["up"], lab.link("aws-dx1"))
        check(not lab.gateway.json("port", "show", "colo0")[0]["up"], "port colo0 still claims carrier")
        state = lab.world.json("prod", "ip", "-j", "link", "show", "aws-dx1")[0]
        check("NO-CARRIER" in state["flags"], f"the kernel's aws-dx1 has {state['flags']}")
        wait_for("10.40/16 by way of cloud-c", 30, lambda: lab.living("10.40.0.10") == {"az-er"})
        topo.cut(lab.world, "cloud-a", False)
        whole(lab)

    results, _ = streams(lab.world, MOVING + OTHERS, during, flows=8)
    others_lost_nothing(results)
    for r in results[:2]:
        check(r.gap_ms < 1500, r)
    return told(results, seen[0])


@test
def carrier_flaps(lab):
    """Ten times in a row, as fast as it goes: the others lose nothing, both legs are back at the end."""
    def during():
        for _ in range(10):
            topo.cut(lab.world, "cloud-a")
            wait_for("aws-dx1 is down", 5, lambda: not lab.link("aws-dx1")["up"])
            topo.cut(lab.world, "cloud-a", False)
            wait_for("aws-dx1 is up", 5, lambda: lab.link("aws-dx1")["up"])
        whole(lab)

    results, _ = streams(lab.world, OTHERS, during, flows=4, pps=500)
    for r in results:
        check(r.lost == 0, r)


@test
def silence(lab):
    """Carrier stays, nothing arrives: BFD 3 x 300 ms says so."""
    seen = []

    def during():
        measure.pause(0.3)
        begin = time.monotonic()
        topo.silence(lab.world, "cloud-a")
        gone(lab)
        seen.append(time.monotonic() - begin)
        topo.silence(lab.world, "cloud-a", False)
        whole(lab)

    results, _ = streams(lab.world, MOVING + OTHERS, during, flows=8)
    others_lost_nothing(results)
    for r in results[:2]:
        check(r.gap_ms < 3000, r)
    return told(results, seen[0])


@test
def bgp_cleared(lab):
    """clear bgp at the peer: the session resets, routes leave and return."""
    def during():
        measure.pause(3)  # a session younger than FRR's clock is exact cannot be told from its successor
        before = peers.established(lab.world)
        peers.vtysh(lab.world, "cloud-a", "clear bgp *")
        wait_for("the session is new", 30, lambda: "169.254.10.1" in peers.reset_since(before, {**before, **peers.established(lab.world)}))
        whole(lab)

    results, _ = streams(lab.world, OTHERS, during, pps=500)
    for r in results:
        check(r.lost == 0, r)


@test
def peer_dies(lab):
    """cloud-a's bgpd and bfdd are killed and started again: what it told, also by way of cloud-c, is gone meanwhile."""
    def during():
        for daemon in ("bgpd", "bfdd"):
            lab.gateway.kill(signal.SIGKILL, name=f"cloud-a-{daemon}")
        wait_for("its prefixes are gone in both families", 15, lambda: legs(lab, set()))
        for daemon in ("bfdd", "bgpd"):
            peers.run_daemon(lab.world, "cloud-a", "cloud-a", daemon)
        whole(lab)

    results, _ = streams(lab.world, OTHERS, during, flows=8, pps=500)
    for r in results:
        check(r.lost == 0, r)


@test
def fib_equals_kernel(lab):
    """After all of this, every route of BGP is in the fast path with the kernel's legs, and the other way round."""
    for family in (4, 6):
        kernel = lab.gateway.kernel_routes("prod", family)
        shown = {}
        for r in lab.gateway.json("route", "show", "vrf", "prod"):
            shown.setdefault(r["prefix"], []).append(r)
        for prefix, routes in kernel.items():
            if routes[0]["protocol"] != "bgp" or ("/" not in prefix):
                continue
            check(prefix in shown, f"{prefix} is not in the mirror")
            hops = routes[0].get("nexthops") or [routes[0]]
            want = sorted(h["gateway"] for h in hops)
            have = sorted(leg["via"] for leg in shown[prefix][0]["legs"])
            check(want == have or len(routes) > 1, f"{prefix}: kernel {want}, mirror {have}")
    mirror = lab.gateway.json("stats")["mirror"]
    check(mirror["audit_fixed"] == 0, f"the auditor repaired {mirror['audit_fixed']}")
    return f"{mirror['routes']} routes, {mirror['messages']} messages, {mirror['resyncs']} resyncs"


sys.exit(run())
