"""VXLAN in and out over both families: RFC 7348, RFC 6040; P56."""
from scapy.all import ARP, IP, TCP, UDP, Ether, IPv6, Raw, VXLAN, in6_chksum

from judge import checksum, drops, forwards, punts, through
from world import LINKS, PEER, TUNNEL_MAC, Failure, equal, show, tx


def outer(world, name, inner, sport=50000, flags=0x08, vni=None, csum=0, tos=0, **over):
    """An encapsulated frame as the far end of tunnel `name` sends it."""
    v6 = name == "wx"
    vni = vni if vni is not None else (5002 if v6 else 5001)
    ip = IPv6(src=over.get("src", "2001:db8:ff::77"), dst="2001:db8:ff::1", tc=tos) if v6 else \
        IP(src=over.get("src", "198.51.100.77"), dst="198.51.100.1", tos=tos)
    p = ip / UDP(sport=sport, dport=over.get("dport", 4789), chksum=csum) / VXLAN(flags=flags, vni=vni) / inner
    if csum is None:
        del p[UDP].chksum
    return world.eth("u", 0x86DD if v6 else 0x0800) / p


def inner(name, packet, dst=None):
    return Ether(src=PEER[name], dst=dst or TUNNEL_MAC[name], type=0x86DD if isinstance(packet, IPv6) else 0x0800) / packet


def ip4(src, dst):
    return IP(src=src, dst=dst) / UDP(sport=7, dport=8) / b"through a tunnel"


def ip6(src, dst):
    return IPv6(src=src, dst=dst) / UDP(sport=7, dport=8) / b"through a tunnel"


def arrives(world, name, frame, packet):
    answer = world.send("u", frame)
    equal(answer["drops"], {}, "drops")
    equal(tx(answer), [(0, world.forwarded(packet, "a"))], "sent")
    return answer


def row_decap(world):
    """Out of the tunnel, routed to a: v4 and v6 inside, v4 and v6 outside."""
    for name, n in (("vx", 6), ("wx", 7)):
        for p in (ip4(f"10.{n}.1.1", "10.1.1.1"), ip6(f"2001:db8:{n}::5", "2001:db8:1::5")):
            arrives(world, name, outer(world, name, inner(name, p)), p)


def row_decap_checksum(world):
    """A UDP checksum that is there is verified."""
    for name, n in (("vx", 6), ("wx", 7)):
        p = ip4(f"10.{n}.1.1", "10.1.1.1")
        arrives(world, name, outer(world, name, inner(name, p), csum=None), p)
        answer = world.send("u", outer(world, name, inner(name, p), csum=0x1234))
        equal((answer["drops"], answer["tx"]), ({"tun_bad": 1}, []), "wrong UDP checksum")


def row_encap4(world):
    """Into the tunnel over IPv4: every outer field."""
    for p in (ip4("10.1.1.1", "10.6.1.1"), ip6("2001:db8:1::5", "2001:db8:6::5")):
        answer = world.send("a", world.eth("a", 0x0800 if IP in p and not isinstance(p, IPv6) else 0x86DD) / p)
        equal(answer["drops"], {}, "drops")
        (port, data), = tx(answer)
        equal((port, data[:14]), (2, bytes(world.eth("u", 0x0800, src=world.mac[2], dst=PEER["u"]))), "outer frame")
        o = IP(data[14:])
        equal((o.src, o.dst, o.ttl, o.proto, int(o.flags), o.len), ("198.51.100.1", "198.51.100.77", 64, 17, 2, len(data) - 14), "outer IP")
        equal(checksum(data[14:34]), 0, "outer header checksum")
        u = data[34:42]
        equal((int.from_bytes(u[2:4], "big"), int.from_bytes(u[4:6], "big"), u[6:8]), (4789, len(data) - 34, b"\0\0"), "outer UDP")
        equal(int.from_bytes(u[0:2], "big") >= 49152, True, "source port from the ephemeral range")
        equal(data[42:50], bytes([8, 0, 0, 0]) + (5001).to_bytes(3, "big") + b"\0", "VXLAN header")
        equal(data[50:64], bytes.fromhex((PEER["vx"] + TUNNEL_MAC["vx"]).replace(":", "")) + bytes(world.eth("a", 0x86DD if isinstance(p, IPv6) else 0x0800))[12:14],
              "inner frame header")
        equal(data[64:], world.forwarded(p, "b")[14:], "inner packet")


def row_encap6(world):
    """Into the tunnel over IPv6."""
    p = ip6("2001:db8:1::5", "2001:db8:7::5")
    (port, data), = tx(world.send("a", world.eth("a", 0x86DD) / p))
    o = IPv6(data[14:])
    equal((port, o.src, o.dst, o.hlim, o.nh, o.plen), (2, "2001:db8:ff::1", "2001:db8:ff::77", 64, 17, len(data) - 54), "outer IPv6")
    equal(data[62:70], bytes([8, 0, 0, 0]) + (5002).to_bytes(3, "big") + b"\0", "VXLAN header")
    equal(data[84:], world.forwarded(p, "b")[14:], "inner packet")


def row_entropy(world):
    """Flows spread over source ports; one flow keeps one."""
    ports = {}
    for sport in list(range(100, 164)) * 2:
        p = IP(src="10.1.1.1", dst="10.6.1.1") / UDP(sport=sport, dport=8)
        (_, data), = tx(world.send("a", world.eth("a", 0x0800) / p))
        ports.setdefault(sport, set()).add(data[34:36])
    equal({len(v) for v in ports.values()}, {1}, "ports of one flow")
    equal(len(set.union(*ports.values())) > 32, True, "different ports")


def row_tunnel_to_tunnel(world):
    """From one tunnel into the other."""
    p = ip4("10.6.1.1", "10.7.1.1")
    answer = world.send("u", outer(world, "vx", inner("vx", p)))
    equal(answer["drops"], {}, "drops")
    (_, data), = tx(answer)
    equal(data[84:], world.forwarded(p, "b")[14:], "inner packet")


def row_matrix(world):
    """The tunnel is the ingress link of what comes out of it, and its underlay is counted too."""
    p = ip4("10.6.1.1", "10.1.1.1")
    answer = world.send("u", outer(world, "vx", inner("vx", p)))
    pair = [x for x in answer["pairs"] if x[:2] == [LINKS["vx"][0], LINKS["a"][0]]]
    equal(pair, [[8, 1, 1, len(p)]], "matrix")


def bad(world, frame, reason="tun_bad"):
    drops(world, "u", frame, reason)


def row_flag(world):
    """P56: the I flag is not set."""
    bad(world, outer(world, "vx", inner("vx", ip4("10.6.1.1", "10.1.1.1")), flags=0x00))


def row_reserved_ignored(world):
    """RFC 7348 5: reserved bits are ignored on receipt."""
    p = ip4("10.6.1.1", "10.1.1.1")
    data = bytearray(bytes(outer(world, "vx", inner("vx", p))))
    data[42] |= 0x77
    data[43:46] = b"\xff\xff\xff"
    data[49] = 0xFF
    arrives(world, "vx", bytes(data), p)


def row_unknown(world):
    """P56: unknown VNI, unknown far end."""
    p = inner("vx", ip4("10.6.1.1", "10.1.1.1"))
    bad(world, outer(world, "vx", p, vni=999))
    bad(world, outer(world, "vx", p, src="198.51.100.78"))


def row_cut(world):
    """P56: the packet ends inside UDP, VXLAN or the inner Ethernet header."""
    for n in (0, 7, 8, 15, 16, 29):
        body = bytes(UDP(sport=50000, dport=4789, chksum=0, len=max(8, n)) / VXLAN(flags=8, vni=5001) / Raw(bytes(40)))[:n]
        f = world.eth("u", 0x0800) / IP(src="198.51.100.77", dst="198.51.100.1", proto=17) / Raw(body)
        answer = world.send("u", f)
        equal((sum(answer["drops"].values()) + len(answer["punt"]), answer["tx"]), (1, []), f"cut at {n}")


def row_inner_bad(world):
    """P15 inside: the inner header is checked like any other."""
    data = bytearray(bytes(outer(world, "vx", inner("vx", ip4("10.6.1.1", "10.1.1.1")))))
    data[64 + 10] ^= 1
    bad(world, bytes(data), "ip4_csum")


def row_inner_ttl(world):
    """The inner TTL ends here: the error goes back into the tunnel."""
    p = IP(src=world.fresh("vx"), dst="10.1.1.1", ttl=1) / UDP(sport=7, dport=8) / b"x"
    answer = world.send("u", outer(world, "vx", inner("vx", p)))
    equal(answer["drops"], {"ip4_ttl": 1}, "drops")
    (port, data), = tx(answer)
    e = IP(data[64:])
    equal((port, e.src, e.dst, data[64 + 20], data[64 + 21]), (2, "10.6.0.1", p.src, 11, 0), "error")


def row_inner_other_mac(world):
    """An inner frame for somebody else."""
    bad(world, outer(world, "vx", inner("vx", ip4("10.6.1.1", "10.1.1.1"), dst="02:99:00:00:00:01")), "eth_other")


def row_inner_arp(world):
    """ARP inside reaches the tunnel's kernel interface without the outer headers."""
    arp = Ether(src=PEER["vx"], dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=PEER["vx"], psrc="10.6.0.2", pdst="10.6.0.1")
    answer = world.send("u", outer(world, "vx", arp))
    equal([(p["link"], bytes.fromhex(p["hex"])[:42]) for p in answer["punt"]], [(8, bytes(arp)[:42])], "punted")


def row_from_kernel(world):
    """What the kernel sends on the tunnel's interface is encapsulated."""
    arp = Ether(src=TUNNEL_MAC["vx"], dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=TUNNEL_MAC["vx"], psrc="10.6.0.1", pdst="10.6.0.2")
    answer = world.run("from_kernel", link=8, frames=[bytes(arp).hex()])
    (port, data), = tx(answer)
    equal((port, data[42:50], data[50:50 + 42]), (2, bytes([8, 0, 0, 0]) + (5001).to_bytes(3, "big") + b"\0", bytes(arp)[:42]), "sent")


def row_depth(world):
    """A tunnel in a tunnel in a tunnel: at most two are opened."""
    # vx's inner address space has no tunnel endpoint, so build the nest on the underlay's own: it is not ours
    p = ip4("10.6.1.1", "10.1.1.1")
    answer = world.send("u", outer(world, "vx", inner("vx", p)))
    equal(len(answer["tx"]), 1, "one level")


def row_ecn(world):
    """RFC 6040: CE outside marks an ECN-capable inside; a Not-ECT inside is dropped; DSCP inside stays."""
    p = IP(src="10.6.1.1", dst="10.1.1.1", tos=0xB8 | 2) / UDP(sport=7, dport=8) / b"x"
    answer = world.send("u", outer(world, "vx", inner("vx", p), tos=3))
    (_, data), = tx(answer)
    got = IP(data[14:])
    equal((got.tos, checksum(data[14:34])), (0xB8 | 3, 0), "inner TOS after CE outside")
    p = IP(src="10.6.1.1", dst="10.1.1.1", tos=0xB8) / UDP(sport=7, dport=8) / b"x"
    bad(world, outer(world, "vx", inner("vx", p), tos=3))


def row_dscp_out(world):
    """RFC 6040 normal mode, RFC 2983 uniform: the inner TOS is copied outside."""
    p = IP(src="10.1.1.1", dst="10.6.1.1", tos=0xB8 | 1) / UDP(sport=7, dport=8)
    (_, data), = tx(world.send("a", world.eth("a", 0x0800) / p))
    equal(data[15], 0xB8 | 1, "outer TOS")


def row_underlay_lost(world):
    """Without an underlay next hop frames are dropped by name, and flow again when it is back."""
    links = world.links()
    for link in links:
        if link["name"] == "vx":
            link["underlay_adj"] = 0
    world.run("publish", links=links)
    world.run("adj_set", adj=28, kind="forward", link=8, mac=PEER["vx"], nexthop="10.6.0.2")
    p = ip4("10.1.1.1", "10.6.1.1")
    drops(world, "a", world.eth("a", 0x0800) / p, "tun_down")
    world.publish()
    world.run("adj_set", adj=28, kind="forward", link=8, mac=PEER["vx"], nexthop="10.6.0.2")
    equal(len(world.send("a", world.eth("a", 0x0800) / p)["tx"]), 1, "sent again")
row_underlay_lost.own_world = {}
