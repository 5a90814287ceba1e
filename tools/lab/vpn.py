"""cloud-a's VPN: an IPsec tunnel over the public network, the backup of its interconnect.

    gw: inet ==== cloud-b (the public network) ---- pub:aws-vpn ipsec0 ---- in:cloud-a
                  192.0.2.102/30        192.0.2.101/30      172.31.9.0/30

Our side is Debian's charon in VRF inet: lintasd renders its connection, gets the SAs it negotiates and encrypts
itself. The far side is another charon that encrypts by itself (kernel-libipsec: this kernel may know no ESP), and
BIRD, which speaks BGP through the tunnel. Behind it: what is in cloud-a, and a host of its own, 10.44.0.10."""
import os
import subprocess

import peers
import topo
from world import LabError, wait_for

OUTER, US = "192.0.2.101", "198.51.100.10"
HOST = {4: "10.44.0.10", 6: "2001:db8:44::10"}
PSK = "Sudirman.Kav_52x53z"
STARTER = os.path.join(topo.TOP, "tools", "strongswan", "charon")
PATH = ' aws = { tiers = ( [ "aws-dx1" ], [ "aws-vpn" ] ); };'


def link(settings):
    announce = ", ".join(f'"{p}"' for p in settings.announce_a)
    return f'''  aws-vpn  = {{ underlay = "inet"; vrf = "prod"; cloud = "aws"; profile = "aws-s2s-tgw"; state = "up";
               encap = {{ type = "ipsec"; remote = "{OUTER}"; }}; ipsec = {{ key = "vpn"; nat_t = "forced"; }};
               address = [ "169.254.33.2/30", "fd00:33::2/126" ];
               bgp = {{ v4 = {{ peer = "169.254.33.1"; asn = "{peers.A_AS}"; }}; v6 = {{ peer = "fd00:33::1"; asn = "{peers.A_AS}"; }};
                       accept = [ "10.40.0.0/13 ge 16 le 16", "2001:db8:40::/44 ge 48 le 48" ]; announce = [ {announce} ]; }}; }};
'''


SWAN = f"""connections {{ gw {{
 version = 2
 local_addrs = {OUTER}
 remote_addrs = {US}
 proposals = aes256gcm16-prfsha384-ecp384
 encap = yes
 mobike = no
 local {{ auth = psk
  id = {OUTER} }}
 remote {{ auth = psk
  id = {US} }}
 children {{ gw {{ local_ts = 0.0.0.0/0,::/0
  remote_ts = 0.0.0.0/0,::/0
  esp_proposals = aes256gcm16-ecp384
 }} }}
}} }}
secrets {{ ike {{ secret = "{PSK}" }} }}
"""
BIRD = """log stderr { warning, error, fatal, auth, bug };
router id 10.44.0.10;
protocol device { scan time 1; }
protocol static s4 { ipv4; route 10.40.0.0/16 via 172.31.9.1; route 10.44.0.0/16 blackhole; }
protocol static s6 { ipv6; route 2001:db8:40::/48 via fd00:9::1; route 2001:db8:44::/48 blackhole; }
protocol kernel k4 { ipv4 { import none; export all; }; }
protocol kernel k6 { ipv6 { import none; export all; }; }
"""


def bird_conf():
    out = BIRD
    for family, ours, theirs in ((4, "169.254.33.1", "169.254.33.2"), (6, "fd00:33::1", "fd00:33::2")):
        out += (f"protocol bgp p{family} {{ local {ours} as {peers.A_AS}; neighbor {theirs} as {peers.GATEWAY_AS}; direct; connect delay time 1; "
                f"connect retry time 1; error wait time 1, 2; hold time 30; "
                f"ipv{family} {{ import all; export where source = RTS_STATIC; next hop self; }}; }}\n")
    return out


def wires(world):
    world.run(None, "nsenter", f"--mount=/proc/{world.holder}/ns/mnt", "ip", "netns", "add", "aws-vpn")
    world.run("aws-vpn", "sysctl", "-q", "-w", *topo.SYSCTLS)
    world.ip("aws-vpn", f"link set lo up\naddr add {HOST[4]}/32 dev lo\naddr add {HOST[6]}/128 dev lo nodad")
    for ns, there, here in (("cloud-b", "vpn", "pub"), ("cloud-a", "vpn", "in")):
        world.ip("aws-vpn", f"link add {here} type veth peer name {there} netns /proc/{world.holder}/root/run/netns/{ns}")
        topo.plain(world, "aws-vpn", here)
        topo.plain(world, ns, there)
        world.ip(ns, f"link set {there} up")
        world.ip("aws-vpn", f"link set {here} up")
    world.ip("cloud-b", "addr add 192.0.2.102/30 dev vpn")
    world.ip("cloud-a", "addr add 172.31.9.1/30 dev vpn\naddr add fd00:9::1/126 dev vpn nodad")
    world.ip("aws-vpn", f"addr add {OUTER}/30 dev pub\naddr add 172.31.9.2/30 dev in\naddr add fd00:9::2/126 dev in nodad\n"
                        "route add default via 192.0.2.102\n"
                        "rule add to 10.40.0.0/16 lookup main pref 100")  # else charon's table sends what it decrypted back


def charon(world, name, where, vrf, folder, *more):
    child = world.spawn(name, where, [STARTER, vrf, "--run", folder, *more])
    vici = os.path.join(folder, "charon", vrf, "vici")
    wait_for(f"charon of {vrf}, see {world.path('log', name)}.log", 15, lambda: os.path.exists(vici) or child.poll() is not None)
    if child.poll() is not None:
        raise LabError(f"charon of {vrf} ended: {world.log_tail(name)}")
    return vici


def swanctl(vici, *words):
    done = subprocess.run(["swanctl", *words, "--uri", f"unix://{vici}"], capture_output=True, text=True, timeout=30,
                          env=dict(os.environ, SWANCTL_DIR="/nonexistent"))
    if done.returncode:
        raise LabError(f"swanctl {' '.join(words)}: {(done.stderr or done.stdout)[-300:]}")
    return done.stdout


def start(lab):
    """The far side, and our charon; returns our charon's vici socket."""
    world, gw = lab.world, lab.gateway
    wires(world)
    far = charon(world, "aws-vpn-charon", "aws-vpn", "aws-vpn", world.path("aws-vpn"), "--libipsec")
    with open(world.path("aws-vpn", "swanctl.conf"), "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
        f.write(SWAN)
    swanctl(far, "--load-all", "--file", world.path("aws-vpn", "swanctl.conf"))
    world.ip("aws-vpn", "addr add 169.254.33.1/30 dev ipsec0\naddr add fd00:33::1/126 dev ipsec0 nodad\nlink set ipsec0 mtu 1400 up")
    with open(world.path("aws-vpn", "bird.conf"), "w") as f:
        f.write(bird_conf())
    world.spawn("aws-vpn-bird", "aws-vpn", ["bird", "-f", "-c", world.path("aws-vpn", "bird.conf"), "-s", world.path("aws-vpn", "bird"),
                                            "-P", world.path("aws-vpn", "bird.pid")])
    with open(world.path("keys", "vpn"), "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
        f.write(PSK + "\n")
    return charon(world, "charon", "gw", "inet", os.path.dirname(gw.keeper_socket), "--shim", os.path.join(gw.build, "lintas-xfrm.so"),
                  "--xfrm", os.path.join(os.path.dirname(gw.api_socket), "xfrm-inet.sock"))


def join(lab):
    """The gateway learns of the link by a reload; returns when BGP through the tunnel is up."""
    settings = lab.gateway.settings
    settings.links.append(link(settings))
    settings.paths.append(PATH)
    settings.announce_b.append("10.44.0.0/16")
    lab.gateway.write()
    lab.gateway.hup()
    for addr in HOST.values():
        wait_for(f"{addr} by way of the tunnel; look with: lab ctl ike show, ipsec show", 60, lambda a=addr: lab.living(a) == {"aws-vpn"})
    wait_for("cloud-b knows of its host", 30, lambda: lab.via_gateway("cloud-b", HOST[4]) and lab.via_gateway("cloud-b", HOST[6]))
    wait_for("cloud-a's VPN knows the way back", 30, lambda: all(
        (lab.world.json("aws-vpn", "ip", "-j", "route", "get", a) or [{}])[0].get("dev") == "ipsec0" for a in ("10.60.0.10", "2001:db8:60::10")))
