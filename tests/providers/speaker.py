#!/usr/bin/python3
"""Many BGP neighbours in one process, for tests: it speaks what it is told to and decodes with scapy what it hears.

Runs inside the neighbours' namespace. Standard input takes one JSON object a line, standard output gives one for
each: {"do": "open", "name", "local", "remote", "asn", "gr": seconds or absent, "md5", "ttl", "port"},
{"do": "announce", "name", "prefixes": […], "path": […], "communities": […], "large": […], "med"},
{"do": "withdraw", "name", "prefixes"}, {"do": "close", "name"}, {"do": "state", "name"} -> {"up", "since",
"routes": {prefix: {"path", "med", "communities", "large", "next_hop", "local_pref"}}, "updates", "withdrawn",
"notification", "open"}. A session is opened again whenever it ended. Only the OPEN, KEEPALIVE and UPDATE we send
are built by hand; what arrives is scapy's word (RFC 4271, 4760, 6793, 1997, 8092)."""
import ipaddress
import json
import logging
import select
import socket
import struct
import sys
import time

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
from scapy.contrib import bgp as sb  # noqa: E402

sb.bgp_module_conf.use_2_bytes_asn = False
TCP_MD5SIG, RETRY_S, HOLD_S, AS_TRANS = 14, 0.5, 30, 23456


def message(kind, body=b""):
    return b"\xff" * 16 + struct.pack("!HB", 19 + len(body), kind) + body


def capability(code, value=b""):
    return struct.pack("!BB", code, len(value)) + value


def nlri(prefix):
    net = ipaddress.ip_network(prefix)
    return bytes([net.prefixlen]) + net.network_address.packed[:(net.prefixlen + 7) // 8]


def attribute(flags, code, value):
    return struct.pack("!BBH", flags | 0x10, code, len(value)) + value


def prefixes_of(raw, family):
    """[prefix] of NLRI bytes: lengths and leading bytes."""
    out, at, size = [], 0, 4 if family == 4 else 16
    while at < len(raw):
        n = (raw[at] + 7) // 8
        out.append(str(ipaddress.ip_network((raw[at + 1:at + 1 + n].ljust(size, b"\0"), raw[at]))))
        at += 1 + n
    return out


class Session:
    def __init__(self, spec):
        self.spec, self.sock, self.family = spec, None, 6 if ":" in spec["remote"] else 4
        self.routes, self.updates, self.withdrawn, self.note, self.peer_open = {}, 0, [], None, None
        self.up, self.most = False, 0
        self.since, self.next_try, self.next_keepalive, self.ups = 0.0, 0.0, 0.0, 0
        self.buffer, self.connecting, self.closed, self.told = b"", False, False, {}

    # ---- connection ----
    def connect(self):
        s = socket.socket(socket.AF_INET6 if self.family == 6 else socket.AF_INET)
        s.setblocking(False)
        if self.spec.get("md5"):
            self.sign(s)
        if self.spec.get("ttl"):
            s.setsockopt(*((socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if self.family == 6 else
                           (socket.IPPROTO_IP, socket.IP_TTL)), self.spec["ttl"])
        s.bind((self.spec["local"], 0))
        try:
            s.connect((self.spec["remote"], self.spec.get("port", 179)))
        except BlockingIOError:
            pass
        self.sock, self.connecting, self.buffer = s, True, b""

    def sign(self, s):
        """RFC 2385: struct tcp_md5sig."""
        key = self.spec["md5"].encode()
        if self.family == 4:
            addr = struct.pack("=H2x4s120x", socket.AF_INET, socket.inet_aton(self.spec["remote"]))
        else:
            addr = struct.pack("=H6x16s104x", socket.AF_INET6, socket.inet_pton(socket.AF_INET6, self.spec["remote"]))
        s.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG, addr + struct.pack("=2xH4x80s", len(key), key))

    def send(self, data):
        self.sock.setblocking(True)
        self.sock.settimeout(5)
        self.sock.sendall(data)
        self.sock.setblocking(False)

    def greet(self):
        asn = self.spec["asn"]
        caps = capability(1, struct.pack("!HBB", 2 if self.family == 6 else 1, 0, 1)) + capability(65, struct.pack("!I", asn))
        caps += capability(2)
        if self.spec.get("gr") is not None:
            caps += capability(64, struct.pack("!H", self.spec["gr"]))
        opt = b"\x02" + bytes([len(caps)]) + caps
        ident = socket.inet_aton(self.spec.get("id", "10.9.9.9"))
        self.send(message(1, struct.pack("!BHH4sB", 4, asn if asn < 65536 else AS_TRANS, HOLD_S, ident, len(opt)) + opt))

    def lost(self, why):
        if self.sock:
            self.sock.close()
        self.sock, self.connecting, self.up = None, False, False
        self.note = self.note or why
        self.routes = {}
        self.next_try = time.monotonic() + RETRY_S

    # ---- what arrives ----
    def readable(self):
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return
        if not data:
            return self.lost("closed")
        self.buffer += data
        while len(self.buffer) >= 19:
            size, kind = struct.unpack("!HB", self.buffer[16:19])
            if len(self.buffer) < size:
                break
            raw, self.buffer = self.buffer[:size], self.buffer[size:]
            self.hear(kind, raw)
            if not self.sock:
                break

    def hear(self, kind, raw):
        if kind == 1:
            self.peer_open = raw.hex()
            self.send(message(4))
        elif kind == 4 and not self.up:
            self.up, self.since, self.note = True, time.time(), None
            self.ups += 1
            self.next_keepalive = time.monotonic() + HOLD_S / 3
            for args in self.told.values():
                self.send(self.update(args))
            self.send(message(2, b"\0\0\0\0" if self.family == 4 else struct.pack("!HH", 0, 6) + b"\x80\x0f\x03\x00\x02\x01"))
        elif kind == 3:
            self.note = f"notification {raw[19]}/{raw[20]}"
            self.lost(self.note)
        elif kind == 2:
            self.updates += 1
            self.take(raw)

    def take(self, raw):
        """One UPDATE, decoded by scapy."""
        update = sb.BGPHeader(raw)[sb.BGPUpdate]
        gone = [str(ipaddress.ip_network(p.prefix)) for p in update.withdrawn_routes or []]
        new, attrs = [str(ipaddress.ip_network(p.prefix)) for p in update.nlri or []], {}
        for a in update.path_attr or []:
            if a.type_code == 14:
                new += [str(ipaddress.ip_network(p.prefix)) for p in a.attribute.nlri]
                attrs["next_hop"] = "mp"
            elif a.type_code == 15:
                rest = bytes(a.attribute)[3:]
                gone += prefixes_of(rest, 6)
            else:
                decode(a, attrs)
        for p in gone:
            self.routes.pop(p, None)
            self.withdrawn.append(p)
        for p in new:
            self.routes[p] = attrs
        self.most = max(self.most, len(self.routes))

    # ---- what we say ----
    def update(self, args):
        path = args.get("path", [self.spec["asn"]])
        attrs = attribute(0x40, 1, b"\0") + attribute(0x40, 2, struct.pack(f"!BB{len(path)}I", 2, len(path), *path))
        body = b"".join(nlri(p) for p in args["prefixes"])
        if self.family == 4:
            attrs += attribute(0x40, 3, socket.inet_aton(args.get("next_hop", self.spec["local"])))
        if "med" in args:
            attrs += attribute(0x80, 4, struct.pack("!I", args["med"]))
        if args.get("communities"):
            attrs += attribute(0xc0, 8, b"".join(struct.pack("!HH", *map(int, c.split(":"))) for c in args["communities"]))
        if args.get("large"):
            attrs += attribute(0xc0, 32, b"".join(struct.pack("!III", *map(int, c.split(":"))) for c in args["large"]))
        if self.family == 6:
            hop = socket.inet_pton(socket.AF_INET6, args.get("next_hop", self.spec["local"]))
            attrs += attribute(0x80, 14, struct.pack("!HBB", 2, 1, 16) + hop + b"\0" + body)
            body = b""
        return message(2, struct.pack("!HH", 0, len(attrs)) + attrs + body)

    def withdraw(self, prefixes):
        body = b"".join(nlri(p) for p in prefixes)
        if self.family == 4:
            return message(2, struct.pack("!H", len(body)) + body + b"\0\0")
        attrs = attribute(0x80, 15, struct.pack("!HB", 2, 1) + body)
        return message(2, struct.pack("!HH", 0, len(attrs)) + attrs)

    def tick(self, now):
        if self.closed:
            return
        if not self.sock and now >= self.next_try:
            try:
                self.connect()
            except OSError as e:
                self.lost(str(e))
        if self.up and now >= self.next_keepalive:
            self.next_keepalive = now + HOLD_S / 3
            self.send(message(4))

    def state(self):
        return {"up": self.up, "since": self.since, "ups": self.ups, "routes": self.routes, "updates": self.updates, "most": self.most,
                "withdrawn": self.withdrawn[-50:], "notification": self.note, "open": self.peer_open}


def decode(a, attrs):
    value = a.attribute
    if a.type_code == 2:
        attrs["path"] = [n for s in value.segments for n in s.segment_value]
    elif a.type_code == 3:
        attrs["next_hop"] = value.next_hop
    elif a.type_code == 4:
        attrs["med"] = value.med
    elif a.type_code == 5:
        attrs["local_pref"] = value.local_pref
    elif a.type_code == 8:
        raw = bytes(value)
        attrs["communities"] = [f"{h}:{v}" for h, v in struct.iter_unpack("!HH", raw)]
    elif a.type_code != 1:
        attrs.setdefault("others", []).append([a.type_code, bytes(value).hex()])


sessions = {}


def obey(request):
    do, name = request["do"], request.get("name")
    if do == "open":
        if name in sessions:
            return {"error": "exists"}
        sessions[name] = Session(request)
        return {}
    s = sessions[name]
    if do == "state":
        return s.state()
    if do == "announce":
        s.told[json.dumps(request["prefixes"])] = request
        if s.up:
            s.send(s.update(request))
    elif do == "withdraw":
        s.told.pop(json.dumps(request["prefixes"]), None)
        if s.up:
            s.send(s.withdraw(request["prefixes"]))
    elif do == "close":
        s.closed = True
        s.lost("we closed it")
        del sessions[name]
    else:
        return {"error": f"no command {do}"}
    return {}


def main():
    pending = b""
    while True:
        now = time.monotonic()
        for s in list(sessions.values()):
            try:
                s.tick(now)
            except OSError as e:
                s.lost(str(e))
        reads = [sys.stdin] + [s.sock for s in sessions.values() if s.sock and not s.connecting]
        writes = [s.sock for s in sessions.values() if s.sock and s.connecting]
        ready, writable, _ = select.select(reads, writes, [], 0.1)
        for s in list(sessions.values()):
            try:
                if s.sock in writable and s.connecting:
                    s.connecting = False
                    s.sock.getpeername()
                    s.greet()
                elif s.sock in ready:
                    s.readable()
            except (OSError, struct.error) as e:
                s.lost(str(e))
        if sys.stdin in ready:
            data = sys.stdin.buffer.raw.read(65536)
            if not data:
                return
            pending += data
            while b"\n" in pending:
                line, pending = pending.split(b"\n", 1)
                try:
                    answer = obey(json.loads(line))
                except (KeyError, OSError, ValueError) as e:
                    answer = {"error": f"{type(e).__name__}: {e}"}
                print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
