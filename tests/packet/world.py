"""The world the packet rows run in: pktrun's process, its links and routes, and how a row is judged.

    port 0   a  untagged        vrf 0   10.1.0.1     2001:db8:1::1     hosts 10.1/16, 2001:db8:1::/48
             part VLAN 200      vrf 1   10.9.0.1     2001:db8:9::1     a partner
             unn  VLAN 210      vrf 0   no address                     hosts 10.21/16
             off  VLAN 220      vrf 0   shut
    port 1   b  untagged        vrf 0   10.2.0.1     2001:db8:2::1     hosts 10.2/16, 2001:db8:2::/48
             c  VLAN 100        vrf 0   10.3.0.1     2001:db8:3::1     MTU 1400
    port 2   u  untagged        vrf 2   198.51.100.1 2001:db8:ff::1    the underlay
             q  88a8:300 8100:40   vrf 0   10.4.0.1  2001:db8:4::1
             r  8100:301 8100:41   vrf 0   10.5.0.1  2001:db8:5::1
    tunnel   vx  VXLAN 5001 to 198.51.100.77   vrf 0   10.6.0.1  2001:db8:6::1   MTU 1450
             wx  VXLAN 5002 to 2001:db8:ff::77 vrf 0   10.7.0.1  2001:db8:7::1   MTU 1430
"""
import json
import subprocess

from scapy.all import ICMP, IP, UDP, Dot1Q, Ether, ICMPv6DestUnreach, IPv6, Raw, conf  # noqa: F401

conf.verb = 0

PEER = {"a": "02:aa:00:00:00:0a", "b": "02:aa:00:00:00:0b", "c": "02:aa:00:00:00:0c", "q": "02:aa:00:00:00:0d",
        "r": "02:aa:00:00:00:0e", "u": "02:aa:00:00:00:0f", "vx": "02:aa:00:00:00:06", "wx": "02:aa:00:00:00:07",
        "part": "02:aa:00:00:00:09", "unn": "02:aa:00:00:00:21", "off": "02:aa:00:00:00:22"}
TUNNEL_MAC = {"vx": "02:bb:00:00:00:06", "wx": "02:bb:00:00:00:07"}
# name: (id, vrf, port, tags, mtu, third octet / group of its addresses or None)
LINKS = {
    "a": (1, 0, 0, [], 1500, 1),
    "b": (2, 0, 1, [], 1500, 2),
    "c": (3, 0, 1, [[0x8100, 100]], 1400, 3),
    "q": (4, 0, 2, [[0x88A8, 300], [0x8100, 40]], 1500, 4),
    "r": (5, 0, 2, [[0x8100, 301], [0x8100, 41]], 1500, 5),
    "part": (6, 1, 0, [[0x8100, 200]], 1500, 9),
    "u": (7, 2, 2, [], 1600, None),
    "vx": (8, 0, None, [], 1450, 6),
    "wx": (9, 0, None, [], 1430, 7),
    "unn": (10, 0, 0, [[0x8100, 210]], 1500, None),
    "off": (11, 0, 0, [[0x8100, 220]], 1500, None),
}
# Zones: 1 is a cloud and reaches itself, 2 a partner and reaches nobody; masks of who is reached.
ZONES = {"part": 2}
REACH = {1: 0b10, 2: 0}
LINK_NAME = {v[0]: k for k, v in LINKS.items()}
# Adjacencies and groups of the same number.
ADJ_LOCAL, ADJ_BLACKHOLE, ADJ_UNREACHABLE, ADJ_PROHIBIT, ADJ_BROADCAST = 1, 2, 3, 4, 5
ADJ_PEER = {name: 20 + link[0] for name, link in LINKS.items()}
ADJ_GLEAN_B, ADJ_FAILED_B = 40, 41
UNDERLAY6 = 42
GROUP_ECMP = 60


class Failure(Exception):
    pass


class Pktrun:
    """pktrun's process: one JSON line there, one back."""

    def __init__(self, build):
        self.process = subprocess.Popen([f"{build}/pktrun"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, cmd, may_fail=False, **args):
        self.process.stdin.write(json.dumps({"cmd": cmd, **args}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise Failure(f"pktrun ended during '{cmd}' with status {self.process.wait()}")
        answer = json.loads(line)
        if not answer.get("ok") and not may_fail:
            raise Failure(f"{cmd} {args if len(str(args)) < 300 else ''}: {answer}")
        return answer

    def close(self):
        self.process.stdin.close()
        return self.process.wait(20)


def host4(link, n=10):
    return f"10.{LINKS[link][5]}.0.{n}"


class World:
    def __init__(self, build, workers=1, **start):
        self.run = Pktrun(build)
        self.sources = 0
        ports = self.run("start", ports=3, workers=workers, **start)["ports"]
        self.mac = [p["mac"] for p in ports]
        self.publish()
        self.routes()

    def links(self):
        out = []
        for name, (ident, vrf, port, tags, mtu, n) in LINKS.items():
            link = {"id": ident, "name": name, "vrf": vrf, "mtu": mtu, "tags": tags, "up": name != "off",
                    "zone": ZONES.get(name, 1), "reach": REACH[ZONES.get(name, 1)]}
            if n:
                link |= {"src4": f"10.{n}.0.1", "src6": f"2001:db8:{n}::1"}
            if name == "u":
                link |= {"src4": "198.51.100.1", "src6": "2001:db8:ff::1"}
            if port is None:
                v6 = name == "wx"
                link |= {"encap": "vxlan", "mac": TUNNEL_MAC[name], "underlay_vrf": 2, "vni": 5002 if v6 else 5001,
                         "local": "2001:db8:ff::1" if v6 else "198.51.100.1", "udp_port": 4789,
                         "remote": "2001:db8:ff::77" if v6 else "198.51.100.77",
                         "underlay_adj": UNDERLAY6 if v6 else ADJ_PEER["u"]}
            else:
                link |= {"port": port, "mac": self.mac[port]}
            out.append(link)
        return out

    def publish(self):
        self.run("publish", links=self.links())

    def routes(self):
        cmds = [{"cmd": "vrf_add", "vrf": v} for v in (0, 1, 2)]

        def adj(n, kind, **more):
            cmds.append({"cmd": "adj_set", "adj": n, "kind": kind, **more})
            cmds.append({"cmd": "group_set", "group": n,
                         "legs": [{"adj": n, "key": n, "weight": 1, "tier": 0, "alive": True}]})

        def route(prefix, group, vrf=0):
            cmds.append({"cmd": "fib_set", "vrf": vrf, "prefix": prefix, "group": group})

        for n, kind in ((ADJ_LOCAL, "local"), (ADJ_BLACKHOLE, "blackhole"), (ADJ_UNREACHABLE, "unreachable"),
                        (ADJ_PROHIBIT, "prohibit")):
            adj(n, kind)
        adj(ADJ_BROADCAST, "broadcast", link=2)
        adj(ADJ_PEER["u"], "forward", link=7, mac=PEER["u"], nexthop="198.51.100.77")
        adj(UNDERLAY6, "forward", link=7, mac=PEER["u"], nexthop="2001:db8:ff::77")
        self.run("batch", cmds=cmds)
        self.publish()  # the tunnels' underlay is known now
        cmds.clear()
        for name, (ident, vrf, _, _, _, n) in LINKS.items():
            if name in ("u", "off"):
                continue
            adj(ADJ_PEER[name], "forward", link=ident, mac=PEER[name], nexthop=f"10.{n or 21}.0.2")
            route(f"10.{n or 21}.0.0/16", ADJ_PEER[name], vrf)
            if n:
                route(f"2001:db8:{n}::/48", ADJ_PEER[name], vrf)
                route(f"10.{n}.0.1/32", ADJ_LOCAL, vrf)
                route(f"2001:db8:{n}::1/128", ADJ_LOCAL, vrf)
        route("198.51.100.1/32", ADJ_LOCAL, 2)
        route("2001:db8:ff::1/128", ADJ_LOCAL, 2)
        route("198.51.100.0/24", ADJ_PEER["u"], 2)
        route("2001:db8:ff::/64", UNDERLAY6, 2)
        route("10.1.0.0/16", ADJ_PEER["u"], 1)  # the partner's VRF even has a route, and still reaches nothing
        adj(ADJ_GLEAN_B, "glean", link=2)
        adj(ADJ_FAILED_B, "failed", link=2, nexthop="10.2.99.9")
        route("10.2.77.0/24", ADJ_GLEAN_B)
        route("2001:db8:2:77::/64", ADJ_GLEAN_B)
        route("10.2.99.9/32", ADJ_FAILED_B)
        route("2001:db8:2:99::/64", ADJ_FAILED_B)
        route("10.2.255.255/32", ADJ_BROADCAST)
        for i, group in enumerate((ADJ_BLACKHOLE, ADJ_UNREACHABLE, ADJ_PROHIBIT)):
            route(f"10.100.{i}.0/24", group)
            route(f"2001:db8:100:{i}::/64", group)
        cmds.append({"cmd": "group_set", "group": GROUP_ECMP, "legs": [
            {"adj": ADJ_PEER[x], "key": 1000 + i, "weight": 1, "tier": 0, "alive": True} for i, x in enumerate("bcq")]})
        route("10.50.0.0/16", GROUP_ECMP)
        route("2001:db8:50::/48", GROUP_ECMP)
        self.run("batch", cmds=cmds)

    def fresh(self, link="a", family=4):
        """A source nobody used before: ICMP errors are limited by source."""
        self.sources += 1
        n = LINKS[link][5] or 21
        if family == 4:
            return f"10.{n}.{10 + self.sources // 250}.{2 + self.sources % 250}"
        return f"2001:db8:{n}::{self.sources + 0x100:x}"

    # ---- frames as they enter ----
    def eth(self, link, type_=None, **over):
        """Ethernet and tags as the link's peer would send."""
        _, _, port, tags, _, _ = LINKS[link]
        head = Ether(**({"src": PEER[link], "dst": self.mac[port]} | over))
        for i, (tpid, vid) in enumerate(tags):
            head.type = tpid if i == 0 else head.type
            head = head / Dot1Q(vlan=vid)
            if i + 1 < len(tags):
                head.lastlayer().type = tags[i + 1][0]
        if type_ is not None:
            head.lastlayer().type = type_
        return head

    def forwarded(self, packet, out, tos=None):
        """What the peer of link `out` must see of an IP packet: the naive model of a router."""
        p = packet.copy()
        if IP in p and not isinstance(p, IPv6):
            p.ttl -= 1
            del p.chksum
        else:
            p.hlim -= 1
        return bytes(self.eth(out, src=self.mac[LINKS[out][2]], dst=PEER[out],
                              type_=0x86DD if isinstance(p, IPv6) else 0x0800)) + bytes(p)

    def send(self, link_or_port, *frames):
        port = link_or_port if isinstance(link_or_port, int) else LINKS[link_or_port][2]
        answer = self.run("send", port=port, frames=[bytes(f).hex() for f in frames])
        if answer["leaked"]:
            raise Failure(f"{answer['leaked']} packet buffers leaked")
        return answer


def tx(answer):
    return [(t["port"], bytes.fromhex(t["hex"])) for t in answer["tx"]]


def equal(got, want, what):
    if got != want:
        raise Failure(f"{what}: got {show(got)}, expected {show(want)}")


def show(x):
    if isinstance(x, (bytes, bytearray)):
        try:
            return f"{x.hex()} = {Ether(x).summary()}"
        except Exception:  # a frame scapy cannot name is shown as it is
            return x.hex()
    if isinstance(x, (list, tuple)):
        return "[" + ", ".join(show(y) for y in x) + "]"
    return repr(x)
