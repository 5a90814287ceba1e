#!/usr/bin/python3
"""routes: rtnetlink in bulk, many routes a system call: `ip -batch` sends one and waits for its answer, which at a
million takes a minute and is mostly `ip`. Run inside the namespace; lines on the standard output tell what was done.

    routes.py fill FAMILY N LEGS…               N prefixes; LEGS are GATEWAY%DEVICE[*WEIGHT],…: one, or multipath
    routes.py churn FAMILY FIRST N RATE SECONDS LEGS…
         for so long, RATE messages a second: prefixes FIRST … FIRST+N-1 in turn are replaced by the next LEGS,
         every fourth is deleted and added again; at the end all of them have the first LEGS
    routes.py replace FAMILY FIRST N LEGS…      each prefix once, in one message (NLM_F_REPLACE)
    routes.py readd FAMILY FIRST N LEGS…        each prefix deleted and added again, as FRR does for IPv6
    routes.py del FAMILY FIRST N

Of several LEGS prefix i gets those of number i modulo how many there are."""
import os
import select
import socket
import struct
import sys
import time

PROTO = 99
NEWROUTE, DELROUTE, ERROR = 24, 25, 2
REQUEST, ACK, REPLACE, CREATE, APPEND = 0x1, 0x4, 0x100, 0x400, 0x800
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_MULTIPATH, RTA_TABLE = 1, 4, 5, 6, 9, 15
FREE = (2, 4, 6, 7, 9, 11, 12, 14, 17, 19, 20, 21, 22, 24, 25, 26, 28, 29, 30, 33)
STOPPED_S = 0.2
BATCH = 256  # messages a system call: some 20 KB


def prefix4(i):
    """The i-th /24, as its four bytes: public-looking octets that nothing else in the tests uses."""
    return struct.pack(">BHB", FREE[i >> 16], i & 0xFFFF, 0)


def prefix6(i):
    """The i-th /64 below 2001:db8:a000::/36."""
    return struct.pack(">HHIQ", 0x2001, 0x0DB8, 0xA0000000 + i, 0)


def attr(kind, data):
    return struct.pack("=HH", len(data) + 4, kind) + data + bytes(-len(data) % 4)


def path(legs):
    """The attributes that say where a route leads: GATEWAY%DEVICE[*WEIGHT],…"""
    parsed = []
    for leg in legs.split(","):
        gateway, device = leg.split("%")
        device, _, weight = device.partition("*")
        af = socket.AF_INET6 if ":" in gateway else socket.AF_INET
        parsed.append((socket.inet_pton(af, gateway), socket.if_nametoindex(device), int(weight or 1)))
    if len(parsed) == 1:
        return attr(RTA_OIF, struct.pack("=I", parsed[0][1])) + attr(RTA_GATEWAY, parsed[0][0])
    out = b""
    for gateway, index, weight in parsed:
        hop = attr(RTA_GATEWAY, gateway)
        out += struct.pack("=HBBi", 8 + len(hop), 0, weight - 1, index) + hop
    return attr(RTA_MULTIPATH, out)


class Kernel:
    """Messages are gathered; a batch's errors are read before the next one is sent."""

    def __init__(self, family):
        self.af = socket.AF_INET if family == "4" else socket.AF_INET6
        self.prefix, self.bits = (prefix4, 24) if family == "4" else (prefix6, 64)
        self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        self.sock.bind((0, 0))
        self.parts, self.sent, self.errors = [], 0, 0

    def message(self, kind, flags, i, where):
        body = struct.pack("=BBBBBBBBI", self.af, self.bits, 0, 0, 254, PROTO, 0, 1, 0) + attr(RTA_DST, self.prefix(i)) + where
        self.parts.append(struct.pack("=IHHII", len(body) + 16, kind, REQUEST | flags, i, 0) + body)
        if len(self.parts) >= BATCH:
            self.flush()

    def add(self, i, where):
        self.message(NEWROUTE, CREATE, i, where)

    def replace(self, i, where):
        self.message(NEWROUTE, CREATE | REPLACE, i, where)

    def delete(self, i):
        self.message(DELROUTE, 0, i, b"")

    def flush(self):
        if not self.parts:
            return
        self.sock.send(b"".join(self.parts))
        self.sent += len(self.parts)
        self.parts.clear()
        while True:  # the kernel has worked on all of it when send returns
            try:
                data = self.sock.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            self.complain(data)

    def complain(self, data):
        kind, = struct.unpack_from("=H", data, 4)
        code, = struct.unpack_from("=i", data, 16)
        if kind == ERROR and code:
            self.errors += 1
            if self.errors == 1:
                print(f"routes.py: {os.strerror(-code)}", file=sys.stderr)


def fill(k, n, *legs):
    where = [path(leg) for leg in legs]
    for i in range(int(n)):
        k.add(i, where[i % len(where)])


def replace(k, first, n, *legs):
    where = [path(leg) for leg in legs]
    for i in range(int(first), int(first) + int(n)):
        k.replace(i, where[i % len(where)])


def readd(k, first, n, *legs):
    where = [path(leg) for leg in legs]
    for i in range(int(first), int(first) + int(n)):
        k.delete(i)
        k.add(i, where[i % len(where)])


def delete(k, first, n):
    for i in range(int(first), int(first) + int(n)):
        k.delete(i)


def churn(k, first, n, rate, seconds, *legs):
    """Evenly; what was late is made good, but not what was missed while somebody had us stopped."""
    first, n, rate, where = int(first), int(n), int(rate), [path(leg) for leg in legs]
    begin, last, turn, total = time.monotonic(), time.monotonic(), 0, int(rate * float(seconds))
    while k.sent < total:
        now = time.monotonic()
        if now - last > STOPPED_S:
            begin += now - last
        last = now
        due = min(total, int((now - begin) * rate) + 1) - k.sent
        while due > 0:
            i, leg = first + turn % n, where[turn // n % len(where)]
            if turn % 4 == 3:
                k.delete(i)
                k.add(i, leg)
                due -= 1
            else:
                k.replace(i, leg)
            due -= 1
            turn += 1
        k.flush()
        select.select([], [], [], 0.002)
    took = time.monotonic() - begin
    for i in range(first, first + n):
        k.replace(i, where[0])
    k.flush()
    print(f"{total / took:.0f} a second", flush=True)


def main():
    what, family, *rest = sys.argv[1:]
    k, begin = Kernel(family), time.monotonic()
    {"fill": fill, "replace": replace, "readd": readd, "del": delete, "churn": churn}[what](k, *rest)
    k.flush()
    print(f"{k.sent} messages in {time.monotonic() - begin:.2f} s, {k.errors} refused", flush=True)
    return 1 if k.errors else 0


if __name__ == "__main__":
    sys.exit(main())
