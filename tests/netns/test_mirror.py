#!/usr/bin/python3
"""The fast path's routes are the kernel's, whatever is done to them and however fast: 100,000, 220,000 while
the daemon sleeps, a million; next-hop objects that vanish without a word; routes that are not ours."""
import os
import random
import signal
import sys
import time

from harness import check, run, test, wait_for
from measure import streams
from topo import A, B, C

VIA4, VIA6, DEV = "10.61.255.6", "2001:db8:f:62::2", "gcp-vpc6"
FOREIGN = 99  # protocol number of the routes these tests make


def mirror(lab):
    return lab.gateway.json("stats")["mirror"]


def counts(lab):
    v = lab.gateway.json("vrf", "show", "prod")[0]
    return v["routes4"], v["routes6"]


def batch(lab, lines, *options):
    """ip -batch in VRF prod; returns how long it took."""
    begin = time.monotonic()
    done = lab.world.run("prod", "ip", *options, "-batch", "-", text_in="\n".join(lines) + "\n", timeout=300, check=False)
    check(done.returncode == 0, done.stderr[:400])
    return time.monotonic() - begin


# First octets in which no cloud's prefix lies, so that nothing here touches a route of BGP.
FREE = (2, 4, 6, 7, 9, 11, 12, 14, 17, 19, 20, 21, 22, 24, 25, 26, 28, 29, 30, 33)


def prefixes(n, first=FREE[0]):
    """n /24s, from `first` on."""
    octets = FREE[FREE.index(first):]
    return [f"{octets[i >> 16]}.{i >> 8 & 255}.{i & 255}.0/24" for i in range(n)]


def wait_counts(lab, want, seconds, what):
    """Until the FIB holds so many; returns how long that took."""
    begin = time.monotonic()
    wait_for(f"{what}: FIB has {want}, has {counts(lab)}", seconds, lambda: counts(lab) == want)
    return time.monotonic() - begin


def fresh(lab):
    """Counts without any route of these tests, once BGP is complete."""
    for family in ("-4", "-6"):
        lab.world.run("prod", "ip", family, "route", "flush", "proto", FOREIGN, timeout=120, check=False)
    lab.converge()
    want = [len({p for p in lab.gateway.kernel_routes("prod", f) if p != "fe80::/64"}) for f in (4, 6)]
    wait_for("the fast path holds no more than the kernel", 60, lambda: sum(counts(lab)) < sum(want) + 50)
    return settled(lab)


def settled(lab):
    """Counts that were the same twice, half a second apart."""
    last, since = counts(lab), time.monotonic()

    def same():
        nonlocal last, since
        now = counts(lab)
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since > 0.5

    wait_for("counts settle", 30, same)
    return last


def sample(lab, prefix_list, link, n=200):
    """A random part of them, looked up in the workers' own structure."""
    for p in random.Random(7).sample(prefix_list, min(n, len(prefix_list))):
        addr = p.split("/")[0]
        addr = addr[:-1] + "9" if "." in addr else addr + "9"
        got = lab.get(addr)
        check(got["in_step"], got)
        legs = [leg["to"].get("link") for leg in (got["path"] or {}).get("legs", [])]
        check(legs == ([link] if link else []), f"{addr}: {legs}")


def compare(lab):
    """Every unicast route of the kernel's main table against `route show`, both families."""
    shown = {}
    for r in lab.gateway.json("route", "show", "vrf", "prod", timeout=120):
        shown.setdefault(r["prefix"], []).append(r)
    for family, bits in ((4, 32), (6, 128)):
        for dst, routes in lab.gateway.kernel_routes("prod", family).items():
            prefix = {"default": "0.0.0.0/0" if family == 4 else "::/0"}.get(dst, dst if "/" in dst else f"{dst}/{bits}")
            if routes[0].get("type", "unicast") == "multicast" or prefix == "fe80::/64":
                continue  # not routed
            check(prefix in shown, f"{prefix} is in the kernel, not in the mirror")
            del shown[prefix]
    left = [p for p in shown if not p.startswith(("fe80", "ff00"))]
    check(not left, f"{len(left)} prefixes are in the mirror, not in the kernel: {left[:5]}")


@test
def starts_equal(lab):
    compare(lab)
    m = mirror(lab)
    check(m["synced"] and m["parse_errors"] == 0 and m["audit_fixed"] == 0, m)


def kinds(lab, addr):
    """What the legs toward an address are: forward, blackhole …"""
    return [leg["to"].get("kind") for leg in (lab.get(addr)["path"] or {"legs": []})["legs"]]


@test
def every_kind_of_route(lab):
    """Multipath with weights, blackhole, unreachable, prohibit, metrics that compete, device routes, both families."""
    own = f"proto {FOREIGN}"
    batch(lab, [f"route add 172.20.0.0/16 {own} nexthop via 10.61.255.2 dev gcp-vpc weight 3 nexthop via {VIA4} dev {DEV}",
                f"route add blackhole 172.21.0.0/16 {own}", f"route add unreachable 172.22.0.0/16 {own}",
                f"route add prohibit 172.23.0.0/16 {own}", f"route add 172.24.0.0/16 via {VIA4} metric 200 {own}",
                f"route add 172.24.0.0/16 via 10.61.255.2 metric 100 {own}"])
    batch(lab, [f"route add 2001:db8:e0::/48 {own} nexthop via 2001:db8:f:61::2 dev gcp-vpc weight 3 "
                f"nexthop via {VIA6} dev {DEV}", f"route add blackhole 2001:db8:e1::/48 {own}",
                f"route add unreachable 2001:db8:e2::/48 {own}", f"route add prohibit 2001:db8:e3::/48 {own}"], "-6")
    for addr in ("172.20.0.1", "2001:db8:e0::1"):
        wait_for(f"{addr} has both legs", 5, lambda a=addr: lab.living(a) == {"gcp-vpc", DEV})
        share = {leg["to"]["link"]: leg["buckets"] for leg in lab.get(addr)["path"]["legs"]}
        check(150 < share["gcp-vpc"] < 230, f"weights 3:1 gave {share}")
    for addr, kind in (("172.21.0.1", "blackhole"), ("172.22.0.1", "unreachable"), ("172.23.0.1", "prohibit"),
                       ("2001:db8:e1::1", "blackhole"), ("2001:db8:e2::1", "unreachable"), ("2001:db8:e3::1", "prohibit")):
        wait_for(f"{addr} is {kind}", 5, lambda a=addr, k=kind: kinds(lab, a) == [k])
    wait_for("the lower metric wins", 5, lambda: lab.living("172.24.0.1") == {"gcp-vpc"})
    batch(lab, ["route del 172.24.0.0/16 metric 100"])
    wait_for("the higher metric takes over", 5, lambda: lab.living("172.24.0.1") == {DEV})
    lab.world.run("prod", "ip", "route", "flush", "proto", FOREIGN)
    lab.world.run("prod", "ip", "-6", "route", "flush", "proto", FOREIGN)
    wait_for("all are gone again", 5, lambda: not lab.living("172.24.0.1") and not lab.get("172.21.0.1")["routes"])
    compare(lab)


@test
def a_hundred_thousand(lab):
    """Added at full speed under traffic: at most 3 s behind, nothing lost; replaced; removed."""
    start, many = fresh(lab), prefixes(100000)

    def during():
        took = batch(lab, [f"route add {p} via {VIA4} dev {DEV} proto {FOREIGN}" for p in many])
        behind = wait_counts(lab, (start[0] + len(many), start[1]), 30, "added")
        return took, behind

    results, (took, behind) = streams(lab.world, [(A, B, 4), (B, C, 6)], during, pps=500)
    check(behind < 3, f"{behind:.1f} s behind the kernel")
    for r in results:
        check(r.lost == 0, r)
    sample(lab, many, DEV)
    batch(lab, [f"route replace {p} via 10.61.255.2 dev gcp-vpc proto {FOREIGN}" for p in many[:20000]])
    wait_for("replaced routes lead elsewhere", 5, lambda: lab.living(many[19999].replace(".0/24", ".9")) == {"gcp-vpc"})
    sample(lab, many[:20000], "gcp-vpc", 50)
    lab.world.run("prod", "ip", "route", "flush", "proto", FOREIGN, timeout=120)
    gone = wait_counts(lab, start, 30, "removed")
    check(gone < 3, f"{gone:.1f} s behind after removal")
    return f"added in {took:.1f} s, {behind * 1e3:.0f} ms behind; removal {gone * 1e3:.0f} ms behind"


@test
def six_too(lab):
    """50,000 IPv6 routes."""
    start = fresh(lab)
    many = [f"2001:db8:{0xa000 + (i >> 16):x}:{i & 0xffff:x}::/64" for i in range(50000)]
    took = batch(lab, [f"route add {p} via {VIA6} dev {DEV} proto {FOREIGN}" for p in many], "-6")
    behind = wait_counts(lab, (start[0], start[1] + len(many)), 30, "added")
    check(behind < 3, f"{behind:.1f} s behind the kernel")
    sample(lab, many, DEV, 100)
    lab.world.run("prod", "ip", "-6", "route", "flush", "proto", FOREIGN, timeout=120)
    gone = wait_counts(lab, start, 30, "removed")
    return f"added in {took:.1f} s, {behind * 1e3:.0f} ms behind; removal {gone * 1e3:.0f} ms behind"


@test
def next_hop_object_deleted_in_silence(lab):
    """20,000 routes by one next-hop object; deleting it announces one thing, and all of them must go."""
    start, many = fresh(lab), prefixes(20000, 30)
    lab.world.ip("prod", f"nexthop add id 700 via {VIA4} dev {DEV} proto {FOREIGN}\n"
                         f"nexthop add id 701 via 10.61.255.2 dev gcp-vpc proto {FOREIGN}\n"
                         f"nexthop add id 710 group 700,1/701,1 proto {FOREIGN}")
    batch(lab, [f"route add {p} nhid {700 if i % 2 else 710} proto {FOREIGN}" for i, p in enumerate(many)])
    wait_counts(lab, (start[0] + len(many), start[1]), 15, "added")
    sample(lab, many[1::2], DEV, 30)
    wait_for("the group has both legs", 5, lambda: lab.living("30.0.0.9") == {"gcp-vpc", DEV})
    lab.world.ip("prod", "nexthop del id 701")
    wait_for("the group has shrunk", 3, lambda: lab.living("30.0.0.9") == {DEV})
    lab.world.ip("prod", "nexthop replace id 700 via 10.61.255.2 dev gcp-vpc proto %d" % FOREIGN)
    wait_for("replaced: all lead elsewhere", 5, lambda: lab.living("30.0.1.9") == {"gcp-vpc"})
    lab.world.ip("prod", "nexthop del id 700")
    gone = wait_counts(lab, start, 10, "silently deleted")
    check(gone < 3, f"{gone:.1f} s behind")
    compare(lab)
    return f"{gone * 1e3:.0f} ms until the last one was gone"


@test
def link_down_in_silence(lab):
    """Somebody downs the kernel's interface: its IPv4 routes vanish unannounced; up again, everything returns."""
    lab.world.ip("prod", f"route add 172.25.0.0/16 via {VIA4} proto {FOREIGN}")
    wait_for("there", 5, lambda: lab.living("172.25.0.1") == {DEV})
    lab.world.ip("prod", f"link set {DEV} down")
    wait_for("gone from the fast path", 5, lambda: not lab.living("172.25.0.1"))
    lab.world.ip("prod", f"link set {DEV} up")
    wait_for("our static routes and addresses are back", 15, lambda: lab.living("10.62.0.10") == lab.living("2001:db8:62::10") == {DEV})
    compare(lab)


@test
def overrun(lab):
    """The daemon sleeps while 220,000 routes come and half of them go: more than any buffer holds."""
    start, many = fresh(lab), prefixes(220000, 4)
    before = mirror(lab)
    pid = lab.gateway.pid()

    os.kill(pid, signal.SIGSTOP)
    try:
        batch(lab, [f"route add {p} via {VIA4} dev {DEV} proto {FOREIGN}" for p in many])
        batch(lab, [f"route del {p}" for p in many[::2]])
    finally:
        os.kill(pid, signal.SIGCONT)
    # BGP's sessions time out while the daemon sleeps; their routes come back within seconds.
    took = wait_counts(lab, (start[0] + len(many) // 2, start[1]), 60, "after the overrun")
    after = mirror(lab)
    check(after["overruns"] > before["overruns"] and after["resyncs"] > before["resyncs"], after)
    sample(lab, many[1::2], DEV, 100)
    sample(lab, many[::2], None, 100)
    lab.converge()
    lab.world.run("prod", "ip", "route", "flush", "proto", FOREIGN, timeout=120)
    wait_counts(lab, start, 60, "removed")
    compare(lab)
    return f"right again {took:.2f} s after it woke, {after['overruns'] - before['overruns']} overruns"


@test
def foreign_routes_are_left_alone(lab):
    """A resync, a reload and an audit round: what others installed is still in the kernel."""
    lab.world.ip("prod", f"route add 172.26.0.0/16 via {VIA4} proto {FOREIGN}\nroute add 172.27.0.0/16 via {VIA4} proto static")
    lab.gateway.ctl("resync")
    lab.gateway.hup()
    wait_for("resynced", 15, lambda: mirror(lab)["synced"] and lab.living("172.27.0.1") == {DEV})
    kernel = lab.gateway.kernel_routes("prod", 4)
    check("172.26.0.0/16" in kernel and "172.27.0.0/16" in kernel, "a foreign route was removed")
    lab.world.ip("prod", "route del 172.26.0.0/16\nroute del 172.27.0.0/16")
    wait_for("gone", 5, lambda: not lab.living("172.27.0.1"))


@test
def our_route_removed_by_somebody(lab):
    """`ip route del` of our own static route: the fast path follows the kernel; a reload does not lose the rest."""
    lab.world.ip("prod", "route del 10.62.0.0/16 proto 66")
    wait_for("it is gone from the fast path, or was put back", 5,
             lambda: not lab.living("10.62.0.10") or "10.62.0.0/16" in lab.gateway.kernel_routes("prod", 4))
    lab.world.run("prod", "ip", "route", "replace", "10.62.0.0/16", "via", VIA4, "dev", DEV, "proto", "66", check=False)
    wait_for("it is back", 5, lambda: lab.living("10.62.0.10") == {DEV})


@test
def a_million(lab):
    """1,000,000 routes: never more than 3 s behind, no packet lost, gone again with one next-hop object."""
    start, many = fresh(lab), prefixes(1000000)
    lab.world.ip("prod", f"nexthop add id 800 via {VIA4} dev {DEV} proto {FOREIGN}")
    lag = []

    def during():
        took = 0.0
        for i in range(0, len(many), 200000):
            part = many[i:i + 200000]
            took += batch(lab, [f"route add {p} nhid 800 proto {FOREIGN}" for p in part])
            lag.append(wait_counts(lab, (start[0] + i + len(part), start[1]), 60, "added"))
        begin = time.monotonic()
        lab.world.ip("prod", "nexthop del id 800")
        deleted = time.monotonic() - begin
        return took, deleted, wait_counts(lab, start, 60, "removed")

    results, (took, deleted, gone) = streams(lab.world, [(A, B, 4), (B, C, 6)], during, pps=500)
    check(max(lag) < 3, f"behind the kernel by {max(lag):.1f} s")
    for r in results:
        check(r.lost == 0, r)
    check(gone < 5, f"{gone:.1f} s behind after a million silent deletions")
    compare(lab)
    m = mirror(lab)
    with open(f"/proc/{lab.gateway.pid()}/status") as f:
        rss = int(next(line for line in f if line.startswith("VmRSS")).split()[1]) // 1024
    return (f"added in {took:.1f} s, at most {max(lag) * 1e3:.0f} ms behind; deleted in {deleted:.1f} s, FIB {gone * 1e3:.0f} ms later; "
            f"{m['overruns']} overruns, {rss} MB resident, latency p99 {results[0].p99_us:.0f} us")


sys.exit(run())
