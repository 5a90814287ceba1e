"""A gateway with one LAG, in namespaces of its own, for test_lacp.py.

    peer: q0 ---- i0 :gw   link `src` of cloud a: where flows come from
    peer: p0 ---- m0 :gw   members of port `up`, link `dst` of cloud b
    peer: p1 ---- m1 :gw   (with a guest: m0 and m1 are TAPs, and the guest holds their other ends)

The partner is a thread with a raw socket on p0 and on p1. It speaks and understands LACP by scapy, not by our code.
Sockets are made inside the namespace and used from outside."""
import ctypes
import logging
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tools", "lab"), os.path.join(TOP, "tests", "netns")]
sys.dont_write_bytecode = True
from gateway import Gateway, hugepages_free  # noqa: E402
from world import World, wait_for  # noqa: E402

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
from scapy.contrib.lacp import LACP, SlowProtocol  # noqa: E402
from scapy.layers.l2 import Ether  # noqa: E402

SLOW = "01:80:c2:00:00:02"
ACTIVE, SHORT, AGGREGATE, SYNC, COLLECT, DISTRIBUTE = 1, 2, 4, 8, 16, 32
READY = ACTIVE | AGGREGATE | SYNC | COLLECT | DISTRIBUTE
NEIGHBOUR = "02:00:00:00:09:02"
libc = ctypes.CDLL(None, use_errno=True)


def socket_in(file, *how):
    """A socket of another network namespace; the calling thread is back in its own afterwards."""
    with open("/proc/thread-self/ns/net") as mine, open(file) as theirs:
        if libc.setns(theirs.fileno(), 0x40000000):
            raise OSError(ctypes.get_errno(), f"setns {file}")
        try:
            return socket.socket(*how)
        finally:
            libc.setns(mine.fileno(), 0x40000000)


class LagGateway(Gateway):
    """A gateway whose configuration is one LAG and a port that traffic comes from."""
    lag = 'lag = [ "net_af_packet0,iface=m0", "net_af_packet1,iface=m1" ]'

    def prepare(self):
        for name in ("run", "api"):
            os.makedirs(self.world.path(name), mode=0o755, exist_ok=True)
        self.write()

    def write(self, text=None):
        with open(self.conf, "w") as f:
            f.write(text or f"""schema = 1;
gateway = {{ name = "lagger"; router_id = "10.255.0.1"; asn = "65001"; workers = "{self.settings.workers}"; poll = "adaptive";
            hugepages = {"true" if hugepages_free() >= 300 else "false"}; }};
routing = "external";
ports = {{ up = {{ {self.lag}; mtu = 1500; }}; in = {{ device = "net_af_packet9,iface=i0"; mtu = 1500; }}; }};
vrfs = {{ v = {{ }}; }};
clouds = {{ a = {{ prefixes = [ "10.8.0.0/16" ]; }}; b = {{ prefixes = [ "10.9.0.0/16" ]; }}; }};
reach = {{ ab = {{ between = [ "a", "b" ]; }}; }};
circuits = {{ ca = {{ port = "in"; id = "a"; rate = "1G"; }}; cb = {{ port = "up"; id = "b"; rate = "1G"; }}; }};
links = {{ src = {{ circuit = "ca"; vrf = "v"; cloud = "a"; address = [ "10.8.0.1/24" ]; state = "up"; }};
          dst = {{ circuit = "cb"; vrf = "v"; cloud = "b"; address = [ "10.9.0.1/24", "2001:db8:9::1/64" ]; state = "up"; }}; }};
""")


class Rig:
    def __init__(self, build):
        self.folder = tempfile.mkdtemp(prefix="lintas-lacp-", dir="/run")
        self.world = World(self.folder)
        self.gateway = LagGateway(self.world, build)

    def up(self, guest=False):
        w = self.world
        w.create()
        for ns in ("gw", "peer"):
            subprocess.run(["nsenter", f"--mount=/proc/{w.holder}/ns/mnt", "ip", "netns", "add", ns], check=True)
        pairs = [("i0", "q0")] + ([] if guest else [("m0", "p0"), ("m1", "p1")])
        for ours, theirs in pairs:
            w.run("gw", "ip", "link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", "peer")
            w.run("peer", "ip", "link", "set", theirs, "up")
        for tap in ("m0", "m1") if guest else ():
            w.run("gw", "ip", "tuntap", "add", tap, "mode", "tap")
        for ns, names in (("gw", ["i0", "m0", "m1"]), ("peer", [theirs for _, theirs in pairs])):
            for name in names:
                w.run(ns, "sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1", check=False)
                w.run(ns, "ip", "link", "set", name, "up")
        w.hold_gateway("gw")
        self.gateway.prepare()
        self.gateway.start_keeper()
        return self

    def start(self, lag):
        self.gateway.lag = lag
        self.gateway.write()
        self.gateway.start_daemon()

    def stop(self):
        self.gateway.kill(15)

    def down(self):
        self.world.down()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- looks ----
    def lag_show(self):
        return self.gateway.json("lag", "show", "up")[0]

    def distributing(self):
        return [m["member"] for m in self.lag_show()["members"] if m["distributing"]]

    def wait_members(self, members, seconds):
        begin = time.monotonic()
        wait_for(f"members {members} distribute: {self.gateway.ctl('lag', 'show', check=False).stdout}", seconds,
                 lambda: self.distributing() == members)
        return time.monotonic() - begin

    def link_up(self, name="dst"):
        return self.gateway.json("link", "show", name)[0]["up"]

    def packet_socket(self, iface):
        s = socket_in(self.world.netns_file("peer"), socket.AF_PACKET, socket.SOCK_RAW, 0)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        s.bind((iface, 3))  # ETH_P_ALL
        return s

    def prepare_flows(self):
        """The neighbour behind the LAG is told to the kernel; where flows enter is asked of lintasd."""
        self.world.run("v", "ip", "neigh", "replace", "10.9.0.2", "lladdr", NEIGHBOUR, "dev", "dst", "nud", "permanent")
        return self.gateway.json("link", "show", "src")[0]["mac"]


class Partner(threading.Thread):
    """The other end of the LAG: answers by IEEE 802.1AX as far as the gateway can tell."""

    def __init__(self, rig, members=2):
        super().__init__(daemon=True)
        self.rig = rig
        self.sockets = [rig.packet_socket(f"p{i}") for i in range(members)]
        self.flags = [READY | SHORT] * members      # what we say of ourselves; None: silent
        self.heard = [[] for _ in range(members)]   # (time, frame) of LACPDUs and markers
        self.flows = []                             # (time, member, flow) of UDP
        self.next, self.ending = 0.0, False
        self.start()

    def run(self):
        while not self.ending:
            ready, _, _ = select.select(self.sockets, [], [], 0.05)
            for s in ready:
                self.take(self.sockets.index(s), s)
            if time.monotonic() >= self.next:
                self.next = time.monotonic() + 0.5
                for i in range(len(self.sockets)):
                    self.say(i)

    def take(self, i, s):
        try:
            frame, address = s.recvfrom(2048)
        except OSError:  # its interface is down
            return
        if address[2] == socket.PACKET_OUTGOING:
            return
        now = time.monotonic()
        if frame[12:14] == b"\x88\x09":
            self.heard[i].append((now, frame))
        elif frame[12:14] == b"\x08\x00" and frame[23] == 17:
            self.flows.append((now, i, struct.unpack("!HI", frame[34:36] + frame[42:46])))

    def last(self, i):
        pdus = [f for _, f in self.heard[i] if f[14] == 1]
        return Ether(pdus[-1])[LACP] if pdus else None

    def say(self, i):
        last = self.last(i)
        if self.flags[i] is None:
            return
        pdu = LACP(actor_system_priority=1, actor_system="02:00:00:00:09:01", actor_key=17, actor_port_priority=1,
                   actor_port_number=i + 1, actor_state=self.flags[i])
        if last:
            for name in ("system_priority", "system", "key", "port_priority", "port_number", "state"):
                setattr(pdu, f"partner_{'port_number' if name == 'port_number' else name}", getattr(last, f"actor_{name}"))
        self.send(i, bytes(Ether(dst=SLOW, src=f"02:00:00:00:09:1{i}", type=0x8809) / SlowProtocol(subtype=1) / pdu))

    def send(self, i, frame):
        try:
            self.sockets[i].send(frame)
        except OSError:  # down, for the moment
            pass

    def end(self):
        self.ending = True
        self.join()
        for s in self.sockets:
            s.close()


class Flows(threading.Thread):
    """UDP packets of n flows in turn, one each interval, numbered; ended by end()."""

    def __init__(self, rig, mac, n=64, interval=0.001):
        super().__init__(daemon=True)
        self.socket, self.mac, self.n, self.interval, self.sent, self.ending = rig.packet_socket("q0"), mac, n, interval, 0, False
        self.start()

    def frame(self, flow, number):
        payload = struct.pack("!I", number) + bytes(14)
        udp = struct.pack("!HHHH", 20000 + flow, 9, 8 + len(payload), 0) + payload
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0, socket.inet_aton("10.8.0.9"), socket.inet_aton("10.9.0.2"))
        total = sum(struct.unpack("!10H", ip))
        total = (total & 0xFFFF) + (total >> 16)
        ip = ip[:10] + struct.pack("!H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + ip[12:]
        return bytes.fromhex(self.mac.replace(":", "")) + bytes.fromhex("020000000808") + b"\x08\x00" + ip + udp

    def run(self):
        due = time.monotonic()
        while not self.ending:
            self.socket.send(self.frame(self.sent % self.n, self.sent))
            self.sent += 1
            due += self.interval
            select.select([], [], [], max(0.0, due - time.monotonic()))  # the pace

    def end(self):
        self.ending = True
        self.join()
        self.socket.close()
        return self.sent
