#!/usr/bin/python3
"""STAMP's other half, written without a look at ours: what a far host of the tests is.

    farhost.py reflect KEYFILE V4 V6    answers UDP 862 on both families; each packet is a JSON line on the output
    farhost.py ask ADDRESS [KEYFILE]    asks a reflector every odd question there is; prints what came back, as JSON
    farhost.py forge FAMILY FROM TO PORT  answers to probes that nobody sent
    farhost.py echo WIRE                every address on every VLAN of the wire: ARP, ND and echo requests are answered
    farhost.py delay TUN MS             a wire that takes its time: what comes in by TUN goes out again later

Unauthenticated packets are made and read by scapy's layer, authenticated ones by RFC 8762's figures and
Python's hmac."""
import fcntl
import hashlib
import hmac
import json
import os
import select
import socket
import struct
import sys
import time

sys.dont_write_bytecode = True
AUTH, PLAIN = 112, 44
IP_RECVTTL = 12  # <linux/in.h>; Python has no name for it


def key_of(path):
    with open(path, "rb") as f:
        return f.read().strip()


def mac(key, packet):
    return hmac.new(key, packet[:96], hashlib.sha256).digest()[:16]


def ntp_now():
    t = time.time() + 2208988800
    return int(t) << 32 | int((t % 1) * (1 << 32))


def listen(family, port, address=""):
    s = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    else:
        s.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
    s.bind((address, port))
    return s


def reflect(keyfile, address4, address6):
    import scapy.contrib.stamp  # noqa: F401  (takes a second: not while somebody waits)
    key, seen = key_of(keyfile), {}
    sockets = [listen(socket.AF_INET, 862, address4), listen(socket.AF_INET6, 862, address6)]
    print("ready", flush=True)
    while True:
        for s in select.select(sockets, [], [])[0]:
            data, extra, _, peer = s.recvmsg(2000, 200)
            ttl = struct.unpack("i", extra[0][2])[0]
            where = (peer[0], peer[1])
            seen[where] = seen.get(where, 0) + 1
            if seen[where] <= 3:
                print(json.dumps({"from": peer[0], "port": peer[1], "ttl": ttl, "hex": data.hex()}), flush=True)
            s.sendto(reply_auth(key, data, ttl) if len(data) >= AUTH else reply_plain(data, ttl), peer)


def reply_plain(data, ttl):
    from scapy.contrib.stamp import STAMPSessionReflectorTestUnauthenticated as Reflector
    from scapy.contrib.stamp import STAMPSessionSenderTestUnauthenticated as Sender
    q = Sender(data)
    r = bytearray(bytes(Reflector(seq=q.seq, ssid=q.ssid, seq_sender=q.seq, ttl_sender=ttl)))
    r[4:12] = r[16:24] = struct.pack("!Q", ntp_now())
    r[28:36], r[36:38] = data[4:12], data[12:14]
    return bytes(r[:PLAIN])


def reply_auth(key, data, ttl):
    if mac(key, data) != data[96:112]:
        return b"wrong"
    now = struct.pack("!Q", ntp_now())
    r = data[:4] + bytes(12) + now + b"\x00\x01" + data[26:28] + bytes(4) + now + bytes(8)
    r += data[:4] + bytes(12) + data[16:24] + data[24:26] + bytes(6) + bytes([ttl]) + bytes(15)
    return r + mac(key, r)


# ---- the other way round: questions for our reflector ----

def question(key, seq=7, when=None, ssid=9):
    stamp = struct.pack("!Q", when or ntp_now())
    if key is None:
        return struct.pack("!I", seq) + stamp + b"\x80\x05" + struct.pack("!H", ssid) + bytes(28)
    q = struct.pack("!I", seq) + bytes(12) + stamp + b"\x80\x05" + struct.pack("!H", ssid) + bytes(68)
    return q + mac(key, q)


def exchange(s, packet, seconds=0.5):
    s.send(packet)
    if not select.select([s], [], [], seconds)[0]:
        return None
    data, extra, _, _ = s.recvmsg(2000, 200)
    return {"hex": data.hex(), "ttl": struct.unpack("i", extra[0][2])[0]}


def ask(address, keyfile=None):
    key = key_of(keyfile) if keyfile else None
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = listen(family, 0)
    s.setsockopt(*((socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if family == socket.AF_INET6 else (socket.IPPROTO_IP, socket.IP_TTL)), 77)
    s.connect((address, 862))
    good, other = question(key), question(b"another key" if key else None)
    out = {"question": good.hex(), "good": exchange(s, good, 2), "again": exchange(s, question(key, 8), 2),
           "short": exchange(s, good[:40]), "empty": exchange(s, b"")}
    if key:
        bad = bytearray(good)
        bad[2] ^= 1
        out.update(wrong_key=exchange(s, other), changed=exchange(s, bytes(bad)), plain=exchange(s, question(None)))
    else:
        tlvs = b"\x80\x01\x00\x04abcd" + b"\x80\x63\x00\x02xy" + b"\x80\x05\xff\xffz"
        out.update(tlv_question=(good + tlvs).hex(), tlvs=exchange(s, good + tlvs, 2), twamp=exchange(s, good[:41], 2))
    begin, answered = time.monotonic(), 0
    for i in range(3000):
        s.send(good)
        if i % 64 == 0:
            answered += drain(s, 0)
    out.update(flood=3000, flood_s=time.monotonic() - begin, flood_answered=answered + drain(s, 0.3))
    print(json.dumps(out))


def drain(s, seconds):
    n = 0
    while select.select([s], [], [], seconds)[0]:
        s.recv(2000)
        n += 1
    return n


def forge(family, source, to, port):
    from scapy.contrib.stamp import STAMPSessionReflectorTestUnauthenticated as Reflector
    from scapy.layers.inet import IP, UDP
    from scapy.layers.inet6 import IPv6
    from scapy.sendrecv import send
    ip = IPv6(src=source, dst=to) if family == "6" else IP(src=source, dst=to)
    send([ip / UDP(sport=862, dport=int(port)) / Reflector(seq=i, seq_sender=i) for i in range(20)] +
         [ip / UDP(sport=862, dport=int(port)) / b"x"], verbose=False)


def folded(total):
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def checksum(data):
    return ~folded(sum(struct.unpack(f"!{len(data) // 2}H", data))) & 0xffff


def changed(old_sum, before, after):
    """A checksum after one word has changed (RFC 1624)."""
    return ~folded((~old_sum & 0xffff) + (~before & 0xffff) + after) & 0xffff


def here_arp(b, mac):
    return struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + mac + b[24:28] + b[8:18] if b[6:8] == b"\0\1" else None


def here_v4(b, _):
    if b[9] != 1 or b[20] != 8:
        return None
    icmp = struct.pack("!BBH", 0, 0, changed(struct.unpack("!H", b[22:24])[0], 0x0800, 0)) + b[24:]
    return b[:12] + b[16:20] + b[12:16] + icmp


def here_v6(b, mac):
    if b[6] == 58 and b[40] == 128:
        icmp = struct.pack("!BBH", 129, 0, changed(struct.unpack("!H", b[42:44])[0], 0x8000, 0x8100)) + b[44:]
        return b[:8] + b[24:40] + b[8:24] + icmp
    if b[6] != 58 or b[40] != 135 or b[8:24] == bytes(16):
        return None
    target, icmp = b[48:64], b"\x60\0\0\0" + b[48:64] + b"\2\1" + mac
    total = checksum(target + b[8:24] + struct.pack("!II", 4 + len(icmp), 58) + b"\x88\0\0\0" + icmp)
    return b[:4] + struct.pack("!HBB", 4 + len(icmp), 58, 255) + target + b[8:24] + struct.pack("!BBH", 136, 0, total) + icmp


def echo(wire):
    answers = {0x0806: here_arp, 0x0800: here_v4, 0x86dd: here_v6}
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.bind((wire, 0))
    s.setsockopt(263, 8, 1)  # PACKET_AUXDATA: where Linux puts the tag
    mac = s.getsockname()[4]
    print("ready", flush=True)
    while True:
        data, extra, _, origin = s.recvmsg(2000, 200)
        tci = [struct.unpack("IIIHHHH", e[2])[5] for e in extra if e[1] == 8]
        if origin[2] == 4 or not tci or not tci[0]:  # our own, or untagged
            continue
        kind = struct.unpack("!H", data[12:14])[0]
        back = answers[kind](data[14:], mac) if kind in answers else None
        if back:
            s.send(data[6:12] + mac + struct.pack("!HHH", 0x8100, tci[0], kind) + back)


def delay(name, ms):
    fd = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH", name.encode(), 0x1001))  # TUNSETIFF: IFF_TUN | IFF_NO_PI
    print("ready", flush=True)
    queue = []
    while True:
        wait = max(0, queue[0][0] - time.monotonic()) if queue else None
        if select.select([fd], [], [], wait)[0]:
            queue.append((time.monotonic() + float(ms) / 1000, os.read(fd, 2000)))
        while queue and queue[0][0] <= time.monotonic():
            os.write(fd, queue.pop(0)[1])


if __name__ == "__main__":
    {"reflect": reflect, "ask": ask, "forge": forge, "delay": delay, "echo": echo}[sys.argv[1]](*sys.argv[2:])
