"""GRE and IP in IP, in and out, over both families with both families inside: RFC 2784, 2890, 2003, 2473, 4213; P56."""
from scapy.all import GRE, ICMP, IP, UDP, IPv6, Raw

from judge import checksum
from tunnels import NET, packets, tunnel, world_links
from world import equal, tx

OUTER = (False, True)


def row_gre_decap(world):
    """Out of GRE, routed to a: both families inside and outside."""
    for v6 in OUTER:
        with tunnel(world, "gre", v6) as t:
            for p in packets():
                t.arrives(p)


def row_gre_encap(world):
    """Into GRE: every octet as scapy builds it."""
    for v6 in OUTER:
        with tunnel(world, "gre", v6) as t:
            for p in packets(back=True):
                t.leaves(p)


def row_gre_options(world):
    """Key and checksum, alone and together."""
    for v6 in OUTER:
        for conf in ({"keyed": True, "vni": 0xDEADBEEF}, {"checksum": True}, {"keyed": True, "vni": 0, "checksum": True}):
            with tunnel(world, "gre", v6, **conf) as t:
                for p, back in zip(packets(b"odd"), packets(b"odd", back=True)):
                    t.arrives(p)
                    t.leaves(back)


def row_gre_checksum(world):
    """RFC 2784 2.3: a checksum is verified when there is one, and none is needed."""
    with tunnel(world, "gre") as t:
        for p in packets():
            t.arrives(p, checksum=True)
            f = bytearray(bytes(t.outer(p, checksum=True)))
            f[-1] ^= 1
            t.bad(bytes(f))
    with tunnel(world, "gre", checksum=True) as t:
        t.arrives(packets()[0], checksum=False)


def row_gre_key(world):
    """P56: another key, a key where none is due, none where one is due; no key is not key 0."""
    p = packets()[0]
    with tunnel(world, "gre", keyed=True, vni=7) as t:
        t.bad(t.outer(p, key=8))
        t.bad(t.outer(p, keyed=False))
    with tunnel(world, "gre") as t:
        t.bad(t.outer(p, keyed=True, key=0))
    with tunnel(world, "gre", keyed=True, vni=0) as t:
        t.bad(t.outer(p, keyed=False))
        t.arrives(p)


def row_gre_two_keys(world):
    """Two tunnels between the same two ends, told apart by their keys."""
    with tunnel(world, "gre", keyed=True, vni=7) as t:
        other = t.link | {"id": 950, "name": "tun2", "vni": 8}
        world.run("publish", links=world_links(world) + [t.link, other])
        answer = world.send("u", t.outer(packets()[0], key=8))
        equal([x[:2] for x in answer["pairs"] if x[1] == 1], [[950, 1]], "matrix")
        refused = world.run("publish", may_fail=True, links=world_links(world) + [t.link, other | {"vni": 7}])
        equal((refused["ok"], refused["errno"]), (False, "EINVAL"), "the same key twice")


def row_gre_flags(world):
    """P56, RFC 2784 2.3: routing, sequence, bits 4 and 5 and another version are refused; bits 6 to 12 are ignored."""
    p = packets()[0]
    with tunnel(world, "gre") as t:
        for bit in range(16):
            flags = 0x8000 >> bit
            if bit in (0, 2):  # checksum, key: rows of their own
                continue
            f = t.outer(p, gre=Raw(flags.to_bytes(2, "big") + b"\x08\x00"))
            if 6 <= bit <= 12:
                t.arrives(p, f)
            else:
                t.bad(f)


def row_gre_inner(world):
    """P56: only IPv4 and IPv6 inside."""
    p = packets()[0]
    with tunnel(world, "gre") as t:
        for type_ in (0, 0x0806, 0x6558, 0x880B, 0x8847):
            t.bad(t.outer(p, type=type_))
        t.bad(t.outer(p, type=0x86DD), "ip6_version")
        t.bad(t.outer(packets()[1], type=0x0800), "ip4_version")


def row_gre_cut(world):
    """P56: the packet ends inside the header, its optional fields or the inner IP header."""
    p = packets()[0]
    with tunnel(world, "gre") as t:
        for n in range(4):
            t.bad(t.outer(p, cut=n))
        for n in (4, 23):
            t.bad(t.outer(p, cut=n), "ip4_short")
    with tunnel(world, "gre", keyed=True, vni=7) as t:
        t.bad(t.outer(p, cut=7))
        t.bad(t.outer(p, cut=8), "ip4_short")
    with tunnel(world, "gre", keyed=True, vni=7, checksum=True) as t:
        t.bad(t.outer(p, cut=11))


def row_ipip_decap(world):
    """Out of IP in IP: 4 in 4, 6 in 4, 4 in 6, 6 in 6."""
    for v6 in OUTER:
        with tunnel(world, "ipip", v6) as t:
            for p in packets():
                t.arrives(p)


def row_ipip_encap(world):
    """Into IP in IP."""
    for v6 in OUTER:
        with tunnel(world, "ipip", v6) as t:
            for p in packets(back=True):
                t.leaves(p)


def row_ipip_cut(world):
    """Nothing, or half an IP header, inside."""
    p, p6 = packets()
    with tunnel(world, "ipip") as t:
        for n in (0, 1, 19):
            t.bad(t.outer(p, cut=n), "ip4_short")
        for n in (0, 39):
            t.bad(t.outer(p6, cut=n), "ip6_short")
        t.bad(t.outer(p, proto=41), "ip6_short" if len(p) < 40 else "ip6_version")


def row_stranger(world):
    """From somebody else than the tunnel's far end; to an address that is no end it goes to the kernel."""
    for kind in ("gre", "ipip"):
        for v6 in OUTER:
            with tunnel(world, kind, v6) as t:
                t.bad(t.outer(packets()[0], src="2001:db8:ff::99" if v6 else "198.51.100.99"))
    with tunnel(world, "gre") as t:
        f = world.eth("a", 0x0800) / IP(src="10.1.0.9", dst="10.1.0.1") / GRE() / packets()[0]
        answer = world.send("a", f)
        equal((answer["drops"], list(answer["classes"])), ({}, ["other"]), "GRE to an address without tunnels")


def row_other_vrf(world):
    """A tunnel's end is reached in its own underlay VRF only."""
    for kind in ("gre", "ipip"):
        with tunnel(world, kind) as t:
            world.run("fib_set", vrf=1, prefix="198.51.100.1/32", group=1)
            f = world.eth("part", 0x0800) / t.outer(packets()[0])[IP]
            answer = world.send("part", f)
            world.run("fib_del", vrf=1, prefix="198.51.100.1/32")
            equal((answer["tx"], list(answer["classes"])), ([], ["other"]), "through the partner's VRF")


def row_outer_options(world):
    """Outer IPv4 options and IPv6 extension headers are walked past."""
    p = packets()[0]
    with tunnel(world, "gre") as t:
        f = world.eth("u", 0x0800) / IP(src="198.51.100.80", dst="198.51.100.1", proto=47, options=b"\x01\x01\x01\x01") / Raw(bytes(t.head(p) / p))
        t.arrives(p, f)
    with tunnel(world, "gre", True) as t:
        f = world.eth("u", 0x86DD) / IPv6(src="2001:db8:ff::80", dst="2001:db8:ff::1", nh=60) / Raw(b"\x2f\x00\x01\x04\0\0\0\0" + bytes(t.head(p) / p))
        t.arrives(p, f)


def row_padding(world):
    """What follows the outer packet in the frame is not sent on."""
    p = packets(b"")[0]
    with tunnel(world, "ipip") as t:
        t.arrives(p, bytes(t.outer(p)) + b"\xee" * 9)


def row_matrix(world):
    """The inner packet's own length at tunnel and egress, the outer one's at the underlay."""
    p, back = packets()[0], packets(back=True)[0]
    with tunnel(world, "gre") as t:
        answer = t.arrives(p)
        equal(sorted(answer["pairs"]), sorted([[t.id, 1, 1, len(p)], [7, 0, 1, len(p) + 24]]), "matrix, in")
        answer = world.send("a", world.eth("a", 0x0800) / back)
        equal(sorted(answer["pairs"]), sorted([[1, t.id, 1, len(p)], [0, 7, 1, len(p) + 24]]), "matrix, out")


def row_punt(world):
    """For this router: the TUN gets the IP packet alone; its length counts without the outer header."""
    for kind in ("gre", "ipip"):
        with tunnel(world, kind) as t:
            for p in (IP(src="10.66.0.2", dst="10.66.0.1") / ICMP() / b"ping",
                      IPv6(src="2001:db8:66::2", dst="2001:db8:66::1") / UDP(sport=1, dport=9) / b"x"):
                answer = world.send("u", t.outer(p))
                equal((answer["drops"], answer["tx"]), ({}, []), "fate")
                equal([(x["link"], x["hex"]) for x in answer["punt"]], [(t.id, bytes(p).hex())], "to the kernel")


def row_inject(world):
    """From the kernel's TUN into the tunnel."""
    for kind in ("gre", "ipip"):
        for v6 in OUTER:
            with tunnel(world, kind, v6) as t:
                for p in (IP(src="10.66.0.1", dst="10.66.0.2", ttl=64) / ICMP() / b"ping", IPv6(src="2001:db8:66::1", dst="2001:db8:66::2", hlim=64) / UDP() / b"x"):
                    answer = world.run("from_kernel", link=t.id, frames=[bytes(p).hex()])
                    equal(answer["drops"], {}, "drops")
                    (port, data), = tx(answer)
                    aged = p.copy()  # a router would have taken one off; the kernel is no router here
                    setattr(aged, "hlim" if isinstance(p, IPv6) else "ttl", 65)
                    equal((port, data), (2, t.expected(aged, data)), "sent")
                    equal([x for x in answer["pairs"] if x[1] == t.id], [[0, t.id, 1, len(p)]], "matrix")


def row_inject_bad(world):
    """From the kernel: no IP, or larger than the link's MTU."""
    with tunnel(world, "gre") as t:
        for frame, reason in ((b"\x10\0\0\0", "eth_type"), (bytes(IP(src="10.66.0.1", dst="10.66.0.2") / Raw(b"x" * 1381)), "ip4_too_big")):
            answer = world.run("from_kernel", link=t.id, frames=[frame.hex()])
            equal((answer["drops"], answer["tx"]), ({reason: 1}, []), "drops")


def row_inner_ttl(world):
    """The inner TTL ends here: the error goes back into the tunnel."""
    with tunnel(world, "gre") as t:
        p = IP(src=f"10.{NET}.7.7", dst="10.1.1.1", ttl=1) / UDP(sport=7, dport=8) / b"x"
        answer = world.send("u", t.outer(p))
        equal(answer["drops"], {"ip4_ttl": 1}, "drops")
        (port, data), = tx(answer)
        e = IP(data[38:])
        equal((port, data[34:38], e.src, e.dst, data[58], data[59], checksum(data[58:])), (2, b"\0\0\x08\0", f"10.{NET}.0.1", p.src, 11, 0, 0), "error")


def row_to_tunnel(world):
    """Out of GRE and into VXLAN."""
    with tunnel(world, "gre") as t:
        p = IP(src="10.66.1.1", dst="10.6.1.1") / UDP(sport=7, dport=8) / b"x"
        (_, data), = tx(world.send("u", t.outer(p)))
        equal(data[64:], world.forwarded(p, "b")[14:], "inner packet")


def row_underlay_lost(world):
    """Without a next hop of the underlay: dropped by name; the MAC all zero is a link's own kind's."""
    with tunnel(world, "gre") as t:
        world.run("publish", links=world_links(world) + [t.link | {"underlay_adj": 0}])
        world.run("adj_set", adj=80, kind="forward", link=t.id, nexthop="10.66.0.2")
        answer = world.send("a", world.eth("a", 0x0800) / packets(back=True)[0])
        equal((answer["drops"], answer["tx"]), ({"tun_down": 1}, []), "fate")
    refused = world.run("adj_set", may_fail=True, adj=81, kind="forward", link=2, nexthop="10.2.0.9")
    equal(refused["errno"], "EINVAL", "no MAC on an Ethernet link")
