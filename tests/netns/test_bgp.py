#!/usr/bin/python3
"""BGP as rendered: MD5, prefix lists both ways, BFD, multipath, and `route get` that explains it."""
import json
import sys

from harness import check, run, test, wait_for
import peers
import topo


def received(lab, peer_router, neighbour, family):
    """Prefixes a cloud has from the gateway."""
    data = json.loads(peers.vtysh(lab.world, peer_router, f"show bgp ipv{family} unicast neighbors {neighbour} routes json"))
    return set(data.get("routes", {}))


@test
def sessions(lab):
    have = peers.sessions(lab.world, "gw", "prod")
    check(len(have) == 10, sorted(have))
    for peer, entry in have.items():
        check(entry["state"] == "Established", peer, entry["state"])
    shown = lab.gateway.json("bgp", "show")
    text = json.dumps(shown)
    for peer in have:
        check(peer in text, f"{peer} is not in bgp show")


@test
def nothing_in_other_vrfs(lab):
    for vrf in ("inet", "bank"):
        check(not peers.sessions(lab.world, "gw", vrf), f"sessions in VRF {vrf}")


@test
def bfd_sessions(lab):
    wanted = ("169.254.10.1", "2001:db8:f:10::1", "169.254.20.2", "2001:db8:f:20::2")

    def sessions_up():
        data = peers.vtysh_json(lab.world, "gw", "show bfd peers json")
        up = {p["peer"]: p for p in data if p.get("status") == "up"}
        return all(p in up for p in wanted) and up
    up = wait_for("BFD to every interconnect is up", 10, sessions_up)  # a busy machine may cost one its 900 ms
    for peer in wanted:
        check(up[peer]["transmit-interval"] == 300 and up[peer]["receive-interval"] == 300 and
              up[peer]["detect-multiplier"] == 3, up[peer])


@test
def accepted_and_refused(lab):
    """Some thousands of prefixes are in the kernel and in the fast path; what is longer than allowed is not."""
    real4, real6 = topo.real_prefixes()
    for family, real, refused in ((4, real4, peers.REFUSED[0]), (6, real6, peers.REFUSED[1])):
        wait_for(f"{len(real)} prefixes of IPv{family} are in the kernel", 30,
                 lambda f=family, r=real: {str(p) for p in r} <= set(lab.gateway.kernel_routes("prod", f)))
        kernel = lab.gateway.kernel_routes("prod", family)
        check(refused not in kernel and refused.split("/")[0] not in kernel, f"{refused} was accepted")
    vrf = lab.gateway.json("vrf", "show", "prod")[0]
    check(vrf["routes4"] > len(real4) and vrf["routes6"] > len(real6), vrf)
    return f"{len(real4)} + {len(real6)} prefixes"


@test
def announced_only_what_is_listed(lab):
    """Each cloud hears of the others what the configuration names, and nothing of the thousands."""
    want = {
        ("cloud-a", "169.254.10.2", 4): {"10.60.0.0/16", "10.62.0.0/16", "10.70.0.0/16"},
        ("cloud-a", "2001:db8:f:10::2", 6): {"2001:db8:60::/48", "2001:db8:62::/48", "2001:db8:70::/48"},
        ("cloud-c", "169.254.20.1", 4): {"10.40.0.0/16", "10.60.0.0/16", "10.62.0.0/16", "10.80.0.0/16"},
        ("cloud-c", "2001:db8:f:20::1", 6): {"2001:db8:40::/48", "2001:db8:60::/48", "2001:db8:62::/48", "2001:db8:80::/48"},
        ("cloud-b", "10.61.255.1", 4): {"10.40.0.0/16", "10.41.0.0/16", "10.70.0.0/16", "10.80.0.0/16"},
        ("cloud-b", "2001:db8:f:61::1", 6): {"2001:db8:40::/48", "2001:db8:41::/48", "2001:db8:70::/48", "2001:db8:80::/48"},
    }
    for (router, neighbour, family), prefixes in want.items():
        have = received(lab, router, neighbour, family)
        check(have == prefixes, f"{router} has {sorted(have)[:8]} from {neighbour}, expected {sorted(prefixes)}")


@test
def announce_changes_live(lab):
    """Taking a prefix off the list withdraws it from that peer alone, without a reset."""
    before = peers.established(lab.world)
    lab.gateway.settings.announce_a.remove("10.70.0.0/16")
    lab.gateway.write()
    lab.gateway.hup()
    wait_for("cloud-a lost 10.70/16", 20, lambda: "10.70.0.0/16" not in received(lab, "cloud-a", "169.254.10.2", 4))
    check("10.70.0.0/16" in received(lab, "cloud-b", "10.61.255.1", 4), "cloud-b lost it too")
    lab.gateway.settings = type(lab.gateway.settings)(lab.gateway.settings.hugepages)
    lab.gateway.write()
    lab.gateway.hup()
    wait_for("cloud-a has 10.70/16 again", 20, lambda: "10.70.0.0/16" in received(lab, "cloud-a", "169.254.10.2", 4))
    reset = peers.reset_since(before, peers.established(lab.world))
    check(len(before) == 10 and not reset, f"sessions were reset: {reset}")


@test
def md5_is_enforced(lab):
    """With another key at the peer the session cannot come up; with the right one it does."""
    conf = ["configure terminal", f"router bgp {peers.A_AS}"]
    peers.vtysh(lab.world, "cloud-a", *conf, "neighbor 169.254.10.2 password wrong")
    peers.vtysh(lab.world, "cloud-a", "clear bgp 169.254.10.2")
    wait_for("the session with the wrong key is down", 20,
             lambda: peers.sessions(lab.world, "gw", "prod")["169.254.10.1"]["state"] != "Established")
    wait_for("the peer has tried again with the wrong key", 20, lambda: refusals(lab) > 0)
    check(peers.sessions(lab.world, "gw", "prod")["169.254.10.1"]["state"] != "Established", "the wrong key was accepted")
    peers.vtysh(lab.world, "cloud-a", *conf, f"neighbor 169.254.10.2 password {peers.KEYS['dx1']}")
    wait_for("the session with the right key is up", 60, lab.gateway.bgp_up)
    lab.converge()


def refusals(lab):
    """Segments the two kernels dropped because of MD5, so far."""
    total = 0
    for ns in ("prod", "cloud-a"):
        lines = [line.split() for line in lab.world.run(ns, "cat", "/proc/net/netstat").stdout.splitlines()]
        for names, values in zip(lines[::2], lines[1::2]):
            total += sum(int(v) for n, v in zip(names, values) if n.startswith("TCPMD5"))
    return total


@test
def secrets_stay_secret(lab):
    """No key in a command line, a log, the CLI or a file others may read."""
    for key in peers.KEYS.values():
        for words in (("config", "show"), ("status",), ("bgp", "show"), ("events",)):
            check(key not in lab.gateway.ctl(*words).stdout, f"lintasctl {' '.join(words)} shows a key")
        for name in ("lintasd", "lintas-keeper"):
            with open(lab.world.path("log", name + ".log"), errors="replace") as f:
                check(key not in f.read(), f"{name}.log shows a key")


@test
def route_get_explains_ecmp(lab):
    """Longest match, owner, kernel legs, buckets, adjacency, headers: for a BGP-learned ECMP route in a VRF."""
    for addr, prefix in (("10.41.0.10", "10.41.0.0/16"), ("2001:db8:41::10", "2001:db8:41::/48")):
        got = lab.get(addr)
        route = got["routes"][0]
        check(route["prefix"] == prefix and route["protocol"] == "bgp" and route["active"], route)
        check({leg["link"] for leg in route["legs"]} == {"aws-dx1", "az-er"}, route["legs"])
        path = got["path"]
        check(path["buckets"] == 256 and sum(leg["buckets"] for leg in path["legs"]) == 256, path)
        check(all(leg["alive"] and 64 < leg["buckets"] < 192 for leg in path["legs"]), path["legs"])
        layers = {leg["to"]["link"]: leg["to"]["layers"] for leg in path["legs"]}
        tags = {n: [la.get("vid", la.get("vlan")) for la in ls if la["layer"] == "vlan"] for n, ls in layers.items()}
        check(tags == {"aws-dx1": [101], "az-er": [300, 40]}, layers)
        check(got["in_step"], got["verdict"])
        one = lab.get(addr, **{"from": "10.60.0.10" if ":" not in addr else "2001:db8:60::10", "sport": 1000, "dport": 2000})
        check(sum(leg["taken"] for leg in one["path"]["legs"]) == 1, one["path"])
    text = lab.gateway.ctl("route", "get", "10.41.0.10", "vrf", "prod").stdout
    for word in ("10.41.0.0/16", "bgp", "aws-dx1", "az-er", "169.254.10.1", "169.254.20.2"):
        check(word in text, f"{word!r} is not in the table form:", text)


@test
def route_get_explains_tunnel(lab):
    got = lab.get("10.60.0.10")
    leg = got["path"]["legs"][0]
    names = [la["layer"] for la in leg["to"]["layers"]]
    check("vxlan" in names and "udp" in names and names[0] == "ethernet", names)
    check(leg["to"]["mtu"] == 1450, leg["to"])
    six = lab.get("2001:db8:62::10")["path"]["legs"][0]["to"]
    check("ipv6" in [la["layer"] for la in six["layers"]] and six["mtu"] == 1430, six)


sys.exit(run())
