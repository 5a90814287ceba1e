#!/usr/bin/python3
"""The real lintasd with a million IPv4 and 200,000 IPv6 routes, behind eight groups of two legs a family: how long
until they are in the fast path, how long a leg's death takes, and what all that weighs."""
import random
import re
import statistics
import sys

import router
from router import VRF, Router, check, prefixes4, prefixes6, test, wait_for

GROUPS = 8
ROUTES = {4: 1000000, 6: 200000}
COLD_S, MOVED_US = 10, 1000
CUTS = 3
LINE = re.compile(r"carrier lost: (\d+) path groups? with (\d+) prefix(?:es)? moved in (\d+) us")


class Full:
    """The gateway, its kernel full of routes before lintasd is there."""

    def __init__(self, args):
        self.r = Router(args.build, ["veth", "veth"])
        try:
            self.r.start()
            self.r.neighbours()
            self.r.stop_daemon()
            for family, n in ROUTES.items():
                self.r.routes("fill", family, n, *[self.legs(family, i) for i in range(GROUPS)])
        except BaseException:
            self.tell()
            self.close()
            raise

    def legs(self, family, i, links=(0, 1)):
        """Group i of a family: as routes.py wants it."""
        gateway = self.r.gateway4 if family == 4 else self.r.gateway6
        return ",".join(f"{gateway(link, i + 1)}%lout{link}" for link in links)

    def close(self):
        self.r.close()

    def tell(self):
        self.r.tell()

    def waited_s(self):
        """How long the control thread wanted a CPU and had none: this machine's doing, not the daemon's."""
        with open(f"/proc/{self.r.daemon.pid}/task/{self.r.daemon.pid}/schedstat") as f:
            return int(f.read().split()[1]) / 1e9

    def full(self):
        return all(have >= want for have, want in zip(self.r.fib(), ROUTES.values()))

    def link(self, i, up):
        """The far end of lout<i>'s wire goes or returns; returns when the daemon knows."""
        self.r.ip(f"link set out{i}-far {'up' if up else 'down'}", vrf=None)
        wait_for(f"lout{i} is {'up' if up else 'down'}", 10, lambda: self.r.json("link", "show", f"lout{i}")[0]["up"] == up, 0.005)

    def moved(self):
        """(groups, prefixes, microseconds) of every carrier loss that was told."""
        with open(f"{self.r.folder}/lintasd.log") as f:
            return [tuple(map(int, m.groups())) for m in map(LINE.search, f) if m]

    def leg_of(self, addr):
        """(bucket, link) that a flow to addr takes."""
        got = self.r.json("route", "get", addr, "vrf", VRF, "from", "10.0.0.2" if "." in addr else "fd10:1::2", "sport", "1000")
        return got["path"]["bucket"], next(leg["to"].get("link") for leg in got["path"]["legs"] if leg["taken"])


@test
def cold_start(f):
    """From the start of the process to the last of 1.2 million routes in the fast path."""
    begin = router.time.monotonic()
    f.r.start_daemon()
    wait_for("lintasd answers", 30, lambda: f.r.json("status"))
    answers = router.time.monotonic() - begin
    wait_for(lambda: f"all routes in the FIB, has {f.r.fib()}", 60, f.full)
    took, waited = router.time.monotonic() - begin, f.waited_s()
    said = f"{took:.1f} s, of which {waited:.1f} s without a CPU; answers after {answers:.1f} s; {f.r.rss_mb()} MB"
    check(took - waited <= COLD_S, said)
    return said


@test
def memory_is_told(f):
    """`status` says what routes, links and VRFs weigh: as much as can be, and no more than the process has."""
    m, rss = f.r.json("status")["memory"], f.r.rss_mb()
    routes, total = m["routes"], sum(ROUTES.values())
    check(total <= routes["count"] < total + 2000, m)
    bytes_ = routes["lookup_bytes"] + routes["control_bytes"] + routes["mirror_bytes"]
    check(bytes_ / 1e6 < rss, f"routes alone {bytes_ / 1e6:.0f} MB, the process {rss} MB")
    check(20 < bytes_ / total < 400, f"{bytes_ / total:.0f} bytes a route")
    check(m["links"]["count"] == 3 and m["links"]["bytes_each"] > 0, m["links"])
    check(m["vrfs"]["count"] == 1 and m["vrfs"]["bytes_each"] >= routes["lookup_bytes"], m["vrfs"])
    said = f.r.text("status")
    check(all(re.search(rf"a {what} .*\d [KM]?i?B", said) for what in ("route", "link", "VRF")), said)
    return f"a route: {routes['lookup_bytes_each']} looked up, {routes['control_bytes_each']} control's, " \
           f"{routes['mirror_bytes_each']} mirrored; a link {m['links']['bytes_each']}, the VRF {m['vrfs']['bytes_each'] / 1e6:.0f} MB"


@test
def carrier_moves_a_million(f):
    """The wire is cut under 1.2 million prefixes: their groups are rewritten at once, and again when it is cut while
    the dump after the last cut is still read."""
    sample = [p.replace(".0/24", ".9") for p in random.Random(2).sample(prefixes4(ROUTES[4]), 24)] + \
             [p.replace("::/64", "::9") for p in random.Random(2).sample(prefixes6(ROUTES[6]), 8)]
    before = {a: f.leg_of(a) for a in sample}
    check({link for _, link in before.values()} == {"lout0", "lout1"}, before)
    for _ in range(CUTS):
        f.link(1, False)
        check({f.leg_of(a)[1] for a in sample[:4]} == {"lout0"}, "a flow is still on the dead leg")
        f.link(1, True)
    wait_for("all flows are back on their legs", 10, lambda: {a: f.leg_of(a) for a in sample} == before)
    moved = [m for m in f.moved() if m[1] >= sum(ROUTES.values())]
    check(len(moved) >= CUTS and moved[0][0] >= 2 * GROUPS, f"told: {f.moved()}")
    us = statistics.median(m[2] for m in moved)
    check(us <= MOVED_US, f"{us} us: {moved}")
    return f"{moved[0][1]} prefixes in {moved[0][0]} groups, median {us:.0f} us of {[m[2] for m in moved]}"


@test
def frr_later_word(f):
    """Prefix by prefix, as FRR says it: replaced (IPv4), deleted and added (IPv6). Flows of the living leg stay."""
    n = 3000
    sample = [p.replace(".0/24", ".9") for p in random.Random(3).sample(prefixes4(n), 24)] + \
             [p.replace("::/64", "::9") for p in random.Random(3).sample(prefixes6(n), 24)]
    before = {a: f.leg_of(a) for a in sample}
    f.link(1, False)
    for family, how in ((4, "replace"), (6, "readd")):
        f.r.routes(how, family, 0, n, *[f.legs(family, i, links=(0,)) for i in range(GROUPS)])
    wait_for("the last prefix has one leg", 20, lambda: len(f.r.json("route", "get", sample[-1], "vrf", VRF)["path"]["legs"]) == 1)
    for a, (_, link) in before.items():
        check(f.leg_of(a)[1] == "lout0", f"{a} went by {link}, now {f.leg_of(a)}")
    f.link(1, True)
    for family, how in ((4, "replace"), (6, "readd")):
        f.r.routes(how, family, 0, n, *[f.legs(family, i) for i in range(GROUPS)])
    wait_for("every flow is where it was", 20, lambda: {a: f.leg_of(a) for a in sample} == before)
    return f"{n} prefixes of each family"


@test
def nothing_was_repaired(f):
    """The auditor had nothing to do, and nothing was refused."""
    m = f.r.json("stats")["mirror"]
    check(m["audit_fixed"] == 0 and m["fib_refused"] == 0 and m["parse_errors"] == 0, m)
    return f"{m['messages']} messages, {m['resyncs']} resyncs, {m['overruns']} overruns"


sys.exit(router.run(Full))
