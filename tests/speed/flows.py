"""Flows for pktrun's `stream` and `push`: the packet tests' world (tests/packet/world.py), and what must become of
each flow in it. Every frame ends in 12 bytes that pktrun numbers."""
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "packet"))
sys.dont_write_bytecode = True
from scapy.all import IP, UDP, VXLAN, Ether, IPv6  # noqa: E402
from world import LINKS, PEER, TUNNEL_MAC, World  # noqa: E402,F401

PAD = b"numbered ...."  # longer than the 12 bytes that are overwritten
ROOM = {"vx": (5001, "198.51.100"), "wx": (5002, "2001:db8:ff:")}


class Flow:
    """One flow: the frame, where it enters, and its fate: ("out", link), ("drop", reason) or ("punt", class)."""

    def __init__(self, link, frame, fate, ip_bytes):
        self.link, self.fate, self.ip_bytes = link, fate, ip_bytes
        self.port = LINKS[link][2]
        self.frame = bytes(frame)
        self.queue = 0

    def json(self):
        return {"port": self.port, "queue": self.queue, "frame": self.frame.hex()}


def packet(family, src, dst, sport):
    head = IP(src=src, dst=dst, id=1) if family == 4 else IPv6(src=src, dst=dst)
    return head / UDP(sport=sport, dport=9, chksum=0) / PAD


def host(link, family, n):
    third = LINKS[link][5]
    return f"10.{third}.{1 + n // 250}.{2 + n % 250}" if family == 4 else f"2001:db8:{third}::{n + 0x100:x}"


def plain(world, link, out, family, n=0, dst=None):
    """From the link's peer to a host behind another link."""
    p = packet(family, host(link, family, n), dst or host(out, family, n), 1000 + n)
    return Flow(link, world.eth(link, 0x0800 if family == 4 else 0x86DD) / p, ("out", out), len(p))


def tunnelled(world, tunnel, out, family, n=0):
    """Arrives on the underlay inside the tunnel's VXLAN, is stripped and routed."""
    p = packet(family, host(tunnel, family, n), host(out, family, n), 1000 + n)
    inner = Ether(src=PEER[tunnel], dst=TUNNEL_MAC[tunnel], type=0x0800 if family == 4 else 0x86DD) / p
    v6 = tunnel == "wx"
    ip = IPv6(src="2001:db8:ff::77", dst="2001:db8:ff::1") if v6 else IP(src="198.51.100.77", dst="198.51.100.1")
    outer = ip / UDP(sport=50000 + n % 1000, dport=4789, chksum=0) / VXLAN(flags=8, vni=5002 if v6 else 5001) / inner
    flow = Flow("u", world.eth("u", 0x86DD if v6 else 0x0800) / outer, ("out", out), len(p))
    flow.link, flow.port = tunnel, LINKS["u"][2]
    return flow


def dropped(world, link, family, n=0):
    """To a blackhole: no answer of any kind."""
    flow = plain(world, link, link, family, n, "10.100.0.9" if family == 4 else "2001:db8:100:0::9")
    flow.fate = ("drop", "blackhole")
    return flow


def punted(world, link, family, n=0):
    """To an address of ours, at a port that nobody special has."""
    own = f"10.{LINKS[link][5]}.0.1" if family == 4 else f"2001:db8:{LINKS[link][5]}::1"
    flow = plain(world, link, link, family, n, own)
    flow.fate = ("punt", "other")
    return flow
