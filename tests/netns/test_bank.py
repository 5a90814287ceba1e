#!/usr/bin/python3
"""Default deny: whatever the bank tries, nobody sees it; whatever the clouds try, the bank does not.

A listener on every peer's wire counts each frame that arrives with the mark of these tests, ICMP errors that
quote it excepted. The matrix is source x target address x protocol; the right answer is zero everywhere, and
the bank's own addresses overlap cloud-a's, so that a leak between VRFs would find a home."""
import subprocess
import sys

from harness import check, run, test, wait_for
import measure
from topo import A, BANK, C, B, End

SNIFF = r'''
import select, signal, socket, sys
mark, seen, stop = sys.argv[1].encode(), 0, []

def is_error(f):
    at = 12
    while f[at:at + 2] in (b"\x81\x00", b"\x88\xa8"):
        at += 4
    ip = f[at + 2:]
    if f[at:at + 2] == b"\x08\x00":
        return ip[9] == 1 and ip[(ip[0] & 15) * 4] in (3, 11, 12)
    return f[at:at + 2] == b"\x86\xdd" and ip[6] == 58 and ip[40] in (1, 2, 3, 4)

signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
s.bind(("wire", 3))
print("ready", flush=True)
while not stop:
    if select.select([s], [], [], 0.1)[0]:
        frame, where = s.recvfrom(2048)
        if mark in frame and where[2] != socket.PACKET_OUTGOING and not is_error(frame):
            seen += 1
print(seen)
'''
# Echo requests, UDP, and TCP that knocks and that pretends to be answering, each bearing the mark, three times.
SEND = r'''
import socket, struct, sys
mark, src, targets = sys.argv[1].encode(), sys.argv[2], sys.argv[3:]

def csum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff

def packet(dst, number, l4, at):
    # l4 with its checksum, at offset `at`, filled in; behind an IP header made by hand
    six = ":" in dst
    s, d = (socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, a) for a in (src, dst))
    tail = struct.pack("!IHBB", len(l4), 0, 0, number) if six else struct.pack("!BBH", 0, number, len(l4))
    pseudo = b"" if number == 1 else s + d + tail  # ICMPv4 sums itself only
    c = csum(pseudo + l4)
    l4 = l4[:at] + struct.pack("!H", c) + l4[at + 2:]
    if six:
        return struct.pack("!IHBB", 6 << 28, len(l4), number, 64) + s + d + l4
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(l4), 7, 0, 64, number, 0) + s + d
    return head[:10] + struct.pack("!H", csum(head)) + head[12:] + l4

sent = 0
for dst in targets:
    six = ":" in dst
    s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    tcp = [struct.pack("!HHIIBBHHH", 4000, port, 1, 1, 0x50, flags, 8192, 0, 0) + mark for port, flags in ((179, 2), (443, 16))]
    for number, l4, at in [(58 if six else 1, struct.pack("!BBHHH", 128 if six else 8, 0, 0, 9, 1) + mark, 2),
                           (17, struct.pack("!HHHH", 4000, 53, 8 + len(mark), 0) + mark, 6)] + [(6, t, 16) for t in tcp]:
        for _ in range(3):
            try:
                s.sendto(packet(dst, number, l4, at), (dst, 0))
                sent += 1
            except OSError as e:
                print(dst, e, file=sys.stderr)
print(sent)
'''
CLOUDS4 = ["10.40.0.10", "10.41.0.10", "10.60.0.10", "10.62.0.10", "10.70.0.10", "169.254.10.1", "169.254.20.2", "10.61.255.2",
           "198.51.100.9", "192.0.2.77"]
CLOUDS6 = ["2001:db8:41::10", "2001:db8:60::10", "2001:db8:62::10", "2001:db8:70::10", "2001:db8:f:10::1",
           "2001:db8:f:20::2", "2001:db8:f:61::2", "2001:db8:ff::9", "2001:db8:b::77"]


class Sniffers:
    def __init__(self, lab, places, mark):
        self.children = {}
        for place in places:
            child = lab.world.spawn(f"sniff-{place}", place, ["/usr/bin/python3", "-c", SNIFF, mark],
                                    stdout=subprocess.PIPE, text=True)
            check(child.stdout.readline().strip() == "ready", f"sniffer in {place}")
            self.children[place] = child

    def stop(self):
        out = {}
        for place, child in self.children.items():
            child.terminate()
            out[place] = int(child.communicate(timeout=20)[0])
        return out


def shoot(lab, where, mark, src, targets):
    sent = int(lab.world.run(where, "/usr/bin/python3", "-c", SEND, mark, src, *targets).stdout)
    check(sent > 0, f"nothing could be sent from {src} in {where}")
    return sent


def denied(lab):
    return sum(d["packets"] for d in lab.gateway.json("stats")["drops"] if d["name"] == "zone_deny")


@test
def bank_pings_its_gateway(lab):
    for family, addr in ((4, "192.0.2.66"), (6, "2001:db8:ba::66")):
        sent, got, _ = measure.ping(lab.world, BANK, addr, family)
        check(got == sent, f"v{family}: {got} of {sent}")


@test
def bank_reaches_nobody(lab):
    """From its link address and from addresses that overlap cloud-a's, to every address of every cloud."""
    sniffers = Sniffers(lab, ("cloud-a", "cloud-b", "cloud-c"), "LEAK-FROM-BANK")
    sent = 0
    for src in ("192.0.2.70", "10.40.0.99"):
        sent += shoot(lab, "bank", "LEAK-FROM-BANK", src, [a for a in CLOUDS4 if a != "10.40.0.10"])
    for src in ("2001:db8:ba::70", "2001:db8:40::99"):
        sent += shoot(lab, "bank", "LEAK-FROM-BANK", src, CLOUDS6)
    measure.settle(lab.world)
    seen = sniffers.stop()
    check(not any(seen.values()), f"of {sent} packets were seen: {seen}")
    return f"{sent} packets, none seen in {len(seen)} clouds"


@test
def clouds_reach_no_bank(lab):
    """Routes toward the gateway are there, and still nothing arrives."""
    sniffers = Sniffers(lab, ("bank",), "LEAK-TO-BANK")
    sent = 0
    gates = {"cloud-a": ("169.254.10.2", "2001:db8:f:10::2"), "cloud-b": ("10.61.255.1", "2001:db8:f:61::1"),
             "cloud-c": ("169.254.20.1", "2001:db8:f:20::1")}
    for end in (A, B, C):
        via4, via6 = gates[end.peer]
        lab.world.ip(end.peer, f"route add 192.0.2.64/29 via {via4}\nroute add 2001:db8:ba::/64 via {via6}")
        try:
            sent += shoot(lab, end.peer, "LEAK-TO-BANK", end.addr[4], ["192.0.2.70", "192.0.2.66"])
            sent += shoot(lab, end.peer, "LEAK-TO-BANK", end.addr[6], ["2001:db8:ba::70", "2001:db8:ba::66"])
        finally:
            lab.world.ip(end.peer, "route del 192.0.2.64/29\nroute del 2001:db8:ba::/64")
    measure.settle(lab.world)
    seen = sniffers.stop()
    check(not any(seen.values()), f"of {sent} packets were seen: {seen}")
    return f"{sent} packets, none seen"


@test
def overlap_is_not_confused(lab):
    """10.40/16 is cloud-a's in VRF prod and the bank's in VRF bank: each VRF leads to its own."""
    check(lab.living("10.40.0.10", "prod") <= {"aws-dx1", "az-er"}, lab.get("10.40.0.10", "prod"))
    check(lab.living("10.40.0.10", "bank") <= {"bank-ll"}, lab.get("10.40.0.10", "bank"))
    sniffers = Sniffers(lab, ("bank", "cloud-a"), "OVERLAP")
    sent = shoot(lab, "cloud-b", "OVERLAP", B.addr[4], ["10.40.0.10"])
    sent += shoot(lab, "cloud-b", "OVERLAP", B.addr[6], ["2001:db8:40::10"])
    measure.settle(lab.world)
    seen = sniffers.stop()
    check(seen["bank"] == 0, "the bank saw what was meant for cloud-a")
    check(seen["cloud-a"] == sent, f"cloud-a saw {seen['cloud-a']} of {sent}: these tests would not notice a leak")
    return f"{sent} packets, all at cloud-a, none at the bank"


@test
def not_within_the_vrf_either(lab):
    """What the bank sends to its own prefixes behind its own link is not turned around for it."""
    before = denied(lab)
    sniffers = Sniffers(lab, ("bank",), "HAIRPIN")
    lab.world.ip("bank", "route add 10.40.7.0/24 via 192.0.2.66\nroute add 2001:db8:40:7::/64 via 2001:db8:ba::66")
    try:
        shoot(lab, "bank", "HAIRPIN", "192.0.2.70", ["10.40.7.7"])
        shoot(lab, "bank", "HAIRPIN", "2001:db8:ba::70", ["2001:db8:40:7::7"])
        measure.settle(lab.world)
        wait_for("refusals are counted as zone_deny", 5, lambda: denied(lab) > before)
    finally:
        lab.world.ip("bank", "route del 10.40.7.0/24\nroute del 2001:db8:40:7::/64")
    check(sniffers.stop() == {"bank": 0}, "frames were turned around to the bank")


@test
def bank_holds_no_foreign_address(lab):
    """The gateway's addresses of other VRFs do not answer the bank."""
    for addr in ("169.254.10.2", "198.51.100.10", "10.255.1.1", "10.61.255.1"):
        sent, got, _ = measure.ping(lab.world, End("bank", "bank", "192.0.2.70", ""), addr, 4, count=2, extra=("-w", "1"))
        check(got == 0, f"{addr} answered {got} of {sent}")
    for addr in ("2001:db8:f:10::2", "2001:db8:ff::10", "fd10::1"):
        sent, got, _ = measure.ping(lab.world, End("bank", "bank", "", "2001:db8:ba::70"), addr, 6, count=2, extra=("-w", "1"))
        check(got == 0, f"{addr} answered {got} of {sent}")


sys.exit(run())
