"""VRRP on a link: its advertisements go up, the virtual MAC is ours while active, and the kernel's words about a
virtual address leave with it. RFC 9568 5.1, 7.2, 8.1.2, 8.2.3."""
from contextlib import contextmanager

from scapy.all import (ARP, ICMP, IP, UDP, Dot1Q, Ether, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr,
                       ICMPv6NDOptSrcLLAddr, IPv6, Raw, fragment, in6_chksum)

from judge import drops, forwards, punts
from world import ADJ_LOCAL, LINKS, PEER, equal, tx

VRID = 7
MAC4, MAC6 = "00:00:5e:00:01:07", "00:00:5e:00:02:07"
GROUP4, GROUP6 = "01:00:5e:00:00:12", "33:33:00:00:00:12"
BODY = bytes.fromhex("310764010064") + b"\0\0" + bytes([10, 1, 0, 254])


@contextmanager
def vrrp(world, link="a", active=(True, True)):
    """Link runs VRRP; the addresses .254 and ::fe of its network, and fe80::1, are virtual."""
    n = LINKS[link][5]
    addresses = ([f"10.{n}.0.254"] if active[0] else []) + ([f"2001:db8:{n}::fe", "fe80::1"] if active[1] else [])
    links = world.links()
    for shape in links:
        if shape["name"] == link:
            shape |= {"vrid": VRID, "active": list(active), "virtual": addresses}
    local = [f"10.{n}.0.254/32", f"2001:db8:{n}::fe/128"]
    world.run("publish", links=links)
    world.run("batch", cmds=[{"cmd": "fib_set", "vrf": 0, "prefix": p, "group": ADJ_LOCAL} for p in local])
    try:
        yield n
    finally:
        world.run("batch", cmds=[{"cmd": "fib_del", "vrf": 0, "prefix": p} for p in local])
        world.publish()


def advert4(world, link="a", **over):
    n = LINKS[link][5]
    return world.eth(link, 0x0800, dst=GROUP4, src=MAC4) / IP(**({"src": f"10.{n}.0.2", "dst": "224.0.0.18", "ttl": 255, "proto": 112} | over)) / Raw(BODY)


def advert6(world, link="a", **over):
    return world.eth(link, 0x86DD, dst=GROUP6, src=MAC6) / IPv6(**({"src": "fe80::2", "dst": "ff02::12", "hlim": 255, "nh": 112} | over)) / Raw(BODY)


def row_adverts(world):
    """Advertisements have a class of their own where VRRP runs; what cannot be one shares a budget with the rest."""
    for active in ((False, False), (True, True)):
        with vrrp(world, active=active):
            punts(world, "a", advert4(world), "vrrp")
            punts(world, "a", advert6(world), "vrrp")
            punts(world, "a", advert4(world, ttl=254), "other")
            punts(world, "a", advert6(world, hlim=64), "other")
            punts(world, "a", advert4(world, dst="224.0.0.5"), "other")
            punts(world, "a", advert6(world, dst="ff02::5"), "other")
            punts(world, "a", advert4(world, flags="MF"), "other")
            p = world.eth("a", 0x0800) / IP(src="10.1.0.2", dst="10.1.0.1", ttl=255, proto=112) / Raw(BODY)
            punts(world, "a", p, "other")
            drops(world, "a", advert4(world, dst="224.0.1.18"), "ip4_mcast")
            drops(world, "a", advert6(world, dst="ff05::12"), "ip6_scope")
            punts(world, "b", advert4(world, "b"), "other")  # nobody runs it there
    with vrrp(world, "c"):
        p = advert4(world, "c")
        punts(world, "c", p, "vrrp", tap_frame=Ether(src=MAC4, dst=GROUP4, type=0x0800) / p[IP])


def row_backup(world):
    """A backup takes nothing that is for the virtual MAC."""
    for active in ((False, False), (False, True), (True, False)):
        with vrrp(world, active=active):
            for v6, mac in ((0, MAC4), (1, MAC6)):
                p = IPv6(src="2001:db8:1::5", dst="2001:db8:2::5") / UDP() if v6 else IP(src="10.1.1.1", dst="10.2.1.1") / UDP()
                frame = world.eth("a", 0x86DD if v6 else 0x0800, dst=mac) / p
                if active[v6]:
                    forwards(world, "a", p, "b", frame=frame)
                else:
                    drops(world, "a", frame, "eth_other")
    drops(world, "a", world.eth("a", 0x0800, dst=MAC4) / IP(src="10.1.1.1", dst="10.2.1.1") / UDP(), "eth_other")


def row_forward(world):
    """Hosts send to the virtual MAC: plain packets, fragments and options, untagged and tagged, all are routed."""
    for link in ("a", "c"):
        with vrrp(world, link) as n:
            p4 = IP(src=f"10.{n}.1.1", dst="10.2.1.1", id=9) / UDP(sport=5, dport=6) / b"to the virtual router"
            p6 = IPv6(src=f"2001:db8:{n}::5", dst="2001:db8:2::5") / UDP(sport=5, dport=6) / b"six"
            forwards(world, link, p4, "b", frame=world.eth(link, 0x0800, dst=MAC4) / p4)
            forwards(world, link, p6, "b", frame=world.eth(link, 0x86DD, dst=MAC6) / p6)
            for f in fragment(IP(src=f"10.{n}.1.1", dst="10.2.1.1", id=9) / UDP() / Raw(b"x" * 900), 400):
                forwards(world, link, f, "b", frame=world.eth(link, 0x0800, dst=MAC4) / f)
            drops(world, link, world.eth(link, 0x0800, dst="00:00:5e:00:01:08") / p4, "eth_other")
            drops(world, link, world.eth(link, 0x0800, dst=MAC4, src="00:00:00:00:00:00") / p4, "eth_src")
            drops(world, link, world.eth(link, 0x0800, dst=MAC4, src="01:00:00:00:00:01") / p4, "eth_src")
            drops(world, link, world.eth(link, 0x0800, dst=MAC4) / IP(bytes(p4)[:10] + b"\0\0" + bytes(p4)[12:]), "ip4_csum")
            bad = world.eth("b", 0x0800, dst=MAC4) / IP(src="10.2.1.1", dst="10.1.1.1") / UDP()
            drops(world, "b", bad, "eth_other")


def row_vector(world):
    """Frames to either MAC within one vector, in any order."""
    with vrrp(world):
        frames, want = [], []
        for i in range(23):
            p = IP(src="10.1.1.1", dst="10.2.1.1", id=i) / UDP(sport=i, dport=6)
            frames.append(world.eth("a", 0x0800, **({"dst": MAC4} if i % 3 == 1 or i > 14 else {})) / p)
            want.append((1, world.forwarded(p, "b")))
        answer = world.send("a", *frames)
        equal(answer["drops"], {}, "drops")
        equal(sorted(tx(answer)), sorted(want), "sent")


def row_local(world):
    """What is for a virtual address reaches the kernel under the MAC it knows."""
    for link in ("a", "c"):
        with vrrp(world, link) as n:
            own = world.mac[LINKS[link][2]]
            p4 = IP(src=f"10.{n}.0.2", dst=f"10.{n}.0.254") / ICMP()
            p6 = IPv6(src=f"2001:db8:{n}::2", dst=f"2001:db8:{n}::fe") / ICMPv6EchoRequest()
            ll = IPv6(src="fe80::9", dst="fe80::1") / ICMPv6EchoRequest()
            arp = ARP(op=1, hwsrc=PEER[link], psrc=f"10.{n}.0.2", pdst=f"10.{n}.0.254")
            for p, type_, mac, kind in ((p4, 0x0800, MAC4, "icmp"), (p6, 0x86DD, MAC6, "icmp"), (ll, 0x86DD, MAC6, "icmp"), (arp, 0x0806, MAC4, "neigh")):
                punts(world, link, world.eth(link, type_, dst=mac) / p, kind, tap_frame=Ether(src=PEER[link], dst=own, type=type_) / p)


def kernel(world, link, frame):
    answer = world.run("from_kernel", link=LINKS[link][0], frames=[bytes(frame).hex()])
    equal(answer["drops"], {}, "drops")
    (port, data), = tx(answer)
    equal(port, LINKS[link][2], "port")
    tags = b"".join(bytes(Dot1Q(vlan=vid, type=0))[:2] for _, vid in LINKS[link][3])
    if tags:
        equal(data[14:16], tags, "tag")
        data = data[:12] + data[16:]
    return data


def row_arp(world):
    """The kernel's ARP for a virtual address names the virtual MAC; for its own address its own."""
    for link in ("a", "c"):
        own = world.mac[LINKS[link][2]]
        with vrrp(world, link) as n:
            for op, dst in ((2, PEER[link]), (1, "ff:ff:ff:ff:ff:ff")):
                def arp(mac, address):
                    return Ether(src=mac, dst=dst) / ARP(op=op, hwsrc=mac, psrc=address, hwdst=dst, pdst=f"10.{n}.0.2")
                equal(kernel(world, link, arp(own, f"10.{n}.0.254")), bytes(arp(MAC4, f"10.{n}.0.254")), "virtual")
                equal(kernel(world, link, arp(own, f"10.{n}.0.1")), bytes(arp(own, f"10.{n}.0.1")), "own")
                whole = bytes(arp(own, f"10.{n}.0.254"))
                for cut in range(14, 42):
                    equal(kernel(world, link, whole[:cut]), whole[:cut], f"{cut} bytes")
        equal(kernel(world, link, arp(own, f"10.{n}.0.254")), bytes(arp(own, f"10.{n}.0.254")), "not active any more")


def neighbour(mac, src, target, advert, router):
    dst = "ff02::1"
    if advert:
        icmp = ICMPv6ND_NA(tgt=target, R=router, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=mac)
    else:
        icmp = ICMPv6ND_NS(tgt=target) / ICMPv6NDOptSrcLLAddr(lladdr=mac)
    return Ether(src=mac, dst="33:33:00:00:00:01") / IPv6(src=src, dst=dst, hlim=255) / icmp


def row_nd(world):
    """Neighbour discovery likewise: advertisements by target, solicitations by source; R set, checksum right."""
    for link in ("a", "c"):
        own = world.mac[LINKS[link][2]]
        with vrrp(world, link) as n:
            one, real = f"2001:db8:{n}::fe", f"2001:db8:{n}::1"
            for address in (one, "fe80::1"):
                got = kernel(world, link, neighbour(own, address, address, True, 0))
                equal(got, bytes(neighbour(MAC6, address, address, True, 1)), "advertisement")
                equal(in6_chksum(58, IPv6(got[14:]), got[54:]), 0, "its checksum")
                equal(kernel(world, link, neighbour(own, address, real, False, 0)), bytes(neighbour(MAC6, address, real, False, 0)), "solicitation")
            for f in (neighbour(own, real, real, True, 0), neighbour(own, real, one, False, 0), Ether(src=own, dst=PEER[link]) / IPv6(src=one, dst=real) / UDP()):
                equal(kernel(world, link, f), bytes(f), "own")
            whole = bytes(neighbour(own, one, one, True, 0))
            for cut in range(14, len(whole)):
                equal(kernel(world, link, whole[:cut]), whole[:cut], f"{cut} bytes")
            for length in (0, 2, 5, 255):  # an option that lies about its length
                f = bytearray(whole)
                f[79] = length
                equal(kernel(world, link, bytes(f))[72:78], bytes(f)[72:78], f"option of length {length}")
