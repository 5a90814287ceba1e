"""cloud-d's router: BIRD, so that the gateway's FRR meets another implementation, and one that behaves as AWS
does at the far end of a Direct Connect: it takes 100 prefixes of a family and drops the session at the 101st,
and it prefers the way whose routes carry 7224:7300 over 7200 over 7100, before it looks at the AS path.

Both attachments carry the same prefixes: two that the hosts are in, and as many others as load() says."""
import os

import topo
from world import LabError, wait_for

AS, KEY = 64513, "kuningan-barat-8"
ATTACHMENTS = ("md1", "md2")
LIMIT = 100

HEAD = """log stderr { warning, error, fatal, auth, bug };
router id 10.80.0.10;
protocol device { scan time 1; }
protocol bfd { interface "md*" { interval 300 ms; multiplier 3; }; }
protocol static s4 { ipv4; route 10.80.0.0/16 blackhole; }
protocol static s6 { ipv6; route 2001:db8:80::/48 blackhole; }
protocol static m4 { ipv4;
include "PATH/many4.conf";
}
protocol static m6 { ipv6;
include "PATH/many6.conf";
}
protocol kernel k4 { ipv4 { import none; export filter { if source != RTS_BGP then reject; krt_prefsrc = 10.80.0.10; accept; }; }; }
protocol kernel k6 { ipv6 { import none; export filter { if source != RTS_BGP then reject; krt_prefsrc = 2001:db8:80::10; accept; }; }; }
filter as_aws {
  bgp_local_pref = 200;
  if (7224,7300) ~ bgp_community then bgp_local_pref = 300;
  if (7224,7100) ~ bgp_community then bgp_local_pref = 100;
  accept;
}
"""
SESSION = """protocol bgp {dev}_{family} {{
  local {ours} as {AS}; neighbor {theirs} as {gateway}; password "{KEY}"; bfd yes;
  connect retry time 1; connect delay time 1; error wait time 1, 2; hold time 90;
  ipv{family} {{ import filter as_aws; import limit {LIMIT} action disable; export where source = RTS_STATIC; next hop self; }};
}}
"""


def folder(world):
    return world.path("bird")


def conf(world, gateway_as):
    """The whole configuration; the prefixes come from files that load() writes."""
    out = [HEAD.replace("PATH", folder(world))]
    for at in topo.ATTACHMENTS:
        if at.peer != "cloud-d":
            continue
        for family, address in zip((4, 6), at.address):
            ours = address.split("/")[0]
            out.append(SESSION.format(dev=at.dev, family=family, ours=ours, theirs=other(ours), AS=AS, gateway=gateway_as,
                                      KEY=KEY, LIMIT=LIMIT))
    return "".join(out)


def other(address):
    """The gateway's end of an attachment: .1 and .2, ::1 and ::2."""
    return address[:-1] + {"1": "2", "2": "1"}[address[-1]]


def prefixes(n):
    """So many of each family (IPv6: a tenth), none of which anybody else in the lab has."""
    v4 = [f"{100 + (i >> 16)}.{i >> 8 & 255}.{i & 255}.0/24" for i in range(n)]
    v6 = [f"2001:db8:{0x9000 + i:x}::/48" for i in range(min(n // 10, 0x6000))]
    return v4, v6


def write(world, n):
    for family, many in zip((4, 6), prefixes(n)):
        with open(os.path.join(folder(world), f"many{family}.conf"), "w") as f:
            f.writelines(f"route {p} blackhole;\n" for p in many)


def start(world, gateway_as):
    os.makedirs(folder(world), exist_ok=True)
    write(world, 0)
    path = os.path.join(folder(world), "bird.conf")
    with open(path, "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
        f.write(conf(world, gateway_as))
    child = world.spawn("cloud-d-bird", "cloud-d", ["bird", "-f", "-c", path, "-s", socket(world), "-P",
                                                    os.path.join(folder(world), "pid")])
    wait_for(f"bird of cloud-d: {world.path('log', 'cloud-d-bird.log')}", 10,
             lambda: os.path.exists(socket(world)) or child.poll() is not None)
    if child.poll() is not None:
        raise LabError(f"bird ended: {world.log_tail('cloud-d-bird')}")


def socket(world):
    return os.path.join(folder(world), "ctl")


def birdc(world, *words, check=True):
    return world.run(None, "birdc", "-s", socket(world), *words, check=check).stdout


def load(world, n):
    """Announce so many prefixes more (IPv6: a tenth), over both attachments; 0 takes them back."""
    write(world, n)
    birdc(world, "configure")


def session(world, name):
    """(state, imported, exported) of a session, as in "md1_4"."""
    out = birdc(world, "show", "protocols", "all", name, check=False)
    state = "Established" if "Established" in out else "down"
    imported = exported = 0
    for line in out.splitlines():
        words = line.split()
        if words[:1] == ["Routes:"]:
            imported, exported = int(words[1]), int(words[words.index("exported,") - 1])
    return state, imported, exported
