"""Outer packets of tunnels that come in fragments: RFC 791 3.2, RFC 8200 4.5, RFC 5722."""
from scapy.all import IP, Ether, IPv6, IPv6ExtHdrFragment, Raw, fragment, fragment6

from tunnels import packets, tunnel
from world import equal

KINDS = ("gre", "ipip", "vxlan", "geneve")
ids = iter(range(1000, 60000))


def pieces(frame, size=600):
    """The frames that the outer packet of this frame becomes on a way where so many bytes fit."""
    e = Ether(bytes(frame))
    if IPv6 in e and e.type == 0x86DD:
        ip = IPv6(bytes(e.payload))
        whole = IPv6(src=ip.src, dst=ip.dst) / IPv6ExtHdrFragment(nh=ip.nh, id=next(ids)) / Raw(bytes(ip)[40:])
        parts = fragment6(whole, size)
    else:
        ip = IP(bytes(e.payload))
        whole = IP(src=ip.src, dst=ip.dst, proto=ip.proto, tos=ip.tos, id=next(ids)) / Raw(bytes(ip)[20:])
        parts = fragment(whole, size - 28)
    return [Ether(src=e.src, dst=e.dst, type=e.type) / p for p in parts]


def silently(world, frames):
    for f in frames:
        answer = world.send("u", f)
        equal((answer["drops"], answer["tx"], answer["punt"]), ({}, [], []), "what a fragment that is not the last causes")


def row_reassemble(world):
    """Every kind, over both families: fragments in any order are one packet."""
    for kind in KINDS:
        for v6 in (False, True):
            with tunnel(world, kind, v6) as t:
                for inner in packets(bytes(range(250)) * 4):
                    for order in (1, -1):
                        parts = pieces(t.outer(inner))[::order]
                        equal(len(parts) > 1, True, "there are pieces")
                        silently(world, parts[:-1])
                        t.arrives(inner, frame=parts[-1])


def row_reassemble_apart(world):
    """Two packets at once, piece by piece: they do not mix."""
    with tunnel(world, "gre") as t:
        a, b = packets(bytes(range(250)) * 4)[:1] + packets(bytes(range(249, -1, -1)) * 4)[:1]
        x, y = pieces(t.outer(a)), pieces(t.outer(b))
        silently(world, [x[0], y[0], *x[1:-1], *y[1:-1]])
        t.arrives(a, frame=x[-1])
        t.arrives(b, frame=y[-1])


def row_reassemble_padded(world):
    """Padding behind a short last piece is not part of the packet."""
    with tunnel(world, "gre") as t:
        inner = packets(bytes(1000))[0]
        parts = pieces(t.outer(inner), 1020)
        silently(world, parts[:-1])
        t.arrives(inner, frame=bytes(parts[-1]).ljust(60, b"\x55"))


def row_reassemble_overlap(world):
    """RFC 5722: pieces that overlap are none; the good packet that follows is one."""
    with tunnel(world, "gre") as t:
        inner = packets(bytes(1000))[0]
        parts = pieces(t.outer(inner))
        twice = Ether(bytes(parts[0]))
        ip = IP(bytes(twice.payload))
        late = Ether(src=twice.src, dst=twice.dst, type=0x800) / IP(src=ip.src, dst=ip.dst, proto=ip.proto, id=ip.id, flags=1, frag=8) / Raw(bytes(ip)[20:])
        drops, sent = {}, []
        for f in (parts[0], late, *parts[1:]):
            answer = world.send("u", f)
            sent += answer["tx"]
            for name, n in answer["drops"].items():
                drops[name] = drops.get(name, 0) + n
        equal((sent, set(drops)), ([], {"tun_frag"}), "what overlaps is dropped by its name")
        parts = pieces(t.outer(inner))
        silently(world, parts[:-1])
        t.arrives(inner, frame=parts[-1])


def row_reassemble_strangers(world):
    """Of others to the same address nothing is kept: what names the tunnel's port is bad, the rest is the kernel's."""
    with tunnel(world, "vxlan") as t:
        inner = packets(bytes(1000))[0]
        for i, f in enumerate(pieces(t.outer(inner, src="198.51.100.200"))):
            answer = world.send("u", f)
            equal((answer["drops"], answer["tx"], len(answer["punt"])), ({} if i else {"tun_bad": 1}, [], 1 if i else 0), "a stranger's fragment")
