"""A VRF's kernel from inside: `ip -batch` for a few things, netlink by hand for a million routes.

ip(8) waits for an answer to every route, which takes most of a minute for a million; a thousand requests in one
message, unanswered unless refused, take four seconds. Only groups are next-hop objects: a kernel that loses an
interface with 256 of them walks a million routes 256 times."""
import ctypes
import json
import os
import socket
import struct
import subprocess

NEWROUTE, REQUEST, CREATE, EXCL, ERROR = 24, 0x1, 0x400, 0x200, 2
PROTO_BGP = 186
CLONE_NEWNET = 0x40000000
RCVBUFFORCE, BATCH = 33, 1000
HEAD = struct.Struct("=IHHIIBBBBBBBBI")  # nlmsghdr, rtmsg
ATTR_DST, ATTR_OIF, ATTR_GATEWAY, ATTR_NH_ID = 1, 4, 5, 30


def attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value


class Kernel:
    def __init__(self, vrf):
        self.vrf = vrf

    def ip(self, lines, *options):
        done = subprocess.run(["ip", "netns", "exec", self.vrf, "ip", *options, "-batch", "-"], input="\n".join(lines) + "\n",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        if done.returncode:
            raise OSError(f"ip in {self.vrf}: {done.stdout[:300]}")

    def links(self, *which):
        out = subprocess.run(["ip", "-n", self.vrf, "-j", "link", "show", *which], capture_output=True, text=True, check=True,
                             timeout=20).stdout
        return json.loads(out)

    def mac(self, link):
        return bytes.fromhex(self.links("dev", link)[0]["address"].replace(":", ""))

    def index(self, link=None):
        """An interface's index, or a dictionary of all."""
        all_of_them = {d["ifname"]: d["ifindex"] for d in self.links()}
        return all_of_them[link] if link else all_of_them

    def socket(self):
        """A route netlink socket in the VRF's namespace."""
        libc = ctypes.CDLL(None, use_errno=True)

        def enter(path):
            fd = os.open(path, os.O_RDONLY)
            try:
                if libc.setns(fd, CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"setns {path}")
            finally:
                os.close(fd)

        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        try:
            enter(f"/run/netns/{self.vrf}")
            return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        finally:
            libc.setns(home, CLONE_NEWNET)
            os.close(home)

    def routes(self, family, routes, via):
        """(address, length, next hop) each; via: next hop -> (gateway, interface index), else it is an object's id."""
        room, af = (4, socket.AF_INET) if family == 4 else (16, socket.AF_INET6)
        ways = {hop: attribute(ATTR_GATEWAY, gateway.to_bytes(room, "big")) + attribute(ATTR_OIF, struct.pack("=I", index))
                for hop, (gateway, index) in via.items() if gateway < 1 << 8 * room}
        dst = struct.pack("=HH", 4 + room, ATTR_DST)
        with self.socket() as s:
            s.bind((0, 0))
            s.setsockopt(socket.SOL_SOCKET, RCVBUFFORCE, 16 << 20)
            batch = []
            for address, length, hop in routes:
                way = ways.get(hop) or attribute(ATTR_NH_ID, struct.pack("=I", hop))
                batch.append(HEAD.pack(32 + room + len(way), NEWROUTE, REQUEST | CREATE | EXCL, 0, 0, af, length, 0, 0, 254,
                                       PROTO_BGP, 0, 1, 0) + dst + address.to_bytes(room, "big") + way)
                if len(batch) == BATCH:
                    s.send(b"".join(batch))
                    batch.clear()
            if batch:
                s.send(b"".join(batch))
            self.refused(s)

    @staticmethod
    def refused(s):
        """The kernel has handled everything when send() returns; what it refused waits."""
        s.setblocking(False)
        try:
            answer = s.recv(65536)
        except BlockingIOError:
            return
        length, kind = struct.unpack_from("=IH", answer)
        code = struct.unpack_from("=i", answer, 16)[0] if kind == ERROR else 0
        raise OSError(-code, f"the kernel refuses a route: {os.strerror(-code)}")
