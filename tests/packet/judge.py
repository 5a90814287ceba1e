"""How a row is judged: every packet under test travels between two good ones that must both arrive, exactly one
reason counter moves, and an ICMP error is compared field by field with one built by scapy."""
from scapy.all import ICMP, IP, UDP, Ether, ICMPerror, IPv6, Raw, in4_chksum, in6_chksum  # noqa: F401

from world import LINKS, PEER, Failure, equal, show, tx


def good(world, link):
    """A packet of another flow from the same peer, toward b (or a, if it comes from b)."""
    out = "a" if LINKS[link][2] == 1 else "b"
    if LINKS[link][1] != 0:
        return None, None
    p = IP(src=f"10.{LINKS[link][5] or 21}.200.1", dst=f"10.{LINKS[out][5]}.3.3", id=7) / UDP(sport=9, dport=9) / b"neighbour"
    return p, out


def through(world, link, frame):
    """Send frame between two good packets; returns what came of it alone: (frames sent, answer)."""
    neighbour = "a" if link == "off" else link
    p, out = good(world, neighbour)
    if p is None:
        answer = world.send(link, frame)
        return tx(answer), answer
    g = world.eth(neighbour, 0x0800) / p
    answer = world.send(link, g, frame, g)
    want = (LINKS[out][2], world.forwarded(p, out))
    rest = tx(answer)
    for _ in range(2):
        if want not in rest:
            raise Failure(f"a packet of another flow was lost or changed: {show(rest)}, drops {answer['drops']}")
        rest.remove(want)
    return rest, answer


def forwards(world, link, packet, out, frame=None, expected=None):
    """packet (IP or IPv6 layer) from link leaves by link out as the naive model says."""
    type_ = 0x86DD if isinstance(packet, IPv6) else 0x0800
    rest, answer = through(world, link, frame if frame is not None else world.eth(link, type_) / packet)
    equal(answer["drops"], {}, "drops")
    equal(rest, [(LINKS[out][2], expected or world.forwarded(packet, out))], "sent")
    return answer


def drops(world, link, frame, reason):
    """Exactly one reason, no answer of any kind."""
    rest, answer = through(world, link, frame)
    equal(answer["drops"], {reason: 1}, "drops")
    equal(rest, [], "sent")
    equal(answer["punt"], [], "punted")
    return answer


def punts(world, link, frame, kind, tap_frame=None):
    rest, answer = through(world, link, frame)
    equal(answer["drops"], {}, "drops")
    equal(rest, [], "sent")
    equal(list(answer["classes"]), [kind], "punt class")
    want = tap_frame if tap_frame is not None else bytes(frame)
    equal([(p["link"], bytes.fromhex(p["hex"])) for p in answer["punt"]], [(LINKS[link][0], bytes(want))], "to the kernel")
    return answer


def icmp4(world, link, frame, reason, type_, code, unused=0, packet=None, src=None):
    """One reason, and one ICMPv4 error to the packet's source with every field as RFC 1812 4.3.2 wants."""
    rest, answer = through(world, link, frame)
    equal(answer["drops"], {reason: 1}, "drops")
    packet = packet if packet is not None else frame[IP]
    if len(rest) != 1:
        raise Failure(f"expected one ICMP error, got {show(rest)}")
    port, data = rest[0]
    head = bytes(world.eth(link, 0x0800, src=world.mac[LINKS[link][2]], dst=PEER[link]))
    equal((port, data[:len(head)]), (LINKS[link][2], head), "error's frame header")
    data = data[len(head):]
    e = IP(data)
    quote = bytes(packet)[:576 - 28]
    equal((e.version, e.ihl, e.tos, e.ttl, e.proto, e.src, e.dst, e.len, e.frag),
          (4, 5, 0xC0, 64, 1, src or f"10.{LINKS[link][5]}.0.1", packet.src, 28 + len(quote), 0), "error's IP header")
    again = IP(data)
    del again.chksum
    equal(data[:20], bytes(again)[:20], "error's IP header with its checksum recomputed")
    body = data[20:]
    equal((body[0], body[1], int.from_bytes(body[4:8], "big")), (type_, code, unused), "error's type, code, field")
    equal(checksum(body), 0, "error's ICMP checksum")
    equal(body[8:], quote, "error's quote")
    return answer


def icmp6(world, link, frame, reason, type_, code, field=0, packet=None):
    rest, answer = through(world, link, frame)
    equal(answer["drops"], {reason: 1}, "drops")
    packet = packet if packet is not None else frame[IPv6]
    if len(rest) != 1:
        raise Failure(f"expected one ICMPv6 error, got {show(rest)}")
    port, data = rest[0]
    head = bytes(world.eth(link, 0x86DD, src=world.mac[LINKS[link][2]], dst=PEER[link]))
    equal((port, data[:len(head)]), (LINKS[link][2], head), "error's frame header")
    data = data[len(head):]
    e = IPv6(data)
    quote = bytes(packet)[:1280 - 48]
    equal((e.version, e.hlim, e.nh, e.src, e.dst, e.plen),
          (6, 64, 58, f"2001:db8:{LINKS[link][5]}::1", packet.src, 8 + len(quote)), "error's IPv6 header")
    body = data[40:]
    equal((body[0], body[1], int.from_bytes(body[4:8], "big")), (type_, code, field), "error's type, code, field")
    equal(in6_chksum(58, e, body), 0, "error's ICMPv6 checksum")
    equal(body[8:], quote, "error's quote")
    return answer


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    s = sum(int.from_bytes(data[i:i + 2], "big") for i in range(0, len(data), 2))
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return ~s & 0xFFFF
