"""Frames taken apart by hand, from the RFCs: Ethernet, tags, IP, and what tunnels put around a packet.

Nothing of traffic.py's knowledge of layouts is used here. What is not exactly as the RFC and our configuration have
it is Wrong: reserved bits, flags of GRE, lengths, checksums, an inner packet of another kind than its header says."""
import struct
from typing import NamedTuple


class Wrong(Exception):
    """The text says what is wrong with a frame."""


def need(condition, what):
    if not condition:
        raise Wrong(what)


def ones_sum(data):
    s = sum(struct.unpack(f">{len(data) // 2}H", data[:len(data) // 2 * 2])) + (data[-1] << 8 if len(data) % 2 else 0)
    while s >> 16:
        s = (s & 0xFFFF) + (s >> 16)
    return s


class Ethernet:
    """dst, src, vlans, type, payload"""

    def __init__(self, data):
        need(len(data) >= 14, f"{len(data)} bytes are no Ethernet frame")
        self.dst, self.src, self.vlans = data[:6], data[6:12], []
        at = 12
        while data[at:at + 2] in (b"\x81\x00", b"\x88\xa8"):
            need(len(data) >= at + 6, "cut within a tag")
            self.vlans.append(int.from_bytes(data[at + 2:at + 4], "big") & 0xFFF)
            at += 4
        self.type, self.payload = int.from_bytes(data[at:at + 2], "big"), data[at + 2:]


class Packet:
    """An IP packet: family, src, dst, ttl, tos, data (exactly its length)"""

    def __init__(self, type_, data):
        if type_ == 0x0800:
            need(len(data) >= 20 and data[0] == 0x45, "no IPv4 header of five words")
            length = int.from_bytes(data[2:4], "big")
            need(20 <= length <= len(data), f"IPv4 length {length} in {len(data)} bytes")
            need(ones_sum(data[:20]) == 0xFFFF, "IPv4 header checksum wrong")
            self.family, self.ttl, self.protocol, self.head = 4, data[8], data[9], 20
            self.tos = data[1]
            self.src, self.dst = int.from_bytes(data[12:16], "big"), int.from_bytes(data[16:20], "big")
        elif type_ == 0x86DD:
            need(len(data) >= 40 and data[0] >> 4 == 6, "no IPv6 header")
            length = 40 + int.from_bytes(data[4:6], "big")
            need(length <= len(data), f"IPv6 length {length} in {len(data)} bytes")
            self.family, self.ttl, self.protocol, self.head = 6, data[7], data[6], 40
            self.tos = (data[0] << 4 | data[1] >> 4) & 0xFF
            self.src, self.dst = int.from_bytes(data[8:24], "big"), int.from_bytes(data[24:40], "big")
        else:
            raise Wrong(f"EtherType {type_:04x}")
        self.data = data[:length]

    def without_hops(self):
        """Everything a router must not change."""
        d = bytearray(self.data)
        if self.family == 4:
            d[8] = d[10] = d[11] = 0
        else:
            d[7] = 0
        return bytes(d)


# ---- tunnels ----
class Tunnel(NamedTuple):
    """What stood around a packet. number: VNI, SPI, GRE's key or None; the MAC addresses are of an inner Ethernet frame."""
    kind: str
    number: object
    src: int
    dst: int
    inner_src: bytes = None
    inner_dst: bytes = None


ETHERTYPE = {4: 0x0800, 6: 0x86DD}


def plain_inside(type_, data):
    """An IP packet without Ethernet."""
    packet = Packet(type_, data)
    need(len(packet.data) == len(data), f"{len(data)} bytes around a packet of {len(packet.data)}")
    return packet


def gre(packet):
    """RFC 2784, 2890: nothing but a key may be there."""
    d = packet.data[packet.head:]
    need(len(d) >= 4 and d[0] & ~0x20 == 0 and d[1] == 0, f"GRE flags {d[:2].hex()}")
    at = 8 if d[0] & 0x20 else 4
    key = int.from_bytes(d[4:8], "big") if at == 8 else None
    return Tunnel("gre", key, packet.src, packet.dst), plain_inside(int.from_bytes(d[2:4], "big"), d[at:])


def ipip(packet):
    """RFC 2003, 4213"""
    inner = plain_inside(ETHERTYPE[6 if packet.protocol == 41 else 4], packet.data[packet.head:])
    return Tunnel("ipip", None, packet.src, packet.dst), inner


def udp(packet, kind):
    """What is in the datagram; RFC 768, over IPv6 also RFC 6935."""
    d = packet.data[packet.head:]
    need(int.from_bytes(d[4:6], "big") == len(d), f"UDP length around {kind}")
    if d[6:8] != b"\0\0":
        pseudo = packet.data[12:20] if packet.family == 4 else packet.data[8:40]
        need(ones_sum(pseudo + struct.pack(">HH", 17, len(d)) + d) == 0xFFFF, f"UDP checksum around {kind}")
    return d[8:]


def ether_inside(kind, vni, packet, data):
    eth = Ethernet(data)
    need(not eth.vlans, f"a tag within {kind}")
    return Tunnel(kind, vni, packet.src, packet.dst, eth.src, eth.dst), Packet(eth.type, eth.payload)


def vxlan(packet):
    """RFC 7348"""
    d = udp(packet, "VXLAN")
    need(d[0] == 8 and d[1:4] == b"\0\0\0" and d[7] == 0, "VXLAN header")
    return ether_inside("vxlan", int.from_bytes(d[4:7], "big"), packet, d[8:])


def geneve(packet):
    """RFC 8926: version 0, no options, neither OAM nor critical, Ethernet inside."""
    d = udp(packet, "GENEVE")
    need(d[:4] == b"\0\0\x65\x58" and d[7] == 0, f"GENEVE header {d[:8].hex()}")
    return ether_inside("geneve", int.from_bytes(d[4:7], "big"), packet, d[8:])


OF_PROTOCOL = {47: gre, 4: ipip, 41: ipip}
OF_PORT = {4789: vxlan, 6081: geneve}


def esp(packet, keys):
    """RFC 4303, 4106: AES-GCM, tunnel mode; keys: SPI -> key and salt."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    d = packet.data[packet.head:]
    spi, key = int.from_bytes(d[:4], "big"), keys.get(int.from_bytes(d[:4], "big"))
    need(key and len(d) >= 34 and len(d) % 4 == 0, f"ESP of {len(d)} bytes, SPI {spi:x}")
    try:
        text = AESGCM(key[:-4]).decrypt(key[-4:] + d[8:16], d[16:], d[:8])
    except InvalidTag:
        raise Wrong(f"ESP {spi:x}: the ICV is wrong") from None
    pad = text[-2]
    need(pad + 2 <= len(text) and pad < 4 and text[-2 - pad:-2] == bytes(range(1, pad + 1)), "padding of ESP")
    need(text[-1] in (4, 41), f"next header {text[-1]} in ESP")
    return Tunnel("esp", spi, packet.src, packet.dst), plain_inside(ETHERTYPE[6 if text[-1] == 41 else 4], text[:-2 - pad])


def opened(packet, keys):
    """(Tunnel, inner Packet) of a packet that is a tunnel's, else None."""
    if packet.protocol == 50:
        return esp(packet, keys)
    opener = OF_PROTOCOL.get(packet.protocol)
    if packet.protocol == 17 and len(packet.data) >= packet.head + 16:
        opener = OF_PORT.get(int.from_bytes(packet.data[packet.head + 2:packet.head + 4], "big"))
    return opener(packet) if opener else None
