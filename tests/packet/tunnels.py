"""Tunnels of every kind for the packet rows: a link made for one row, its far end played by scapy.

    with tunnel(world, "gre", v6=False, keyed=True, vni=7) as t:   10.66/16 and 2001:db8:66::/48 behind it
        t.arrives(packet)      sent by the far end, must leave by link a as a plain router sends it
        t.leaves(packet)       sent by link a's peer, must leave on the underlay as scapy builds it
"""
from contextlib import contextmanager

from scapy.all import GRE, IP, UDP, VXLAN, Ether, IPv6, Raw
from scapy.contrib.geneve import GENEVE

from judge import through
from world import ADJ_LOCAL, ADJ_PEER, LINKS, PEER, UNDERLAY6, equal, tx

ADJ, NET = 80, 66
LOCAL = {4: "198.51.100.1", 6: "2001:db8:ff::1"}
REMOTE = {4: "198.51.100.80", 6: "2001:db8:ff::80"}
MAC = "02:bb:00:00:00:20"
FAR_MAC = "02:aa:00:00:00:20"
PLAIN_SOURCE = "02:6c:69:6e:74:61"  # of the Ethernet header that packets without one get inside the router
PORT = {"vxlan": 4789, "geneve": 6081}
LINKS_OF_KIND = {"gre": {}, "ipip": {}, "geneve": {"vni": 77}, "vxlan": {"vni": 77}, "esp": {}}


def family(packet):
    return 6 if isinstance(packet, IPv6) else 4


def ethertype(packet):
    return 0x86DD if isinstance(packet, IPv6) else 0x0800


def packets(tail=b"through a tunnel", back=False, tos=0, **over):
    """One of each family from behind the tunnel to link a's network; back: the other way."""
    ends4, ends6 = ("10.66.1.1", "10.1.1.1"), ("2001:db8:66::5", "2001:db8:1::5")
    if back:
        ends4, ends6 = ends4[::-1], ends6[::-1]
    body = UDP(sport=7, dport=8) / tail
    return (IP(**({"src": ends4[0], "dst": ends4[1], "tos": tos} | over)) / body,
            IPv6(src=ends6[0], dst=ends6[1], tc=tos) / body)


class Tunnel:
    last = 100

    def __init__(self, world, kind, v6, over):
        Tunnel.last = self.id = 100 + (Tunnel.last - 99) % 800  # counters of an id that comes back begin anew: pktrun would miss some
        self.world, self.kind, self.v = world, kind, 6 if v6 else 4
        self.conf = LINKS_OF_KIND[kind] | over
        self.ether = self.conf.get("inner_ether", kind == "vxlan")
        self.link = {"id": self.id, "name": "tun", "vrf": 0, "mtu": 1400, "encap": kind, "mac": MAC, "zone": 1, "reach": 0b10,
                     "underlay_vrf": 2, "local": LOCAL[self.v], "remote": REMOTE[self.v],
                     "underlay_adj": UNDERLAY6 if v6 else ADJ_PEER["u"],
                     "src4": f"10.{NET}.0.1", "src6": f"2001:db8:{NET}::1"} | self.conf

    # ---- what the far end sends ----
    def head(self, inner, **over):
        """The tunnel's own header; inner: IP, or anything."""
        type_ = over.get("type", 0x6558 if self.ether else ethertype(inner))
        if self.kind == "gre":
            if "gre" in over:
                return over["gre"]
            keyed = over.get("keyed", self.conf.get("keyed", False))
            return GRE(proto=type_, key_present=int(keyed), chksum_present=int(over.get("checksum", self.conf.get("checksum", False))),
                       **({"key": over.get("key", self.conf.get("vni", 0))} if keyed else {}))
        if self.kind == "ipip":
            return None
        udp = UDP(sport=over.get("sport", 50000), dport=over.get("dport", PORT[self.kind]), chksum=over.get("chksum", 0))
        vni = over.get("vni", self.conf["vni"])
        if self.kind == "vxlan":
            return udp / VXLAN(flags=over.get("flags", 8), vni=vni)
        return udp / GENEVE(vni=vni, proto=type_, optionlen=over.get("optionlen", len(over.get("options", b"")) // 4),
                            critical=over.get("critical", 0), oam=over.get("oam", 0), version=over.get("version", 0)) / Raw(over.get("options", b""))

    def proto(self, inner):
        return {"gre": 47, "ipip": 41 if family(inner) == 6 else 4}.get(self.kind, 17)

    def outer(self, inner, **over):
        """A whole frame on the underlay; inner: an IP packet."""
        tos = over.get("tos", 0)
        proto = over.get("proto", self.proto(inner))
        src, dst = over.get("src", REMOTE[self.v]), over.get("dst", LOCAL[self.v])
        ip = IPv6(src=src, dst=dst, nh=proto, tc=tos) if self.v == 6 else IP(src=src, dst=dst, proto=proto, tos=tos)
        body = over["body"] if "body" in over else Ether(src=FAR_MAC, dst=MAC, type=ethertype(inner)) / inner if self.ether else inner
        head = self.head(inner, **over)
        payload = bytes(head / body if head is not None else body)
        if over.get("chksum", 0) is None:  # UDP's, over what is there
            payload = bytes(ip / (head / body))[40 if self.v == 6 else 20:]
        payload = payload[:over.get("cut", len(payload))]
        return self.world.eth("u", 0x86DD if self.v == 6 else 0x0800) / ip / Raw(payload)

    def arrives(self, inner, frame=None, **over):
        answer = self.world.send("u", frame if frame is not None else self.outer(inner, **over))
        equal(answer["drops"], {}, "drops")
        equal(tx(answer), [(0, self.world.forwarded(inner, "a"))], f"sent out of {self.kind} over IPv{self.v}")
        return answer

    # ---- what we send ----
    def expected(self, packet, data, tos=0, **over):
        """What scapy makes of a packet of link a; data: what was sent, for what is free to choose."""
        inner = self.world.forwarded(packet, "b")[14:]
        kind = IPv6 if family(packet) == 6 else IP
        at = 54 if self.v == 6 else 34
        body = Ether(src=MAC, dst=FAR_MAC, type=ethertype(packet)) / kind(inner) if self.ether else kind(inner)
        if self.v == 6:
            label = int.from_bytes(data[14:18], "big") & 0xFFFFF
            ip = IPv6(src=LOCAL[6], dst=REMOTE[6], nh=self.proto(packet), hlim=over.get("ttl", 64), tc=tos, fl=label)
        else:
            ip = IP(src=LOCAL[4], dst=REMOTE[4], proto=self.proto(packet), ttl=over.get("ttl", 64), tos=tos,
                    flags=2 if over.get("df", True) else 0, id=0 if over.get("df", True) else int.from_bytes(data[18:20], "big"))
        csum = None if self.conf.get("checksum") and self.v == 6 else 0
        head = self.head(packet, sport=int.from_bytes(data[at:at + 2], "big"), chksum=csum)
        return bytes(self.world.eth("u", 0x86DD if self.v == 6 else 0x0800, src=self.world.mac[2], dst=PEER["u"]) / ip / (head / body if head is not None else body))

    def leaves(self, packet, **over):
        rest, answer = through(self.world, "a", self.world.eth("a", ethertype(packet)) / packet)
        equal(answer["drops"], {}, "drops")
        equal(len(rest), 1, "packets sent")
        (port, data), = rest
        equal((port, data), (2, self.expected(packet, data, **over)), f"sent into {self.kind} over IPv{self.v}")
        return data

    def bad(self, frame, reason="tun_bad"):
        answer = self.world.send("u", frame)
        equal((answer["drops"], answer["tx"], answer["punt"]), ({reason: 1}, [], []), "a bad packet's fate")


def adj(kind):
    return {"cmd": "adj_set", "adj": ADJ, "kind": "forward", "link": kind.id, "nexthop": f"10.{NET}.0.2"} | \
        ({"mac": FAR_MAC} if kind.ether else {})


def underlay(world, mtu, more=()):
    """The world's links, the underlay's with this MTU, and more; its adjacencies follow."""
    links = world_links(world)
    next(x for x in links if x["name"] == "u")["mtu"] = mtu
    world.run("publish", links=links + list(more))
    world.run("batch", cmds=[{"cmd": "adj_set", "adj": n, "kind": "forward", "link": 7, "mac": PEER["u"], "nexthop": hop}
                             for n, hop in ((ADJ_PEER["u"], "198.51.100.77"), (UNDERLAY6, "2001:db8:ff::77"))])


@contextmanager
def tunnel(world, kind, v6=False, underlay_mtu=1600, **over):
    t = Tunnel(world, kind, v6, over)
    routes = [(f"10.{NET}.0.0/16", ADJ), (f"2001:db8:{NET}::/48", ADJ), (f"10.{NET}.0.1/32", ADJ_LOCAL), (f"2001:db8:{NET}::1/128", ADJ_LOCAL)]
    LINKS["tun"] = (t.id, 0, None, [], 1400, NET)
    underlay(world, underlay_mtu, [t.link])
    world.run("batch", cmds=[adj(t), {"cmd": "group_set", "group": ADJ, "legs": [{"adj": ADJ, "key": ADJ, "weight": 1, "tier": 0, "alive": True}]}] +
              [{"cmd": "fib_set", "vrf": 0, "prefix": p, "group": g} for p, g in routes])
    try:
        yield t
    finally:
        del LINKS["tun"]
        world.run("batch", cmds=[{"cmd": "fib_del", "vrf": 0, "prefix": p} for p, _ in routes] +
                  [{"cmd": "group_del", "group": ADJ}, {"cmd": "adj_del", "adj": ADJ}])
        underlay(world, 1600)


def world_links(world):
    """The world's own links: one made for a row is not among them."""
    mine = LINKS.pop("tun", None)
    try:
        return world.links()
    finally:
        if mine:
            LINKS["tun"] = mine
