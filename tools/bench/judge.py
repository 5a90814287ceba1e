"""An independent check of what came out: each sampled frame against the frame that went in.

A frame is taken apart (layers.py: Ethernet, tags, tunnel), the packet inside names the frame it was (traffic.py),
that one is taken apart too, and then the packet must be the same but for a TTL one lower and a checksum that is
right; and it must have left by the next hop that the longest match in our own table says: MAC addresses, tags,
tunnel header and all."""
import ipaddress

from layers import Ethernet, Packet, Wrong, need, opened

SOURCE4, SOURCE6 = int(ipaddress.ip_address("100.64.0.0")), int(ipaddress.ip_address("fd10:0:0:ffff::"))
OUTER_TTL, DONT_FRAGMENT = 64, b"\x40\x00"  # what a configuration that says nothing asks for


class Leg:
    """One way out: what stands before the packet. tunnel: layers.Tunnel"""

    def __init__(self, dst, src=None, vlans=(), tunnel=None):
        self.dst, self.src, self.vlans, self.tunnel = dst, src, list(vlans), tunnel

    def wrong(self, eth, packet, outer, tunnel):
        """What does not fit, or None."""
        if eth.dst != self.dst:
            return f"to {eth.dst.hex(':')} instead of {self.dst.hex(':')}"
        if self.src and eth.src != self.src:
            return f"from {eth.src.hex(':')} instead of {self.src.hex(':')}"
        if eth.vlans != self.vlans:
            return f"VLANs {eth.vlans} instead of {self.vlans}"
        if bool(tunnel) != bool(self.tunnel):
            return "in a tunnel" if tunnel else "not in its tunnel"
        if tunnel and tunnel != self.tunnel:
            return f"{tunnel} instead of {self.tunnel}"
        return around(packet, outer) if tunnel else None


def around(packet, outer):
    """What is wrong with an outer header beyond its addresses, or None: TTL, DSCP and ECN (RFC 2983, 6040), DF."""
    if outer.ttl != OUTER_TTL:
        return f"outer TTL {outer.ttl}"
    if outer.tos != packet.tos:
        return f"outer TOS {outer.tos:02x} around {packet.tos:02x}"
    if outer.family == 4 and outer.data[6:8] != DONT_FRAGMENT:
        return f"outer fragment field {outer.data[6:8].hex()}"
    return None


class Judge:
    """tables: (family, whether it came by a tunnel) -> Table; legs: number in a table -> list of Leg, one of which
    is right and stays right for a flow; keys: SPI -> key and salt of AES-GCM."""

    def __init__(self, traffic, tables, legs, keys=None):
        self.traffic, self.tables, self.legs, self.chosen, self.keys = traffic, tables, legs, {}, keys or {}

    def inner(self, frame):
        """(Ethernet, Packet, outer Packet or None, Tunnel or None)"""
        eth = Ethernet(frame)
        packet = Packet(eth.type, eth.payload)
        tunnel = opened(packet, self.keys)
        if not tunnel:
            return eth, packet, None, None
        return eth, tunnel[1], packet, tunnel[0]

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
            wrong = leg.wrong(eth, packet, outer, tunnel)
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
