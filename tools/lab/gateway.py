"""The gateway: its configuration, its FRR, lintas-keeper, lintasd, and lintasctl to ask them."""
import json
import os
import socket
import subprocess

import bird
import peers
import topo
from world import LabError, end_process, start_time, wait_for

VRFS = ("prod", "inet", "bank")


def hugepages_free():
    """Free huge pages of the default size, in MB."""
    free = size = 0
    with open("/proc/meminfo") as f:
        for line in f:
            if line.startswith("HugePages_Free:"):
                free = int(line.split()[1])
            elif line.startswith("Hugepagesize:"):
                size = int(line.split()[1])
    return free * size // 1024


def many(items):
    return "[ " + ", ".join(f'"{i}"' for i in items) + " ]"


class Settings:
    """What a test or the demonstration changes in the configuration; render() writes the file."""

    def __init__(self, hugepages):
        self.hugepages = hugepages
        self.workers = "1" if (os.cpu_count() or 1) > 1 else "0"
        self.shut = set()       # link names
        self.mtu = {}           # link name -> IP MTU
        self.statics = []       # more prefixes by way of gcp-vpc6
        self.links = []         # more links, as text
        self.clouds = []        # more clouds, as text
        self.paths = []         # more paths, as text
        self.probed = True      # a host of cloud-d, over both of its links
        self.announce_d = ["10.60.0.0/16", "10.70.0.0/16", "2001:db8:60::/48", "2001:db8:70::/48"]
        self.reach = [("aws", "gcp"), ("aws", "azure"), ("gcp", "azure"), ("media", "gcp"), ("media", "azure")]
        self.announce_a = ["10.60.0.0/14 le 16", "10.70.0.0/16", "2001:db8:60::/44 le 48", "2001:db8:70::/48"]
        self.announce_c = ["10.40.0.0/16", "10.60.0.0/14 le 16", "2001:db8:40::/48", "2001:db8:60::/44 le 48",
                           "10.80.0.0/16", "2001:db8:80::/48"]
        self.announce_b = ["10.40.0.0/15 le 16", "10.70.0.0/16", "2001:db8:40::/44 le 48", "2001:db8:70::/48",
                           "10.80.0.0/16", "2001:db8:80::/48"]

    def reaches(self):
        return " ".join(f'{a}-{b} = {{ between = [ "{a}", "{b}" ]; }};' for a, b in self.reach)

    def more(self, link):
        """Optional keys of one link."""
        return f' state = "{"shut" if link in self.shut else "up"}";' + \
            (f" mtu = {self.mtu[link]};" if link in self.mtu else "")

    def probe_keys(self):
        return ' probe = [ "10.80.0.10", "2001:db8:80::10" ]; slo = { loss = "1%"; };' if self.probed else ""

    def media(self, bfd):
        """cloud-d's two attachments, primary and backup. Each is probed from an address that is announced over it
        alone, so that answers come back the way the probes went."""
        return "".join(f"""  md-dx{n}   = {{ circuit = "md"; vlan = {200 + n}; vrf = "prod"; cloud = "media"; profile = "aws-dx-private";{self.more(f"md-dx{n}")}
               address = [ "169.254.8{n}.2/30", "2001:db8:f:8{n}::2/125" ];
               bgp = {{ v4 = {{ peer = "169.254.8{n}.1"; asn = "{bird.AS}"; key = "md"; {bfd} }};
                       v6 = {{ peer = "2001:db8:f:8{n}::1"; asn = "{bird.AS}"; key = "md"; {bfd} }};
                       accept = [ "0.0.0.0/0 ge 8 le 24", "::/0 ge 16 le 56" ];
                       announce = {many([f"10.255.8{n}.1/32", f"fd10:8{n}::1/128", *self.announce_d])}; }};
               probing = {{ rate = 50; source = [ "10.255.8{n}.1", "fd10:8{n}::1" ]; }}; }};
""" for n in (1, 2))

    def render(self, world):
        bfd = "" if peers.BFD_MULTIPLIER == 3 else f"bfd = {{ multiplier = {peers.BFD_MULTIPLIER}; }};"  # else the profile's
        ports = "\n".join(f'  {p} = {{ device = "net_af_xdp{i},iface={p}"; mtu = 1500; }};'
                          for i, p in enumerate(topo.WIRES))
        return f"""# The lab's gateway; tools/lab writes this file.
schema = 1;
gateway = {{ name = "jkt1"; router_id = "10.255.0.1"; asn = "{peers.GATEWAY_AS}"; workers = "{self.workers}";
            poll = "adaptive"; hugepages = {"true" if self.hugepages else "false"}; }};
defaults = {{ keys = "{world.path('keys')}"; frr_sockets = "{peers.sockets(world, 'gw')}"; }};
routing = "frr";
profiles = "2026.11";
ports = {{
{ports}
}};
vrfs = {{ prod = {{ loopback = [ "10.255.1.1/32", "fd10::1/128",
                     "10.255.81.1/32", "fd10:81::1/128", "10.255.82.1/32", "fd10:82::1/128" ]; }}; inet = {{ }}; bank = {{ }}; }};
clouds = {{
  aws   = {{ provider = "aws"; centre = "CC-101";   region = "ap-southeast-3"; prefixes = [ "10.40.0.0/15", "2001:db8:40::/44" ]; }};
  gcp   = {{ provider = "gcp"; centre = "CC-102";   region = "asia-southeast2"; prefixes = [ "10.60.0.0/14", "2001:db8:60::/44" ]; }};
  azure = {{ provider = "azure"; centre = "CC-103"; region = "southeastasia"; prefixes = [ "10.70.0.0/16", "2001:db8:70::/48" ]; }};
  media = {{ provider = "aws"; centre = "CC-104"; region = "ap-southeast-1"; prefixes = [ "10.80.0.0/16", "2001:db8:80::/48" ]; }};
{"".join(self.clouds)}}};
reach = {{ {self.reaches()} }};
partners = {{ bank = {{ vrf = "bank"; prefixes = [ "10.40.0.0/16", "2001:db8:40::/48" ]; noc = "LL-0417"; centre = "CC-105"; }}; }};
circuits = {{
  dx = {{ port = "colo0"; id = "dxcon-fg31ab2c"; rate = "10G"; }};
  er = {{ port = "colo1"; id = "er-sg-01"; rate = "1G"; stag = 300; }};
  md = {{ port = "colo2"; id = "dxcon-media-7"; rate = "10G"; }};
  ix = {{ port = "inet0"; id = "isp-220"; rate = "1G"; }};
  ll = {{ port = "bank0"; id = "LL-0417"; rate = "200M"; }};
}};
paths = {{ media = {{ tiers = ( [ "md-dx1" ], [ "md-dx2" ] );{self.probe_keys()} }};{"".join(self.paths)} }};
links = {{
  inet     = {{ circuit = "ix"; vrf = "inet"; profile = "internet"; centre = "CC-100"; address = [ "198.51.100.10/24", "2001:db8:ff::10/64" ];
               gateway = [ "198.51.100.9", "2001:db8:ff::9" ];{self.more("inet")} }};
  aws-dx1  = {{ circuit = "dx"; vlan = 101; vrf = "prod"; cloud = "aws"; profile = "aws-dx-private"; id = "dxvif-fh2k1a9z";{self.more("aws-dx1")}
               address = [ "169.254.10.2/30", "2001:db8:f:10::2/125" ];
               bgp = {{ v4 = {{ peer = "169.254.10.1"; asn = "{peers.A_AS}"; key = "dx1"; {bfd} }};
                       v6 = {{ peer = "2001:db8:f:10::1"; asn = "{peers.A_AS}"; key = "dx1"; {bfd} }};
                       accept = [ "0.0.0.0/0 ge 8 le 24", "::/0 ge 16 le 56" ];
                       announce = {many(self.announce_a)}; }}; }};
  az-er    = {{ circuit = "er"; vlan = 40; vrf = "prod"; cloud = "azure"; profile = "azure-er-private";{self.more("az-er")}
               address = [ "169.254.20.1/30", "2001:db8:f:20::1/126" ];
               bgp = {{ v4 = {{ peer = "169.254.20.2"; asn = "{peers.C_AS}"; key = "er"; {bfd} }};
                       v6 = {{ peer = "2001:db8:f:20::2"; asn = "{peers.C_AS}"; key = "er"; {bfd} }};
                       accept = [ "0.0.0.0/0 ge 8 le 24", "::/0 ge 16 le 56" ];
                       announce = {many(self.announce_c)}; }}; }};
  gcp-vpc  = {{ underlay = "inet"; vrf = "prod"; cloud = "gcp"; profile = "tunnel";{self.more("gcp-vpc")}
               encap = {{ type = "vxlan"; vni = 5001; remote = "192.0.2.77"; }};
               address = [ "10.61.255.1/30", "2001:db8:f:61::1/126" ];
               bgp = {{ v4 = {{ peer = "10.61.255.2"; asn = "{peers.B_AS}"; key = "vpc"; }};
                       v6 = {{ peer = "2001:db8:f:61::2"; asn = "{peers.B_AS}"; key = "vpc"; }};
                       accept = [ "10.60.0.0/15 le 24", "2001:db8:60::/44 le 48" ];
                       announce = {many(self.announce_b)}; }}; }};
  gcp-vpc6 = {{ underlay = "inet"; vrf = "prod"; cloud = "gcp"; profile = "tunnel";{self.more("gcp-vpc6")}
               encap = {{ type = "vxlan"; vni = 5002; remote = "2001:db8:b::77"; }};
               address = [ "10.61.255.5/30", "2001:db8:f:62::1/126" ];
               static = {{ prefixes = {many(["10.62.0.0/16", "2001:db8:62::/48", *self.statics])};
                          via = [ "10.61.255.6", "2001:db8:f:62::2" ]; }}; }};
  bank-ll  = {{ circuit = "ll"; vlan = 301; vrf = "bank"; partner = "bank"; profile = "partner-static";{self.more("bank-ll")}
               address = [ "192.0.2.66/29", "2001:db8:ba::66/64" ];
               static = {{ prefixes = [ "10.40.0.0/16", "2001:db8:40::/48" ]; via = [ "192.0.2.70", "2001:db8:ba::70" ]; }}; }};
{self.media(bfd)}{"".join(self.links)}}};
"""


class Gateway:
    def __init__(self, world, build):
        self.world, self.build = world, os.path.abspath(build)
        self.settings = Settings(hugepages_free() >= 300)
        self.conf = world.path("lintas.conf")
        self.keeper_socket, self.api_socket = world.path("run", "keeper.sock"), world.path("api", "lintas.sock")

    # ---- life ----
    def prepare(self):
        """Folders, keys and the first configuration."""
        world = self.world
        for name, mode in (("run", 0o700), ("api", 0o750), ("keys", 0o700)):
            os.makedirs(world.path(name), mode=mode, exist_ok=True)
            os.chmod(world.path(name), mode)
        for name, secret in {**peers.KEYS, "md": bird.KEY}.items():
            with open(world.path("keys", name), "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
                f.write(secret + "\n")
        self.write()

    def write(self, text=None):
        """The configuration file, replaced in one step."""
        with open(self.conf + ".new", "w") as f:
            f.write(self.settings.render(self.world) if text is None else text)
        os.rename(self.conf + ".new", self.conf)

    def start(self):
        """FRR, keeper, daemon; returns when the daemon answers and FRR has its sessions configured."""
        missing = [p for p in ("lintasd", "lintas-keeper", "lintasctl") if not os.access(f"{self.build}/{p}", os.X_OK)]
        if missing:
            raise LabError(f"{self.build}: no {', '.join(missing)}: `make all` builds them")
        self.prepare()
        peers.launch(self.world, "gw", "gw", {"zebra": "", "bgpd": "", "bfdd": ""}, self.zebra_options())
        peers.ready(self.world, "gw")
        self.start_keeper()
        self.start_daemon()

    @staticmethod
    def zebra_options():
        """VRFs are namespaces; routes outlive zebra, and those nobody has claimed again go 60 s after its start."""
        return ["-n", "-r", "-K", "60"]

    def start_keeper(self):
        child = self.world.spawn("lintas-keeper", "gw", [
            f"{self.build}/lintas-keeper", "--socket", self.keeper_socket, "--frr-sockets", peers.sockets(self.world, "gw")])
        wait_for(f"lintas-keeper, see {self.world.path('log', 'lintas-keeper.log')}", 10,
                 lambda: connectable(self.keeper_socket, socket.SOCK_SEQPACKET) or child.poll() is not None)
        if child.poll() is not None:
            raise LabError(f"lintas-keeper ended: {self.world.log_tail('lintas-keeper')}")

    def daemon_argv(self):
        return [f"{self.build}/lintasd", "-c", self.conf, "--keeper", self.keeper_socket, "--socket", self.api_socket]

    def start_daemon(self, seconds=30):
        child = self.world.spawn("lintasd", "gw", self.daemon_argv())
        wait_for(f"lintasd answers, see {self.world.path('log', 'lintasd.log')}", seconds,
                 lambda: child.poll() is not None or self.try_ctl("status"))
        if child.poll() is not None:
            raise LabError(f"lintasd ended with status {child.returncode}: {self.world.log_tail('lintasd', 20)}")
        return child

    def pid(self, name="lintasd"):
        """Process id of the newest process of that name, 0 when it does not run."""
        for pid, started, what in reversed(self.world.recorded()):
            if what == name and start_time(pid) == started:
                return pid
        return 0

    def kill(self, sig, seconds=10, name="lintasd"):
        """Send a signal that ends the daemon and wait for that. True when it ended by itself in time."""
        pid = self.pid(name)
        if not pid:
            raise LabError(f"{name} does not run")
        polite = end_process(pid, start_time(pid), seconds, sig)
        child = self.world.children.get(name)
        if child:
            child.wait()
        return polite

    # ---- ask ----
    def ctl(self, *words, check=True, timeout=30, as_json=False):
        argv = [f"{self.build}/lintasctl", "--socket", self.api_socket, *(["--json"] if as_json else []), *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, errors="replace")
        if check and done.returncode:
            raise LabError(f"lintasctl {' '.join(words)}: status {done.returncode}: {(done.stderr or done.stdout).strip()[:600]}")
        return done

    def json(self, *words, timeout=30):
        done = self.ctl(*words, as_json=True, timeout=timeout)
        try:
            return json.loads(done.stdout)
        except ValueError as e:
            raise LabError(f"lintasctl --json {' '.join(words)}: not JSON ({e}): {done.stdout[:300]!r}") from None

    def try_ctl(self, *words):
        """JSON or None; for polling."""
        if not connectable(self.api_socket, socket.SOCK_STREAM):
            return None
        try:
            return self.json(*words, timeout=5)
        except (LabError, subprocess.TimeoutExpired):
            return None

    def hup(self):
        os.kill(self.pid(), 1)

    # ---- states to wait for ----
    def bgp_up(self, only=None):
        """True when every session of the configuration (or those in `only`) is established."""
        have = peers.sessions(self.world, "gw", "prod")
        want = only or ("169.254.10.1", "2001:db8:f:10::1", "169.254.20.2", "2001:db8:f:20::2", "10.61.255.2", "2001:db8:f:61::2",
                        *(f"{net}{n}{end}" for n in (1, 2) for net, end in (("169.254.8", ".1"), ("2001:db8:f:8", "::1"))))
        return all(have.get(p, {}).get("state") == "Established" for p in want)

    def kernel_routes(self, vrf, family):
        """The kernel's main table of a VRF: {prefix: [route, …]}."""
        out = {}
        for route in self.world.json(vrf, "ip", "-j", f"-{family}", "route", "show", "table", "main", timeout=60) or []:
            out.setdefault(route["dst"], []).append(route)
        return out


def connectable(path, kind):
    try:
        with socket.socket(socket.AF_UNIX, kind) as s:
            s.connect(path)
        return True
    except OSError:
        return False
