"""One lab as an object: what `lab` commands, the demonstration and tests/netns use."""
import os
import time

import bird
import gateway
import measure
import peers
import topo
import world as worlds
from world import LabError, wait_for

FOLDER = "/run/lintas-lab"
NEEDED = ("nsenter", "unshare", "ip", "tc", "ethtool", "clang", "cc", "iperf3", "bird", "vtysh", "ping", "ss")


class Lab:
    def __init__(self, folder=FOLDER, build=os.path.join(topo.TOP, "build")):
        self.world = worlds.World(folder)
        self.gateway = gateway.Gateway(self.world, build)

    def up(self, say=lambda text: None, start_gateway=True):
        """Everything up to running daemons; what a crashed run left in the folder goes first."""
        if os.geteuid():
            raise LabError("the lab makes namespaces: run it as root (sudo)")
        missing = [p for p in NEEDED if not any(os.access(os.path.join(d, p), os.X_OK) for d in
                                                os.environ.get("PATH", "").split(":") + ["/usr/sbin", "/sbin"])]
        if missing or not os.path.exists(f"{peers.FRR}/zebra"):
            raise LabError(f"not installed: {' '.join(missing) or 'frr'}: `sudo make deps` installs what is missing")
        self.world.create()
        say("namespaces, wires, tags and tunnels")
        topo.build(self.world)
        self.world.hold_gateway("gw")
        measure.build_probe(self.world)
        say("the clouds' routers (FRR)")
        peers.start(self.world)
        bird.start(self.world, peers.GATEWAY_AS)
        if start_gateway:
            say(f"the gateway: FRR, lintas-keeper, lintasd ({'huge pages' if self.gateway.settings.hugepages else 'no huge pages'})")
            self.gateway.start()
        return self

    def attach(self):
        self.world.attach()
        return self

    def is_up(self):
        """An earlier command left a whole lab up: its holders and its lintasd run."""
        try:
            self.attach()
        except LabError:
            return False
        return bool(self.gateway.pid())

    def down(self):
        self.world.down()

    # ---- states ----
    def converge(self, seconds=90):
        """Wait until BGP is up, every cloud knows every other one's prefixes, and the fast path has them."""
        wait_for("BGP sessions of VRF prod: " + self.bgp_summary, seconds, slowly(self.gateway.bgp_up))
        for ns, nets in {"cloud-a": (60, 62, 70), "cloud-b": (40, 41, 70), "cloud-c": (40, 60, 62, 80),
                         "cloud-d": (60, 70)}.items():
            for addr in [f"10.{n}.0.10" for n in nets] + [f"2001:db8:{n}::10" for n in nets]:
                wait_for(f"{ns} has a route to {addr} by way of the gateway", 30,
                         lambda n=ns, a=addr: self.via_gateway(n, a))
        for addr in ("10.41.0.10", "2001:db8:41::10"):
            wait_for(f"{addr} has two living legs in the fast path", 30, lambda a=addr: self.living(a) == {"aws-dx1", "az-er"})
        for addr in ("10.40.0.10", "10.60.0.10", "10.62.0.10", "10.70.0.10", "10.80.0.10", "2001:db8:40::10", "2001:db8:80::10", "2001:db8:60::10",
                     "2001:db8:62::10", "2001:db8:70::10"):
            wait_for(f"{addr} has a living leg in the fast path", 30, lambda a=addr: self.living(a))

    @property
    def bgp_summary(self):
        return f"look with: vtysh --vty_socket {peers.sockets(self.world, 'gw')} -c 'show bgp vrf prod summary'"

    def via_gateway(self, ns, addr):
        """The kernel of a cloud sends packets for addr toward the gateway."""
        got = self.world.json(ns, "ip", "-j", "route", "get", addr) or [{}]
        return got[0].get("dev") in ("dx1", "er", "vx4", "vx6", "md1", "md2")

    def get(self, addr, vrf="prod", **flow):
        """`route get` as JSON, None while lintasd does not answer."""
        words = [w for k, v in flow.items() for w in (k, str(v))]
        return self.gateway.try_ctl("route", "get", addr, "vrf", vrf, *words)

    def living(self, addr, vrf="prod"):
        """Names of the links whose legs carry traffic to addr now: alive, with a resolved neighbour."""
        got = self.get(addr, vrf) or {}
        legs = (got.get("path") or {}).get("legs", [])
        return {(leg.get("to") or {}).get("link") for leg in legs
                if leg["alive"] and leg["buckets"] and (leg.get("to") or {}).get("kind") == "forward"}

    def link(self, name):
        return self.gateway.json("link", "show", name)[0]

    def tx(self, name):
        """Packets a link has sent."""
        return self.link(name)["tx"]["packets"]


def slowly(probe):
    """A probe that forks a vtysh, for wait_for(): at most five times a second."""
    last = 0.0

    def paced():
        nonlocal last
        if time.monotonic() - last < 0.2:
            return None
        last = time.monotonic()
        return probe()
    return paced
