"""A Transit Gateway Connect as AWS has it: one GRE tunnel over the public network, two BGP sessions in it.

    gw: inet ==== cloud-b (the public network) ---- tap `edge` == eth0 :guest, a virtual machine
                                                     192.0.2.97/30  192.0.2.98

The kernel of this machine may know no GRE, so the far end is a small Linux guest: its kernel's GRE, and two
BIRDs in it with an address each. Behind it is the network 10.90/16, 2001:db8:90::/48."""
import guest
import topo
from world import wait_for

AS, OUTER = 64514, "192.0.2.98"
HOST = {4: "10.90.0.10", 6: "2001:db8:90::10"}
PEERS = ("169.254.90.2", "169.254.90.3", "fd00:90::2", "fd00:90::3")
CLOUD = '''  edge  = { provider = "aws"; centre = "CC-106"; region = "ap-southeast-3"; prefixes = [ "10.90.0.0/16", "2001:db8:90::/48" ]; };
'''
LINK = f'''  tgw-gre  = {{ underlay = "inet"; vrf = "prod"; cloud = "edge"; profile = "aws-tgw-connect"; state = "up";
               encap = {{ type = "gre"; remote = "{OUTER}"; }};
               address = [ "169.254.90.1/29", "fd00:90::1/125" ];
               bgp = {{ v4 = {{ peer = "169.254.90.2"; second = "169.254.90.3"; asn = "{AS}"; }};
                       v6 = {{ peer = "fd00:90::2"; second = "fd00:90::3"; asn = "{AS}"; }};
                       announce = [ "10.40.0.0/16", "2001:db8:40::/48" ]; }}; }};
'''
HEAD = """log stderr all;
router id 10.90.0.1%d;
protocol device { }
protocol static s4 { ipv4; route 10.90.0.0/16 blackhole; }
protocol static s6 { ipv6; route 2001:db8:90::/48 blackhole; }
protocol kernel k4 { kernel table 10%d; ipv4 { import none; export where source = RTS_BGP; }; }
protocol kernel k6 { kernel table 10%d; ipv6 { import none; export where source = RTS_BGP; }; }
"""


def conf(gateway_as, i):
    """Of router i: AWS has two at the far end, in one tunnel. BIRD has one session with a neighbour, so each is a process."""
    out = HEAD % (i, i, i)
    for family, ours, theirs in ((4, PEERS[i], "169.254.90.1"), (6, PEERS[2 + i], "fd00:90::1")):
        out += (f"protocol bgp p{family} {{ local {ours} as {AS}; neighbor {theirs} as {gateway_as}; direct; strict bind on; connect delay time 1; "
                f"connect retry time 1; error wait time 1, 2; hold time 30; "
                f"ipv{family} {{ import all; export where source = RTS_STATIC; next hop self; }}; }}\n")
    return out


def start(world, build, gateway_as):
    """The guest, up and speaking; guest.Missing where none can be made."""
    guest.prepare(build)
    world.ip("cloud-b", "tuntap add edge mode tap\naddr add 192.0.2.97/30 dev edge\nlink set edge up")
    topo.plain(world, "cloud-b", "edge")
    vm = guest.Guest(world, build, ["edge"], "cloud-b")
    vm.wait_up()
    vm.run("echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; ip link set eth0 up; "
           f"ip addr add {OUTER}/30 dev eth0; ip route add default via 192.0.2.97")
    vm.run(f"ip2 link add gre1 type gre remote 198.51.100.10 local {OUTER} ttl 64; ip2 link set gre1 up")
    for addr in PEERS:
        vm.run(f"ip2 addr add {addr}/{125 if ':' in addr else 29} dev gre1{' nodad' if ':' in addr else ''}")
    for addr in HOST.values():
        vm.run(f"ip2 addr add {addr}/{128 if ':' in addr else 32} dev lo{' nodad' if ':' in addr else ''}")
    for i in range(2):
        for line in conf(gateway_as, i).splitlines():
            vm.run(f"echo '{line}' >>/tmp/bird{i}.conf")
        vm.run(f"mkdir -p /run; bird -c /tmp/bird{i}.conf -s /tmp/bird{i}.ctl -P /tmp/bird{i}.pid; "
               f"ip2 rule add lookup 10{i} pref 10{i}; ip2 -6 rule add lookup 10{i} pref 10{i}")
    return vm


def sessions(lab):
    """The gateway's sessions with the guest that are established."""
    have = {s["peer"]: s for s in lab.gateway.json("bgp", "show")["sessions"]}
    return [p for p in PEERS if have.get(p, {}).get("state") == "Established"]


def join(lab):
    """The gateway learns of the link by a reload; returns when all sessions are up and the host is reachable."""
    settings = lab.gateway.settings
    settings.clouds.append(CLOUD)
    settings.links.append(LINK)
    settings.reach.append(("edge", "aws"))
    settings.announce_a += ["10.90.0.0/16", "2001:db8:90::/48"]
    lab.gateway.write()
    lab.gateway.hup()
    wait_for("four BGP sessions through GRE", 60, lambda: len(sessions(lab)) == len(PEERS))
    for addr in HOST.values():
        wait_for(f"{addr} by way of the tunnel", 30, lambda a=addr: lab.living(a) == {"tgw-gre"} and lab.via_gateway("cloud-a", a))
        source = topo.A.addr[6 if ":" in addr else 4]  # the guest's kernel has the way back a moment after BIRD
        wait_for(f"{addr} answers", 30, lambda a=addr, s=source: lab.world.run(
            "cloud-a", "ping", "-n", "-c", "1", "-W", "1", "-I", s, a, check=False).returncode == 0)
