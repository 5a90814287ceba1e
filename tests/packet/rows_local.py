"""To and from the router itself: punt classes, budgets, what the kernel sends."""
from scapy.all import ICMP, IP, TCP, UDP, Dot1Q, Ether, ICMPv6EchoRequest, IPv6, Raw

from judge import drops, forwards, icmp4, punts
from world import LINKS, PEER, equal, tx


def mine(world, payload, link="a", **over):
    n = LINKS[link][5]
    return world.eth(link, 0x0800) / IP(**({"src": f"10.{n}.0.2", "dst": f"10.{n}.0.1"} | over)) / payload


def mine6(world, payload, link="a"):
    n = LINKS[link][5]
    return world.eth(link, 0x86DD) / IPv6(src=f"2001:db8:{n}::2", dst=f"2001:db8:{n}::1") / payload


def row_classes(world):
    """Each protocol in its class, both families."""
    for payload, kind in ((UDP(sport=49152, dport=3784), "bfd"), (UDP(sport=49152, dport=4784), "bfd"), (TCP(sport=5000, dport=179), "bgp"),
                          (TCP(sport=179, dport=5000), "bgp"), (UDP(sport=500, dport=500), "ike"), (TCP(dport=22), "other"), (UDP(dport=53), "other")):
        punts(world, "a", mine(world, payload), kind)
        punts(world, "a", mine6(world, payload), kind)
    punts(world, "a", mine(world, ICMP()), "icmp")
    punts(world, "a", mine6(world, ICMPv6EchoRequest()), "icmp")


def row_tagged(world):
    """From tagged links the kernel sees the frame without tags."""
    for link in ("c", "q", "r"):
        p = IP(src=f"10.{LINKS[link][5]}.0.2", dst=f"10.{LINKS[link][5]}.0.1") / ICMP()
        punts(world, link, world.eth(link, 0x0800) / p, "icmp",
              tap_frame=Ether(src=PEER[link], dst=world.mac[LINKS[link][2]], type=0x0800) / p)


def row_partner_ping(world):
    """A partner may talk to the address of its own link."""
    p = IP(src="10.9.0.2", dst="10.9.0.1") / ICMP()
    punts(world, "part", world.eth("part", 0x0800) / p, "icmp", tap_frame=Ether(src=PEER["part"], dst=world.mac[0], type=0x0800) / p)


def row_other_address(world):
    """An address of ours on another link is reached too."""
    punts(world, "a", mine(world, ICMP(), dst="10.2.0.1"), "icmp")


def row_from_kernel(world):
    """What the kernel sends leaves with the link's tags."""
    for link in ("a", "c", "q", "r"):
        head = Ether(src=world.mac[LINKS[link][2]], dst=PEER[link], type=0x0800)
        p = IP(src="10.1.0.1", dst="10.1.0.2") / ICMP()
        answer = world.run("from_kernel", link=LINKS[link][0], frames=[bytes(head / p).hex()])
        want = bytes(world.eth(link, 0x0800, src=world.mac[LINKS[link][2]], dst=PEER[link])) + bytes(p)
        equal(tx(answer), [(LINKS[link][2], want)], f"sent by {link}")


def row_budget(world):
    """A flood to our address is cut to the class's budget; BGP and transit pass meanwhile."""
    f = bytes(mine(world, ICMP()))
    answer = world.run("flood", port=0, frame=f.hex(), count=30000)
    up = sum(answer["punt"].values())
    equal(up + sum(answer["drops"].values()), 30000, "all accounted for")
    equal(0 < up < 15000, True, f"budget: {up} went up")
    punts(world, "a", mine(world, TCP(sport=5000, dport=179, flags="S")), "bgp")
    forwards(world, "a", IP(src="10.1.1.1", dst="10.2.1.1") / UDP(), "b")
row_budget.own_world = {}


def row_l4_cut(world):
    """P60: ports cut off: still ours, never read past the end."""
    for n in range(0, 8):
        f = world.eth("a", 0x0800) / IP(src="10.1.0.2", dst="10.1.0.1", proto=17) / Raw(b"\x0e\xc8\x0e\xc8\0\x08\0\0"[:n])
        answer = world.send("a", f)
        equal(len(answer["punt"]) + sum(answer["drops"].values()), 1, f"{n} bytes of UDP")
