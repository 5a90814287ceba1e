#!/usr/bin/python3
"""Every pair of clouds, both ways, both families: ping, TCP, UDP; large packets, path MTU, hops, errors."""
import re
import sys

from harness import check, run, test, wait_for
import measure
from measure import streams
from topo import A, A_ECMP, B, B6, C, PATHS

PAIRS = [(x, y) for a, b in PATHS for x, y in ((a, b), (b, a))]
LINK4 = {"cloud-a": "169.254.10.2", "cloud-b": "10.61.255.1", "cloud-c": "169.254.20.1"}
LINK6 = {"cloud-a": "2001:db8:f:10::2", "cloud-b": "2001:db8:f:61::1", "cloud-c": "2001:db8:f:20::1"}


def ping_text(lab, src, to, family, *extra, count=3):
    done = lab.world.run(src.peer, "ping", f"-{family}", "-n", "-c", count, "-i", "0.05", "-W", "1", "-I", src.addr[family],
                         *extra, to, check=False)
    return done.stdout + done.stderr


def all_pings(lab, family):
    for src, dst in PAIRS:
        sent, got, _ = measure.ping(lab.world, src, dst, family, count=10)
        check(got == sent, f"{src.name} -> {dst.name}: {got} of {sent} came back")
    return f"{len(PAIRS)} paths"


@test
def ping_v4(lab):
    return all_pings(lab, 4)


@test
def ping_v6(lab):
    return all_pings(lab, 6)


def all_tcp(lab, family):
    slowest = 1e9
    for src, dst in PAIRS:
        mbps, why = measure.tcp(lab.world, src, dst, family)
        check(mbps > 5, f"{src.name} -> {dst.name}: {mbps:.1f} Mbit/s {why}")
        slowest = min(slowest, mbps)
    return f"{len(PAIRS)} paths, slowest {slowest:.0f} Mbit/s"


@test
def tcp_v4(lab):
    return all_tcp(lab, 4)


@test
def tcp_v6(lab):
    return all_tcp(lab, 6)


def all_udp(lab, family):
    results, _ = streams(lab.world, [(s, d, family) for s, d in PAIRS], lambda: measure.pause(1.5), pps=300, size=900)
    for r in results:
        check(r.sent > 200 and r.lost == 0 and r.doubled == 0, r)
    return f"{sum(r.sent for r in results)} datagrams, none lost"


@test
def udp_v4(lab):
    return all_udp(lab, 4)


@test
def udp_v6(lab):
    return all_udp(lab, 6)


@test
def full_size_over_tags(lab):
    """1500 bytes pass a tagged and a double-tagged link unchanged."""
    for family, size in ((4, 1472), (6, 1452)):
        for src, dst in ((A, C), (C, A)):
            sent, got, _ = measure.ping(lab.world, src, dst, family, size=size, extra=("-M", "do"))
            check(got == sent, f"{src.name} -> {dst.name} v{family}: {got} of {sent} of 1500 bytes")


@test
def fragments_v4(lab):
    """Larger than the tunnel and allowed to be cut: the gateway fragments; fragments it receives pass too."""
    for src, dst in ((A, B), (A, B6), (C, B), (B, A)):
        for size in (1472, 3000):
            sent, got, _ = measure.ping(lab.world, src, dst, 4, size=size, extra=("-M", "dont"))
            check(got == sent, f"{src.name} -> {dst.name}: {got} of {sent} with {size} bytes of payload")


@test
def path_mtu_v4(lab):
    """DF and too large: ICMP 3/4 from the ingress link's address, with the tunnel's MTU; the sender learns."""
    for dst, mtu in ((B, 1450), (B6, 1430)):
        text = ping_text(lab, A, dst.addr[4], 4, "-s", "1472", "-M", "do")
        m = re.search(r"From (\S+) .*[Ff]rag needed.*mtu = (\d+)", text)
        check(m, f"no ICMP error from the path to {dst.name}:", text)
        check(m[1] == LINK4["cloud-a"] and int(m[2]) == mtu, f"to {dst.name}: said {m[2]} by {m[1]}")
        got = lab.world.json("cloud-a", "ip", "-j", "route", "get", dst.addr[4], "from", A.addr[4])[0]
        check(any(x.get("mtu") == mtu for x in got.get("metrics", [])), "cloud-a did not learn it:", got)
        sent, back, _ = measure.ping(lab.world, A, dst, 4, size=mtu - 28, extra=("-M", "do"))
        check(back == sent, f"{mtu} bytes exactly: {back} of {sent}")
    lab.world.run("cloud-a", "ip", "route", "flush", "cache")


@test
def path_mtu_v6(lab):
    for dst, mtu in ((B, 1450), (B6, 1430)):
        text = ping_text(lab, A, dst.addr[6], 6, "-s", "1452", "-M", "do")
        m = re.search(r"From (\S+) .*Packet too big: mtu=(\d+)", text)
        check(m, f"no ICMPv6 error from the path to {dst.name}:", text)
        check(m[1] == LINK6["cloud-a"] and int(m[2]) == mtu, f"to {dst.name}: said {m[2]} by {m[1]}")
        sent, back, _ = measure.ping(lab.world, A, dst, 6, size=mtu - 48, extra=("-M", "do"))
        check(back == sent, f"{mtu} bytes exactly: {back} of {sent}")
        sent, back, _ = measure.ping(lab.world, A, dst, 6, size=3000, extra=("-M", "dont"))
        check(back == sent, f"fragments made by the sender: {back} of {sent}")
    lab.world.run("cloud-a", "ip", "-6", "route", "flush", "cache")


@test
def hops(lab):
    """What traceroute does: the first hop is the gateway's ingress address, the second the far end."""
    for src, dst in ((A, B), (B, C), (C, A)):
        text = ping_text(lab, src, dst.addr[4], 4, "-t", "1")
        check(re.search(rf"From {LINK4[src.peer]} .*Time to live exceeded", text), f"{src.name} hop 1:", text)
        text = ping_text(lab, src, dst.addr[6], 6, "-t", "1")
        check(re.search(rf"From {LINK6[src.peer]} .*Hop limit", text), f"{src.name} hop 1 v6:", text)
        for family in (4, 6):
            sent, got, _ = measure.ping(lab.world, src, dst, family, count=3, extra=("-t", "2"))
            check(got == sent, f"{src.name} -> {dst.name} v{family} hop 2: {got} of {sent}")


@test
def no_route(lab):
    """What nobody announced: ICMP network unreachable, no route; counted by its name."""
    before = drops(lab, "no_route")
    lab.world.ip("cloud-a", "route add 198.18.0.0/15 via 169.254.10.2\nroute add 2001:db8:dead::/48 via 2001:db8:f:10::2")
    try:
        text = ping_text(lab, A, "198.18.0.1", 4)
        check(f"From {LINK4['cloud-a']}" in text and "Net Unreachable" in text, text)
        text = ping_text(lab, A, "2001:db8:dead::1", 6)
        check(f"From {LINK6['cloud-a']}" in text and "No route" in text, text)
    finally:
        lab.world.ip("cloud-a", "route del 198.18.0.0/15\nroute del 2001:db8:dead::/48")
    wait_for("drops of no_route are counted", 5, lambda: drops(lab, "no_route") >= before + 6)


def drops(lab, name):
    return sum(d["packets"] for d in lab.gateway.json("stats")["drops"] if d["name"] == name)


@test
def own_addresses(lab):
    """The gateway's link addresses answer, on the link and across it."""
    for src in (A, B, C):
        for family, addr in ((4, LINK4[src.peer]), (6, LINK6[src.peer])):
            sent, got, _ = measure.ping(lab.world, src, addr, family)
            check(got == sent, f"{src.name} -> {addr}: {got} of {sent}")


@test
def ecmp_uses_both(lab):
    """64 flows to a prefix of two links use both, none is reordered, each flow stays on one."""
    for family in (4, 6):
        before = {n: lab.tx(n) for n in ("aws-dx1", "az-er")}
        (r,), _ = streams(lab.world, [(B, A_ECMP, family)], lambda: measure.pause(1.0), pps=1000, flows=64)
        used = {n: lab.tx(n) - before[n] for n in before}
        check(r.lost == 0 and r.reordered == 0, r)
        check(min(used.values()) > r.sent / 10, f"v{family}: {used} of {r.sent}")
        check(sum(used.values()) >= r.sent, f"v{family}: {used} counted of {r.sent}")
    return str(used)


sys.exit(run())
