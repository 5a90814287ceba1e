"""Path groups, failover, neighbours not yet known, partners, counters."""
from collections import Counter

from scapy.all import IP, TCP, UDP, IPv6

from judge import drops, forwards, icmp4
from world import (ADJ_GLEAN_B, ADJ_PEER, GROUP_ECMP, LINKS, PEER, Failure, equal, tx)

LEGS = "bcq"


def flows(world, n, family=4):
    out = []
    for i in range(n):
        ip = IP(src="10.1.1.1", dst=f"10.50.{i >> 8}.{i & 255}") if family == 4 else IPv6(src="2001:db8:1::5", dst=f"2001:db8:50::{i:x}")
        out.append(world.eth("a", 0x0800 if family == 4 else 0x86DD) / (ip / UDP(sport=1000 + i, dport=53) / b"flow"))
    return out


def leg_of(data, port):
    """Which leg a frame left by, told from its tags as the peer would."""
    kind = data[12:14]
    if kind == b"\x81\x00":
        return "c"
    return "q" if kind == b"\x88\xa8" else "b"


def spread(world, frames):
    answer = world.send("a", *frames)
    equal(answer["drops"], {}, "drops")
    out = {}
    for port, data in tx(answer):
        at = data.rindex(b"flow") - 8
        out[data[at:at + 2]] = leg_of(data, port)
    equal(len(out), len(frames), "flows delivered")
    return out


def legs(dead="", tier=None, weight=None):
    return [{"adj": ADJ_PEER[x], "key": 1000 + i, "weight": (weight or {}).get(x, 1), "tier": (tier or {}).get(x, 0), "alive": x not in dead}
            for i, x in enumerate(LEGS)]


def row_spread(world):
    """Flows spread evenly over equal legs; one flow stays on one, in both families."""
    for family in (4, 6):
        frames = flows(world, 1500, family)
        first = spread(world, frames)
        count = Counter(first.values())
        for leg in LEGS:
            if not 400 <= count[leg] <= 600:
                raise Failure(f"uneven: {count}")
        equal(spread(world, frames), first, "second time the same legs")
row_spread.own_world = {}


def row_failover(world):
    """A dead leg's flows move, all others stay; when it is back everything is as before."""
    frames = flows(world, 1000)
    before = spread(world, frames)
    world.run("group_set", group=GROUP_ECMP, legs=legs(dead="c"))
    after = spread(world, frames)
    equal({f: x for f, x in after.items() if before[f] != "c"}, {f: x for f, x in before.items() if x != "c"}, "flows of living legs")
    equal("c" in after.values(), False, "the dead leg is used")
    world.run("group_set", group=GROUP_ECMP, legs=[x for x in legs() if x["adj"] != ADJ_PEER["c"]])
    equal(spread(world, frames), after, "{A,B,C} less C is {A,B}")
    world.run("group_set", group=GROUP_ECMP, legs=legs())
    equal(spread(world, frames), before, "back as before")
row_failover.own_world = {}


def row_tiers(world):
    """A backup tier carries nothing until no better leg lives."""
    tier = {"c": 1, "q": 2}
    frames = flows(world, 200)
    for dead, want in (("", "b"), ("b", "c"), ("bc", "q"), ("c", "b")):
        world.run("group_set", group=GROUP_ECMP, legs=legs(dead=dead, tier=tier))
        equal(set(spread(world, frames).values()), {want}, f"legs used with {dead or 'none'} dead")
row_tiers.own_world = {}


def row_weights(world):
    """Weights 2:1:1."""
    world.run("group_set", group=GROUP_ECMP, legs=legs(weight={"b": 2}))
    count = Counter(spread(world, flows(world, 2000)).values())
    if not 900 <= count["b"] <= 1100:
        raise Failure(f"weights 2:1:1 gave {count}")
row_weights.own_world = {}


def row_fragments_together(world):
    """All fragments of a datagram take the same leg, whatever their first bytes."""
    for i in range(64):
        a = IP(src="10.1.1.1", dst=f"10.50.1.{i}", id=i, flags="MF") / UDP(sport=i, dport=9) / bytes(24)
        b = IP(src="10.1.1.1", dst=f"10.50.1.{i}", id=i, frag=4, proto=17) / (b"%032d" % i)
        answer = world.send("a", world.eth("a", 0x0800) / a, world.eth("a", 0x0800) / b)
        equal(len({leg_of(d, p) for p, d in tx(answer)}), 1, "legs of one datagram")


def row_longest_match(world):
    """The longest prefix wins, and leaving it uncovers the shorter."""
    p = IP(src="10.1.1.1", dst="10.2.44.4") / UDP(sport=7, dport=8)
    forwards(world, "a", p, "b")
    world.run("fib_set", vrf=0, prefix="10.2.44.4/32", group=ADJ_PEER["c"])
    forwards(world, "a", p, "c")
    world.run("fib_del", vrf=0, prefix="10.2.44.4/32")
    forwards(world, "a", p, "b")


def row_hold(world):
    """An unknown neighbour: the packet is held, control is told, and it is sent once the neighbour is known."""
    p = IP(src="10.1.1.1", dst="10.2.77.7") / UDP(sport=7, dport=8) / b"held"
    answer = world.send("a", world.eth("a", 0x0800) / p)
    equal((answer["tx"], answer["drops"], answer["held"]), ([], {}, 1), "held")
    equal([(e["kind"], e.get("link"), e.get("addr")) for e in answer["events"]], [("neigh_miss", 2, "10.2.77.7")], "events")
    world.run("adj_set", adj=50, kind="forward", link=2, mac="02:aa:00:00:77:07", nexthop="10.2.77.7")
    world.run("group_set", group=50, legs=[{"adj": 50, "key": 50, "weight": 1, "tier": 0, "alive": True}])
    world.run("fib_set", vrf=0, prefix="10.2.77.7/32", group=50)
    answer = world.run("hold_release", link=2, addr="10.2.77.7", ok=True)
    q = p.copy()
    q.ttl -= 1
    del q.chksum
    equal(tx(answer), [(1, bytes(world.eth("b", 0x0800, src=world.mac[1], dst="02:aa:00:00:77:07")) + bytes(q))], "sent")
row_hold.own_world = {}


def row_hold6(world):
    """The same for IPv6."""
    p = IPv6(src="2001:db8:1::5", dst="2001:db8:2:77::7") / UDP(sport=7, dport=8) / b"held"
    answer = world.send("a", world.eth("a", 0x86DD) / p)
    equal((answer["tx"], answer["held"]), ([], 1), "held")
    equal([(e["kind"], e.get("addr")) for e in answer["events"]], [("neigh_miss", "2001:db8:2:77::7")], "events")
    answer = world.run("hold_release", link=2, addr="2001:db8:2:77::7", ok=False)
    equal(answer["drops"], {"neigh_fail": 1}, "drops")
    (port, data), = tx(answer)
    equal((port, data[14 + 40], data[14 + 41]), (0, 1, 3), "address unreachable")
row_hold6.own_world = {}


def row_hold_expires(world):
    """P40: nobody answers within three seconds: host unreachable."""
    p = IP(src=world.fresh(), dst="10.2.77.8") / UDP(sport=7, dport=8) / b"held"
    world.send("a", world.eth("a", 0x0800) / p)
    answer = world.run("wait", held=0, timeout_ms=8000)
    equal(answer["drops"], {"neigh_fail": 1}, "drops")
    (port, data), = tx(answer)
    equal((port, data[34], data[35]), (0, 3, 1), "host unreachable")
row_hold_expires.own_world = {}


def row_scan(world):
    """P54: a scan of unknown hosts is bounded; a known neighbour's traffic is untouched."""
    frames = [bytes(world.eth("a", 0x0800) / IP(src="10.1.1.1", dst=f"10.2.77.{i % 256}") / UDP(sport=i, dport=8)) for i in range(5000)]
    p = IP(src="10.1.1.1", dst="10.2.1.1") / UDP(sport=7, dport=8) / b"known"
    frames[::50] = [bytes(world.eth("a", 0x0800) / p)] * 100
    known = full = 0
    for at in range(0, 5000, 500):
        answer = world.send("a", *frames[at:at + 500])
        known += sum(t == (1, world.forwarded(p, "b")) for t in tx(answer))
        full += answer["drops"].get("neigh_full", 0)
    equal(known, 100, "known neighbour's packets")
    equal(answer["held"] + full, 4900, "held or refused by name")
    equal(answer["held"] <= 4096, True, "bounded")
row_scan.own_world = {}


def row_partner(world):
    """A partner reaches nothing, though its VRF has a route."""
    drops(world, "part", world.eth("part", 0x0800) / IP(src="10.9.0.2", dst="10.1.1.1") / UDP(), "zone_deny")


def row_partner_is_not_reached(world):
    """Nobody reaches a partner either."""
    world.run("fib_set", vrf=0, prefix="10.66.0.0/16", group=ADJ_PEER["part"])
    drops(world, "a", world.eth("a", 0x0800) / IP(src="10.1.1.1", dst="10.66.1.1") / UDP(), "zone_deny")


def zoned(world, reach):
    """Links a and b in zone 1, c in zone 3, everything else in none; reach: zone -> mask."""
    zones = {"a": 1, "b": 1, "c": 3}
    world.run("publish", links=[link | {"zone": zones.get(link["name"], 0), "reach": reach.get(zones.get(link["name"], 0), 1)}
                                for link in world.links()])


def row_zones(world):
    """Clouds reach each other only by reach, inside one VRF too, in the direction it is set; no zone reaches no zone."""
    there = IP(src="10.1.1.1", dst="10.3.1.1") / UDP(sport=7, dport=8)
    there6 = IPv6(src="2001:db8:1::11", dst="2001:db8:3::11") / UDP(sport=7, dport=8)
    back = IP(src="10.3.1.1", dst="10.1.1.1") / UDP(sport=7, dport=8)
    zoned(world, {1: 0b0010, 3: 0b1000})
    try:
        drops(world, "a", world.eth("a", 0x0800) / there, "zone_deny")
        drops(world, "a", world.eth("a", 0x86DD) / there6, "zone_deny")
        drops(world, "a", world.eth("a", 0x0800) / IP(src="10.1.1.1", dst="10.4.1.1") / UDP(), "zone_deny")
        zoned(world, {1: 0b1010, 3: 0b1000})
        equal(tx(world.send("a", world.eth("a", 0x0800) / there)), [(1, world.forwarded(there, "c"))], "1 reaches 3")
        equal(tx(world.send("a", world.eth("a", 0x86DD) / there6)), [(1, world.forwarded(there6, "c"))], "1 reaches 3, IPv6")
        equal(world.send("c", world.eth("c", 0x0800) / back)["drops"], {"zone_deny": 1}, "3 does not reach 1")
        none = IP(src="10.4.1.1", dst="10.5.1.1") / UDP(sport=7, dport=8)
        equal(len(tx(world.send("q", world.eth("q", 0x0800) / none))), 1, "no zone reaches no zone")
    finally:
        world.publish()
row_zones.own_world = {}


def row_vrf(world):
    """The same address in another VRF is another destination."""
    p = IP(src="198.51.100.77", dst="10.2.1.1") / UDP(sport=7, dport=8)
    answer = world.send("u", world.eth("u", 0x0800) / p)
    equal(answer["drops"], {"no_route": 1}, "VRF 2 knows nothing of VRF 0")


def row_matrix(world):
    """Packets and IP bytes are counted by ingress and egress link."""
    p = IP(src="10.1.1.1", dst="10.2.1.1") / UDP(sport=7, dport=8) / bytes(100)
    answer = world.send("a", *[world.eth("a", 0x0800) / p] * 7)
    equal(answer["pairs"], [[1, 2, 7, 7 * len(p)]], "matrix")


def row_order(world):
    """No packet of a flow overtakes another, across vectors."""
    frames, want = [], []
    for i in range(1000):
        p = IP(src="10.1.1.1", dst="10.2.1.1", id=i) / UDP(sport=7, dport=8)
        frames.append(world.eth("a", 0x0800) / p)
        want.append((1, world.forwarded(p, "b")))
    equal(tx(world.send("a", *frames)), want, "order")


def row_port_down(world):
    """Carrier lost: control hears of it; what would leave there is dropped by name."""
    answer = world.run("port", port=1, up=False)
    p = IP(src="10.1.1.1", dst="10.2.1.1") / UDP(sport=7, dport=8)
    answer = world.send("a", world.eth("a", 0x0800) / p)
    equal((answer["tx"], answer["drops"]), ([], {"no_carrier": 1}), "while down")
    world.run("port", port=1, up=True)
    equal(len(world.send("a", world.eth("a", 0x0800) / p)["tx"]), 1, "when back")
row_port_down.own_world = {}


def row_refused(world):
    """What cannot be is refused and changes nothing: two links with the same tags, an id twice."""
    links = world.links()
    for bad in (links + [dict(links[1], id=99, name="x")], links + [dict(links[1], name="x", tags=[[0x8100, 999]])],
                links + [dict(links[7], id=98, name="y")]):
        answer = world.run("publish", may_fail=True, links=bad)
        equal(answer.get("errno"), "EINVAL", "refused")
    forwards(world, "a", IP(src="10.1.1.1", dst="10.2.1.1") / UDP(), "b")


def row_next_hop_of_other_family(world):
    """RFC 8950: an IPv4 route by an IPv6 next hop forwards; unresolved, it is the IPv6 neighbour that is missed."""
    world.run("adj_set", adj=51, kind="forward", link=2, mac="02:aa:00:00:51:06", nexthop="fe80::51")
    world.run("group_set", group=51, legs=[{"adj": 51, "key": 51, "weight": 1, "tier": 0, "alive": True}])
    world.run("fib_set", vrf=0, prefix="10.151.0.0/16", group=51)
    p = IP(src="10.1.1.1", dst="10.151.1.1") / UDP(sport=7, dport=8) / b"by six"
    answer = world.send("a", world.eth("a", 0x0800) / p)
    want = bytes(world.eth("b", 0x0800, src=world.mac[1], dst="02:aa:00:00:51:06")) + world.forwarded(p, "b")[14:]
    equal((answer["drops"], tx(answer)), ({}, [(1, want)]), "sent")
    world.run("adj_set", adj=51, kind="glean", link=2, nexthop="fe80::51")
    answer = world.send("a", world.eth("a", 0x0800) / p)
    equal([(e["kind"], e["link"], e["addr"]) for e in answer["events"]], [("neigh_miss", 2, "fe80::51")], "events")
row_next_hop_of_other_family.own_world = {}
