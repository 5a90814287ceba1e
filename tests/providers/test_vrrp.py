#!/usr/bin/python3
"""VRRP beside keepalived on one bank's segment: takeover both ways, while a host of the bank keeps asking.

    host 10.1.0.100 ──┐
                      br0 ── out0  lintasd  lout0 10.1.0.2    out1  lout1 10.2.0.1 ── far 10.2.0.10
    peer 10.1.0.3   ──┘      keepalived in the namespace peer
    virtual: 10.1.0.254 and fe80::1, fd10:1::fe; VRID 10, 200 ms, ours has priority 100."""
import os
import re
import signal
import socket
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "speed"))
sys.dont_write_bytecode = True
from router import VRF, Router, Skip, check, pause, run, test, wait_for  # noqa: E402

VIP4, VIP6, LL = "10.1.0.254", "fd10:1::fe", "fe80::1"
VMAC4, VMAC6 = "00:00:5e:00:01:0a", "00:00:5e:00:02:0a"
PEER_UP = """global_defs {{ router_id peer
  vrrp_version 3
  vrrp_garp_master_delay 1 }}
vrrp_instance four {{ interface k1
  state BACKUP
  virtual_router_id 10
  priority {priority}
  advert_int 0.2
  virtual_ipaddress {{ 10.1.0.254/32 dev k1 }} }}
vrrp_instance six {{ interface k1
  state BACKUP
  virtual_router_id 10
  priority {priority}
  advert_int 0.2
  virtual_ipaddress {{ fe80::1/128 dev k1
    fd10:1::fe/128 dev k1 }} }}
"""


class Segment(Router):
    def __init__(self, args):
        for program in ("keepalived", "tshark"):
            if not any(os.access(f"{d}/{program}", os.X_OK) for d in ("/usr/sbin", "/usr/bin")):
                raise Skip(f"needs {program}: make deps")
        self.peer = None
        super().__init__(args.build, ["veth", "veth"], poll="adaptive")
        self.ip("""netns add host\nnetns add peer\nnetns add far
link add br0 type bridge mcast_snooping 0\nlink set br0 up\nlink set out0-far master br0
link add h0 type veth peer name h1\nlink set h1 netns host\nlink set h0 up master br0
link add k0 type veth peer name k1\nlink set k1 netns peer\nlink set k0 up master br0
link set out1-far netns far""", vrf=None)
        for ns, dev, four, six in (("host", "h1", "10.1.0.100/24", "fd10:1::100/64"), ("peer", "k1", "10.1.0.3/24", "fd10:1::3/64"),
                                   ("far", "out1-far", "10.2.0.10/24", "fd10:2::10/64")):
            self.ip(f"link set lo up\nlink set {dev} up\naddr add {four} dev {dev}\naddr add {six} dev {dev} nodad", vrf=ns)
            subprocess.run(["ip", "netns", "exec", ns, "ethtool", "-K", dev, "tx", "off"], capture_output=True, check=False)
        self.ip(f"route add default via {VIP4}\nroute add default via {LL} dev h1", vrf="host")
        self.ip("route add default via 10.2.0.1\nroute add default via fd10:2::1", vrf="far")
        self.start()

    def config(self, hugepages, poll):
        text = super().config(hugepages, poll)
        return text[:text.index("links = {")] + f"""links = {{
  lout0 = {{ circuit = "cout0"; vrf = "{VRF}"; state = "up"; address = [ "10.1.0.2/24", "fd10:1::2/64" ];
    vrrp = {{ id = 10; address = [ "{VIP4}/32", "{VIP6}/128", "{LL}/128" ]; priority = 100; interval = "200ms"; }}; }};
  lout1 = {{ circuit = "cout1"; vrf = "{VRF}"; state = "up"; address = [ "10.2.0.1/24", "fd10:2::1/64" ]; }};
}};
"""

    # ---- ours ----
    def routers(self):
        return self.json("vrrp", "show")

    def both(self, state, seconds=6):
        wait_for(lambda: f"both families {state}: {self.routers()}", seconds, lambda: [r["state"] for r in self.routers()] == [state] * 2)

    def addresses(self, ns, dev):
        out = subprocess.run(["ip", "-n", ns, "-o", "addr", "show", "dev", dev], capture_output=True, text=True, check=True).stdout
        return {a for a in (VIP4, VIP6, LL) if f" {a}/" in out}

    def reload(self, priority):
        self.reload_file(priority)
        self.text("reload")

    def reload_file(self, priority):
        with open(self.conf) as f:
            text = re.sub(r"priority = \d+", f"priority = {priority}", f.read())
        with open(self.conf, "w") as f:
            f.write(text)

    # ---- the other ----
    def peer_start(self, priority):
        with open(f"{self.folder}/keepalived.conf", "w") as f:
            f.write(PEER_UP.format(priority=priority))
        pids = [a for k in ("p", "r", "c") for a in (f"-{k}", f"{self.folder}/keepalived-{k}.pid")]
        self.peer = self.background("keepalived", ["ip", "netns", "exec", "peer", "keepalived", "-n", "-l", "-D", "-P", "-f",
                                                   f"{self.folder}/keepalived.conf", *pids])

    def peer_stop(self):
        self.peer.terminate()
        self.peer.wait(10)

    def peer_has(self, has=True, seconds=6):
        wait_for(f"keepalived {'has' if has else 'gave up'} the addresses", seconds,
                 lambda: len(self.addresses("peer", "k1")) == (3 if has else 0))

    def tell(self):
        super().tell()
        with open(f"{self.folder}/keepalived.log") as f:
            print("--- keepalived: " + "".join(f.readlines()[-25:]))


class Asking:
    """The bank's host pings the virtual addresses of both families a hundred times a second meanwhile."""

    def __enter__(self):
        self.pings = [subprocess.Popen(["ip", "netns", "exec", "host", "ping", "-D", "-n", "-i", "0.01", a], stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True) for a in (VIP4, VIP6)]
        pause(0.3)
        return self

    def __exit__(self, *_):
        pause(0.5)
        self.told, self.gaps = [], []
        for family, p in zip((4, 6), self.pings):
            p.send_signal(signal.SIGINT)
            out, _ = p.communicate(timeout=10)
            times = [float(m) for m in re.findall(r"^\[([\d.]+)\] \d+ bytes from", out, re.M)]
            sent, got = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", out).groups())
            gap = max((b - a for a, b in zip(times, times[1:])), default=99)
            self.gaps.append(gap)
            self.told.append(f"IPv{family} {sent - got} of {sent} lost, hole {gap * 1e3:.0f} ms")

    def __str__(self):
        return "; ".join(self.told)


def neighbour(ns, address):
    out = subprocess.run(["ip", "-n", ns, "neigh", "show", address], capture_output=True, text=True, check=True).stdout
    found = re.search(r"lladdr ([0-9a-f:]+)", out)
    return found.group(1) if found else None


def ping(ns, address, n=5):
    done = subprocess.run(["ip", "netns", "exec", ns, "ping", "-n", "-c", str(n), "-i", "0.05", "-W", "2", address], capture_output=True, text=True)
    return int(re.search(r"(\d+) received", done.stdout).group(1))


@test
def alone(s):
    """Nobody else: active in both families, known by the virtual MAC, reached and passed through."""
    s.both("active")
    check(s.addresses(VRF, "lout0") == {VIP4, VIP6, LL}, s.addresses(VRF, "lout0"))
    for address, mac in ((VIP4, VMAC4), (VIP6, VMAC6), (LL + "%h1", VMAC6)):
        check(ping("host", address) == 5, f"{address} does not answer")
        have = neighbour("host", address.split("%")[0])
        check(have == mac, f"{address} is at {have}, not at {mac}")
    for far in ("10.2.0.10", "fd10:2::10"):
        check(ping("host", far, 20) >= 19, f"{far} not reached through the virtual router")


@test
def on_the_wire(s):
    """tshark finds the advertisements well formed, from the virtual MACs."""
    fields = ["eth.src", "ip.ttl", "ipv6.hlim", "vrrp.version", "vrrp.virt_rtr_id", "vrrp.prio", "vrrp.short_adver_int", "vrrp.addr_count",
              "ipv6.src", "vrrp.ipv6_addr", "_ws.malformed"]
    done = subprocess.run(["tshark", "-n", "-i", "br0", "-a", "duration:3", "-c", "8", "-f", "proto 112 or ip6 proto 112", "-T", "fields", "-E", "separator=|",
                           *[a for f in fields for a in ("-e", f)]], capture_output=True, text=True, timeout=20)
    rows = [dict(zip(fields, line.split("|"))) for line in done.stdout.splitlines()]
    check(len(rows) >= 4, done.stderr[-300:], rows)
    for r in rows:
        six = r["eth.src"] == VMAC6
        check(r["eth.src"] in (VMAC4, VMAC6) and not r["_ws.malformed"], r)
        check(r["ipv6.hlim" if six else "ip.ttl"] == "255" and r["vrrp.version"] == "3" and r["vrrp.virt_rtr_id"] == "10", r)
        check(r["vrrp.prio"] == "100" and r["vrrp.short_adver_int"] == "20" and r["vrrp.addr_count"] == ("2" if six else "1"), r)
        check(not six or (r["vrrp.ipv6_addr"].split(",")[0] == LL and r["ipv6.src"].startswith("fe80:")), r)
    check({r["eth.src"] for r in rows} == {VMAC4, VMAC6}, rows)


@test
def preempted(s):
    """A router of higher priority comes: we give way."""
    with Asking() as asking:
        s.peer_start(150)
        s.both("backup", 8)
        s.peer_has()
    check(not s.addresses(VRF, "lout0"), s.addresses(VRF, "lout0"))
    check(max(asking.gaps) < 1.5, asking)
    r4, r6 = s.routers()
    check(r4["active"] == "10.1.0.3" and r6["active"].startswith("fe80:") and r4["active_priority"] == 150, r4, r6)
    return str(asking)


@test
def peer_resigns(s):
    """keepalived stops in order: priority 0, and we are active within the skew."""
    with Asking() as asking:
        s.peer_stop()
        s.both("active")
    check(max(asking.gaps) < 1.5, asking)
    check(all(r["zero_in"] for r in s.routers()), s.routers())
    return str(asking)


@test
def peer_dies(s):
    """Its wire is cut without a word: silence of three intervals and the skew."""
    s.peer_start(150)
    s.peer_has()
    s.both("backup")
    with Asking() as asking:
        s.ip("link set k0 down", vrf=None)
        s.both("active")
    check(max(asking.gaps) < 2.5, asking)
    s.ip("link set k0 up", vrf=None)
    s.both("backup")
    return str(asking)


@test
def reload_priority(s):
    """A higher priority, live: we take over; the counters go on, nothing else was touched."""
    before = s.routers()
    with Asking() as asking:
        s.reload(200)
        s.both("active")
        s.peer_has(False)
    check(all(a["in"] >= b["in"] and a["vrid"] == 10 for a, b in zip(s.routers(), before)), s.routers(), before)
    taken = [r["taken"] for r in s.routers()]
    s.reload(210)
    pause(0.7)
    check([r["state"] for r in s.routers()] == ["active"] * 2 and [r["taken"] for r in s.routers()] == taken, s.routers())
    check(max(asking.gaps) < 1.5, asking)
    return str(asking)


class Wire:
    """Every frame on the bridge meanwhile; zeros(): the MACs from which VRRP with priority 0 came."""

    def __enter__(self):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.sock.bind(("br0", 3))
        promiscuous = struct.pack("IHH8s", socket.if_nametoindex("br0"), 1, 0, b"")
        self.sock.setsockopt(263, 1, promiscuous)  # SOL_PACKET, PACKET_ADD_MEMBERSHIP
        return self

    def __exit__(self, *_):
        self.sock.close()

    def zeros(self):
        found = set()
        self.sock.setblocking(False)
        while True:
            try:
                f = self.sock.recv(2048)
            except BlockingIOError:
                return found
            four, six = f[12:14] == b"\x08\x00" and f[23] == 112, f[12:14] == b"\x86\xdd" and f[20] == 112
            if (four and f[36] == 0) or (six and f[56] == 0):
                found.add(":".join(f"{b:02x}" for b in f[6:12]))


def resigns(s, text):
    """A reload with this file: both families say priority 0 on the wire, and the other takes over."""
    with open(s.conf) as f:
        before = f.read()
    check(text(before) != before, "the file is as it was:", before[before.index("links"):])
    with Wire() as wire:
        with open(s.conf, "w") as f:
            f.write(text(before))
        s.text("reload")
        s.peer_has()
        check(wire.zeros() == {VMAC4, VMAC6}, "not both families said priority 0")
    with open(s.conf, "w") as f:
        f.write(before)
    s.text("reload")
    s.both("active", 10)
    s.peer_has(False)


@test
def reload_removes(s):
    """A reload that takes the link away, its group, or shuts it: priority 0 leaves first."""
    resigns(s, lambda text: re.sub(r"(?m)^  lout0 = .*\n.*\n", "", text))
    resigns(s, lambda text: re.sub(r"vrrp = \{[^}]*\};", "", text))
    resigns(s, lambda text: re.sub(r'(lout0 = .*?state = )"up"', r'\1"shut"', text))


@test
def we_resign(s):
    """lintasd stops in order: priority 0, the other is active at once; we return and preempt."""
    with Asking() as asking:
        s.stop_daemon()
        s.peer_has()
    check(max(asking.gaps) < 1.5, asking)
    s.start()
    s.both("active", 8)
    return str(asking)


@test
def we_are_killed(s):
    """lintasd dies: the other takes over; the next lintasd is backup first, without the addresses."""
    with Asking() as asking:
        s.stop_daemon(signal.SIGKILL)
        s.peer_has()
    check(max(asking.gaps) < 3, asking)
    check(s.addresses(VRF, "lout0") == {VIP4, VIP6, LL}, "the keeper's TAP has lost them: nothing to test")
    s.reload_file(50)
    s.start()
    s.both("backup")
    check(not s.addresses(VRF, "lout0"), s.addresses(VRF, "lout0"))
    s.reload(100)
    return str(asking)


@test
def carrier(s):
    """Without carrier nothing runs; with it we begin as backup."""
    s.peer_stop()
    s.both("active")
    s.ip("link set out0-far down", vrf=None)
    s.both("initialize")
    wait_for("the virtual addresses are gone", 5, lambda: not s.addresses(VRF, "lout0"))
    s.ip("link set out0-far up", vrf=None)
    s.both("active")
    text = s.text("vrrp", "show")
    check("active" in text and "10.1.0.254" in text and "ttl" not in text, text)


if __name__ == "__main__":
    sys.exit(run(Segment))
