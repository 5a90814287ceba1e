"""An independent check of what came out: each sampled frame against the frame that went in.

Nothing of traffic.py's knowledge of layouts is used here: headers are read by hand, from the RFCs. A frame is taken
apart (Ethernet, tags, VXLAN), the packet inside names the frame it was (traffic.py), that one is taken apart
too, and then the packet must be the same but for a TTL one lower and a checksum that is right; and it must have
left by the next hop that the longest match in our own table says: MAC addresses, tags, tunnel header and all."""
import ipaddress
import struct

SOURCE4, SOURCE6 = int(ipaddress.ip_address("100.64.0.0")), int(ipaddress.ip_address("fd10:0:0:ffff::"))


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
    """An IP packet: family, src, dst, ttl, data (exactly its length)"""

    def __init__(self, eth, checked=True):
        data = eth.payload
        if eth.type == 0x0800:
            need(len(data) >= 20 and data[0] == 0x45, "no IPv4 header of five words")
            length = int.from_bytes(data[2:4], "big")
            need(20 <= length <= len(data), f"IPv4 length {length} in {len(data)} bytes")
            need(not checked or ones_sum(data[:20]) == 0xFFFF, "IPv4 header checksum wrong")
            self.family, self.ttl, self.protocol, self.head = 4, data[8], data[9], 20
            self.src, self.dst = int.from_bytes(data[12:16], "big"), int.from_bytes(data[16:20], "big")
        elif eth.type == 0x86DD:
            need(len(data) >= 40 and data[0] >> 4 == 6, "no IPv6 header")
            length = 40 + int.from_bytes(data[4:6], "big")
            need(length <= len(data), f"IPv6 length {length} in {len(data)} bytes")
            self.family, self.ttl, self.protocol, self.head = 6, data[7], data[6], 40
            self.src, self.dst = int.from_bytes(data[8:24], "big"), int.from_bytes(data[24:40], "big")
        else:
            raise Wrong(f"EtherType {eth.type:04x}")
        self.data = data[:length]

    def without_hops(self):
        """Everything a router must not change."""
        d = bytearray(self.data)
        if self.family == 4:
            d[8] = d[10] = d[11] = 0
        else:
            d[7] = 0
        return bytes(d)


def vxlan(packet):
    """(VNI, inner Ethernet frame, UDP destination) of a packet that is VXLAN, else None."""
    d = packet.data[packet.head:]
    if packet.protocol != 17 or len(d) < 16 + 14 or d[2:4] != b"\x12\xb5":  # 4789
        return None
    need(int.from_bytes(d[4:6], "big") == len(d), "UDP length around VXLAN")
    if packet.family == 6 or d[6:8] != b"\0\0":
        pseudo = packet.data[12:20] if packet.family == 4 else packet.data[8:40]
        need(ones_sum(pseudo + struct.pack(">HH", 17, len(d)) + d) == 0xFFFF or (packet.family == 6 and d[6:8] == b"\0\0"),
             "UDP checksum around VXLAN")
    need(d[8] == 8 and d[9:12] == b"\0\0\0" and d[15] == 0, "VXLAN header")
    return int.from_bytes(d[12:15], "big"), Ethernet(d[16:])


class Leg:
    """One way out: what stands before the packet. tunnel: (VNI, outer source, outer destination, inner source and
    destination MAC)"""

    def __init__(self, dst, src=None, vlans=(), tunnel=None):
        self.dst, self.src, self.vlans, self.tunnel = dst, src, list(vlans), tunnel

    def wrong(self, eth, outer, tunnel):
        """What does not fit, or None."""
        if eth.dst != self.dst:
            return f"to {eth.dst.hex(':')} instead of {self.dst.hex(':')}"
        if self.src and eth.src != self.src:
            return f"from {eth.src.hex(':')} instead of {self.src.hex(':')}"
        if eth.vlans != self.vlans:
            return f"VLANs {eth.vlans} instead of {self.vlans}"
        if bool(tunnel) != bool(self.tunnel):
            return "in a tunnel" if tunnel else "not in its tunnel"
        if not tunnel:
            return None
        have = (tunnel[0], outer.src, outer.dst, tunnel[1].src, tunnel[1].dst)
        if have != self.tunnel or outer.ttl < 2:
            return f"tunnel {have}, TTL {outer.ttl}, instead of {self.tunnel}"
        return None


class Judge:
    """tables: (family, whether it came by a tunnel) -> Table; legs: number in a table -> list of Leg, one of which
    is right and stays right for a flow."""

    def __init__(self, traffic, tables, legs):
        self.traffic, self.tables, self.legs, self.chosen = traffic, tables, legs, {}

    def inner(self, frame):
        """(Ethernet, Packet, outer Packet or None, tunnel or None)"""
        eth = Ethernet(frame)
        packet = Packet(eth)
        tunnel = vxlan(packet)
        if not tunnel:
            return eth, packet, None, None
        return eth, Packet(tunnel[1]), packet, tunnel

    def number_of(self, packet):
        return packet.src - (SOURCE4 if packet.family == 4 else SOURCE6)

    def check(self, frame):
        """Raises Wrong."""
        eth, packet, outer, tunnel = self.inner(frame)
        number = self.number_of(packet)
        sent = self.traffic.frame(number) if number >= 0 else None
        need(sent, f"source address of nobody, {packet.src:x}")
        _, before, _, came_by = self.inner(sent)
        need(packet.ttl == before.ttl - 1, f"TTL {packet.ttl} after {before.ttl}")
        need(packet.without_hops() == before.without_hops(), "packet changed beyond TTL and checksum")
        route = self.tables[packet.family, bool(came_by)].lookup(packet.dst)
        need(route is not None, "no route leads there")
        wrongs = []
        for i, leg in enumerate(self.legs[route]):
            wrong = leg.wrong(eth, outer, tunnel)
            if not wrong:
                need(self.chosen.setdefault(number, i) == i, "one flow by two ways")
                return
            wrongs.append(wrong)
        raise Wrong(f"{packet.dst:x}: {wrongs[0]}" + (f" (nor {len(wrongs) - 1} others)" if wrongs[1:] else ""))

    def of(self, frames):
        """The first thing that is wrong with one of them, or None."""
        for frame in frames:
            try:
                self.check(frame)
            except Wrong as e:
                return f"{e}: {frame[:80].hex()}"
        return None
