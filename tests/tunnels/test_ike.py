#!/usr/bin/python3
"""IKE with strongSwan set to each provider's terms: AWS, Google, Azure, Alibaba; wrong keys, wrong proposals, a dead
peer, each named as what it is; what did not change is not touched.

    [ gw: lintasd, VRF inet: charon rendered by lintasd ] ==inet (w0)== [ cloud: charon, one connection a tunnel ]

Ours is what the appliance runs: lintasd is its kernel, so "INSTALLED" means that a worker has the SA. The cloud's encrypts
by itself (kernel-libipsec). Rekeying under traffic is test_xfrm's."""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "tests", "netns"))
from harness import check, core, run, test, wait_for  # noqa: E402
import topo  # noqa: E402

US = "198.51.100.10"
PSK = "Xq7.rT_4mPzL9wKe2sVb"
STARTER = os.path.join(TOP, "tools", "strongswan", "charon")

# link: remote, address, what the provider's side takes: IKE, ESP, lifetimes (IKE, ESP), DPD
TUNNELS = {
    "aws-a": ("192.0.2.11", "169.254.33.2/30", "aes256gcm16-prfsha384-ecp384", "aes256gcm16-ecp384", 28800, 3600),
    "aws-b": ("192.0.2.12", "169.254.34.2/30", "aes128-sha256-modp2048", "aes128-sha256-modp2048", 28800, 3600),
    "gcp-a": ("192.0.2.21", "169.254.37.2/30", "aes256gcm16-prfsha256-curve25519", "aes256gcm16-curve25519", 36000, 10800),
    "gcp-b": ("192.0.2.22", "169.254.38.2/30", "aes256gcm16-prfsha512-modp4096", "aes256gcm16-modp4096", 36000, 10800),
    "azure": ("192.0.2.31", "10.250.9.1/30", "aes256-sha384-ecp384", "aes256gcm16-ecp384", 28800, 27000),
    "ali-a": ("192.0.2.41", "169.254.41.2/30", "aes256-sha256-modp2048", "aes256-sha256-modp2048", 86400, 86400),
    "ali-b": ("192.0.2.42", "169.254.42.2/30", "aes128-sha512-modp2048", "aes128-sha384-modp2048", 86400, 86400),
}


def pair(lab, name, profile, cloud, asn, more=""):
    tunnels = " ".join(f'{t} = {{ remote = "{TUNNELS[f"{name}-{t}"][0]}"; address = [ "{TUNNELS[f"{name}-{t}"][1]}" ]; key = "{lab.psk_of(f"{name}-{t}")}"; }};'
                       for t in "ab" if f"{name}-{t}" not in lab.without)
    return (f'{name} = {{ underlay = "inet"; vrf = "prod"; cloud = "{cloud}"; profile = "{profile}"; state = "up"; bgp = {{ asn = "{asn}"; }};'
            f' {more} tunnels = {{ {tunnels} }}; }};\n')


def conf(lab):
    return f"""schema = 1;
gateway = {{ name = "ike"; router_id = "10.255.0.1"; asn = "65010"; workers = "{lab.gateway.settings.workers}";
            poll = "adaptive"; hugepages = {"true" if lab.gateway.settings.hugepages else "false"}; }};
defaults = {{ keys = "{lab.world.path('keys')}"; }};
routing = "external";
profiles = "2026.11";
ports = {{ w0 = {{ device = "net_af_xdp0,iface=w0"; mtu = 1500; }}; }};
vrfs = {{ prod = {{ }}; inet = {{ }}; }};
clouds = {{ aws = {{ prefixes = [ "10.40.0.0/16" ]; centre = "1"; }}; gcp = {{ prefixes = [ "10.60.0.0/16" ]; centre = "1"; }};
  azure = {{ prefixes = [ "10.70.0.0/16" ]; centre = "1"; }}; ali = {{ prefixes = [ "10.80.0.0/16" ]; centre = "1"; }}; }};
reach = {{ a = {{ between = [ "aws", "gcp" ]; }}; b = {{ between = [ "aws", "azure" ]; }}; c = {{ between = [ "aws", "ali" ]; }}; }};
circuits = {{ ix = {{ port = "w0"; }}; }};
links = {{
  inet = {{ circuit = "ix"; vrf = "inet"; address = [ "{US}/24" ]; gateway = "198.51.100.9"; }};
  {pair(lab, "aws", "aws-s2s-tgw", "aws", 64512, lab.aws)}
  {pair(lab, "gcp", "gcp-ha-vpn", "gcp", 64550)}
  {pair(lab, "ali", "alibaba-vpn", "ali", 45104)}
  azure = {{ underlay = "inet"; vrf = "prod"; cloud = "azure"; profile = "azure-vpn"; state = "up";
    encap = {{ type = "ipsec"; remote = "{TUNNELS["azure"][0]}"; }}; ipsec = {{ key = "{lab.psk_of("azure")}"; {lab.azure} }};
    address = [ "10.250.9.1/30" ]; static = {{ prefixes = [ "10.70.255.30/32" ]; via = "10.250.9.2"; }};
    bgp = {{ v4 = {{ peer = "10.70.255.30"; asn = "65515"; }}; }}; }};
}};
"""


class Lab(core.Lab):
    psks, without, aws, azure = {}, set(), "", ""

    def psk_of(self, link):
        return self.psks.get(link, "psk")

    def up(self, **_):
        w = self.world
        w.create()
        for ns in ("gw", "cloud"):
            w.run(None, "nsenter", f"--mount=/proc/{w.holder}/ns/mnt", "ip", "netns", "add", ns)
            w.run(ns, "sysctl", "-q", "-w", *topo.SYSCTLS)
            w.ip(ns, "link set lo up")
        topo.lay_wire(w, "w0", "cloud", 100)
        w.ip("cloud", "addr add 198.51.100.9/24 dev wire\n" + "\n".join(f"addr add {t[0]}/32 dev lo" for t in TUNNELS.values()))
        w.hold_gateway("gw")
        os.makedirs(w.path("keys"), mode=0o700)
        for name, text in (("psk", PSK), ("wrong", "another.secret_of_24_chars")):
            with open(w.path("keys", name), "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
                f.write(text + "\n")
        self.gateway.prepare()
        self.gateway.write(conf(self))
        self.gateway.start_keeper()
        self.gateway.start_daemon()
        self.run_folder = os.path.dirname(self.gateway.keeper_socket)
        return self

    def converge(self):
        """Each test waits for what it needs."""

    # ---- charons ----
    def start_charon(self, name, where, vrf, folder):
        """The gateway's own as on an appliance; the cloud's encrypts by itself."""
        w = self.world
        how = ["--libipsec"] if where == "cloud" else ["--shim", os.path.join(self.gateway.build, "lintas-xfrm.so"),
                                                       "--xfrm", os.path.join(os.path.dirname(self.gateway.api_socket), f"xfrm-{vrf}.sock")]
        child = w.spawn(name, where, [STARTER, vrf, "--run", folder, *how],
                        env=dict(os.environ, LINTAS_IKE_TIMEOUT="0.5", LINTAS_IKE_BASE="1.3", LINTAS_IKE_TRIES="4",
                                     LINTAS_IKE_COOKIES="no"))
        vici = os.path.join(folder, "charon", vrf, "vici")
        wait_for(f"charon {name}, see {w.path('log', name)}.log", 15, lambda: os.path.exists(vici) or child.poll() is not None)
        check(child.poll() is None, f"charon {name} ended: {w.log_tail(name)}")
        return child

    def own_charon(self):
        if "charon" not in self.world.children:
            self.start_charon("charon", "gw", "inet", self.run_folder)

    def cloud_conf(self, **changes):
        out = "connections {\n"
        for name, (addr, _, ike, esp, ike_s, esp_s) in TUNNELS.items():
            ike, esp = changes.get(name, (ike, esp))
            out += f"""{name} {{ version = 2
 local_addrs = {addr}
 remote_addrs = {US}
 proposals = {ike}
 mobike = no
 dpd_delay = 2s
 rekey_time = {ike_s}s
 local {{ auth = psk
 id = {addr} }}
 remote {{ auth = psk
 id = {US} }}
 children {{ {name} {{ local_ts = 0.0.0.0/0,::/0
  remote_ts = 0.0.0.0/0,::/0
  esp_proposals = {esp}
  life_time = {esp_s}s
  }} }} }}
"""
        return out + f"}}\nsecrets {{ ike {{ secret = {PSK} }} }}\n"

    def cloud_load(self, **changes):
        path = self.world.path("cloud.conf")
        with open(path, "w") as f:
            f.write(self.cloud_conf(**changes))
        self.swanctl("cloud", "--load-all", "--file", path)

    def swanctl(self, vrf, *words, timeout=30):
        folder = self.world.path("far") if vrf == "cloud" else self.run_folder
        p = subprocess.run(["swanctl", *words, "--uri", f"unix://{folder}/charon/{vrf}/vici"], capture_output=True, text=True,
                           timeout=timeout, env=dict(os.environ, SWANCTL_DIR="/nonexistent"))
        return p.stdout + p.stderr

    def ike(self, name=None):
        got = self.gateway.try_ctl("ike", "show", *([name] if name else [])) or []
        return {i["link"]: i for i in (got if isinstance(got, list) else got.get("links", []))}

    def wait_error(self, link, name, seconds=30):
        wait_for(f"{link}: {name}; it is {self.ike(link).get(link)}", seconds,
                 lambda: (self.ike(link).get(link, {}).get("error") or {}).get("name") == name)
        return self.ike(link)[link]["error"]

    def wait_up(self, links, seconds=40):
        wait_for(f"{links} are up: {[(i['link'], i['state'], i.get('error')) for i in self.ike().values()]}", seconds, lambda: all(
            self.ike().get(n, {}).get("state") == "ESTABLISHED" and (self.ike()[n].get("child") or {}).get("state") == "INSTALLED"
            for n in links))

    def ids(self):
        """Which IKE SA each link has."""
        raw = self.swanctl("inet", "--list-sas", "--raw")
        return dict(re.findall(r"event \{([a-z0-9-]+) \{uniqueid=(\d+)", raw))

    def diagnose(self, link):
        """The first layer that fails."""
        got = self.gateway.json("link", "diagnose", link)
        got = got[0] if isinstance(got, list) else got
        check(got.get("verdict"), got)
        return got["verdict"]

    def reload(self):
        self.gateway.write(conf(self))
        self.gateway.ctl("reload")


core.Lab = Lab


@test
def no_charon(lab):
    """Before charon is there lintasd says which to start."""
    wait_for("it is said", 15, lambda: "lintas-charon@inet" in lab.gateway.ctl("events").stdout)
    check(all(i["error"]["name"] == "NO_CHARON" for i in lab.ike().values()), lab.ike())
    check(len(lab.ike()) == 7, lab.ike())


@test
def nobody_answers(lab):
    """A far end without IKE: no answer, and what to look at."""
    lab.own_charon()
    error = lab.wait_error("aws-a", "NO_ANSWER")
    check("UDP 500" in error["advice"], error)


@test
def every_provider(lab):
    """Each provider's side, set to its own terms, comes up with what we render of its profile."""
    lab.own_charon()
    lab.start_charon("far", "cloud", "cloud", lab.world.path("far"))
    lab.cloud_load()
    lab.wait_up(TUNNELS)
    ike = lab.ike()
    for name, (addr, _, _, _, _, _) in TUNNELS.items():
        check(ike[name]["peer"] == addr and ike[name]["remote_id"] == addr and not ike[name].get("error"), ike[name])
    check("AES_GCM_16-256" in ike["aws-a"]["proposal"] and "ECP_384" in ike["aws-a"]["proposal"], ike["aws-a"])
    check("AES_CBC-128" in ike["aws-b"]["proposal"] and "HMAC_SHA2_256" in ike["aws-b"]["child"]["proposal"], ike["aws-b"])
    check("CURVE_25519" in ike["gcp-a"]["proposal"], ike["gcp-a"])
    check(ike["azure"]["child"]["rekey_s"] <= 27000 and ike["azure"]["rekey_s"] <= 28800, ike["azure"])
    check(3600 - 540 - 5 <= ike["aws-a"]["child"]["rekey_s"] <= 3600 - 270, ike["aws-a"])
    text = lab.gateway.ctl("ike", "show").stdout
    check(re.search(r"aws-a\s+192\.0\.2\.11\s+ESTABLISHED", text), text)


@test
def connection_name(lab):
    """The name of a connection shows both of its tunnels."""
    check(set(lab.ike("aws")) == {"aws-a", "aws-b"}, lab.ike("aws"))
    shown = {x["name"]: x for x in lab.gateway.json("link", "show", "aws")}
    check(set(shown) == {"aws-a", "aws-b"} and all(x["connection"] == "aws" and x["up"] for x in shown.values()), shown)
    tunnel = shown["aws-a"]["tunnel"]
    check(tunnel["mtu"] == 1400 and tunnel["way"] == {"link": "inet", "nexthop": "198.51.100.9"}, tunnel)
    keys = tunnel["keys"]
    check(keys["ready"] and keys["sas_in"] >= 1 and keys["sas_out"] >= 1 and keys["age_s"] < 300, keys)
    check("aws-b" in lab.gateway.ctl("link", "show", "aws").stdout, lab.gateway.ctl("link", "show", "aws").stdout)


@test
def untouched(lab):
    """A change of one link leaves the IKE SAs of all others as they are."""
    ids = lab.ids
    before = ids()
    lab.aws = 'ipsec = { dpd = "35s"; };'
    lab.reload()
    wait_for("aws-a is new", 30, lambda: ids().get("aws-a", before["aws-a"]) != before["aws-a"] and ids().get("aws-b", before["aws-b"]) != before["aws-b"])
    lab.wait_up(TUNNELS)
    after = ids()
    same = {n for n in before if after.get(n) == before[n]}
    check(same >= {"gcp-a", "gcp-b", "azure", "ali-a", "ali-b"}, before, after)
    lab.gateway.ctl("reload")
    check(ids() == after, after, ids())


@test
def wrong_psk(lab):
    """The far end refuses the key: named so, on that link alone."""
    lab.psks = {"gcp-b": "wrong"}
    lab.reload()
    lab.swanctl("inet", "--terminate", "--ike", "gcp-b", "--timeout", "5")
    error = lab.wait_error("gcp-b", "AUTHENTICATION_FAILED")
    check("pre-shared key" in error["advice"], error)
    check(lab.ike()["gcp-a"]["state"] == "ESTABLISHED" and not lab.ike()["gcp-a"].get("error"), lab.ike()["gcp-a"])
    check("AUTHENTICATION_FAILED" in lab.gateway.ctl("events").stdout)
    first = lab.diagnose("gcp-b")
    check(first["layer"] == "ike" and first["turn"] == "ours" and "pre-shared key" in first["todo"], first)
    lab.psks = {}
    lab.reload()
    lab.wait_up(["gcp-b"], 60)


@test
def wrong_proposals(lab):
    """Neither IKE's nor ESP's proposals are taken: each is told from the other."""
    lab.cloud_load(**{"ali-a": ("aes256-sha1-modp1024", "aes256-sha256-modp2048"), "azure": (TUNNELS["azure"][2], "aes128-sha512-modp8192")})
    for name in ("ali-a", "azure"):
        lab.swanctl("inet", "--terminate", "--ike", name, "--timeout", "5")
    lab.wait_error("ali-a", "NO_PROPOSAL_CHOSEN")
    lab.wait_error("azure", "NO_PROPOSAL_CHOSEN (ESP)")
    first = lab.diagnose("azure")
    check(first["layer"] == "sa" and "ipsec.esp" in first["todo"], first)
    first = lab.diagnose("ali-a")
    check(first["layer"] == "ike" and "ipsec.ike" in first["todo"], first)
    lab.cloud_load()
    lab.wait_up(["ali-a"], 60)


@test
def dead_peer(lab):
    """The far end falls silent: DPD finds it, and says that it was up before."""
    lab.azure, before = 'dpd = "2s";', lab.ids().get("azure")
    lab.reload()
    wait_for("azure is new", 60, lambda: lab.ids().get("azure", before) != before)
    lab.wait_up(["azure"], 60)
    w = lab.world
    w.ip("cloud", f"rule add to {US} blackhole priority 1")
    try:
        error = lab.wait_error("azure", "DEAD_PEER", 40)
        check("DPD" in error["advice"], error)
    finally:
        w.ip("cloud", f"rule del to {US} blackhole priority 1")
    lab.wait_up(["azure"], 60)


@test
def taken_away(lab):
    """A tunnel that leaves the configuration is taken down; no key is in a file of ours."""
    lab.without = {"ali-b"}
    lab.reload()
    wait_for("ali-b is down", 30, lambda: "ali-b" not in lab.swanctl("inet", "--list-sas", "--raw"))
    found = subprocess.run(["grep", "-rl", "-e", PSK, "-e", PSK.encode().hex(), lab.run_folder], capture_output=True, text=True).stdout
    check(not found, found)
    status = lab.gateway.json("status")
    check("ipsec" in status and status["ipsec"]["in_sync"] == status["ipsec"]["vrfs"] == 1, status.get("ipsec"))


if __name__ == "__main__":
    sys.exit(run())
