"""RFC 8200 and its neighbours: robustness P43–P52."""
from scapy.all import (ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6NDOptSrcLLAddr, IPv6, IPv6ExtHdrDestOpt,
                       IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, Raw, UDP, Ether)

from judge import drops, forwards, icmp6, punts
from world import PEER


def plain(world, **over):
    return IPv6(**({"src": "2001:db8:1::5", "dst": "2001:db8:2::5"} | over)) / UDP(sport=7, dport=8) / b"sixteen bytes ok"


def frame(world, data):
    return bytes(world.eth("a", 0x86DD)) + bytes(data)


def row_short(world):
    """P43: fewer than 40 bytes."""
    data = bytes(plain(world))
    for n in (0, 1, 39):
        drops(world, "a", frame(world, data[:n]), "ip6_short")


def row_version(world):
    """P43: version is not 6."""
    for v in (0, 4, 7, 15):
        data = bytearray(bytes(plain(world)))
        data[0] = v << 4
        drops(world, "a", frame(world, data), "ip6_version")


def row_truncated(world):
    """P43: payload length beyond the frame."""
    data = bytearray(bytes(plain(world)))
    data[4:6] = (len(data) - 40 + 1).to_bytes(2, "big")
    drops(world, "a", frame(world, data), "ip6_trunc")


def row_hop_limit(world):
    """P44: hop limit 1 and 0 end here with time exceeded."""
    for hlim in (1, 0):
        p = plain(world, src=world.fresh(family=6), hlim=hlim)
        icmp6(world, "a", world.eth("a", 0x86DD) / p, "ip6_hlim", 3, 0, packet=p)
    forwards(world, "a", plain(world, hlim=2), "b")


def row_hop_limit_to_us(world):
    """P44: to an address of ours hop limit 0 is delivered."""
    punts(world, "a", world.eth("a", 0x86DD) / plain(world, dst="2001:db8:1::1", hlim=0), "other")


def row_martian(world):
    """P45: addresses that cannot be on the wire."""
    for over in ({"src": "ff02::1"}, {"src": "::1"}, {"src": "::"}, {"src": "::ffff:10.1.1.1"}, {"dst": "::"}, {"dst": "::1"}, {"dst": "ff00::1"}):
        mac = {"dst": "33:33:00:00:00:01"} if over.get("dst", "").startswith("ff") else {}
        drops(world, "a", world.eth("a", 0x86DD, **mac) / plain(world, **over), "ip6_martian")


def row_own_source(world):
    """Our own address as the source, and source equal to destination."""
    drops(world, "a", world.eth("a", 0x86DD) / plain(world, src="2001:db8:2::1"), "ip6_self_src")
    drops(world, "a", world.eth("a", 0x86DD) / plain(world, src="2001:db8:2::5"), "ip6_self_src")


def row_scope(world):
    """Link-local sources and multicast of wider scope are not routed."""
    drops(world, "a", world.eth("a", 0x86DD) / plain(world, src="fe80::5"), "ip6_scope")
    drops(world, "a", world.eth("a", 0x86DD, dst="33:33:00:00:01:02") / plain(world, dst="ff0e::102"), "ip6_scope")


def row_too_big(world):
    """P47: larger than the next link's MTU: packet too big with that MTU; exactly it passes."""
    p = IPv6(src=world.fresh(family=6), dst="2001:db8:3::5") / UDP(sport=7, dport=8) / bytes(1401 - 48)
    icmp6(world, "a", world.eth("a", 0x86DD) / p, "ip6_too_big", 2, 0, 1400, packet=p)
    forwards(world, "a", IPv6(src="2001:db8:1::5", dst="2001:db8:3::5") / UDP(sport=7, dport=8) / bytes(1400 - 48), "c")


def row_hop_by_hop_ignored(world):
    """P48: hop-by-hop options are not looked at in transit (RFC 8200 4)."""
    p = IPv6(src="2001:db8:1::5", dst="2001:db8:2::5") / IPv6ExtHdrHopByHop(options=[]) / UDP(sport=7, dport=8) / b"x"
    forwards(world, "a", p, "b")


def row_extension_chain(world):
    """P49: a chain of extension headers passes in transit; eight are legal."""
    p = IPv6(src="2001:db8:1::5", dst="2001:db8:2::5")
    for _ in range(8):
        p = p / IPv6ExtHdrDestOpt()
    forwards(world, "a", p / UDP(sport=7, dport=8) / b"x", "b")


def row_chain_to_us(world):
    """P49: beyond eight headers toward us it is dropped by name; a cut one too."""
    p = IPv6(src="2001:db8:1::5", dst="2001:db8:1::1")
    for _ in range(9):
        p = p / IPv6ExtHdrDestOpt()
    drops(world, "a", world.eth("a", 0x86DD) / (p / UDP(sport=7, dport=8) / b"x"), "ip6_chain")
    cut = bytearray(bytes(IPv6(src="2001:db8:1::5", dst="2001:db8:1::1", nh=60, plen=8) / Raw(b"\x11\x05\x01\x04\0\0\0\0")))
    drops(world, "a", frame(world, cut), "ip6_chain")


def row_fragment_transit(world):
    """Fragments pass; nothing is reassembled."""
    p = IPv6(src="2001:db8:1::5", dst="2001:db8:2::5") / IPv6ExtHdrFragment(offset=185, m=1, id=9, nh=17) / Raw(bytes(64))
    forwards(world, "a", p, "b")


def ns(src="fe80::aa:5", dst="ff02::1:ff00:1", hlim=255, code=0, target="2001:db8:1::1", **over):
    return IPv6(src=src, dst=dst, hlim=hlim) / ICMPv6ND_NS(tgt=target, code=code) / ICMPv6NDOptSrcLLAddr(lladdr=PEER["a"])


def nd_frame(p):
    return Ether(src=PEER["a"], dst="33:33:ff:00:00:01", type=0x86DD) / p


def row_nd(world):
    """Neighbour discovery reaches the kernel."""
    punts(world, "a", nd_frame(ns()), "neigh")


def row_nd_hop_limit(world):
    """P52: hop limit is not 255."""
    drops(world, "a", nd_frame(ns(hlim=254)), "nd_bad")


def row_nd_code(world):
    """P52: code is not 0."""
    drops(world, "a", nd_frame(ns(code=1)), "nd_bad")


def row_nd_checksum(world):
    """P52: ICMPv6 checksum wrong."""
    data = bytearray(bytes(nd_frame(ns())))
    data[14 + 40 + 2] ^= 0x40
    drops(world, "a", data, "nd_bad")


def row_nd_option_zero(world):
    """P52: an option of length 0."""
    p = IPv6(src="fe80::aa:5", dst="ff02::1:ff00:1", hlim=255) / ICMPv6ND_NS(tgt="2001:db8:1::1") / Raw(b"\x01\x00\x02\xaa\0\0\0\x0a")
    drops(world, "a", nd_frame(p), "nd_bad")


def row_nd_fragmented(world):
    """P52, RFC 6980: fragmented neighbour discovery."""
    body = bytes(ns())[40:]
    p = IPv6(src="fe80::aa:5", dst="ff02::1:ff00:1", hlim=255) / IPv6ExtHdrFragment(nh=58, m=0, offset=0) / Raw(body)
    drops(world, "a", nd_frame(p), "nd_bad")


def row_flow_label(world):
    """Traffic class and flow label pass unchanged."""
    forwards(world, "a", plain(world, tc=0xB9, fl=0xABCDE), "b")


def row_payload_zero(world):
    """P43: a payload length of zero without the jumbo option; with no next header it is an empty packet."""
    for nh in (6, 17, 0, 43):
        p = IPv6(src="2001:db8:1::5", dst="2001:db8:2::5", nh=nh, plen=0)
        drops(world, "a", bytes(world.eth("a", 0x86DD) / p) + bytes(20), "ip6_trunc")
    p = IPv6(src="2001:db8:1::5", dst="2001:db8:2::5", nh=59, plen=0)
    forwards(world, "a", p, "b", frame=bytes(world.eth("a", 0x86DD) / p) + bytes(6))


def row_routing_header(world):
    """P50: a routing header with segments left, to us: parameter problem that points at its type; in transit it passes."""
    p = IPv6(src=world.fresh(family=6), dst="2001:db8:1::1") / \
        IPv6ExtHdrRouting(type=0, segleft=1, addresses=["2001:db8:2::9"]) / UDP(sport=7, dport=8) / b"x"
    icmp6(world, "a", world.eth("a", 0x86DD) / p, "ip6_rh", 4, 0, 42, packet=p)
    p = IPv6(src="2001:db8:1::5", dst="2001:db8:2::5") / IPv6ExtHdrRouting(type=0, segleft=0, addresses=["2001:db8:2::9"]) / \
        UDP(sport=7, dport=8) / b"x"
    forwards(world, "a", p, "b")
