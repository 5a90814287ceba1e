#!/usr/bin/python3
"""What an outage costs with two attachments of one cloud and 100,000 prefixes behind them, and what FRR's death
costs: how long until everything is on the other way, and who lost what."""
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "netns"))
from harness import check, run, test, wait_for  # noqa: E402
import bird  # noqa: E402
import measure  # noqa: E402
from measure import streams  # noqa: E402
import peers  # noqa: E402
import topo  # noqa: E402
from topo import A, B, B6, C, D  # noqa: E402

MANY = 100000
BFD_MS = 300 * 3  # the profile's


def last():
    """The last prefix of each family to be announced: with it all are there."""
    v4, v6 = bird.prefixes(MANY)
    return [v4[-1].replace(".0/24", ".1"), v6[-1].replace("/48", "1")]


def routes(lab):
    return (lab.gateway.try_ctl("stats") or {}).get("mirror", {}).get("routes", 0)


def on(lab, link, addresses):
    return all(lab.living(a) == {link} for a in addresses)


def moved(lab, link, since):
    """Milliseconds that moving this link's groups took, as lintasd tells it: the first report after `since`."""
    for event in lab.gateway.json("events"):
        if event["subject"] == link and event["time"] >= since and "moved in" in event["text"]:
            return event["text"], int(re.search(r"moved in (\d+) us", event["text"])[1]) / 1000
    return "nothing told", None


@test
def backup_takes_over_100k(lab):
    """The primary goes silent: BFD sees it in time, and then everything is on the backup at once, both families."""
    bird.load(lab.world, MANY)
    everything = last() + ["10.80.0.10", "2001:db8:80::10"]
    wait_for("every prefix is in the fast path, over the primary", 90,
             lambda: routes(lab) >= MANY * 11 // 10 and on(lab, "md-dx1", everything))
    wait_for("FRR is done", 30, lambda: lab.gateway.json("status")["frr"]["in_sync"])
    seen = {}

    def during():
        measure.pause(0.5)
        seen["wall"], begin = time.time(), time.monotonic()
        topo.lose(lab.world, "md1", 100)
        wait_for("every prefix by way of the backup", 20, lambda: on(lab, "md-dx2", everything))
        seen["s"] = time.monotonic() - begin
        measure.pause(0.5)

    results, _ = streams(lab.world, [(B, D, 4), (B, D, 6), (B, C, 4)], during)
    text, ms = moved(lab, "md-dx1", seen["wall"])
    check(ms is not None and ms <= 50, f"moved: {text}")
    for r in results[:2]:
        check(r.lost and r.gap_ms <= BFD_MS + 300 + 50, f"{r}: {BFD_MS} ms of BFD, and a moment")
    check(not results[2].lost, results[2])
    return f"{text}; holes {', '.join(f'{r.gap_ms:.0f}' for r in results[:2])} ms, all seen moved after {seen['s'] * 1e3:.0f} ms"


@test
def primary_comes_back(lab):
    """Mended, the primary takes its prefixes back and no packet is lost over it."""
    everything = last() + ["10.80.0.10", "2001:db8:80::10"]

    def during():
        topo.lose(lab.world, "md1", 0, on=False)
        wait_for("every prefix by way of the primary again", 60, lambda: on(lab, "md-dx1", everything))
        measure.pause(0.5)

    results, _ = streams(lab.world, [(B, D, 4), (B, D, 6)], during)
    lost = [r for r in results if r.lost]
    bird.load(lab.world, 0)
    wait_for("the many prefixes are gone", 60, lambda: routes(lab) < 10000)
    check(not lost, *lost)


@test
def bgp_killed(lab):
    """The far bgpd dies while its BFD lives: the other way within what BGP takes, nothing else is touched."""
    def during():
        measure.pause(0.3)
        begin = time.monotonic()
        bird.birdc(lab.world, "disable", "md1_4")
        try:
            wait_for("IPv4 by way of the backup", 15, lambda: on(lab, "md-dx2", ["10.80.0.10"]))
            took = time.monotonic() - begin
            check(on(lab, "md-dx1", ["2001:db8:80::10"]), "IPv6 left the primary, too")
        finally:
            bird.birdc(lab.world, "enable", "md1_4")
        wait_for("and back", 30, lambda: on(lab, "md-dx1", ["10.80.0.10"]))
        return took

    results, took = streams(lab.world, [(B, D, 4), (B, D, 6), (B, C, 4)], during)
    for r in results:
        check(not r.lost, r)
    return f"moved after {took * 1e3:.0f} ms, no packet lost"


def kill_frr(lab):
    """zebra first: what its clients do when they notice must not reach the kernel."""
    for name in ("gw-zebra", "gw-bgpd", "gw-bfdd"):
        lab.gateway.kill(signal.SIGKILL, name=name)


def start_frr(lab):
    for daemon in ("zebra", "bgpd", "bfdd"):
        for stale in (f"{daemon}.vty", f"{daemon}.pid") + (("zserv.api",) if daemon == "zebra" else ()):
            try:
                os.unlink(os.path.join(peers.sockets(lab.world, "gw"), stale))
            except FileNotFoundError:
                pass
        peers.run_daemon(lab.world, "gw", "gw", daemon, lab.gateway.zebra_options())
    peers.ready(lab.world, "gw")


@test
def frr_killed_and_restarted(lab):
    """Outbound loses nothing: the kernel keeps the routes (zebra -r -K 60). Inbound over a session with graceful
    restart loses nothing either; clouds without one take their other way, and the number is told."""
    outbound, inbound = [(B6, A, 4), (B6, A, 6), (B6, C, 4)], [(B, A, 4), (C, A, 4)]

    def during():
        measure.pause(0.5)
        kill_frr(lab)
        measure.pause(2.0)
        start_frr(lab)
        wait_for("FRR is in sync again", 60, lambda: lab.gateway.json("status")["frr"]["in_sync"])
        lab.converge()
        measure.pause(0.5)

    results, _ = streams(lab.world, outbound + inbound, during)
    for r in results[:3]:
        check(not r.lost, "outbound:", r)
    check(not results[3].lost, "graceful restart:", results[3])
    return f"outbound 0 of {sum(r.sent for r in results[:3])} lost; by graceful restart: {results[3].lost}; without: {results[4].lost} " \
           f"of {results[4].sent}, hole {results[4].gap_ms:.0f} ms"


def without_probes(lab):
    """What probes do, and when they trust a link again, is test_probes.py's."""
    lab.gateway.settings.probed = False


if __name__ == "__main__":
    sys.exit(run(without_probes))
