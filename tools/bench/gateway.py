"""The gateways that are measured: a configuration, lintas-keeper, and what the kernel holds in their VRFs.

Nothing is switched off for a row: there is a partner, so policy is asked about every packet; a tunnel, so local
delivery looks for endpoints; several VRFs; the punt and control threads live. Links of the small gateway:

    port in0   lin    VRF prod, untagged, cloud aws    10.0.0.1/16    fd10:1::1/64
               bank   VRF bank, VLAN 4000, partner
    port out0  lout   VRF prod, untagged, cloud gcp    10.1.0.1/16    fd10:2::1/64   next hops .1.1, .1.2 …
               under  VRF inet, VLAN 4001              10.2.0.1/24
               vpc    VRF prod, VXLAN over under

and of the whole one also VLANs 1 to 1000 of in0 in VRF prod (v1 … v1000), four tunnels over lin that packets come
out of (ti1 …) and four over lout that they go into (to1 …), in VRF vpc. Other rows add tunnels of cloud vpn
(tunnels.py). lintas-keeper and the kernel's routes stay when lintasd is started anew."""
import os
import subprocess

import judge
from kernel import Kernel
from layers import Tunnel
from programs import Lintas, end_process, tail, wait_for
from traffic import text

FOLDER = "/run/b"  # a tmpfs of ours alone; device strings have 127 bytes
VLANS, TUNNELS, VNI_IN, VNI_OUT = 1000, 4, 5000, 6000
OUT_MAC = bytes.fromhex("02000000be01")
PORT_MAC = bytes.fromhex("02000000be00")

SMALL = """schema = 1; routing = "external";
gateway = {{ name = "bench"; router_id = "10.255.0.1"; asn = "65010"; workers = "{cpu}"; poll = "busy"; {memory}}};
{defaults}
ports = {{ in0 = {{ device = "{source}"; mtu = 1500; }}; out0 = {{ device = "{sink}"; mtu = 1500; }}; }};
vrfs = {{ prod = {{ loopback = [ "10.255.1.1/32", "fd10::1/128" ]; }}; inet = {{ }}; bank = {{ }}; vpc = {{ }}; }};
clouds = {{ aws = {{ provider = "aws"; }}; gcp = {{ provider = "gcp"; }}; vpn = {{ provider = "azure"; }}; }};
reach = {{ both = {{ between = [ "aws", "gcp" ]; }}; left = {{ between = [ "aws", "vpn" ]; }}; right = {{ between = [ "gcp", "vpn" ]; }}; }};
partners = {{ bank = {{ vrf = "bank"; prefixes = [ "10.40.0.0/16" ]; }}; }};
circuits = {{ cin = {{ port = "in0"; }}; cout = {{ port = "out0"; }}; }};
links = {{
  lin   = {{ circuit = "cin";  vrf = "prod"; cloud = "aws"; address = [ "10.0.0.1/16", "fd10:1::1/64" ]; }};
  bank  = {{ circuit = "cin";  vrf = "bank"; partner = "bank"; vlan = 4000; address = [ "192.0.2.66/29" ]; }};
  lout  = {{ circuit = "cout"; vrf = "prod"; cloud = "gcp"; address = [ "10.1.0.1/16", "fd10:2::1/64" ]; }};
  under = {{ circuit = "cout"; vrf = "inet"; vlan = 4001; address = [ "10.2.0.1/24" ]; }};
  vpc   = {{ underlay = "under"; vrf = "vpc"; encap = {{ type = "vxlan"; vni = 4999; remote = "10.2.0.9"; }};
            address = [ "10.3.0.1/30" ]; }};
{more}}};
"""


def vlan_net(n):
    """The /30 of VLAN n: .1 is ours, .2 the neighbour."""
    return 0x0A100000 + 4 * n


def hop_mac(i):
    """As the bare loop has it, so that both can be judged alike."""
    return b"\x02\0\0\0" + i.to_bytes(2, "big")


def vlan_mac(n):
    return b"\x02\0\0\1" + n.to_bytes(2, "big")


def tunnel_ends(kind, i):
    """(our underlay address, the far one) of tunnel i; kind: "i" or "o"."""
    base = 0x0A000000 if kind == "i" else 0x0A010000
    return base + 1, base + (0x64 if kind == "i" else 0x6400) + i


def more_links():
    lines = [f'  v{n} = {{ circuit = "cin"; vrf = "prod"; cloud = "aws"; vlan = {n}; address = [ "{text(4, vlan_net(n) + 1)}/30" ]; }};'
             for n in range(1, VLANS + 1)]
    for kind, under, vni in (("i", "lin", VNI_IN), ("o", "lout", VNI_OUT)):
        for i in range(1, TUNNELS + 1):
            net = f"10.{4 if kind == 'i' else 5}.{i}.1/24"
            lines.append(f'  t{kind}{i} = {{ underlay = "{under}"; vrf = "vpc"; address = [ "{net}" ]; encap = {{ type = "vxlan"; '
                         f'vni = {vni + i}; remote = "{text(4, tunnel_ends(kind, i)[1])}"; }}; }};')
    return "\n".join(lines) + "\n"


def whole():
    """The whole gateway's part of Gateway()."""
    far = [(tunnel_ends(kind, i)[1], bytes([2, 0, 0, 0, kind == "o", i]), dev)
           for kind, dev in (("i", "lin"), ("o", "lout")) for i in range(1, TUNNELS + 1)]
    return {"more": more_links(), "far": far, "many": [f"v{n}" for n in range(1, VLANS + 1)]}


class Gateway:
    """One keeper and one configuration; start() gives a fresh lintasd, stopped and ready."""

    def __init__(self, place, source, sink, more="", far=(), many=(), buffers=0, defaults="", began=lambda program: None):
        """more: lines of links; far: (address, MAC, interface in prod) of what their tunnels lead to; many: the
        interfaces among them that are not worth a minute at the end; began: what each lintasd wants before its links
        can be up."""
        self.place, self.source, self.sink, self.far, self.many = place, source, sink, far, many
        self.began = began
        self.conf, self.log = f"{place.folder}/lintas.conf", f"{place.folder}/keeper.log"
        self.routes = {4: 0, 6: 0}
        self.via = {}  # next hop -> (gateway, interface index); what is not in here is a next-hop object
        self.prod = Kernel("prod")
        with open(self.conf, "w") as f:
            f.write(SMALL.format(cpu=place.cpu, source=source.text, sink=sink.text, more=more, defaults=defaults,
                                 memory=f"packet_buffers = {buffers}; " if buffers else ""))
        self.keeper = None

    def open(self, fill):
        """Starts the keeper, and lintasd once for its namespaces and interfaces; then fill(self) puts routes into a
        kernel that nobody listens to. What the keeper holds stays up."""
        with open(self.log, "a") as log:
            self.keeper = subprocess.Popen([f"{self.place.build}/lintas-keeper", "--socket", f"{self.place.folder}/keeper.sock"],
                                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for(f"lintas-keeper listens; {tail(self.log)}", lambda: os.path.exists(f"{self.place.folder}/keeper.sock"), 10,
                 self.keeper)
        program = Lintas(self.place, self.source, [self.sink])
        try:
            program.start(self)
            self.far_ends()
            self.began(program)
            program.links()
        finally:
            program.end()
        fill(self)

    def far_ends(self):
        """What every tunnel leads to, so that all links come up."""
        Kernel("inet").ip(["neigh replace 10.2.0.9 lladdr 02:00:00:00:02:09 dev under nud permanent"])
        if self.far:
            self.prod.ip([f"neigh replace {text(4, a)} lladdr {mac.hex(':')} dev {dev} nud permanent" for a, mac, dev in self.far])

    def start(self):
        """in0 sends too: what the kernel says, and the whole gateway's VLANs."""
        program = Lintas(self.place, self.source, [self.sink, self.source])
        try:
            program.start(self)
            self.began(program)
            program.ready(self.routes[4], self.routes[6])
        except BaseException:
            program.end()
            raise
        return program

    def close(self):
        """Interfaces first, all at once: a thousand that vanish one by one with the keeper take half a minute."""
        if self.keeper and self.many:
            try:
                self.prod.ip([f"link set {name} group 7" for name in self.many] + ["link del group 7"])
            except OSError:
                pass  # they go with the keeper
        if self.keeper:
            end_process(self.keeper)

    # ---- what the kernel holds ----
    def hops(self, family, count):
        """Next hops 1 … count (IPv6: from 10001) over lout, with neighbours that never need asking."""
        base, lines, lout = (0 if family == 4 else 10000), [], self.prod.index("lout")
        for i in range(1, count + 1):
            via = 0x0A010100 + i if family == 4 else (0xFD10 << 112 | 2 << 96) + (1 << 16) + i
            lines.append(f"neigh replace {text(family, via)} lladdr {hop_mac(i).hex(':')} dev lout nud permanent")
            self.via[base + i] = (via, lout)
        self.prod.ip(lines)
        return {base + i: [judge.Leg(hop_mac(i), OUT_MAC)] for i in range(1, count + 1)}

    def groups(self, count, legs, hops):
        """Next-hop objects 20001 …: groups of `legs` of the `hops` single ones."""
        lines, out = [], {}
        for i in range(1, hops + 1):
            lines.append(f"nexthop add id {i} via {text(4, self.via[i][0])} dev lout")
        for g in range(1, count + 1):
            members = [1 + (g * 37 + i * 61) % hops for i in range(legs)]
            lines.append(f"nexthop add id {20000 + g} group {'/'.join(map(str, members))}")
            out[20000 + g] = [judge.Leg(hop_mac(m), OUT_MAC) for m in members]
        self.prod.ip(lines)
        return out

    def vlans(self):
        """Next hops 30001 …, one behind each VLAN."""
        lines, index = [], self.prod.index()
        for n in range(1, VLANS + 1):
            via = vlan_net(n) + 2
            lines.append(f"neigh replace {text(4, via)} lladdr {vlan_mac(n).hex(':')} dev v{n} nud permanent")
            self.via[30000 + n] = (via, index[f"v{n}"])
        self.prod.ip(lines)
        return {30000 + n: [judge.Leg(vlan_mac(n), PORT_MAC, [n])] for n in range(1, VLANS + 1)}

    def tunnels(self):
        """Next hops 40001 … in VRF vpc, one behind each tunnel that leads out."""
        vpc, legs = Kernel("vpc"), {}
        lines, index = [], vpc.index()
        for i in range(1, TUNNELS + 1):
            inner, via = b"\x02\0\0\2\0" + bytes([i]), 0x0A050000 + (i << 8) + 2
            lines.append(f"neigh replace {text(4, via)} lladdr {inner.hex(':')} dev to{i} nud permanent")
            self.via[40000 + i] = (via, index[f"to{i}"])
            local, remote = tunnel_ends("o", i)
            legs[40000 + i] = [judge.Leg(b"\x02\0\0\0\1" + bytes([i]), OUT_MAC,
                                         tunnel=Tunnel("vxlan", VNI_OUT + i, local, remote, vpc.mac(f"to{i}"), inner))]
        vpc.ip(lines)
        return legs

    def load(self, table, vrf="prod"):
        Kernel(vrf).routes(table.family, table, self.via)
        self.routes[table.family] += len(table)


class Place:
    """Where everything lives: build, folder, CPU, plug-in."""

    def __init__(self, build, cpu):
        self.build, self.cpu = os.path.abspath(build), cpu
        self.cpus = os.sched_getaffinity(0)
        others = self.cpus - {cpu}
        self.other_cpus = f"({','.join(map(str, sorted(others)))})"
        os.sched_setaffinity(0, others)  # we and what we ask with are not in the way
        self.folder = FOLDER
        self.driver = ""

    def on_all_cpus(self):
        """In a child before it becomes a program under test."""
        os.sched_setaffinity(0, self.cpus)
