"""A VRF's kernel from inside: `ip -batch` for a few things, netlink by hand for a million routes.

ip(8) waits for an answer to every route, which takes most of a minute for a million; a thousand requests in one
message, unanswered unless refused, take four seconds. Routes point to next-hop objects, as FRR's do."""
import ctypes
import json
import os
import socket
import struct
import subprocess

NEWROUTE, REQUEST, CREATE, EXCL, ERROR = 24, 0x1, 0x400, 0x200, 2
PROTO_BGP = 186
SOL_NETLINK, EXT_ACK, CLONE_NEWNET = 270, 11, 0x40000000
RCVBUFFORCE, BATCH = 33, 1000
# nlmsghdr, rtmsg, RTA_DST, RTA_NH_ID
ROUTE = {4: struct.Struct("=IHHIIBBBBBBBBIHH4sHHI"), 6: struct.Struct("=IHHIIBBBBBBBBIHH16sHHI")}


class Kernel:
    def __init__(self, vrf):
        self.vrf = vrf

    def ip(self, lines, *options):
        done = subprocess.run(["ip", "netns", "exec", self.vrf, "ip", *options, "-batch", "-"], input="\n".join(lines) + "\n",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        if done.returncode:
            raise OSError(f"ip in {self.vrf}: {done.stdout[:300]}")

    def mac(self, link):
        out = subprocess.run(["ip", "-n", self.vrf, "-j", "link", "show", "dev", link], capture_output=True, text=True, check=True,
                             timeout=20).stdout
        return bytes.fromhex(json.loads(out)[0]["address"].replace(":", ""))

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

    def routes(self, family, routes):
        """(address, length, id of a next-hop object) each."""
        s, pack = self.socket(), ROUTE[family].pack
        size, room, af = ROUTE[family].size, 4 if family == 4 else 16, socket.AF_INET if family == 4 else socket.AF_INET6
        with s:
            s.bind((0, 0))
            s.setsockopt(SOL_NETLINK, EXT_ACK, 1)
            s.setsockopt(socket.SOL_SOCKET, RCVBUFFORCE, 16 << 20)
            batch = []
            for address, length, hop in routes:
                batch.append(pack(size, NEWROUTE, REQUEST | CREATE | EXCL, 0, 0, af, length, 0, 0, 254, PROTO_BGP, 0, 1, 0,
                                  4 + room, 1, address.to_bytes(room, "big"), 8, 30, hop))
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
