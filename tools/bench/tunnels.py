"""The rows of tunnels against plain forwarding in the same process: out of each kind, and into each kind.

    gre-in     out of one of four GRE tunnels, routed like plain                       gre-in / plain
    gre-out    like plain, but the prefixes are behind the tunnels                     gre-out / plain
    ipip-, geneve-, vxlan-   the same; GENEVE and VXLAN carry Ethernet
    tunnels-1k-in, -out      1,000 GRE tunnels in random order against one of them     all / one

Tunnels are links of cloud vpn in VRF prod over lin, so packets come in and go out by in0. Plain, what comes out of
tunnels and what goes into them have a thousand prefixes of the same table each. Packets in and into tunnels have every
DSCP and code point of ECN but CE, which the judge wants to see outside too. Each row's plain windows stand between its own."""
import random

import judge
import traffic
from gateway import PORT_MAC
from layers import Tunnel
from measure import Books, Side, warm
from own import FLOWS, PREFIXES, WINDOW_S, Within
from rows import Result
from traffic import destinations, in_geneve, in_gre, in_ipip, in_vxlan, packet4, text, untagged, with_tos

KINDS = ("gre", "ipip", "geneve", "vxlan")
EACH, THOUSAND = 4, 1000
VNI, OURS = 7000, 0x0A000001
ALTERNATING = ("base", "row", "row", "base")


class Ends:
    """Tunnel i of a kind, as configuration, kernel and judge have it."""

    def __init__(self, kind, i):
        self.kind, self.at = kind, (*KINDS, "esp").index(kind)
        self.name = f"{kind}{i}"
        self.ether = kind in ("geneve", "vxlan")
        self.remote = 0x0A000100 + 0x1000 * self.at + i
        self.net = 0x0A200000 + 0x10000 * self.at + 4 * i
        self.far_mac = bytes([2, 0, 0, 3 + self.at]) + i.to_bytes(2, "big")
        self.inner_mac = bytes([2, 0, 0, 16 + self.at]) + i.to_bytes(2, "big")
        self.number = 50000 + 2000 * self.at + i  # of its next hop
        self.vni = VNI + i if self.ether else None
        self.mac = None  # of its interface, if that is Ethernet's

    def link(self):
        return (f'  {self.name} = {{ underlay = "lin"; vrf = "prod"; cloud = "vpn"; address = [ "{text(4, self.net + 1)}/30" ]; '
                f'{self.encap()} }};\n')

    def encap(self):
        vni = f"vni = {self.vni}; " if self.ether else ""
        return f'encap = {{ type = "{self.kind}"; {vni}remote = "{text(4, self.remote)}"; }};'

    def leg(self):
        tunnel = Tunnel(self.kind, self.vni, OURS, self.remote, *((self.mac, self.inner_mac) if self.ether else ()))
        return judge.Leg(self.far_mac, PORT_MAC, tunnel=tunnel)

    def frame(self, packet, number):
        """As the far end sends it."""
        if self.kind == "gre":
            return in_gre(packet, self.remote, OURS)
        if self.kind == "ipip":
            return in_ipip(packet, self.remote, OURS)
        make = in_geneve if self.kind == "geneve" else in_vxlan
        return make(packet, self.vni, self.mac, self.remote, OURS, 0xC000 | number & 0x3FFF)


def packet(number, dst):
    return with_tos(packet4(number, dst), number % 64 << 2 | number % 3)


class Tunnels(Within):
    """All kinds, a few of each."""

    rows = {"gre-in": 2.0, "gre-out": 1.6, "ipip-in": 2.0, "ipip-out": 1.6, "geneve-in": 2.0, "geneve-out": 2.0,
            "vxlan-in": 2.0, "vxlan-out": 2.0}
    ends = [Ends(kind, i) for kind in KINDS for i in range(1, EACH + 1)]

    def result(self, name):
        return Result(name, self.rows[name], of=name, to=self.base(name))

    def base(self, _name):
        """The set of frames that a row is compared with."""
        return "plain"

    def shape(self, _place):
        return {"more": "".join(e.link() for e in self.ends), "far": [(e.remote, e.far_mac, "lin") for e in self.ends],
                "many": [e.name for e in self.ends]}

    # ---- routes and frames ----
    def ways(self, gateway):
        """Next hops behind the tunnels."""
        kernel, lines = gateway.prod, []
        index = kernel.index()
        for e in self.ends:
            gateway.via[e.number] = (e.net + 2, index[e.name])
            if e.ether:
                e.mac = kernel.mac(e.name)
                lines.append(f"neigh replace {text(4, e.net + 2)} lladdr {e.inner_mac.hex(':')} dev {e.name} nud permanent")
        kernel.ip(lines)
        return {e.number: [e.leg()] for e in self.ends}

    def fill(self, gateway, path):
        rng = random.Random(5)
        self.legs = gateway.hops(4, PREFIXES) | self.ways(gateway)
        self.table = traffic.Table(4)
        self.frames = traffic.Traffic(path)
        self.sets(rng)
        gateway.load(self.table)
        self.frames.done()

    def sets(self, rng):
        plain = self.table.add_random(PREFIXES, rng, range(1, PREFIXES + 1))
        self.add("plain", destinations(plain, 4, FLOWS, rng))
        for kind in KINDS:
            ends = [e for e in self.ends if e.kind == kind]
            behind = self.table.add_random(PREFIXES, rng, [e.number for e in ends])
            self.add(f"{kind}-out", destinations(behind, 4, FLOWS, rng))
            self.add(f"{kind}-in", destinations(plain, 4, FLOWS, rng), [rng.choice(ends) for _ in range(FLOWS)])

    def add(self, name, dsts, ends=None, make=packet):
        """Frames to these destinations, plain or out of these tunnels."""
        if ends:
            makers = ((lambda number, d=d, e=e: e.frame(make(number, d), number)) for d, e in zip(dsts, ends))
        else:
            makers = ((lambda number, d=d: untagged(make(number, d))) for d in dsts)
        self.frames.add(name, makers)

    # ---- one process ----
    def measure(self, program, results):
        sets = self.frames.sets
        sides = {name: {"base": Side(f"{self.base(name)} beside {name}", program, span=sets[self.base(name)]),
                        "row": Side(name, program, span=sets[name])} for name in results}
        order = [pair[which] for pair in sides.values() for which in ALTERNATING]
        books = Books(program, self.judge())
        warm(set(order))
        books.open()
        for side in order + order[::-1]:
            side.window(WINDOW_S)
        books.close()
        for name, result in results.items():
            cost, base = (sides[name][which].cost for which in ("row", "base"))
            result.add(cost.cycles / base.cycles, cost.cycles, base.cycles, cost.vector)

    def judge(self):
        return judge.Judge(self.frames, {(4, False): self.table, (4, True): self.table}, self.legs)


class Thousand(Tunnels):
    """As many tunnels as a gateway may have, against one of them."""

    rows = {"tunnels-1k-in": 1.10, "tunnels-1k-out": 1.10}
    ends = [Ends("gre", i) for i in range(1, THOUSAND + 1)]
    kind = "tunnels"

    def base(self, name):
        return name.replace("1k", "one")

    def sets(self, rng):
        """Two flows to each prefix, so that no tunnel is left out."""
        plain = self.table.add_random(PREFIXES, rng, range(1, PREFIXES + 1))
        for which, ends in (("one", self.ends[:1] * THOUSAND), ("1k", self.ends)):
            behind = [p for e in ends for p in self.table.add_random(1, rng, [e.number])]
            into = [d for p in behind * 2 for d in destinations([p], 4, 1, rng)]
            rng.shuffle(into)
            self.add(f"{self.kind}-{which}-out", into)
            out_of = ends * 2
            rng.shuffle(out_of)
            self.add(f"{self.kind}-{which}-in", destinations(plain, 4, len(out_of), rng), out_of)
