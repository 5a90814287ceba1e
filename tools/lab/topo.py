"""The lab's wires and addresses.

                 real prefixes of a public cloud, 10.40/16 2001:db8:40::/48 (host .10)
    +-----------+                          10.41/16 2001:db8:41::/48 also by way of cloud-c: ECMP
    |  cloud-a  |  aws-dx1: VLAN 101, BGP + MD5 + BFD             +------------------------------+
    |  AS 64512 |=================================== colo0 =======|  gw                          |
    +-----+-----+  169.254.10.0/30  2001:db8:f:10::/125           |                              |
          | xc (not through us: 10.41/16 and, as a way out,       |   lintasd  lintas-keeper     |
          |     everything else when an interconnect is cut)      |   FRR (zebra -n)             |
    +-----+-----+  az-er: QinQ 300 . 40 (0x8100), BGP + MD5 + BFD |                              |
    |  cloud-c  |=================================== colo1 =======|   VRF prod: aws-dx1 az-er    |
    |  AS 12076 |  169.254.20.0/30  2001:db8:f:20::/126           |             gcp-vpc gcp-vpc6 |
    +-----------+  10.70/16 2001:db8:70::/48                      |   VRF inet: inet             |
                                                                  |   VRF bank: bank-ll          |
    +-----------+  inet: untagged, 198.51.100.0/24 2001:db8:ff::/64                              |
    |  cloud-b  |=================================== inet0 =======|                              |
    |  AS 64560 |    gcp-vpc   VXLAN 5001 over IPv4, BGP:    10.60/16 2001:db8:60::/48           |
    +-----------+    gcp-vpc6  VXLAN 5002 over IPv6, static: 10.62/16 2001:db8:62::/48           |
      and, in steps of `lab run`, tgw-gre to a virtual machine beyond it (edge.py), and           |
      aws-vpn, IPsec to cloud-a (vpn.py)                          |                              |
                                                                  |                              |
    +-----------+  md-dx1: VLAN 201, md-dx2: VLAN 202, BGP + MD5 + BFD, primary and backup      |
    |  cloud-d  |=================================== colo2 =======|                              |
    | AS 64513  |    BIRD, as strict as AWS: bird.py; 10.80/16 2001:db8:80::/48                  |
    +-----------+                                                 |                              |
    +-----------+  bank-ll: VLAN 301, static, partner             |                              |
    |   bank    |=================================== bank0 =======|                              |
    +-----------+  192.0.2.64/29 2001:db8:ba::/64                 +------------------------------+
                   10.40/16 2001:db8:40::/48 again: it overlaps cloud-a on purpose

Each "=====" is a veth pair; the gateway's end has the name above the wire, belongs to net_af_xdp and carries
no address. A peer's end is `wire`; a tagged attachment's addresses sit on a device behind it (tag.bpf.c)."""
import hashlib
import ipaddress
import os

from world import LabError

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
NAMESPACES = ("gw", "cloud-a", "cloud-b", "cloud-c", "cloud-d", "bank")


class Attachment:
    """A tagged attachment of a peer: device, VLANs, addresses of both ends."""

    def __init__(self, peer, dev, vlan, address, stag=0):
        self.peer, self.dev, self.vlan, self.address, self.stag = peer, dev, vlan, address, stag


WIRES = {"colo0": "cloud-a", "colo1": "cloud-c", "inet0": "cloud-b", "bank0": "bank", "colo2": "cloud-d"}
ATTACHMENTS = (
    Attachment("cloud-a", "dx1", 101, ("169.254.10.1/30", "2001:db8:f:10::1/125")),
    Attachment("cloud-a", "dx2", 102, ("169.254.11.1/30", "2001:db8:f:11::1/125")),  # spare, for changes
    Attachment("cloud-c", "er", 40, ("169.254.20.2/30", "2001:db8:f:20::2/126"), stag=300),
    Attachment("cloud-d", "md1", 201, ("169.254.81.1/30", "2001:db8:f:81::1/125")),
    Attachment("cloud-d", "md2", 202, ("169.254.82.1/30", "2001:db8:f:82::1/125")),
    Attachment("bank", "ll", 301, ("192.0.2.70/29", "2001:db8:ba::70/64")),
)
# What answers at the far end: namespace -> addresses on lo.
HOSTS = {
    "cloud-a": ("10.40.0.10", "10.41.0.10", "2001:db8:40::10", "2001:db8:41::10"),
    "cloud-b": ("10.60.0.10", "10.62.0.10", "2001:db8:60::10", "2001:db8:62::10", "192.0.2.77",
                "2001:db8:b::77"),
    "cloud-c": ("10.70.0.10", "2001:db8:70::10"),
    "cloud-d": ("10.80.0.10", "2001:db8:80::10"),
    "bank": ("10.40.0.10", "2001:db8:40::10"),
}


class End:
    """One end of a path: a name for tables, its namespace and its host address in each family."""

    def __init__(self, name, peer, v4, v6):
        self.name, self.peer, self.addr = name, peer, {4: v4, 6: v6}


A = End("aws", "cloud-a", "10.40.0.10", "2001:db8:40::10")
A_ECMP = End("aws-ecmp", "cloud-a", "10.41.0.10", "2001:db8:41::10")
B = End("gcp", "cloud-b", "10.60.0.10", "2001:db8:60::10")
B6 = End("gcp-over-v6", "cloud-b", "10.62.0.10", "2001:db8:62::10")
C = End("azure", "cloud-c", "10.70.0.10", "2001:db8:70::10")
D = End("media", "cloud-d", "10.80.0.10", "2001:db8:80::10")
BANK = End("bank", "bank", "192.0.2.70", "2001:db8:ba::70")
PATHS = ((A, B), (A, B6), (A, C), (B, C), (B6, C), (B, D), (C, D), (A_ECMP, B), (A_ECMP, B6))

GATEWAY = {  # our address on the link to each peer
    "cloud-a": ("169.254.10.2", "2001:db8:f:10::2"), "cloud-b": ("10.61.255.1", "2001:db8:f:61::1"),
    "cloud-c": ("169.254.20.1", "2001:db8:f:20::1"), "cloud-d": ("169.254.81.2", "2001:db8:f:81::2"),
    "bank": ("192.0.2.66", "2001:db8:ba::66"),
}


def gateway_of(peer, family):
    return GATEWAY[peer][family == 6]


SYSCTLS = ("net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0", "net.ipv4.ip_forward=1",
           "net.ipv6.conf.all.forwarding=1", "net.ipv6.conf.default.accept_dad=0",
           "net.ipv6.conf.default.keep_addr_on_down=1",
           "net.ipv6.conf.all.accept_dad=0", "net.ipv4.ping_group_range=0 2147483647",
           "net.ipv4.conf.all.accept_redirects=0", "net.ipv4.icmp_ratelimit=0",
           "net.ipv6.icmp.ratelimit=0", "net.ipv4.fib_multipath_hash_policy=1",
           "net.ipv6.fib_multipath_hash_policy=1")


def mac(text):
    """A stable, locally administered MAC address of a name: every run of the lab has the same."""
    digest = hashlib.sha256(text.encode()).digest()
    return "02:" + ":".join(f"{b:02x}" for b in digest[:5])


def build(world):
    """All namespaces, wires, tags, tunnels and addresses. No routing daemon yet, no gateway."""
    for ns in NAMESPACES:
        world.run(None, "nsenter", f"--mount=/proc/{world.holder}/ns/mnt", "ip", "netns", "add", ns)
        world.run(ns, "sysctl", "-q", "-w", *SYSCTLS)
        world.ip(ns, "link set lo up")
    for index, (port, peer) in enumerate(WIRES.items(), 100):
        lay_wire(world, port, peer, index)
    for attachment in ATTACHMENTS:
        attach_tagged(world, attachment)
    for ns, addrs in HOSTS.items():
        world.ip(ns, "\n".join(f"addr add {a} dev lo" for a in addrs))
    build_cross_connect(world)
    build_tunnels(world)
    world.ip("bank", "route add default via 192.0.2.66\nroute add default via 2001:db8:ba::66")


def lay_wire(world, port, peer, index):
    """A veth pair as a wire. Room for two tags on both ends; checksums are computed, tags stay in the frame.

    The index is one the other end does not have: Linux tells a veth's loss of carrier at once only if the
    indexes of its ends differ, else with the rest of its link news, which may be a second late."""
    world.ip("gw", f"link add {port} index {index} mtu 1508 address {mac('gw ' + port)} type veth peer name wire "
                   f"mtu 1508 address {mac(peer + ' wire')} netns /proc/{world.holder}/root/run/netns/{peer}")
    for ns, dev in (("gw", port), (peer, "wire")):
        plain(world, ns, dev)
    world.run("gw", "sysctl", "-q", "-w", f"net.ipv6.conf.{port}.disable_ipv6=1")
    if peer != "cloud-b":
        world.run(peer, "sysctl", "-q", "-w", "net.ipv6.conf.wire.disable_ipv6=1")
    world.ip("gw", f"link set {port} up")
    world.ip(peer, "link set wire up")


def plain(world, ns, dev):
    """No offload that leaves a frame unfinished: what DPDK reads must be what would be on a cable."""
    world.run(ns, "ethtool", "-K", dev, "tx", "off", "tso", "off", "gso", "off", "gro", "off", check=False)
    world.run(ns, "ethtool", "-K", dev, "txvlan", "off", "rxvlan", "off", "tx-vlan-stag-hw-insert", "off",
              "rx-vlan-stag-hw-parse", "off", check=False)  # a tag that stays beside the frame is lost to AF_XDP


def attach_tagged(world, at):
    """DEV with the addresses, DEVw in front of the wire, the tags between them by eBPF."""
    w = at.dev + "w"
    world.ip(at.peer, f"link add {at.dev} address {mac(at.peer + ' ' + at.dev)} type veth peer name {w}")
    for dev in (at.dev, w):
        plain(world, at.peer, dev)
    world.run(at.peer, "sysctl", "-q", "-w", f"net.ipv6.conf.{w}.disable_ipv6=1")
    world.ip(at.peer, "\n".join([f"addr add {a} dev {at.dev}{' nodad' if ':' in a else ''}" for a in at.address] +
                                [f"link set {at.dev} up", f"link set {w} up"]))
    obj = compile_tag(world, at)
    for dev, section in ((w, "push"), ("wire", "pop")):
        world.run(at.peer, "tc", "qdisc", "add", "dev", dev, "clsact", check=False)  # the wire may have one
        world.run(at.peer, "tc", "filter", "add", "dev", dev, "ingress", "prio", str(at.vlan + 100), "protocol",
                  "all", "bpf", "direct-action", "object-file", obj, "section", section)


def ifindex(world, ns, dev):
    return world.json(ns, "ip", "-j", "link", "show", "dev", dev)[0]["ifindex"]


def compile_tag(world, at, *more, name=None):
    obj = world.path(name or f"tag-{at.peer}-{at.dev}.o")
    world.run(None, "clang", "-O2", "-g", "-target", "bpf", "-Wall", "-Werror", f"-I/usr/include/{os.uname().machine}-linux-gnu",
              f"-DCVID={at.vlan}", f"-DSVID={at.stag}", "-DSPROTO=0x8100",
              *more, f"-DWIRE={ifindex(world, at.peer, 'wire')}", f"-DDEVW={ifindex(world, at.peer, at.dev + 'w')}",
              "-c", os.path.join(HERE, "tag.bpf.c"), "-o", obj)
    return obj


def build_cross_connect(world):
    """cloud-a and cloud-c also meet each other directly: a private circuit that is none of our business."""
    world.ip("cloud-a", f"link add xc type veth peer name xc netns /proc/{world.holder}/root/run/netns/cloud-c")
    for ns, n in (("cloud-a", 1), ("cloud-c", 2)):
        plain(world, ns, "xc")
        world.ip(ns, f"addr add 172.31.0.{n}/30 dev xc\naddr add 2001:db8:f:31::{n}/125 dev xc nodad\nlink set xc up")


def build_tunnels(world):
    """cloud-b: its end of the public network, and the kernel's VXLAN over either family on it."""
    world.ip("cloud-b", """addr add 198.51.100.9/24 dev wire
addr add 2001:db8:ff::9/64 dev wire nodad
link add vx4 type vxlan id 5001 local 192.0.2.77 remote 198.51.100.10 dstport 4789 nolearning
link add vx6 type vxlan id 5002 local 2001:db8:b::77 remote 2001:db8:ff::10 dstport 4789 nolearning udp6zerocsumrx udp6zerocsumtx
link set vx4 mtu 1450 address %s
link set vx6 mtu 1430 address %s
addr add 10.61.255.2/30 dev vx4
addr add 10.61.255.6/30 dev vx6
addr add 2001:db8:f:61::2/126 dev vx4 nodad
addr add 2001:db8:f:62::2/126 dev vx6 nodad
link set vx4 up
link set vx6 up
rule add from 10.62.0.0/16 lookup 62
route add default via 10.61.255.5 dev vx6 table 62
""" % (mac("vx4"), mac("vx6")))
    world.ip("cloud-b", """rule add from 2001:db8:62::/48 lookup 62
route add default via 2001:db8:f:62::1 dev vx6 table 62
""", "-6")
    for dev in ("vx4", "vx6"):
        plain(world, "cloud-b", dev)


# ---- faults ----
def cut(world, peer, on=True):
    """Cut a fibre: both ends lose the light."""
    state = "down" if on else "up"
    devs = ["wire"] + [at.dev + "w" for at in ATTACHMENTS if at.peer == peer]
    world.ip(peer, "\n".join(f"link set {d} {state}" for d in devs))


def lose(world, dev, percent, on=True):
    """A grey failure: an attachment loses so many packets of a hundred, both ways; carrier and light stay."""
    at = next(a for a in ATTACHMENTS if a.dev == dev)
    obj = compile_tag(world, at, f"-DLOSS={percent}", name=f"lose-{dev}.o") if on else None
    for where, section in ((at.dev + "w", "lose_push"), ("wire", "lose_pop")):
        if on:
            world.run(at.peer, "tc", "filter", "add", "dev", where, "ingress", "prio", "2", "protocol", "all", "bpf",
                      "direct-action", "object-file", obj, "section", section)
        else:
            world.run(at.peer, "tc", "filter", "del", "dev", where, "ingress", "prio", "2", check=False)


def silence(world, peer, on=True):
    """Lose every frame both ways while carrier stays: what only BFD can see."""
    at = next((a for a in ATTACHMENTS if a.peer == peer), None)
    if at is None:
        raise LabError(f"{peer} has no tagged attachment to silence")
    for dev in ("wire", *(a.dev + "w" for a in ATTACHMENTS if a.peer == peer)):
        if on:
            world.run(peer, "tc", "filter", "add", "dev", dev, "ingress", "prio", "1", "protocol", "all", "bpf",
                      "direct-action", "object-file", world.path(f"tag-{peer}-{at.dev}.o"), "section", "drop")
        else:
            world.run(peer, "tc", "filter", "del", "dev", dev, "ingress", "prio", "1")


# ---- prefixes to advertise ----
def real_prefixes(n4=3000, n6=1000):
    """Published prefixes of a public cloud when shared/data is there, else as many made up; no /25 or longer."""
    path = os.path.join(os.path.dirname(TOP), "shared", "data", "aws-ranges.tsv")
    v4, v6 = set(), set()
    try:
        with open(path) as f:
            for line in f:
                if line[0] != "#":
                    net = ipaddress.ip_network(line.split("\t")[0])
                    if net.version == 4 and net.prefixlen <= 24:
                        v4.add(net)
                    elif net.version == 6 and net.prefixlen <= 56:
                        v6.add(net)
    except OSError:
        v4 = {ipaddress.ip_network((0x17000000 + (i << 8) * 3, 24)) for i in range(n4)}
        v6 = {ipaddress.ip_network(((0x26001f00 << 96) + (i << 80), 48)) for i in range(n6)}
    return sorted(v4)[:n4], sorted(v6)[:n6]
