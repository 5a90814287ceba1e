"""Ethernet and tags: robustness P01, P03–P07; which link a frame belongs to."""
from scapy.all import ARP, IP, UDP, Dot1Q, Ether, IPv6, Raw

from judge import drops, forwards, punts
from world import PEER


def packet(world, dst="10.2.1.1", src="10.1.1.1"):
    return IP(src=src, dst=dst) / UDP(sport=1000, dport=2000) / b"payload-of-a-packet"


def row_untagged(world):
    """Untagged IPv4 is routed from a to b."""
    forwards(world, "a", packet(world), "b")


def row_untagged6(world):
    """Untagged IPv6 is routed from a to b."""
    forwards(world, "a", IPv6(src="2001:db8:1::5", dst="2001:db8:2::5") / UDP(sport=1, dport=2) / b"six", "b")


def row_vlan_out(world):
    """a to c: a tag is added."""
    forwards(world, "a", packet(world, "10.3.1.1"), "c")
    forwards(world, "a", IPv6(src="2001:db8:1::5", dst="2001:db8:3::5") / UDP() / b"six", "c")


def row_vlan_in(world):
    """c to a: the tag is removed."""
    forwards(world, "c", packet(world, "10.1.1.1", "10.3.1.1"), "a")


def row_vlan_same_port(world):
    """b to c: out of the same port with a tag."""
    forwards(world, "b", packet(world, "10.3.1.1", "10.2.1.1"), "c")


def row_qinq_88a8(world):
    """QinQ with outer 0x88a8, both ways, both families."""
    forwards(world, "a", packet(world, "10.4.1.1"), "q")
    forwards(world, "q", packet(world, "10.1.1.1", "10.4.1.1"), "a")
    forwards(world, "q", IPv6(src="2001:db8:4::5", dst="2001:db8:1::5") / UDP() / b"six", "a")


def row_qinq_8100(world):
    """QinQ with outer 0x8100 (Azure), both ways."""
    forwards(world, "a", packet(world, "10.5.1.1"), "r")
    forwards(world, "r", packet(world, "10.1.1.1", "10.5.1.1"), "a")


def row_priority_tag(world):
    """P04: VID 0 is a priority tag: the frame is untagged."""
    p = packet(world)
    forwards(world, "a", p, "b", frame=world.eth("a") / Dot1Q(vlan=0, prio=5) / p)


def row_priority_bits(world):
    """PCP and DEI of a tag do not decide which link it is."""
    p = packet(world, "10.1.1.1", "10.3.1.1")
    forwards(world, "c", p, "a", frame=Ether(src=PEER["c"], dst=world.mac[1]) / Dot1Q(vlan=100, prio=7, id=1) / p)


def row_short(world):
    """P01: shorter than an Ethernet header."""
    for n in (1, 6, 13):
        drops(world, "a", bytes(world.eth("a", 0x0800))[:n], "eth_short")


def row_type_unknown(world):
    """P03: an EtherType nobody routes; 802.3 length; LLC."""
    for t in (0x88CC, 0x0806 + 0x4000, 0x002E, 0x05DC, 0xFFFF):
        drops(world, "a", bytes(world.eth("a", t)) + bytes(46), "eth_type")


def row_vlan_cut(world):
    """P04: the frame ends inside its tag."""
    drops(world, "a", bytes(world.eth("a", 0x8100)), "eth_vlan")
    drops(world, "a", bytes(world.eth("a", 0x8100)) + b"\0", "eth_vlan")
    drops(world, "a", bytes(world.eth("a", 0x8100)) + b"\0\x64\x08", "eth_vlan")


def row_qinq_cut(world):
    """P04: the frame ends inside its second tag."""
    head = bytes(world.eth("q", 0x0800))
    for n in (18, 19, 20, 21):
        drops(world, 2 and "q", head[:n], "eth_vlan")


def row_vlan_unknown(world):
    """P04: a VID nobody configured, on a port with links."""
    drops(world, "a", world.eth("a") / Dot1Q(vlan=999) / packet(world), "eth_vlan")


def row_vlan_4095(world):
    """P04: VID 4095 is reserved."""
    drops(world, "a", world.eth("a") / Dot1Q(vlan=4095) / packet(world), "eth_vlan")


def row_vlan_two_for_one(world):
    """P04: two tags where one is configured; one where two are."""
    drops(world, "b", Ether(src=PEER["c"], dst=world.mac[1]) / Dot1Q(vlan=100) / Dot1Q(vlan=40) / packet(world), "eth_vlan")
    drops(world, "q", Ether(src=PEER["q"], dst=world.mac[2], type=0x88A8) / Dot1Q(vlan=300) / packet(world), "eth_vlan")


def row_qinq_wrong_type(world):
    """The outer tag's type is part of what a link is."""
    drops(world, "q", Ether(src=PEER["q"], dst=world.mac[2], type=0x8100) / Dot1Q(vlan=300, type=0x8100) / Dot1Q(vlan=40) /
          packet(world), "eth_vlan")


def row_other_mac(world):
    """P05: unicast to somebody else's MAC address."""
    drops(world, "a", world.eth("a", 0x0800, dst="02:00:00:00:99:99") / packet(world), "eth_other")


def row_other_port_mac(world):
    """P05: our own MAC address, but another port's."""
    if world.mac[0] != world.mac[1]:
        drops(world, "a", world.eth("a", 0x0800, dst=world.mac[1]) / packet(world), "eth_other")


def row_source_bad(world):
    """P07: source MAC multicast, all zero, our own."""
    for src in ("01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00", world.mac[0]):
        drops(world, "a", world.eth("a", 0x0800, src=src) / packet(world), "eth_src")


def row_broadcast_unicast_ip(world):
    """P06: unicast IPv4 or IPv6 in a broadcast or multicast frame: no ICMP either."""
    for dst in ("ff:ff:ff:ff:ff:ff", "01:00:5e:01:02:03"):
        drops(world, "a", world.eth("a", 0x0800, dst=dst) / packet(world), "ip4_l2bcast")
    drops(world, "a", world.eth("a", 0x86DD, dst="33:33:00:00:00:01") /
          IPv6(src="2001:db8:1::5", dst="2001:db8:2::5") / UDP(), "ip6_l2bcast")


def row_link_shut(world):
    """A link that is shut takes nothing."""
    drops(world, "off", world.eth("off", 0x0800) / packet(world), "link_down")


def row_arp(world):
    """ARP goes to the kernel interface of its link, untagged, for plain and tagged links."""
    arp = ARP(op=1, hwsrc=PEER["a"], psrc="10.1.0.2", pdst="10.1.0.1")
    punts(world, "a", Ether(src=PEER["a"], dst="ff:ff:ff:ff:ff:ff") / arp, "neigh")
    arp = ARP(op=1, hwsrc=PEER["c"], psrc="10.3.0.2", pdst="10.3.0.1")
    frame = Ether(src=PEER["c"], dst="ff:ff:ff:ff:ff:ff") / Dot1Q(vlan=100) / arp
    punts(world, "c", frame, "neigh", tap_frame=Ether(src=PEER["c"], dst="ff:ff:ff:ff:ff:ff", type=0x0806) / arp)


def row_padding(world):
    """P09: what lies behind the IP packet's end never leaves."""
    p = IP(src="10.1.1.1", dst="10.2.1.1") / UDP(sport=1, dport=2)
    forwards(world, "a", p, "b", frame=bytes(world.eth("a", 0x0800) / p) + b"\xde\xad" * 9)
    p = IPv6(src="2001:db8:1::5", dst="2001:db8:2::5") / UDP(sport=1, dport=2)
    forwards(world, "a", p, "b", frame=bytes(world.eth("a", 0x86DD) / p) + b"\xde\xad" * 9)
