#!/usr/bin/python3
"""BGP policy on the wire: what each provider is told under each intent, what nobody is told, limits, and reasons.

The neighbours are speaker.py: it decodes what the real gateway's FRR sends with scapy."""
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time

import bgpworld
from bgpworld import AS, KEY, LabError, wait_for
from harness import check, one, test, tests, arguments
import peers

# intent -> what must be on every route told: communities, prepended times, MED (None: no MED)
AWS = {"high": (["7224:7300"], 0, None), "medium": (["7224:7200"], 0, None), "low": (["7224:7100"], 0, None),
       "drain": (["7224:7100", "65535:0"], 3, None)}
PREPEND = {"high": ([], 0, None), "medium": ([], 2, None), "low": ([], 4, None), "drain": ([], 8, None)}
MED = {"high": ([], 0, 50), "medium": ([], 0, 100), "low": ([], 0, 150), "drain": ([], 3, 200)}
WANT = {"aws1": AWS, "az1": PREPEND, "gcp1": MED, "oci1": PREPEND}
DC = {4: ["10.90.0.0/24", "10.90.1.0/24"], 6: ["2001:db8:90::/48", "2001:db8:91::/48"]}
FORBIDDEN = {4: ["169.254.77.0/24", "0.8.0.0/16"], 6: ["fec0:7::/32", "100::/64"]}


def feed(lab, prefixes, name="dc1", **attributes):
    for f in (4, 6):
        some = [p for p in prefixes if (":" in p) == (f == 6)]
        if some:
            lab.say("announce", f"{name}/{f}", prefixes=some, **attributes)


def sessions_kept(lab, before):
    after = lab.ups()
    check(after == before, f"sessions were reset: {[n for n in before if before[n] != after.get(n)]}")


@test
def sessions(lab):
    """MD5, GTSM, multihop and TTL 1 as the profiles say; and a neighbour without the key or from too far is not heard."""
    frr = peers.vtysh(lab.world, "gw", "show running-config no-header")
    for line in ("neighbor 169.254.106.1 ttl-security hops 1", "neighbor 10.107.9.9 ebgp-multihop 4",
                 "neighbor 169.254.106.1 graceful-restart", "neighbor 169.254.101.1 maximum-prefix-out 100"):
        check(line in frr, line)
    dropped = counter(lab, "TCPMinTTLDrop")
    try:
        lab.say("close", "aws1/4")
        lab.say("close", "dc1/4")
        lab.open(lab.settings.link("aws1"), 4, md5="")
        lab.open(lab.settings.link("dc1"), 4, ttl=64)
        # what came before bgpd had told the kernel is heard; so the kernel is asked, not the session
        wait_for("packets from too far are dropped", 20, lambda: counter(lab, "TCPMinTTLDrop") > dropped)
        wait_for("a segment without the key is dropped", 20, lambda: counter(lab, "TCPMD5NotFound") > 0)
        check(not lab.state("aws1/4")["up"] and lab.gateway_state("169.254.101.1") != "Established", "MD5 was not enforced")
    finally:
        for name in ("aws1", "dc1"):
            lab.say("close", f"{name}/4")
            lab.open(lab.settings.link(name), 4)
    lab.converge()


def counter(lab, name):
    lines = [line.split() for line in lab.world.run("prod", "cat", "/proc/net/netstat").stdout.splitlines()]
    return sum(int(v) for names, values in zip(lines[::2], lines[1::2]) for n, v in zip(names, values) if n == name)


def golden(lab, intent):
    """Every provider was told the two routes of each family as its intent wants."""
    told = []
    for name, want in WANT.items():
        communities, prepend, med = want[intent]
        for f in lab.settings.link(name).families:
            expected = {"path": [AS] * (1 + prepend) + [64700], "communities": communities, "med": med}

            def right(n=f"{name}/{f}", e=expected, f=f):
                have = lab.routes(n)
                return all(p in have and {k: have[p].get(k) for k in e} | {"communities": have[p].get("communities", [])} == e
                           for p in DC[f])
            try:
                wait_for("", 20, right)  # after its start FRR waits 10 s for who restarts gracefully
            except LabError:
                raise AssertionError(f"{name}/{f} {intent}: {[lab.routes(f'{name}/{f}').get(p) for p in DC[f]]}, want {expected}") from None
            told.append(f"{name}/{f}")
        shown_as_told(lab, name)
    return told


def shown_as_told(lab, name):
    """`bgp routes NAME advertised` shows what the neighbour got: path, MED, communities, and our address."""
    x = lab.settings.link(name)
    for row in lab.gateway.json("bgp", "routes", name, "advertised"):
        f = 6 if row["family"] == "ipv6" else 4
        got = lab.routes(f"{name}/{f}").get(row["prefix"])
        check(got and row["path"] == " ".join(map(str, got["path"])) and row["med"] == got.get("med")
              and sorted(row["communities"]) == sorted(got.get("communities", [])) and row["next_hop"] == x.us[f],
              f"{name} is told {row['prefix']} {got}, shown:", row)


@test
def intents(lab):
    feed(lab, DC[4] + DC[6] + FORBIDDEN[4] + FORBIDDEN[6], communities=["7224:7100", "64700:5"], large=[f"{AS}:66:0"], med=77)
    before, pairs = lab.ups(), 0
    for intent in ("high", "medium", "low", "drain"):
        for name in WANT:
            lab.settings.link(name).inbound = intent
        lab.apply()
        pairs += len(golden(lab, intent))
    sessions_kept(lab, before)
    for name in WANT:
        lab.settings.link(name).inbound = None
    lab.apply()
    return f"{pairs} (provider, intent, family) on the wire, no session reset"


@test
def never_told(lab):
    """Link-locals and martians, learned and our own, though everything is accepted and announced."""
    for x in lab.settings.links:
        for f in x.families:
            for p, attributes in lab.routes(f"{x.name}/{f}").items():
                check(not re.match(r"169\.254\.|0\.|127\.|2[2-5]\d\.|fe[89a-f]|ff|100::|::", p), f"{x.name} was told {p}")
                check(not attributes.get("others"), f"{x.name}: {p} carries {attributes}")
    check("10.255.1.1/32" in lab.routes("aws1/4") and "fd10::1/128" in lab.routes("aws1/6"), "our loopback is not told")


@test
def transit_only_by_reach(lab):
    before = lab.ups()
    feed(lab, ["10.140.0.0/16", "2001:db8:140::/48"], "aws1")
    wait_for("dc1 hears it: there is a reach", 15, lambda: "10.140.0.0/16" in lab.routes("dc1/4") and "2001:db8:140::/48" in lab.routes("dc1/6"))
    check("10.140.0.0/16" not in lab.routes("az1/4") and "2001:db8:140::/48" not in lab.routes("az1/6"), "Azure heard of AWS without reach")
    why = {r["prefix"]: r for r in lab.gateway.json("bgp", "routes", "az1", "rejected", "all") if r["direction"] == "out"}
    check("no reach" in why["10.140.0.0/16"]["reason"] and ":" in why["10.140.0.0/16"]["where"], why.get("10.140.0.0/16"))
    lab.settings.reach.append(("aws", "azure"))
    lab.apply()
    wait_for("Azure hears it", 15, lambda: "10.140.0.0/16" in lab.routes("az1/4") and "2001:db8:140::/48" in lab.routes("az1/6"))
    check("10.140.0.0/16" not in lab.routes("gcp1/4"), "Google heard of it as well")
    lab.settings.reach.pop()
    lab.apply()
    wait_for("Azure does not hear it any more", 15, lambda: not {"10.140.0.0/16", "2001:db8:140::/48"} & {*lab.routes("az1/4"), *lab.routes("az1/6")})
    lab.say("withdraw", "aws1/4", prefixes=["10.140.0.0/16"])
    lab.say("withdraw", "aws1/6", prefixes=["2001:db8:140::/48"])
    sessions_kept(lab, before)


@test
def own_as_and_theirs(lab):
    """allowas-in of one, as-override: two attachments of a customer with one AS number hear of each other."""
    lab.say("announce", "far1/4", prefixes=["10.170.0.0/24"], path=[64701, AS])
    lab.say("announce", "far1/4", prefixes=["10.170.1.0/24"], path=[64701, AS, AS])
    lab.say("announce", "dc1/4", prefixes=["10.190.0.0/24"], path=[64700, 64701])
    wait_for("once our AS is allowed", 15, lambda: "10.170.0.0/24" in lab.routes("dc1/4"))
    check("10.170.1.0/24" not in lab.routes("dc1/4"), "twice our AS was accepted")
    wait_for("as-override", 15, lambda: lab.routes("far1/4").get("10.190.0.0/24", {}).get("path") == [AS, 64700, AS])
    why = {r["prefix"]: r["reason"] for r in lab.gateway.json("bgp", "routes", "far1", "rejected") if r["direction"] == "in"}
    check("our AS number" in why.get("10.170.1.0/24", ""), why)
    for name, p in (("far1/4", "10.170.0.0/24"), ("far1/4", "10.170.1.0/24"), ("dc1/4", "10.190.0.0/24")):
        lab.say("withdraw", name, prefixes=[p])


@test
def reasons(lab):
    """Refused both ways, each with why and where; and nothing else is in the list."""
    before = lab.ups()
    try:
        reasons_given(lab)
    finally:
        lab.settings.announces.clear()
        lab.settings.accept = bgpworld.Settings(False).accept
        lab.apply()
        lab.say("withdraw", "dc1/4", prefixes=["10.90.9.128/25", "192.168.3.0/24"])
    sessions_kept(lab, before)


def reasons_given(lab):
    lab.settings.announces["gcp1"] = ["10.90.0.0/24"]
    lab.settings.announces["az1"] = ["10.90.0.0/24"]
    lab.settings.accept = ["10.0.0.0/8 le 24", "2001:db8::/32 le 64"]
    lab.apply()
    feed(lab, ["10.90.9.128/25", "192.168.3.0/24"])
    wait_for("they came", 15, lambda: "192.168.3.0/24" in {r["prefix"] for r in lab.gateway.json("bgp", "routes", "dc1", "received")})
    wait_for("Google is told less", 15, lambda: set(lab.routes("gcp1/4")) == {"10.90.0.0/24"} and not lab.routes("az1/6"))
    rows = lab.gateway.json("bgp", "routes", "dc1", "rejected")
    why = {r["prefix"]: r for r in rows if r["direction"] == "in"}
    for p, text in (("10.90.9.128/25", "not in the list (accept)"), ("192.168.3.0/24", "not in the list (accept)"),
                    ("169.254.77.0/24", "link-local or martian"), ("100::/64", "link-local or martian")):
        check(text in why.get(p, {}).get("reason", ""), p, why.get(p))
    check(re.search(r"lintas\.conf:\d+$", why["192.168.3.0/24"]["where"] or ""), why["192.168.3.0/24"])
    check("10.90.0.0/24" not in why, why)
    out = {r["prefix"]: r for r in lab.gateway.json("bgp", "routes", "gcp1", "rejected", "all") if r["direction"] == "out"}
    check("not in the list (announce)" in out["10.90.1.0/24"]["reason"] and "10.90.0.0/24" not in out, out)
    out = {r["prefix"]: r for r in lab.gateway.json("bgp", "routes", "az1", "rejected", "all") if r["direction"] == "out"}
    check("RFC 8212" in out["2001:db8:90::/48"]["reason"], out["2001:db8:90::/48"])
    told = {r["prefix"] for r in lab.gateway.json("bgp", "routes", "gcp1", "advertised")}
    check(told == {"10.90.0.0/24"}, told)
    some = [r for r in lab.gateway.json("bgp", "routes", "gcp1", "rejected") if r["direction"] == "out"]
    check(some and all(r["count"] and r["reason"] and not r["prefix"] for r in some), "not counted by reason:", some)
    table = lab.gateway.ctl("bgp", "routes", "dc1", "rejected").stdout
    check("192.168.3.0/24" in table and "not in the list" in table, table)


@test
def prefix_flood(lab):
    """150 routes toward AWS, which ends the session at 101: 100 arrive and stay, the rest waits for room."""
    before = lab.ups()
    flood = [f"10.91.{i}.0/24" for i in range(150)]
    lab.say("announce", "dc1/4", prefixes=flood[:75])
    lab.say("announce", "dc1/4", prefixes=flood[75:])
    wait_for("100 routes at AWS", 20, lambda: len(lab.routes("aws1/4")) == 100)
    wait_for("all at Azure", 20, lambda: set(flood) <= set(lab.routes("az1/4")))
    wait_for("the guard holds", 30, lambda: shown(lab)["waiting"] > 0 and "aws1-out4-held" in peers.vtysh(
        lab.world, "gw", "show running-config no-header"))
    wait_for("FRR runs the list", 20, lab.in_sync)
    first = set(lab.routes("aws1/4"))
    check(len(first) == 100, f"{len(first)} routes at AWS")
    events = json.dumps(lab.gateway.json("events", "aws1"))
    check("the limit is 100" in events and "the rest waits" in events, events[-600:])
    check(shown(lab)["max_out"] == 100 and shown(lab)["sent"] == 100, shown(lab))
    why = {r["prefix"]: r["reason"] for r in lab.gateway.json("bgp", "routes", "aws1", "rejected", "all") if r["direction"] == "out"}
    check(all("over max_out" in why.get(p, "") for p in set(flood) - first), why)
    # a change of attributes takes nobody's place
    stay = sorted(first & set(flood))[:5]
    lab.say("announce", "dc1/4", prefixes=stay, path=[64700, 64777])
    wait_for("the change is told", 15, lambda: all(lab.routes("aws1/4").get(p, {}).get("path", [])[-1:] == [64777] for p in stay))
    check(set(lab.routes("aws1/4")) == first, "a change of attributes changed who is told")
    # room
    begin, gone = time.monotonic(), sorted(first & set(flood))[5:15]
    lab.say("withdraw", "dc1/4", prefixes=gone)
    wait_for("ten others follow", 45, lambda: len(lab.routes("aws1/4")) == 100 and not set(gone) & set(lab.routes("aws1/4")))
    check(first - set(gone) < set(lab.routes("aws1/4")), "what was told did not stay")
    took = time.monotonic() - begin
    check(lab.state("aws1/4")["most"] <= 100, f"{lab.state('aws1/4')['most']} routes at once")
    lab.say("withdraw", "dc1/4", prefixes=flood)
    wait_for("the flood is over", 20, lambda: len(lab.routes("aws1/4")) < 20)
    sessions_kept(lab, before)
    return f"room was used after {took:.1f} s"


def shown(lab):
    sessions = lab.gateway.json("bgp", "show")["sessions"]
    return next(s for s in sessions if s["peer"] == "169.254.101.1")["families"]["ipv4"]


@test
def changes_reset_nobody(lab):
    """A lever, a list, a limit, another's timers, a link that comes: every session stays."""
    before = lab.ups()
    lab.settings.link("aws1").inbound = "low"
    lab.settings.announces["oci1"] = ["10.90.0.0/16 le 24"]
    lab.settings.link("ali1").more = "max_out = 90; max_in = 1000; "
    lab.settings.link("gcp1").more = 'keepalive = "20s"; hold = "60s"; max_out = 200; '
    lab.settings.links.append(bgpworld.Link("new1", 108, 64999, "far", families=(4,)))
    lab.apply()
    wait_for("the lever is pulled", 15, lambda: lab.routes("aws1/4").get("10.90.0.0/24", {}).get("communities") == ["7224:7100"])
    check("neighbor 169.254.108.1 remote-as 64999" in peers.vtysh(lab.world, "gw", "show running-config no-header"), "the new session")
    lab.settings.links.pop()
    lab.apply()
    sessions_kept(lab, before)


@test
def graceful_restart(lab):
    """FRR killed: the kernel keeps the routes, the new bgpd says so, and they are never gone."""
    lab.say("announce", "dc1/4", prefixes=["10.92.0.0/16"])
    wait_for("it is in the kernel", 15, lambda: "10.92.0.0/16" in lab.gateway.kernel_routes("prod", 4))
    for daemon in ("bgpd", "zebra"):
        lab.gateway.kill(signal.SIGKILL, name=f"gw-{daemon}")
    folder = peers.sockets(lab.world, "gw")
    for stale in ("zserv.api", "zebra.vty", "bgpd.vty"):
        os.unlink(f"{folder}/{stale}")
    gone, before = [], lab.state("dc1/4")["ups"]

    def again():
        if "10.92.0.0/16" not in lab.gateway.kernel_routes("prod", 4):
            gone.append(time.monotonic())
        return lab.state("dc1/4")["ups"] > before and lab.state("dc1/4")["up"]
    check("10.92.0.0/16" in lab.gateway.kernel_routes("prod", 4), "the kernel lost it with FRR")
    for daemon in ("zebra", "bgpd"):
        peers.run_daemon(lab.world, "gw", "gw", daemon, bgpworld.ZEBRA)
    wait_for("the session is back", 60, again)
    told = lab.state("dc1/4")["open"].lower()
    # RFC 4724 3: code 64, flags and time, AFI 1 SAFI 1 with the forwarding state bit
    check(re.search(r"4006[0-9a-f]{4}00010180", told), f"no forwarding state in the OPEN: {told}")
    check(not gone, f"the route was missing {len(gone)} times while FRR restarted")
    lab.converge()
    check("10.92.0.0/16" in lab.gateway.kernel_routes("prod", 4), "the route is gone after the restart")


@test
def secrets_stay_secret(lab):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                check(KEY.encode() not in f.read() or int(pid) == os.getpid(), f"process {pid} has the key in its command line")
        except OSError:
            pass
    for name in ("lintasd", "lintas-keeper", "gw-bgpd", "gw-zebra"):
        with open(lab.world.path("log", name + ".log"), errors="replace") as f:
            check(KEY not in f.read(), f"{name}.log shows the key")
    check(KEY not in lab.gateway.ctl("events").stdout + lab.gateway.ctl("config", "show").stdout, "lintasctl shows the key")


def main():
    args = arguments()
    todo = [t for t in tests if not args.only or args.only in t[0] or args.only in "test_bgp_policy"]
    if not todo:
        return 0
    if os.geteuid():
        print("SKIP test_bgp_policy: needs root, for network namespaces: sudo make test")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix="lintas-bgp-policy-", dir="/run")
    lab, failed = bgpworld.Lab(folder, args.build), 0
    try:
        try:
            lab.up()
            lab.converge()
        except (LabError, OSError) as e:
            print(f"FAIL test_bgp_policy up: {e}")
            failed = 1
        for name, function in todo if not failed else ():
            failed += not one(lab, f"bgp_policy/{name}", function)
        if failed:
            for name in ("lintasd", "lintas-keeper", "gw-bgpd", "speaker"):
                print(f"--- {name}: {lab.world.log_tail(name, 25)}")
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        lab.down()
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


sys.exit(main())
