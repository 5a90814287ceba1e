"""A gateway with a link to each provider, and all their routers in one process (speaker.py): for test_bgp_policy.py.

                    VLAN 101 aws1  AS 64512  aws-dx-private    v4 v6, MD5
    +----------+    VLAN 102 az1   AS 12076  azure-er-private  v4 v6           +----------------------+
    |  clouds  |    VLAN 103 gcp1  AS 16550  gcp-partner       v4              |  gw: lintasd, keeper |
    | speaker  |====================== wire ======================== colo0 ====|  FRR (zebra -n -K)   |
    +----------+    VLAN 104 oci1  AS 31898  oci-fastconnect   v4              |  VRF prod            |
                    VLAN 105 ali1  AS 45104  alibaba-vbr       v4              +----------------------+
                    VLAN 106 dc1   AS 64700  no profile, GTSM  v4 v6: what all the others are told
                    VLAN 107 far1  AS 64701  no profile, two hops away: multihop, allowas-in, as-override"""
import json
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "tools", "lab"), os.path.join(TOP, "tests", "netns")]
sys.dont_write_bytecode = True
import gateway  # noqa: E402
import peers  # noqa: E402
import topo  # noqa: E402
from world import LabError, World, wait_for  # noqa: E402

AS, KEY = 65010, "gatot-subroto-71"
ZEBRA = ["-n", "-K", "60"]


class Link:
    """One link and its neighbour: asn, profile, zone, families, and more keys of both sessions."""

    def __init__(self, name, vlan, asn, zone, profile="", families=(4, 6), odd=False, more="", ttl=None, md5=None, bits=30):
        self.name, self.vlan, self.asn, self.zone, self.profile = name, vlan, asn, zone, profile
        self.families, self.more, self.ttl, self.md5 = families, more, ttl, md5
        us, them = (1, 2) if odd else (2, 1)
        bits6 = 126 if odd else 125
        self.us = {4: f"169.254.{vlan}.{us}", 6: f"2001:db8:{vlan}::{us}"}
        self.them = {4: f"169.254.{vlan}.{them}", 6: f"2001:db8:{vlan}::{them}"}
        self.address = [f"{self.us[4]}/{bits}", f"{self.us[6]}/{bits6}"]
        self.attachment = topo.Attachment("clouds", f"d{vlan}", vlan, (f"{self.them[4]}/{bits}", f"{self.them[6]}/{bits6}"))
        self.static, self.inbound, self.bgp = "", None, ""


def links():
    far = Link("far1", 107, 64701, "far", families=(4,), more="multihop = 4; allowas_in = 1; as_override = true; ")
    far.them[4] = "10.107.9.9"
    far.static = 'static = { prefixes = [ "10.107.9.9/32" ]; via = "169.254.107.1"; }; '
    return [Link("aws1", 101, 64512, "aws", "aws-dx-private", md5=KEY),
            Link("az1", 102, 12076, "azure", "azure-er-private", odd=True),
            Link("gcp1", 103, 16550, "gcp", "gcp-partner", (4,), bits=29),
            Link("oci1", 104, 31898, "oci", "oci-fastconnect", (4,)),
            Link("ali1", 105, 45104, "ali", "alibaba-vbr", (4,)),
            Link("dc1", 106, 64700, "dc", more='gtsm = 1; graceful_restart = "full"; ', ttl=255), far]


class Settings:
    """The configuration; tests change it and write it again."""

    def __init__(self, hugepages):
        self.hugepages, self.links, self.reach = hugepages, links(), [("dc", z) for z in ("aws", "azure", "gcp", "oci", "ali", "far")]
        everything = ["0.0.0.0/1 le 32", "128.0.0.0/1 le 32", "::/1 le 128", "8000::/1 le 128"]
        self.accept, self.announce, self.announces = everything, ["0.0.0.0/1 le 32", "::/1 le 128", "fd10::/16 le 128"], {}
        self.everything = {"dc1": everything, "far1": everything}  # the linter lets only links without a profile

    def link(self, name):
        return next(x for x in self.links if x.name == name)

    def session(self, x, family):
        bfd = "bfd = false; " if x.profile else ""
        key = 'key = "k"; ' if x.md5 else ""
        return f'v{family} = {{ peer = "{x.them[family]}"; asn = "{x.asn}"; {key}{bfd}{x.more}}}; '

    def one(self, x):
        def many(items):
            some = [i for i in items if (6 if ":" in i else 4) in x.families]
            return "[ " + ", ".join(f'"{i}"' for i in some) + " ]"
        profile = f'profile = "{x.profile}"; ' if x.profile else ""
        inbound = f'inbound = "{x.inbound}"; ' if x.inbound else ""
        return (f'  {x.name} = {{ circuit = "c0"; vlan = {x.vlan}; vrf = "prod"; cloud = "{x.zone}"; state = "up"; {profile}centre = "t"; '
                f'address = {many(x.address)}; {x.static}\n    bgp = {{ {"".join(self.session(x, f) for f in x.families)}{inbound}'
                f'accept = {many(self.accept)}; announce = {many(self.announces.get(x.name, self.everything.get(x.name, self.announce)))}; }}; }};\n')

    def render(self, world):
        zones = sorted({x.zone for x in self.links})
        clouds = " ".join(f'{z} = {{ prefixes = [ "10.{100 + i}.0.0/16" ]; }};' for i, z in enumerate(zones))
        return f"""schema = 1; profiles = "2026.11";
gateway = {{ name = "jkt1"; router_id = "10.255.0.1"; asn = "{AS}"; workers = "1"; poll = "adaptive";
            hugepages = {"true" if self.hugepages else "false"}; }};
defaults = {{ keys = "{world.path('keys')}"; frr_sockets = "{peers.sockets(world, 'gw')}"; }};
ports = {{ p0 = {{ device = "net_af_xdp0,iface=colo0"; mtu = 1500; }}; }};
vrfs = {{ prod = {{ loopback = [ "10.255.1.1/32", "fd10::1/128" ]; }}; }};
clouds = {{ {clouds} }};
reach = {{ {" ".join(f'{a}-{b} = {{ between = [ "{a}", "{b}" ]; }};' for a, b in self.reach)} }};
circuits = {{ c0 = {{ port = "p0"; }}; }};
links = {{
{"".join(self.one(x) for x in self.links)}}};
"""


class Lab:
    """What the tests get."""

    def __init__(self, folder, build):
        self.world = World(folder)
        self.gateway = gateway.Gateway(self.world, build)
        self.gateway.settings = self.settings = Settings(gateway.hugepages_free() >= 300)
        self.speaker = None

    def up(self):
        world = self.world
        world.create()
        for ns in ("gw", "clouds"):
            world.run(None, "nsenter", f"--mount=/proc/{world.holder}/ns/mnt", "ip", "netns", "add", ns)
            world.run(ns, "sysctl", "-q", "-w", *topo.SYSCTLS)
            world.ip(ns, "link set lo up")
        topo.lay_wire(world, "colo0", "clouds", 100)
        for x in self.settings.links:
            topo.attach_tagged(world, x.attachment)
        world.ip("clouds", "addr add 10.107.9.9/32 dev lo")
        world.hold_gateway("gw")
        self.gateway.prepare()
        with open(world.path("keys", "k"), "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
            f.write(KEY + "\n")
        peers.launch(world, "gw", "gw", {"zebra": "", "bgpd": "", "bfdd": ""}, ZEBRA)
        peers.ready(world, "gw")
        self.gateway.start_keeper()
        self.gateway.start_daemon()
        self.speaker = world.spawn("speaker", "clouds", ["/usr/bin/python3", "-B", os.path.join(TOP, "tests/providers/speaker.py")],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for x in self.settings.links:
            for f in x.families:
                self.open(x, f)

    def open(self, x, family, **other):
        spec = {"local": x.them[family], "remote": x.us[family], "asn": x.asn, "gr": 120, "id": f"10.9.{x.vlan}.{family}"}
        spec |= {k: v for k, v in (("ttl", x.ttl), ("md5", x.md5)) if v}
        spec |= {"ttl": 4} if x.name == "far1" else {}
        self.say("open", f"{x.name}/{family}", **{**spec, **other})

    def converge(self):
        for x in self.settings.links:
            for f in x.families:
                wait_for(f"{x.name} IPv{f} is established", 60, lambda n=f"{x.name}/{f}": self.state(n)["up"])
        wait_for("FRR runs what is configured", 30, self.in_sync)

    def in_sync(self):
        return (self.gateway.try_ctl("status") or {}).get("frr", {}).get("in_sync")

    def down(self):
        self.world.down()

    # ---- the neighbours ----
    def say(self, do, name, **more):
        self.speaker.stdin.write(json.dumps({"do": do, "name": name, **more}) + "\n")
        self.speaker.stdin.flush()
        answer = json.loads(self.speaker.stdout.readline() or '{"error": "the speaker ended"}')
        if "error" in answer:
            raise LabError(f"speaker: {do} {name}: {answer['error']}")
        return answer

    def state(self, name):
        return self.say("state", name)

    def routes(self, name):
        return self.state(name)["routes"]

    def gateway_state(self, peer):
        return peers.sessions(self.world, "gw", "prod").get(peer, {}).get("state")

    def ups(self):
        return {f"{x.name}/{f}": self.state(f"{x.name}/{f}")["ups"] for x in self.settings.links for f in x.families}

    def apply(self):
        """The changed configuration: written, loaded, and run by FRR."""
        before = self.gateway.json("status")
        self.gateway.write()
        done = self.gateway.ctl("reload", check=False)
        if done.returncode not in (0, 2):
            raise LabError(f"reload: {done.stdout[-400:]} {done.stderr[-400:]}")
        try:
            wait_for("FRR follows", 20, lambda: (self.in_sync() and
                     self.gateway.json("status")["frr"]["syncs"] > before["frr"]["syncs"]))
        except LabError as e:
            raise LabError(f"{e}: {self.gateway.json('status')['frr']}") from None
