"""IPv4 fragmentation at the egress MTU: P30, P33; reassembled by the row, compared with the original."""
from scapy.all import IP, UDP, IPOption_NOP, IPOption_RR, IPOption_Router_Alert, Raw

from judge import checksum, drops
from world import LINKS, Failure, equal, show, tx


def fragments(world, packet):
    """Send toward c (MTU 1400); returns the fragments as IP packets, frame headers checked."""
    answer = world.send("a", world.eth("a", 0x0800) / packet)
    equal(answer["drops"], {}, "drops")
    head = bytes(world.eth("c", 0x0800, src=world.mac[1], dst="02:aa:00:00:00:0c"))
    out = []
    for port, data in tx(answer):
        equal((port, data[:len(head)]), (1, head), "fragment's frame header")
        out.append(IP(data[len(head):]))
        equal(checksum(data[len(head):len(head) + out[-1].ihl * 4]), 0, "fragment's header checksum")
        equal(len(data) - len(head), out[-1].len, "fragment's length")
        if out[-1].len > 1400:
            raise Failure(f"fragment of {out[-1].len} bytes on an MTU of 1400")
        equal(out[-1].ttl, packet.ttl - 1, "fragment's TTL")
    return out


def reassemble(pieces):
    data = bytearray()
    for p in pieces:
        equal(p.frag * 8, pieces[0].frag * 8 + len(data), "fragment offset")
        data += bytes(p)[p.ihl * 4:p.len]
    return bytes(data)


def row_two(world):
    """A packet of 1,500 bytes becomes two; offsets in eights, MF on all but the last."""
    p = IP(src="10.1.1.1", dst="10.3.1.1", id=77, tos=0x28) / UDP(sport=7, dport=8) / bytes(i & 255 for i in range(1472))
    got = fragments(world, p)
    equal(len(got), 2, "fragments")
    equal([int(g.flags) & 1 for g in got], [1, 0], "MF")
    equal({(g.id, g.tos, g.src, g.dst, g.proto) for g in got}, {(77, 0x28, "10.1.1.1", "10.3.1.1", 17)}, "identity")
    equal(reassemble(got), bytes(p)[20:], "payload")


def row_exact(world):
    """Exactly the MTU passes whole; one more does not."""
    equal(len(fragments(world, IP(src="10.1.1.1", dst="10.3.1.1") / UDP() / bytes(1400 - 28))), 1, "fragments")
    equal(len(fragments(world, IP(src="10.1.1.1", dst="10.3.1.1") / UDP() / bytes(1401 - 28))), 2, "fragments")


def row_of_fragment(world):
    """A fragment is fragmented: outer offset and MF are kept."""
    for mf in (0, 1):
        p = IP(src="10.1.1.1", dst="10.3.1.1", id=5, frag=100, flags=mf, proto=17) / Raw(bytes(1440))
        got = fragments(world, p)
        equal([g.frag for g in got][0], 100, "first offset")
        equal([int(g.flags) & 1 for g in got], [1, mf], "MF")
        equal(reassemble(got), bytes(p)[20:], "payload")


def row_options(world):
    """RFC 791: options with the copied flag go into every fragment, others only into the first."""
    p = IP(src="10.1.1.1", dst="10.3.1.1", id=6, options=[IPOption_Router_Alert(), IPOption_RR(length=7, pointer=4, routers=["0.0.0.0"])]) / \
        UDP(sport=7, dport=8) / bytes(1400)
    got = fragments(world, p)
    names = [[o.__class__.__name__ for o in g.options if o.__class__.__name__ not in ("IPOption_EOL", "IPOption_NOP")] for g in got]
    equal(names[0], ["IPOption_Router_Alert", "IPOption_RR"], "options of the first")
    equal(names[1], ["IPOption_Router_Alert"], "options of the second")
    equal(reassemble(got), bytes(p)[p.ihl * 4 if p.ihl else IP(bytes(p)).ihl * 4:], "payload")


def row_into_tunnel(world):
    """Into a tunnel: the inner packet is cut, each piece travels on its own."""
    p = IP(src="10.1.1.1", dst="10.6.1.1", id=9) / UDP(sport=7, dport=8) / bytes(1472)
    answer = world.send("a", world.eth("a", 0x0800) / p)
    equal(answer["drops"], {}, "drops")
    equal(len(answer["tx"]), 2, "outer packets")
    pieces = [IP(bytes.fromhex(t["hex"])[14 + 20 + 8 + 8 + 14:]) for t in answer["tx"]]
    equal(reassemble(pieces), bytes(p)[20:], "payload")


def row_too_long(world):
    """P33: offset and length reach past 65,535."""
    p = IP(src="10.1.1.1", dst="10.2.1.1", frag=8191, proto=17) / Raw(bytes(64))
    drops(world, "a", world.eth("a", 0x0800) / p, "frag_long")
