"""SAs for lintasd, the way charon brings them: NETLINK_XFRM over the socket of the underlay's VRF.

The keys are the bench's own, and replay is not looked at: the source hands out the same frames over and over."""
import os
import socket
import struct

XFRM_WIRE_GROUPS, NEWSA, REQUEST, ACK, ERROR = 0x7F0, 0x10, 1, 4, 2
ALG_AEAD, IF_ID, TUNNEL, ESP = 18, 31, 1, 50
FOREVER = (1 << 64) - 1


def if_id(name):
    """lintasd's number of a link: FNV-1a of its name, highest bit set."""
    h = 0x811C9DC5
    for c in name.encode():
        h = (h ^ c) * 0x01000193 & 0xFFFFFFFF
    return h | 0x80000000


def attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def new_sa(number, src, dst, spi, key, link):
    """AES-GCM in tunnel mode between two IPv4 addresses."""
    selector = struct.pack("=16s16sHHHHHBBB3xiI", b"", b"", 0, 0, 0, 0, socket.AF_INET, 0, 0, 0, 0, 0)
    sa = selector + dst.to_bytes(4, "big") + bytes(12) + struct.pack(">IB3x", spi, ESP) + src.to_bytes(4, "big") + bytes(12)
    sa += struct.pack("=8Q", *[FOREVER] * 4, 0, 0, 0, 0) + bytes(32 + 12) + struct.pack("=IIHBBB7x", 0, 1, socket.AF_INET, TUNNEL, 0, 0)
    aead = struct.pack("=64sII", b"rfc4106(gcm(aes))", 8 * len(key), 128) + key
    body = sa + attribute(ALG_AEAD, aead) + attribute(IF_ID, struct.pack("=I", if_id(link)))
    return struct.pack("=IHHII", 16 + len(body), NEWSA, REQUEST | ACK, number, 0) + body


class Xfrm:
    def __init__(self, path):
        self.socket, self.number = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET), 0
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.socket.send(struct.pack("=IHHIIQQQ", 40, XFRM_WIRE_GROUPS, 0, 0, os.getpid(), 0, 0, 0))

    def add(self, *sa):
        self.number += 1
        self.socket.send(new_sa(self.number, *sa))
        answer = self.socket.recv(8192)
        _, kind, _, number, _, code = struct.unpack_from("=IHHIIi", answer)
        if kind != ERROR or number != self.number or code:
            raise OSError(-code, f"lintasd refuses an SA: {os.strerror(-code)}")
