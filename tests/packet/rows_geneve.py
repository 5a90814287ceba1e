"""GENEVE and VXLAN beyond rows_tunnel.py: IP or frames inside, options, control packets, checksums. RFC 8926, 7348, 6935; P56."""
from scapy.all import IP, UDP, IPv6

from tunnels import MAC, packets, tunnel, world_links
from world import equal, tx

OUTER = (False, True)
UNKNOWN = bytes.fromhex("f0000101 11223344")  # class 0xf000, type 1, one word
CRITICAL = bytes.fromhex("f0008101 11223344")
GWLB = bytes.fromhex("01080102 0102030405060708 01080202 1112131415161718 01080301 21222324")  # AWS: endpoint, attachment, flow cookie


def row_decap(world):
    """Out of GENEVE: IP or Ethernet inside, both families inside and outside."""
    for v6 in OUTER:
        for ether in (False, True):
            with tunnel(world, "geneve", v6, inner_ether=ether) as t:
                for p in packets():
                    t.arrives(p)
                    t.arrives(p, chksum=None)


def row_encap(world):
    """Into GENEVE: every octet as scapy builds it, but the source port, which is the flow's."""
    for v6 in OUTER:
        for ether in (False, True):
            with tunnel(world, "geneve", v6, inner_ether=ether) as t:
                for p in packets(back=True):
                    data = t.leaves(p)
                    at = 54 if v6 else 34
                    equal(int.from_bytes(data[at:at + 2], "big") >= 49152, True, "source port from the dynamic range")


def row_checksum6(world):
    """UDP over IPv6 with a checksum, where the link wants it: VXLAN and GENEVE."""
    for kind in ("vxlan", "geneve"):
        with tunnel(world, kind, True, checksum=True) as t:
            for p, back in zip(packets(b"odd"), packets(b"odd", back=True)):
                t.arrives(p, chksum=None)
                t.arrives(p)
                t.leaves(back)
                t.bad(t.outer(p, chksum=0x1234))


def row_options(world):
    """Options are skipped, unknown ones and those of AWS's GWLB; 252 bytes of them too."""
    for v6 in OUTER:
        with tunnel(world, "geneve", v6) as t:
            for p in packets():
                for options in (UNKNOWN, GWLB, UNKNOWN * 31 + b"\0\0\0\0"):
                    t.arrives(p, options=options)
                    t.arrives(p, options=options, critical=1)


def row_option_critical(world):
    """P56: an unknown option that must be understood: a name of its own, wherever it stands."""
    with tunnel(world, "geneve") as t:
        for options in (CRITICAL, UNKNOWN + CRITICAL, CRITICAL + UNKNOWN):
            t.bad(t.outer(packets()[0], options=options, critical=1), "tun_option")


def row_option_cut(world):
    """P56: an option past the options' end, options past the packet's end."""
    p = packets()[0]
    with tunnel(world, "geneve") as t:
        t.bad(t.outer(p, options=bytes.fromhex("f0000102 11223344")))  # two words, one is there
        t.bad(t.outer(p, options=bytes.fromhex("f000011f 11223344")))
        t.bad(t.outer(p, optionlen=63))
        for n in range(8):
            t.bad(t.outer(p, cut=8 + n))


def row_version(world):
    """P56: another version."""
    with tunnel(world, "geneve") as t:
        for version in (1, 2, 3):
            t.bad(t.outer(packets()[0], version=version))


def row_control(world):
    """RFC 8926 3.4: a control packet is not forwarded, and says so."""
    with tunnel(world, "geneve") as t:
        t.bad(t.outer(packets()[0], oam=1), "tun_control")


def row_type(world):
    """P56: frames where IP is due, IP where frames are, and what is neither."""
    p = packets()[0]
    with tunnel(world, "geneve") as t:
        for type_ in (0x6558, 0x0806, 0x8847, 0):
            t.bad(t.outer(p, type=type_))
    with tunnel(world, "geneve", inner_ether=True) as t:
        for type_ in (0x0800, 0x86DD, 0):
            t.bad(t.outer(p, type=type_))


def row_vni(world):
    """P56: unknown VNI, unknown far end, another port."""
    p = packets()[0]
    for kind in ("geneve", "vxlan"):
        with tunnel(world, kind) as t:
            t.bad(t.outer(p, vni=78))
            t.bad(t.outer(p, src="198.51.100.99"))
            answer = world.send("u", t.outer(p, dport=9999))
            equal((answer["tx"], list(answer["classes"])), ([], ["other"]), "a port without tunnels is the kernel's")


def row_one_port(world):
    """A UDP port is one kind's: VXLAN's is refused to GENEVE."""
    with tunnel(world, "geneve") as t:
        refused = world.run("publish", may_fail=True, links=world_links(world) + [t.link | {"udp_port": 4789}])
        equal(refused["errno"], "EINVAL", "published")


def row_punt(world):
    """GENEVE with frames inside has a TAP, with IP a TUN."""
    p = IP(src="10.66.0.2", dst="10.66.0.1") / UDP(sport=1, dport=9) / b"x"
    for ether in (True, False):
        with tunnel(world, "geneve", inner_ether=ether) as t:
            answer = world.send("u", t.outer(p))
            data = bytes.fromhex(answer["punt"][0]["hex"])
            equal(data[14:] if ether else data, bytes(p), "to the kernel")
            reply = IP(src="10.66.0.1", dst="10.66.0.2", ttl=64) / UDP(sport=9, dport=1)
            frame = bytes.fromhex(("02aa00000020" + MAC.replace(":", "") + "0800") if ether else "") + bytes(reply)
            (_, data), = tx(world.run("from_kernel", link=t.id, frames=[frame.hex()]))
            aged = reply.copy()
            aged.ttl = 65
            equal(data, t.expected(aged, data), "from the kernel")


def row_vxlan6(world):
    """VXLAN over both families, by the same judge."""
    for v6 in OUTER:
        with tunnel(world, "vxlan", v6) as t:
            for p, back in zip(packets(), packets(back=True)):
                t.arrives(p)
                t.leaves(back)
