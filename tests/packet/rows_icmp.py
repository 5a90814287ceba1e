"""When an error is sent, from where, how often, and when not: P35–P41, RFC 1812 4.3.2, RFC 4443 2.4."""
from scapy.all import ICMP, IP, TCP, UDP, ICMPv6DestUnreach, ICMPv6EchoRequest, ICMPv6TimeExceeded, IPerror, IPv6, IPv6ExtHdrFragment, Raw

from judge import drops, forwards, icmp4, icmp6, punts, through
from world import LINKS, PEER, Failure, equal, tx


def to(world, dst, link="a", **over):
    return IP(**({"src": world.fresh(link), "dst": dst} | over)) / UDP(sport=7, dport=8) / b"0123456789"


def to6(world, dst, **over):
    return IPv6(**({"src": world.fresh(family=6), "dst": dst} | over)) / UDP(sport=7, dport=8) / b"0123456789"


def row_no_route(world):
    """P40: no route: network unreachable; IPv6: no route to destination."""
    p = to(world, "172.16.1.1")
    icmp4(world, "a", world.eth("a", 0x0800) / p, "no_route", 3, 0, packet=p)
    p = to6(world, "2001:db8:dead::1")
    icmp6(world, "a", world.eth("a", 0x86DD) / p, "no_route", 1, 0, packet=p)


def row_unreachable(world):
    """An unreachable route: host unreachable; IPv6: no route (as Linux answers)."""
    p = to(world, "10.100.1.1")
    icmp4(world, "a", world.eth("a", 0x0800) / p, "unreachable", 3, 1, packet=p)


def row_prohibit(world):
    """A prohibit route: communication administratively prohibited."""
    p = to(world, "10.100.2.1")
    icmp4(world, "a", world.eth("a", 0x0800) / p, "prohibit", 3, 13, packet=p)
    p = to6(world, "2001:db8:100:2::1")
    icmp6(world, "a", world.eth("a", 0x86DD) / p, "prohibit", 1, 1, packet=p)


def row_blackhole(world):
    """A blackhole route is silent."""
    drops(world, "a", world.eth("a", 0x0800) / to(world, "10.100.0.1"), "blackhole")
    drops(world, "a", world.eth("a", 0x86DD) / to6(world, "2001:db8:100:0::1"), "blackhole")


def row_neighbour_failed(world):
    """P40: the next hop does not answer: host unreachable; IPv6: address unreachable."""
    p = to(world, "10.2.99.9")
    icmp4(world, "a", world.eth("a", 0x0800) / p, "neigh_fail", 3, 1, packet=p)
    p = to6(world, "2001:db8:2:99::1")
    icmp6(world, "a", world.eth("a", 0x86DD) / p, "neigh_fail", 1, 3, packet=p)


def row_from_tagged_link(world):
    """The error leaves by the link the packet came from, tags and source address included."""
    for link in ("c", "q", "r"):
        p = to(world, "172.16.1.1", link)
        icmp4(world, link, world.eth(link, 0x0800) / p, "no_route", 3, 0, packet=p)


def row_unnumbered(world):
    """P39, RFC 7600: from an unnumbered link the source is 192.0.0.8."""
    p = to(world, "172.16.1.1", "unn")
    icmp4(world, "unn", world.eth("unn", 0x0800) / p, "no_route", 3, 0, packet=p, src="192.0.0.8")


def row_quote(world):
    """P39: the error quotes as much as fits into 576 bytes, IPv6 into 1,280."""
    p = IP(src=world.fresh(), dst="172.16.1.1") / UDP(sport=7, dport=8) / (bytes(range(256)) * 5)
    icmp4(world, "a", world.eth("a", 0x0800) / p, "no_route", 3, 0, packet=p)
    p = IPv6(src=world.fresh(family=6), dst="2001:db8:dead::1") / UDP(sport=7, dport=8) / (bytes(range(256)) * 5)
    icmp6(world, "a", world.eth("a", 0x86DD) / p, "no_route", 1, 0, packet=p)


def row_no_error_about_error(world):
    """P36: an ICMP error that would cause an error is dropped; echo is answered; unknown types count as errors."""
    for t in (3, 4, 5, 11, 12):
        p = IP(src=world.fresh(), dst="172.16.1.1") / ICMP(type=t) / bytes(IP(src="1.1.1.1", dst="2.2.2.2") / UDP())
        drops(world, "a", world.eth("a", 0x0800) / p, "icmp_suppressed")
    drops(world, "a", world.eth("a", 0x0800) / IP(src=world.fresh(), dst="172.16.1.1") / ICMP(type=77), "icmp_suppressed")
    p = IP(src=world.fresh(), dst="172.16.1.1") / ICMP(type=8)
    icmp4(world, "a", world.eth("a", 0x0800) / p, "no_route", 3, 0, packet=p)


def row_no_error_about_error6(world):
    """RFC 4443 2.4 (e.1): no error about an ICMPv6 error."""
    p = IPv6(src=world.fresh(family=6), dst="2001:db8:dead::1") / ICMPv6TimeExceeded() / bytes(to6(world, "2001:db8:2::5"))
    drops(world, "a", world.eth("a", 0x86DD) / p, "icmp_suppressed")
    p = IPv6(src=world.fresh(family=6), dst="2001:db8:dead::1") / ICMPv6EchoRequest()
    icmp6(world, "a", world.eth("a", 0x86DD) / p, "no_route", 1, 0, packet=p)


def row_later_fragment(world):
    """P35: only the first fragment is answered."""
    drops(world, "a", world.eth("a", 0x0800) / (IP(src=world.fresh(), dst="172.16.1.1", frag=10, proto=17) / Raw(bytes(32))), "icmp_suppressed")
    drops(world, "a", world.eth("a", 0x0800) / (IP(src=world.fresh(), dst="10.2.1.1", frag=10, proto=17, ttl=1) / Raw(bytes(32))), "icmp_suppressed")
    p = IP(src=world.fresh(), dst="172.16.1.1", flags="MF", proto=17) / Raw(bytes(32))
    icmp4(world, "a", world.eth("a", 0x0800) / p, "no_route", 3, 0, packet=p)


def row_ttl_of_error(world):
    """A TTL that ends on an ICMP error is not answered."""
    p = IP(src=world.fresh(), dst="10.2.1.1", ttl=1) / ICMP(type=3, code=1) / bytes(IP(src="1.1.1.1", dst="2.2.2.2") / UDP())
    drops(world, "a", world.eth("a", 0x0800) / p, "icmp_suppressed")


def row_limit_by_source(world):
    """P38: one source gets a bounded number; another one is answered all the same."""
    p = world.eth("a", 0x0800) / to(world, "172.16.1.1")
    answer = world.run("flood", port=0, frame=bytes(p).hex(), count=2000)
    sent = sum(answer["tx"].values())
    equal(sent + answer["drops"].get("icmp_limited", 0), 2000, "every packet has one fate")
    equal(answer["drops"].get("no_route", 0), sent, "answered = no_route")
    equal(0 < sent <= 200, True, f"bounded: {sent} answers")
    q = to(world, "172.16.1.1")
    icmp4(world, "a", world.eth("a", 0x0800) / q, "no_route", 3, 0, packet=q)


def row_limit_in_all(world):
    """P38: a million sources: the whole is bounded too, and transit is untouched."""
    frames = []
    for i in range(4000):
        frames.append(bytes(world.eth("a", 0x0800) / IP(src=f"10.1.{100 + i // 250}.{1 + i % 250}", dst="172.16.1.1") / UDP(sport=7, dport=8)))
    p = IP(src="10.1.1.1", dst="10.2.1.1") / UDP(sport=7, dport=8) / b"transit"
    transit = bytes(world.eth("a", 0x0800) / p)
    frames[::40] = [transit] * len(frames[::40])
    answer = world.send("a", *frames)
    arrived = [t for t in tx(answer) if t[1] == world.forwarded(p, "b")]
    equal(len(arrived), 100, "transit packets delivered")
    equal(answer["drops"].get("icmp_limited", 0) > 1000, True, f"limited: {answer['drops']}")
row_limit_in_all.own_world = {}


def row_too_big(world):
    """P29: DF and larger than the next MTU: fragmentation needed, with the MTU."""
    p = IP(src=world.fresh(), dst="10.3.1.1", flags="DF") / UDP(sport=7, dport=8) / bytes(1401 - 28)
    icmp4(world, "a", world.eth("a", 0x0800) / p, "ip4_too_big", 3, 4, 1400, packet=p)
    forwards(world, "a", IP(src="10.1.1.1", dst="10.3.1.1", flags="DF") / UDP(sport=7, dport=8) / bytes(1400 - 28), "c")


def row_too_big_tunnel(world):
    """P29: the tunnel's overhead is already taken off."""
    p = IP(src=world.fresh(), dst="10.6.1.1", flags="DF") / UDP(sport=7, dport=8) / bytes(1451 - 28)
    icmp4(world, "a", world.eth("a", 0x0800) / p, "ip4_too_big", 3, 4, 1450, packet=p)
    p = IPv6(src=world.fresh(family=6), dst="2001:db8:7::5") / UDP(sport=7, dport=8) / bytes(1431 - 48)
    icmp6(world, "a", world.eth("a", 0x86DD) / p, "ip6_too_big", 2, 0, 1430, packet=p)


def row_too_big_multicast_source(world):
    """No error to a source that is not one host (it is dropped as a martian before)."""
    drops(world, "a", world.eth("a", 0x0800) / IP(src="224.1.1.1", dst="172.16.1.1") / UDP(), "ip4_martian_src")


def row_redirect_to_us(world):
    """P41: redirects are for the kernel, which ignores them: nothing changes here."""
    p = IP(src="10.1.0.2", dst="10.1.0.1") / ICMP(type=5, code=1, gw="10.1.0.66") / bytes(IP(src="10.1.0.1", dst="8.8.8.8") / UDP())
    through(world, "a", world.eth("a", 0x0800) / p)
    forwards(world, "a", IP(src="10.1.1.1", dst="10.2.1.1") / UDP(), "b")
