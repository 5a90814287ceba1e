"""A gateway with an IPsec link, charon beside it, and a strongSwan as its far end.

    client: q0 ---- i0 :gw   link `src` of cloud a: client 10.8.1.9
    far:    p0 ---- u0 :gw   link `u` of VRF w, the underlay; our charon lives in w and talks to lintasd;
                             link `vpn` over it, static SAs none; 10.9.1.1 behind the far strongSwan
"""
import os
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tools", "lab"), os.path.join(TOP, "tests", "netns"), os.path.join(TOP, "tests", "providers")]
sys.dont_write_bytecode = True
from gateway import Gateway, hugepages_free  # noqa: E402
from world import World, wait_for  # noqa: E402
from charon import CHARON, Charon, connection  # noqa: E402

US, FAR = "198.51.100.1", "198.51.100.2"
US6, FAR6 = "2001:db8:51::1", "2001:db8:51::2"
OURS, THEIRS = "10.8.0.0/16", "10.9.0.0/16"


def if_id(name):
    """As config_if_id: FNV-1a of the link's name, highest bit set."""
    h = 0x811c9dc5
    for c in name.encode():
        h = (h ^ c) * 0x01000193 & 0xffffffff
    return h | 0x80000000


class Site(Gateway):
    def prepare(self):
        for name in ("run", "api"):
            os.makedirs(self.world.path(name), mode=0o755, exist_ok=True)
        os.makedirs(self.world.path("keys"), mode=0o700, exist_ok=True)
        with open(self.world.path("keys", "psk"), "w") as f:
            f.write("lintas\n")
        os.chmod(self.world.path("keys", "psk"), 0o600)
        with open(self.conf, "w") as f:
            f.write(self.text())

    def text(self):
        return f"""schema = 1;
gateway = {{ name = "site"; router_id = "10.255.0.1"; asn = "65001"; workers = "{self.settings.workers}"; poll = "adaptive";
            hugepages = {"true" if hugepages_free() >= 300 else "false"}; }};
defaults = {{ keys = "{self.world.path('keys')}"; }};
routing = "external";
ports = {{ up = {{ device = "net_af_packet0,iface=u0"; mtu = 1500; }}; in = {{ device = "net_af_packet9,iface=i0"; mtu = 1500; }}; }};
vrfs = {{ v = {{ }}; w = {{ }}; }};
clouds = {{ a = {{ prefixes = [ "10.8.0.0/16" ]; }}; b = {{ prefixes = [ "10.9.0.0/16" ]; }}; c = {{ prefixes = [ "10.10.0.0/16" ]; }}; }};
reach = {{ ab = {{ between = [ "a", "b" ]; }}; ac = {{ between = [ "a", "c" ]; }}; }};
circuits = {{ ca = {{ port = "in"; }}; cu = {{ port = "up"; }}; }};
links = {{
  src = {{ circuit = "ca"; vrf = "v"; cloud = "a"; address = [ "10.8.0.1/16" ]; }};
  u = {{ circuit = "cu"; vrf = "w"; address = [ "{US}/24", "{US6}/64" ]; }};
  vpn = {{ underlay = "u"; vrf = "v"; cloud = "b"; address = [ "169.254.7.1/30" ];
    encap = {{ type = "ipsec"; remote = "{FAR}"; }}; ipsec = {{ key = "psk"; nat_t = "forced"; }};
    static = {{ prefixes = [ "{THEIRS}" ]; via = [ "169.254.7.2" ]; }}; }};
  vpn6 = {{ underlay = "u"; vrf = "v"; cloud = "c"; address = [ "169.254.8.1/30" ];
    encap = {{ type = "ipsec"; remote = "{FAR6}"; }}; ipsec = {{ key = "psk"; nat_t = "forced"; }};
    static = {{ prefixes = [ "10.10.0.0/16" ]; via = [ "169.254.8.2" ]; }}; }};
}};
"""


class Rig:
    def __init__(self, build):
        self.folder = tempfile.mkdtemp(prefix="lintas-ike-", dir="/run")
        self.world = World(self.folder)
        self.gateway = Site(self.world, build)
        self.build = os.path.abspath(build)

    def up(self):
        w = self.world
        w.create()
        for ns in ("gw", "client", "far"):
            subprocess.run(["nsenter", f"--mount=/proc/{w.holder}/ns/mnt", "ip", "netns", "add", ns], check=True)
        w.run("gw", "ip", "link", "add", "i0", "type", "veth", "peer", "name", "q0", "netns", "client")
        w.run("gw", "ip", "link", "add", "u0", "type", "veth", "peer", "name", "p0", "netns", "far")
        for name in ("i0", "u0"):
            w.run("gw", "sysctl", "-qw", f"net.ipv6.conf.{name}.disable_ipv6=1", check=False)
            w.run("gw", "ip", "link", "set", name, "up")
        for ns, name in (("client", "q0"), ("far", "p0")):
            w.run(ns, "ethtool", "-K", name, "tx", "off", "tso", "off", "gso", "off", check=False)
            w.run(ns, "ip", "link", "set", name, "up")
            w.run(ns, "ip", "link", "set", "lo", "up")
        w.run("client", "ip", "addr", "add", "10.8.1.9/16", "dev", "q0")
        w.run("client", "ip", "route", "add", "10.9.0.0/16", "via", "10.8.0.1")
        w.run("client", "ip", "route", "add", "10.10.0.0/16", "via", "10.8.0.1")
        w.run("far", "ip", "addr", "add", f"{FAR}/24", "dev", "p0")
        w.run("far", "ip", "addr", "add", f"{FAR6}/64", "dev", "p0", "nodad")
        for host in ("10.9.1.1", "10.10.1.1"):
            w.run("far", "ip", "addr", "add", f"{host}/32", "dev", "lo")
        w.hold_gateway("gw")
        self.gateway.prepare()
        self.gateway.start_keeper()
        self.gateway.start_daemon()
        self.ours = Charon(w, "charon-ours", "w", shim=os.path.join(self.build, "lintas-xfrm.so"), socket=self.socket())
        self.far = Charon(w, "charon-far", "far").start()
        return self

    def socket(self):
        return os.path.join(os.path.dirname(self.gateway.api_socket), "xfrm-w.sock")

    def connect(self, esp="aes256gcm16", far="", ours=""):
        self.far.load(connection("vpn", FAR, US, esp=esp, ts=THEIRS, remote_ts=OURS, rekey=far))
        self.ours.load(connection("vpn", US, FAR, if_id=if_id("vpn"), esp=esp, ts=OURS, remote_ts=THEIRS, rekey=ours))
        self.ours.ctl("--initiate", "--child", "vpn")

    def link(self, name="vpn"):
        return next(x for x in self.gateway.json("link", "show") if x["name"] == name)

    def ping(self, *more, check=False):
        return self.world.run("client", "ping", "-n", *(more or ("-c", "2", "-i", "0.2", "-W", "2")), "10.9.1.1", check=check)

    def down(self):
        for charon in (getattr(self, "ours", None), getattr(self, "far", None)):
            if charon:
                charon.stop()
        self.world.down()
