"""A gateway whose tunnels end in a Linux guest: what its kernel makes of our packets, and we of its.

    peer: q0 ---- i0 :gw   link `src` of cloud a: clients 10.8.K.9, one for each kind of tunnel
    guest: eth0 == m0 :gw  link `u`, the underlay; every tunnel of KINDS runs over it, hosts 10.9.K.1 behind it

Of both families inside, and with either family outside. The guest sends what is for client K back into tunnel K."""
import os
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tools", "lab"), os.path.join(TOP, "tests", "netns"), os.path.join(TOP, "tests", "providers")]
sys.dont_write_bytecode = True
from gateway import Gateway, hugepages_free  # noqa: E402
from world import World, wait_for  # noqa: E402
import guest  # noqa: E402

US4, US6, GUEST4, GUEST6 = "198.51.100.1", "2001:db8:51::1", "198.51.100.2", "2001:db8:51::2"
NARROW = "203.0.113.9"  # beyond the guest, where only 1,200 bytes fit
V4, V6 = f"remote {US4} local {GUEST4}", f"remote {US6} local {GUEST6}"


class Kind:
    """One tunnel: how we write it, how the guest makes it (device t; a second one where Linux wants two)."""

    def __init__(self, name, encap, *commands, outer6=False, devices=None):
        self.name, self.encap, self.commands, self.outer6 = name, encap, commands, outer6
        self.devices = devices or (name, name)  # for IPv4 inside, for IPv6 inside


def gre(name, ours, theirs, outer6=False):
    kind, ends = ("ip6gre", V6) if outer6 else ("gre", V4)
    return Kind(name, f'type = "gre"; {ours}', f"link add {name} type {kind} {ends} ttl 64 {theirs}", outer6=outer6)


def udp(name, kind, ours, theirs, outer6=False):
    ends = V6 if outer6 else V4
    if kind == "geneve":  # it has no local end
        ends = ends[:ends.index(" local")]
    return Kind(name, f'type = "{kind}"; {ours}', f"link add {name} type {kind} id {ours.split()[2].rstrip(';')} {ends} {theirs}", outer6=outer6)


KINDS = [
    gre("gre", "", ""),
    gre("gre-key", "key = 77;", "key 77"),
    gre("gre-csum", "key = 78; checksum = true;", "key 78 csum"),
    gre("gre6", "", "encaplimit none", outer6=True),
    gre("gre6-key", "key = 79;", "key 79 encaplimit none", outer6=True),
    Kind("ipip", 'type = "ipip"; ', f"link add ipip type ipip {V4} ttl 64", f"link add sit4 type sit {V4} ttl 64", devices=("ipip", "sit4")),
    Kind("ip6tnl", 'type = "ipip"; ', f"link add ip6tnl type ip6tnl {V6} mode any encaplimit none", outer6=True),
    udp("vxlan", "vxlan", "vni = 100;", "dstport 4789"),
    udp("vxlan6", "vxlan", "vni = 101;", "dstport 4789 udp6zerocsumrx", outer6=True),
    udp("vxlan6-sum", "vxlan", 'vni = 102; udp6_checksum = "full";', "dstport 4790", outer6=True),
    udp("geneve", "geneve", "vni = 200;", "dstport 6081"),
    udp("geneve6", "geneve", 'vni = 201; udp6_checksum = "full";', "dstport 6082", outer6=True),
    udp("geneve-ip", "geneve", 'vni = 202; inner = "ip";', "dstport 6083 innerprotoinherit"),
]
PORTS = {"vxlan6-sum": 4790, "geneve6": 6082, "geneve-ip": 6083}


class Ends(Gateway):
    def prepare(self):
        for name in ("run", "api"):
            os.makedirs(self.world.path(name), mode=0o755, exist_ok=True)
        self.write(self.text())

    def link(self, k, kind):
        port = f" port = {PORTS[kind.name]};" if kind.name in PORTS else ""
        return (f'  {kind.name} = {{ underlay = "u"; vrf = "v"; cloud = "b"; address = [ "169.254.{k}.1/30", "fd00:{k}::1/126" ];\n'
                f'    encap = {{ {kind.encap} remote = "{GUEST6 if kind.outer6 else GUEST4}";{port} }};\n'
                f'    static = {{ prefixes = [ "10.9.{k}.0/24", "2001:db8:9:{k}::/64" ]; via = [ "169.254.{k}.2", "fd00:{k}::2" ]; }}; }};\n')

    def text(self):
        links = "".join(self.link(k, kind) for k, kind in enumerate(KINDS, 1))
        return f"""schema = 1;
gateway = {{ name = "ends"; router_id = "10.255.0.1"; asn = "65001"; workers = "{self.settings.workers}"; poll = "adaptive";
            hugepages = {"true" if hugepages_free() >= 300 else "false"}; }};
routing = "external";
ports = {{ up = {{ device = "net_af_packet0,iface=m0"; mtu = 1500; }}; in = {{ device = "net_af_packet9,iface=i0"; mtu = 1500; }}; }};
vrfs = {{ v = {{ }}; w = {{ }}; }};
clouds = {{ a = {{ prefixes = [ "10.8.0.0/16", "2001:db8:8::/48" ]; }}; b = {{ prefixes = [ "10.9.0.0/16", "2001:db8:9::/48" ]; }}; }};
reach = {{ ab = {{ between = [ "a", "b" ]; }}; }};
circuits = {{ ca = {{ port = "in"; }}; cu = {{ port = "up"; }}; }};
links = {{
  src = {{ circuit = "ca"; vrf = "v"; cloud = "a"; address = [ "10.8.0.1/16", "2001:db8:8::1/48" ]; }};
  u = {{ circuit = "cu"; vrf = "w"; address = [ "{US4}/24", "{US6}/64" ];
    static = {{ prefixes = [ "{NARROW}/32" ]; via = "{GUEST4}"; }}; }};
{links}  narrow = {{ underlay = "u"; vrf = "v"; cloud = "b"; address = [ "169.254.99.1/30" ];
    encap = {{ type = "gre"; remote = "{NARROW}"; }}; static = {{ prefixes = [ "10.9.99.0/24" ]; via = "169.254.99.2"; }}; }};
}};
"""

    def write(self, text):
        with open(self.conf, "w") as f:
            f.write(text)


class Rig:
    def __init__(self, build):
        self.folder = tempfile.mkdtemp(prefix="lintas-ends-", dir="/run")
        self.world = World(self.folder)
        self.gateway = Ends(self.world, build)
        self.build = build

    def up(self):
        w = self.world
        w.create()
        for ns in ("gw", "peer"):
            subprocess.run(["nsenter", f"--mount=/proc/{w.holder}/ns/mnt", "ip", "netns", "add", ns], check=True)
        w.run("gw", "ip", "link", "add", "i0", "type", "veth", "peer", "name", "q0", "netns", "peer")
        w.run("gw", "ip", "tuntap", "add", "m0", "mode", "tap")
        for name in ("i0", "m0"):
            w.run("gw", "sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1", check=False)
            w.run("gw", "ip", "link", "set", name, "up")
        w.hold_gateway("gw")
        self.gateway.prepare()
        self.guest = guest.Guest(w, self.build, ["m0"])
        self.gateway.start_keeper()
        self.gateway.start_daemon()
        self.client()
        self.guest.wait_up()
        self.ends()
        return self

    def client(self):
        w = self.world
        w.run("peer", "ethtool", "-K", "q0", "tx", "off", "tso", "off", "gso", "off", check=False)
        w.run("peer", "ip", "link", "set", "q0", "up")
        for k in range(1, len(KINDS) + 1):
            w.run("peer", "ip", "addr", "add", f"10.8.{k}.9/16", "dev", "q0")
            w.run("peer", "ip", "addr", "add", f"2001:db8:8:{k}::9/48", "dev", "q0", "nodad")
        w.run("peer", "ip", "addr", "add", "10.8.99.9/16", "dev", "q0")
        w.run("peer", "ip", "route", "add", "10.9.0.0/16", "via", "10.8.0.1")
        w.run("peer", "ip", "route", "add", "2001:db8:9::/48", "via", "2001:db8:8::1")

    def ends(self):
        run = self.guest.run
        run("echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad; ip link set eth0 up")
        run(f"ip addr add {GUEST4}/24 dev eth0; ip2 addr add {GUEST6}/64 dev eth0 nodad; sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0")
        run("echo 1 >/proc/sys/net/ipv4/ip_forward; ip2 link add thin mtu 1200 type dummy; ip link set thin up; "
            f"ip route add {NARROW}/32 dev thin; ip2 neigh add {NARROW} lladdr 02:00:00:00:09:09 dev thin")
        lines = []
        for k, kind in enumerate(KINDS, 1):
            four, six = kind.devices
            lines += [*kind.commands, *(f"link set {device} up" for device in sorted({four, six})),
                      f"addr add 169.254.{k}.2/30 dev {four}", f"addr add fd00:{k}::2/126 dev {six} nodad",
                      f"addr add 10.9.{k}.1/32 dev lo", f"addr add 2001:db8:9:{k}::1/128 dev lo nodad",
                      f"route add 10.8.{k}.0/24 via 169.254.{k}.1 dev {four}", f"route add 2001:db8:8:{k}::/64 via fd00:{k}::1 dev {six}"]
        for at in range(0, len(lines), 20):  # a line of the guest's terminal is 4,096 characters at most
            run("printf '" + "\\n".join(lines[at:at + 20]) + "\\n' | ip2 -batch -", 30)

    def down(self):
        self.world.down()
        shutil.rmtree(self.folder, ignore_errors=True)


__all__ = ["KINDS", "Rig", "guest", "wait_for", "GUEST4", "GUEST6", "US4", "US6"]
