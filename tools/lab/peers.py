"""The clouds' routers: FRR in each cloud's namespace, and FRR for the gateway.

cloud-a announces its own prefixes and some thousands of real ones to the gateway; those it shares with
cloud-c (10.41/16, 2001:db8:41::/48 and the first SHARED real ones) with its own AS number once more, so that
cloud-c's way to them, one AS further, is equally long: ECMP. It also announces what the gateway must refuse
(a /32, a /64). Each cloud prefers the gateway over the direct circuit `xc`, which is the way out when an
interconnect is cut. Routes get the host address as their source, so that a plain `ping` in a cloud works."""
import os
import shutil

import topo
from world import LabError, wait_for

FRR = "/usr/lib/frr"
SHARED = 200
BFD_MULTIPLIER = 3  # of 300 ms, at both ends; a test that starves the machine may want more
GATEWAY_AS, A_AS, B_AS, C_AS = 65010, 64512, 64560, 12076
KEYS = {"dx1": "sukarno-hatta-19", "er": "merdeka-45-barat", "vpc": "sudirman-kav-52"}
REFUSED = ("203.0.113.77/32", "2001:db8:41:ffff::/64")  # longer than the gateway accepts

ZEBRA = """no zebra nexthop kernel enable
route-map SRC4 permit 10
 set src {src4}
exit
route-map SRC6 permit 10
 set src {src6}
exit
ip protocol bgp route-map SRC4
ipv6 protocol bgp route-map SRC6
"""
BFDD = """bfd
 profile lab
  detect-multiplier {multiplier}
  transmit-interval 300
  receive-interval 300
 exit
exit
"""


def neighbour(addr, asn, options):
    return "".join(f" neighbor {addr} {o}\n" for o in [f"remote-as {asn}", "timers 3 9", "timers connect 1", *options])


def bgp(asn, router_id, neighbours, networks4, networks6, families):
    """One `router bgp` block. neighbours: text; families: {(family): activation lines}."""
    out = [f"router bgp {asn}\n bgp router-id {router_id}\n no bgp ebgp-requires-policy\n"
           " no bgp default ipv4-unicast\n no bgp network import-check\n bgp bestpath as-path multipath-relax\n", neighbours]
    for family, networks in ((4, networks4), (6, networks6)):
        out.append(f" address-family ipv{family} unicast\n")
        out += [f"  network {n}\n" for n in networks]
        out += [f"  {line}\n" for line in families[family]]
        out.append(" exit-address-family\n")
    return "".join(out) + "exit\n"


def lists(name, prefixes4, prefixes6):
    out = [f"ip prefix-list {name}4 seq {i + 1} permit {p}\n" for i, p in enumerate(prefixes4)]
    out += [f"ipv6 prefix-list {name}6 seq {i + 1} permit {p}\n" for i, p in enumerate(prefixes6)]
    return "".join(out)


def session(addr, map_in=None, map_out=None):
    lines = [f"neighbor {addr} activate"]
    lines += [f"neighbor {addr} route-map {map_in} in"] if map_in else []
    lines += [f"neighbor {addr} route-map {map_out} out"] if map_out else []
    return lines


def conf_a():
    real4, real6 = topo.real_prefixes()
    shared4, shared6 = ["10.41.0.0/16", *map(str, real4[:SHARED])], ["2001:db8:41::/48", *map(str, real6[:SHARED])]
    nbrs = "".join(neighbour(a, GATEWAY_AS, ["bfd profile lab", f"password {KEYS['dx1']}"])
                   for a in ("169.254.10.2", "2001:db8:f:10::2"))
    nbrs += "".join(neighbour(a, C_AS, ["bfd profile lab"]) for a in ("172.31.0.2", "2001:db8:f:31::2"))
    maps = ""
    for f, ip in ((4, "ip"), (6, "ipv6")):
        maps += f"""route-map GW{f} permit 10
 match {ip} address prefix-list SHARED{f}
 set as-path prepend {A_AS}
exit
route-map GW{f} permit 20
 match as-path OWN
exit
route-map XC{f} permit 10
 match {ip} address prefix-list SHARED{f}
exit
route-map XC{f} permit 20
 match {ip} address prefix-list HOME{f}
exit
"""
    maps += "route-map LATER permit 10\n set local-preference 50\nexit\n"
    own4 = ["10.40.0.0/16", "10.41.0.0/16", REFUSED[0], *map(str, real4)]
    own6 = ["2001:db8:40::/48", "2001:db8:41::/48", REFUSED[1], *map(str, real6)]
    return "bgp as-path access-list OWN permit ^$\n" + lists("SHARED", shared4, shared6) + \
        lists("HOME", ["10.40.0.0/16"], ["2001:db8:40::/48"]) + maps + \
        bgp(A_AS, "10.40.0.10", nbrs, own4, own6,
            {4: session("169.254.10.2", None, "GW4") + session("172.31.0.2", "LATER", "XC4"),
             6: session("2001:db8:f:10::2", None, "GW6") + session("2001:db8:f:31::2", "LATER", "XC6")})


def conf_b():
    nbrs = "".join(neighbour(a, GATEWAY_AS, [f"password {KEYS['vpc']}"]) for a in ("10.61.255.1", "2001:db8:f:61::1"))
    return bgp(B_AS, "10.60.0.10", nbrs, ["10.60.0.0/16"], ["2001:db8:60::/48"],
               {4: session("10.61.255.1"), 6: session("2001:db8:f:61::1")})


def conf_c():
    nbrs = "".join(neighbour(a, GATEWAY_AS, ["bfd profile lab", f"password {KEYS['er']}"])
                   for a in ("169.254.20.1", "2001:db8:f:20::1"))
    nbrs += "".join(neighbour(a, A_AS, ["bfd profile lab"]) for a in ("172.31.0.1", "2001:db8:f:31::1"))
    return "route-map LATER permit 10\n set local-preference 50\nexit\n" + \
        bgp(C_AS, "10.70.0.10", nbrs, ["10.70.0.0/16"], ["2001:db8:70::/48"],
            {4: session("169.254.20.1") + session("172.31.0.1", "LATER"),
             6: session("2001:db8:f:20::1") + session("2001:db8:f:31::1", "LATER")})


CONFS = {"cloud-a": conf_a, "cloud-b": conf_b, "cloud-c": conf_c}


def start(world):
    """All three clouds' routers, at once; returns when their daemons answer."""
    for ns, conf in CONFS.items():
        launch(world, ns, ns, {"zebra": ZEBRA.format(src4=topo.HOSTS[ns][0], src6=source6(ns)),
                               "bgpd": conf(), "bfdd": BFDD.format(multiplier=BFD_MULTIPLIER)})
    for ns in CONFS:
        ready(world, ns)


def sockets(world, name):
    return world.path("frr", name)


def source6(ns):
    return next(a for a in topo.HOSTS[ns] if ":" in a)


def launch(world, name, where, confs, zebra=()):
    """FRR daemons in a namespace, in the foreground of sessions of their own, as user frr.

    confs: daemon -> its own configuration. One file for all of them would stop the others at the first
    `exit` of a block they do not know, and vtysh -f takes minutes for thousands of lines."""
    folder = sockets(world, name)
    os.makedirs(folder, mode=0o755)
    shutil.chown(folder, "frr", "frr")
    for daemon, conf in confs.items():
        file = f"{folder}/{daemon}.conf"
        with open(file, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
            f.write(conf)
        shutil.chown(file, "frr", "frr")
        run_daemon(world, name, where, daemon, zebra)


def run_daemon(world, name, where, daemon, zebra=()):
    """Start one daemon; also to bring back one that was ended."""
    folder = sockets(world, name)
    argv = [f"{FRR}/{daemon}", "-f", f"{folder}/{daemon}.conf", "--vty_socket", folder, "-i", f"{folder}/{daemon}.pid",
            "-z", f"{folder}/zserv.api", "--log", "stdout", "--log-level", "notifications"]
    argv += {"zebra": ["-s", "90000000", *zebra], "bgpd": ["-p", "179"],
             "bfdd": ["--bfdctl", f"{folder}/bfdd.sock"]}.get(daemon, [])
    if daemon == "bfdd" and name == "gw":  # its sessions run in lintasd
        argv += ["--dplaneaddr", f"unix:{folder}/bfdd_dplane.sock"]
    if daemon != "zebra":
        wait_for(f"zebra of {name}, see log/{name}-zebra.log", 15, lambda: os.path.exists(f"{folder}/zserv.api"))
    return world.spawn(f"{name}-{daemon}", where, argv)


def ready(world, name, daemons=("zebra", "bgpd", "bfdd")):
    for daemon in daemons:
        child = world.children.get(f"{name}-{daemon}")
        wait_for(f"{daemon} of {name}", 20, lambda d=daemon, c=child:
                 os.path.exists(f"{sockets(world, name)}/{d}.vty") or (c and c.poll() is not None))
        if child and child.poll() is not None:
            raise LabError(f"{daemon} of {name} ended: {world.log_tail(f'{name}-{daemon}')}")


def vtysh(world, name, *commands, check=True):
    argv = ["vtysh", "--vty_socket", sockets(world, name)]
    for c in commands:
        argv += ["-c", c]
    return world.run(None, *argv, check=check).stdout


def vtysh_json(world, name, command):
    return world.json(None, "vtysh", "--vty_socket", sockets(world, name), "-c", command)


def sessions(world, name, vrf=None):
    """{peer address: its entry of `show bgp … summary json`}, both families; entries of one peer merge."""
    data = vtysh_json(world, name, f"show bgp {'vrf ' + vrf if vrf else ''} summary json") or {}
    out = {}
    for family in ("ipv4Unicast", "ipv6Unicast"):
        for peer, entry in data.get(family, {}).get("peers", {}).items():
            out[peer] = entry
    return out


def established(world, name="gw", vrf="prod"):
    """{peer: when its session came up, in seconds}; FRR computes it from two clocks, so it may jitter by one."""
    return {p: e.get("peerUptimeEstablishedEpoch", 0) for p, e in sessions(world, name, vrf).items()
            if e.get("state") == "Established"}


def reset_since(before, after):
    """Peers whose session is not the one of before."""
    return sorted(p for p in before if abs(after.get(p, 0) - before[p]) > 2)
