"""RFC 1812 5.2.2 and its neighbours: robustness P02, P10–P28."""
from scapy.all import (IP, TCP, UDP, IPOption, IPOption_LSRR, IPOption_NOP, IPOption_Router_Alert, IPOption_RR,
                       IPOption_SSRR, Raw)

from judge import drops, forwards, icmp4, punts
from world import equal


def frame(world, data):
    """An IPv4 packet given as bytes, its checksum made right."""
    data = bytearray(data)
    if len(data) >= 20:
        n = max(20, (data[0] & 15) * 4)
        data[10:12] = b"\0\0"
        head = bytes(data[:n]) + bytes(max(0, n - len(data)))
        s = sum(int.from_bytes(head[i:i + 2], "big") for i in range(0, n, 2))
        s = (s & 0xFFFF) + (s >> 16)
        data[10:12] = (~(s + (s >> 16)) & 0xFFFF).to_bytes(2, "big")
    return bytes(world.eth("a", 0x0800)) + bytes(data)


def plain(world, **over):
    return IP(**({"src": "10.1.1.1", "dst": "10.2.1.1"} | over)) / UDP(sport=7, dport=8) / b"sixteen bytes ok"


def patched(world, offset, value, size=1, **over):
    data = bytearray(bytes(plain(world, **over)))
    data[offset:offset + size] = value.to_bytes(size, "big")
    return frame(world, data)


def row_short(world):
    """P02, RFC 1812 5.2.2 (1): the frame ends inside the IPv4 header."""
    data = bytes(plain(world))
    for n in (0, 1, 19):
        drops(world, "a", bytes(world.eth("a", 0x0800)) + data[:n], "ip4_short")


def row_version(world):
    """P10, 5.2.2 (3): version 0, 5, 6, 15 in an IPv4 frame."""
    for v in (0, 5, 6, 15):
        drops(world, "a", patched(world, 0, v << 4 | 5), "ip4_version")


def row_ihl(world):
    """P11, 5.2.2 (4): header length of 0 to 4 words."""
    for n in range(5):
        drops(world, "a", patched(world, 0, 0x40 | n), "ip4_ihl")


def row_ihl_past_end(world):
    """P12: the header says it is longer than the frame, found before any checksum is computed."""
    data = bytearray(bytes(IP(src="10.1.1.1", dst="10.2.1.1", proto=17)))
    data[0] = 0x4F
    drops(world, "a", bytes(world.eth("a", 0x0800)) + bytes(data), "ip4_short")


def row_total_length(world):
    """P13, 5.2.2 (5): total length below the header's."""
    for n in (0, 19):
        drops(world, "a", patched(world, 2, n, 2), "ip4_totlen")
    data = bytearray(bytes(IP(src="10.1.1.1", dst="10.2.1.1", options=[IPOption_NOP()] * 4) / UDP()))
    data[2:4] = (20).to_bytes(2, "big")
    drops(world, "a", frame(world, data), "ip4_totlen")


def row_truncated(world):
    """P14: total length beyond the frame: dropped, and a parameter problem with pointer 2."""
    p = plain(world, src=world.fresh())
    data = bytearray(bytes(p))
    data[2:4] = (len(data) + 1).to_bytes(2, "big")
    f = frame(world, data)
    quoted = IP(f[14:])
    icmp4(world, "a", f, "ip4_trunc", 12, 0, 2 << 24, packet=quoted)


def row_checksum(world):
    """P15, 5.2.2 (2): one bit wrong; never answered."""
    data = bytearray(bytes(plain(world)))
    for bit in range(8):
        bad = bytearray(data)
        bad[10] ^= 1 << bit
        drops(world, "a", bytes(world.eth("a", 0x0800)) + bytes(bad), "ip4_csum")


def row_checksum_alias(world):
    """P15: a header whose checksum field must be 0x0000 is right with 0x0000; 0xffff is the other zero of the sum."""
    p = plain(world)
    for ident in range(65536):
        p.id = ident
        data = bytes(p)
        if data[10:12] == b"\0\0":
            break
    else:
        return
    forwards(world, "a", IP(data), "b")


def row_ttl(world):
    """P16: TTL 1 and 0 end here with time exceeded."""
    for ttl in (1, 0):
        p = plain(world, src=world.fresh(), ttl=ttl)
        icmp4(world, "a", world.eth("a", 0x0800) / p, "ip4_ttl", 11, 0, packet=p)
    forwards(world, "a", plain(world, ttl=2), "b")
    forwards(world, "a", plain(world, ttl=255), "b")


def row_ttl_to_us(world):
    """P16: to an address of ours TTL 1 and 0 are delivered."""
    for ttl in (1, 0):
        punts(world, "a", world.eth("a", 0x0800) / plain(world, dst="10.1.0.1", ttl=ttl), "other")


def row_martian_source(world):
    """P17: sources that cannot be one."""
    for src in ("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"):
        drops(world, "a", world.eth("a", 0x0800) / plain(world, src=src), "ip4_martian_src")
    for src in ("1.0.0.0", "126.255.255.255", "128.0.0.0", "223.255.255.255"):
        forwards(world, "a", plain(world, src=src), "b")


def row_martian_destination(world):
    """P18: destinations that cannot be one."""
    for dst in ("0.0.0.0", "0.1.2.3", "127.0.0.1", "240.0.0.1", "254.1.1.1"):
        drops(world, "a", world.eth("a", 0x0800) / plain(world, dst=dst), "ip4_martian_dst")


def row_own_source(world):
    """P19: our own address as the source, and LAND."""
    drops(world, "a", world.eth("a", 0x0800) / plain(world, src="10.2.0.1"), "ip4_self_src")
    drops(world, "a", world.eth("a", 0x0800) / plain(world, src="10.2.1.1"), "ip4_self_src")
    forwards(world, "a", plain(world, src="10.2.0.2"), "b")


def row_directed_broadcast(world):
    """P22: a directed broadcast is not forwarded; 255.255.255.255 stays here."""
    drops(world, "a", world.eth("a", 0x0800) / plain(world, dst="10.2.255.255"), "ip4_dbcast")
    punts(world, "a", world.eth("a", 0x0800, dst="ff:ff:ff:ff:ff:ff") / plain(world, dst="255.255.255.255"), "other")


def row_multicast(world):
    """P23: multicast is not routed and never answered; 224.0.0.0/24 is the kernel's."""
    drops(world, "a", world.eth("a", 0x0800, dst="01:00:5e:01:01:01") / plain(world, dst="239.1.1.1"), "ip4_mcast")
    punts(world, "a", world.eth("a", 0x0800, dst="01:00:5e:00:00:05") / plain(world, dst="224.0.0.5", ttl=1), "other")


def with_options(world, *options, **over):
    return IP(**({"src": world.fresh(), "dst": "10.2.1.1"} | over), options=list(options)) / UDP(sport=7, dport=8) / b"data"


def row_source_route(world):
    """P24: loose and strict source route."""
    for o in (IPOption_LSRR(routers=["10.2.1.1"]), IPOption_SSRR(routers=["10.2.1.1"])):
        drops(world, "a", world.eth("a", 0x0800) / with_options(world, o), "ip4_opt_sr")


def row_option_bad(world):
    """P25: length 0, 1, past the header; record route with a pointer below 4: pointer names the option."""
    for raw, at in ((b"\x07\x00\x04\x00", 20), (b"\x07\x01\x04\x00", 20), (b"\x01\x01\x07\x09", 22), (b"\x07\x07\x03\x00\x00\x00\x00\x00", 20)):
        p = IP(src=world.fresh(), dst="10.2.1.1", ihl=5 + len(raw) // 4) / UDP(sport=7, dport=8) / b"data"
        data = bytearray(bytes(p))
        data[20:20] = raw
        data[2:4] = len(data).to_bytes(2, "big")
        f = frame(world, data)
        rest_pointer = (at, at + 1, at + 2)
        last = None
        for pointer in rest_pointer:  # the RFC lets the pointer name the option, its length or its pointer byte
            try:
                return_ = icmp4(world, "a", f, "ip4_opt_bad", 12, 0, pointer << 24, packet=IP(f[14:]))
                last = None
                break
            except Exception as e:
                last = e
                # a fresh source each time: errors are limited by source
                q = IP(f[14:])
                data = bytearray(f[14:])
                data[12:16] = bytes(int(x) for x in world.fresh().split("."))
                f = frame(world, data)
        if last:
            raise last


def row_option_nops(world):
    """P25: forty NOPs are legal and bounded."""
    forwards(world, "a", with_options(world, *[IPOption_NOP()] * 40), "b")


def row_option_slow(world):
    """P26: router alert is forwarded within a budget a second, the rest is dropped by name."""
    forwards(world, "a", with_options(world, IPOption_Router_Alert()), "b")
    f = world.eth("a", 0x0800) / with_options(world, IPOption_Router_Alert())
    answer = world.run("flood", port=0, frame=bytes(f).hex(), count=20000)
    sent, dropped = sum(answer["tx"].values()), answer["drops"].get("ip4_opt", 0)
    equal(sent + dropped, 20000, "router alerts accounted for")
    equal(0 < sent < 20000, True, f"a budget held: {sent} sent, {dropped} dropped")


def row_reserved(world):
    """P27: reserved flag, protocols 0 and 255 pass unchanged."""
    forwards(world, "a", plain(world, flags="evil"), "b")
    for proto in (0, 2, 255):
        forwards(world, "a", IP(src="10.1.1.1", dst="10.2.1.1", proto=proto) / Raw(b"abcdefgh"), "b")


def row_atomic(world):
    """P28: DF with ID 0 stays as it is."""
    forwards(world, "a", plain(world, flags="DF", id=0), "b")


def row_tos(world):
    """DSCP and ECN pass unchanged."""
    for tos in (0, 3, 0xB8, 0xFF):
        forwards(world, "a", plain(world, tos=tos), "b")


def row_ttl_checksum_carry(world):
    """RFC 1624: the checksum stays right for every identification (all carries)."""
    frames, want = [], []
    for i in range(0, 65536, 1031):
        p = plain(world, id=i)
        frames.append(world.eth("a", 0x0800) / p)
        want.append((1, world.forwarded(p, "b")))
    answer = world.send("a", *frames)
    got = [(t["port"], bytes.fromhex(t["hex"])) for t in answer["tx"]]
    equal(got, want, "sent")
