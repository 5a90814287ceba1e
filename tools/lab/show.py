"""`lab run`: the whole story on one screen, with numbers; every claim is checked, and counts."""
import os
import signal
import time

import bird
import core
import edge
import guest
import measure
import peers
import topo
import vpn
from measure import pause, streams
from topo import A, A_ECMP, B, B6, BANK, C, D, PATHS
from world import wait_for


MANY = 100000  # prefixes of IPv4, and a tenth of IPv6


class Table:
    """path x family x what x result x loss x time, and whether anything in it failed."""

    def __init__(self):
        self.rows, self.failed = [], 0

    def row(self, path, family, what, good, result, loss="", took=""):
        self.rows.append((path, family, what, "ok" if good else "FAIL", result, loss, took))
        self.failed += not good
        if not good:
            print(f"  FAIL {path} {family} {what}: {result} {loss} {took}", flush=True)

    def print(self):
        head = ("path", "family", "what", "", "result", "loss", "time")
        width = [max(len(str(r[i])) for r in [head, *self.rows]) for i in range(len(head))]
        for r in [head, *self.rows]:
            print("  ".join(str(c).ljust(w) for c, w in zip(r, width)).rstrip())


def title(text):
    print(f"\n=== {text}", flush=True)


def run(lab):
    """Everything; 0 when every check passed. The lab stays up in either case."""
    begin, table = time.monotonic(), Table()
    title("up")
    lab.gateway.settings = type(lab.gateway.settings)(core.gateway.hugepages_free() >= 300)
    lab.up(say=lambda text: print("-", text, flush=True))
    print("- waiting for BGP, BFD and neighbours", flush=True)
    lab.converge()
    print(f"- every path is known after {time.monotonic() - begin:.1f} s")
    for step in (show_state, all_paths, bank_alone, ecmp_both, reload_under_traffic, silent_failure, fibre_cut,
                 primary_to_backup, bgp_killed, grey_failure, prefix_flood, gre, ipsec, kill_and_restart):
        step(lab, table)
    title("what was tried")
    table.print()
    print(f"\n{len(table.rows) - table.failed} of {len(table.rows)} passed, {time.monotonic() - begin:.0f} s")
    print(how_to_play(lab))
    return 1 if table.failed else 0


def how_to_play(lab):
    me = os.path.relpath(os.path.join(topo.HERE, "lab")) + \
        ("" if lab.world.folder == core.FOLDER else f" --dir {lab.world.folder}")
    return f"""
The lab is up. Play with it:   sudo {me} ctl link show        sudo {me} ctl route get 10.41.0.10 vrf prod
    sudo {me} exec cloud-b ping 10.41.0.10     sudo {me} cut cloud-a     sudo {me} vtysh gw
End it:                        sudo {me} down"""


def ctl(lab, *words, lines=30):
    """Show a screen of lintasctl as the operator sees it."""
    out = lab.gateway.ctl(*words).stdout.rstrip("\n").split("\n")
    print(f"$ lintasctl {' '.join(words)}")
    print("\n".join("  " + line for line in out[:lines]))
    if len(out) > lines:
        print(f"  … {len(out) - lines} more lines")


def show_state(lab, _):
    title("what lintasd says")
    for words in (("status",), ("port", "show"), ("link", "show"), ("bgp", "show"),
                  ("route", "show", "vrf", "prod", "10.0.0.0/8", "longer"), ("route", "show", "vrf", "bank"),
                  ("route", "get", "10.41.0.10", "vrf", "prod"), ("route", "get", "2001:db8:62::10", "vrf", "prod")):
        ctl(lab, *words)


def all_paths(lab, table):
    title("every path, both ways, both families: ping, TCP, UDP")
    for x, y in PATHS:
        for src, dst in ((x, y), (y, x)):
            for family in (4, 6):
                one_path(lab.world, table, src, dst, family)


def one_path(world, table, src, dst, family):
    path, fam = f"{src.name} -> {dst.name}", f"IPv{family}"
    sent, got, ms = measure.ping(world, src, dst, family)
    table.row(path, fam, "ping", got == sent, f"{got}/{sent}", f"{sent - got}", f"{ms:.2f} ms")
    mbps, why = measure.tcp(world, src, dst, family)
    table.row(path, fam, "TCP", mbps > 0, f"{mbps:.0f} Mbit/s" if mbps else why)
    (r,), _ = streams(world, [(src, dst, family)], lambda: pause(0.3), pps=1000, size=1000)
    table.row(path, fam, "UDP", r.lost == 0 and r.sent > 0, f"{r.received}/{r.sent}", f"{r.lost}", f"{r.p50_us:.0f} us")
    print(f"  {path:28} {fam}: ping {got}/{sent} {ms:.2f} ms, TCP {mbps:.0f} Mbit/s, UDP {r.received}/{r.sent}", flush=True)


def bank_alone(lab, table):
    title("the bank reaches its gateway's address, and nobody else; nobody reaches the bank")
    for family, addr in ((4, "192.0.2.66"), (6, "2001:db8:ba::66")):
        sent, got, ms = measure.ping(lab.world, BANK, addr, family)
        table.row("bank -> its gateway", f"IPv{family}", "ping", got == sent, f"{got}/{sent}", f"{sent - got}", f"{ms:.2f} ms")
        for end in (A_ECMP, B, C):  # not 10.40.0.10, which the bank has as well
            refused(lab.world, table, BANK, end, family)
            gate = topo.gateway_of(end.peer, family)
            lab.world.ip(end.peer, f"route add {BANK.addr[family]} via {gate}")
            refused(lab.world, table, end, BANK, family)
            lab.world.ip(end.peer, f"route del {BANK.addr[family]} via {gate}")


def refused(world, table, src, dst, family):
    sent, got, _ = measure.ping(world, src, dst, family, count=3, extra=("-w", "1"))
    (r,), _ = streams(world, [(src, dst, family)], lambda: pause(0.2), pps=200)
    table.row(f"{src.name} -> {dst.name}", f"IPv{family}", "refused", got == 0 and r.received == 0 and r.sent > 0,
              f"ping {got}/{sent}, UDP {r.received}/{r.sent}")


def ecmp_both(lab, table):
    title("ECMP: 64 flows to what cloud-a and cloud-c both announce")
    for family in (4, 6):
        before = {n: lab.tx(n) for n in ("aws-dx1", "az-er")}
        (r,), _ = streams(lab.world, [(B, A_ECMP, family)], lambda: pause(1.0), pps=2000, flows=64)
        used = {n: lab.tx(n) - before[n] for n in before}
        table.row("gcp -> aws-ecmp", f"IPv{family}", "ECMP", min(used.values()) > r.sent / 10 and r.lost == 0,
                  ", ".join(f"{n} {c}" for n, c in used.items()), f"{r.lost}")
        print(f"  IPv{family}: {r.sent} packets: {used}")


def rows(table, what, results, limit_ms, lossless=False):
    for r in results:
        path, family = r.name.rsplit(" v", 1)
        good = r.lost == 0 if lossless else r.received > 0 and r.gap_ms <= limit_ms
        table.row(path, f"IPv{family}", what, good, f"{r.received}/{r.sent}", f"{r.lost}", f"{r.gap_ms:.0f} ms" if r.lost else "0 ms")
        print("  " + str(r), flush=True)


def reload_under_traffic(lab, table):
    title("change the configuration and SIGHUP, under traffic on the other links")
    gw = lab.gateway
    before = gw.json("stats")["control"]

    def change():
        pause(0.3)
        gw.settings.statics = ["10.63.0.0/16", "2001:db8:63::/48"]
        gw.settings.mtu["gcp-vpc6"] = 1400
        gw.settings.shut = {"bank-ll"}
        gw.write()
        begin = time.monotonic()
        gw.hup()
        wait_for("lintasd applied the new file", 10, lambda: gw.json("stats")["control"]["reloads"] > before["reloads"])
        took = time.monotonic() - begin
        wait_for("10.63.0.0/16 leads over gcp-vpc6", 10, lambda: lab.living("10.63.0.1") == {"gcp-vpc6"})
        pause(0.5)
        return took

    plan = [(A, B, 4), (A, B, 6), (B, A, 4), (C, B, 6), (A, C, 4)]
    results, took = streams(lab.world, plan, change)
    print(f"  +2 static routes, MTU of gcp-vpc6, bank-ll shut: applied {took * 1e3:.0f} ms after SIGHUP")
    rows(table, "reload", results, 0, lossless=True)
    gw.settings = type(gw.settings)(gw.settings.hugepages)
    gw.write()
    gw.hup()
    wait_for("lintasd applied the first file again", 10,
             lambda: gw.json("stats")["control"]["reloads"] >= before["reloads"] + 2)


def failure(lab, table, what, fault, limit_ms):
    """Break cloud-a's interconnect under traffic, watch it move to az-er, mend it, watch it come back."""
    plan = [(B, A_ECMP, 4), (B, A_ECMP, 6), (B, A, 4), (A, B, 4), (B, C, 4), (B, C, 6)]
    moved = {}

    def during():
        pause(0.5)
        before, begin = lab.tx("az-er"), time.monotonic()
        fault(lab.world, "cloud-a", True)
        wait_for("the ECMP route has only az-er left", 15,
                 lambda: lab.living("10.41.0.10") == lab.living("2001:db8:41::10") == {"az-er"})
        moved["group"] = time.monotonic() - begin
        wait_for("10.40.0.0/16 by way of cloud-c", 30, lambda: lab.living("10.40.0.10") == {"az-er"})
        moved["bgp"] = time.monotonic() - begin
        pause(1.0)
        moved["az-er"] = lab.tx("az-er") - before
        fault(lab.world, "cloud-a", False)
        lab.converge()
        pause(0.5)

    results, _ = streams(lab.world, plan, during, flows=8)
    print(f"  az-er alone after {moved['group'] * 1e3:.0f} ms, 10.40/16 by BGP after {moved['bgp'] * 1e3:.0f} ms "
          f"(both as seen by polling), az-er carried {moved['az-er']} packets")
    rows(table, what, results[:4], limit_ms)
    rows(table, what + ", others", results[4:], 0, lossless=True)


def silent_failure(lab, table):
    title("cloud-a's interconnect goes silent, carrier stays: BFD 3 x 300 ms")
    failure(lab, table, "silent", topo.silence, 5000)


def fibre_cut(lab, table):
    title("cloud-a's fibre is cut: carrier goes")
    failure(lab, table, "cut", topo.cut, 5000)


def primary_to_backup(lab, table):
    title("100,000 prefixes over two attachments of one cloud, primary and backup: the primary goes silent")
    bird.load(lab.world, MANY)
    v4, v6 = bird.prefixes(MANY)
    last = [v4[-1].replace(".0/24", ".1"), v6[-1].replace("/48", "1")]
    begin = time.monotonic()
    wait_for("the fast path has every prefix, over the primary", 90,
             lambda: all(lab.living(a) == {"md-dx1"} for a in last) and routes(lab) >= len(v4) + len(v6))
    print(f"  {len(v4)} IPv4 and {len(v6)} IPv6 prefixes are in the fast path after {time.monotonic() - begin:.1f} s")
    moved = {}

    def during():
        pause(0.3)
        at = time.monotonic()
        topo.lose(lab.world, "md1", 100)
        wait_for("every prefix by way of the backup", 15, lambda: all(lab.living(a) == {"md-dx2"} for a in last))
        moved["s"] = time.monotonic() - at
        pause(0.5)
        topo.lose(lab.world, "md1", 0, on=False)
        wait_for("and back", 30, lambda: all(lab.living(a) == {"md-dx1"} for a in last))
        pause(0.3)

    results, _ = streams(lab.world, [(B, D, 4), (B, D, 6), (C, D, 4), (B, C, 4)], during)
    print(f"  the backup carries all after {moved['s'] * 1e3:.0f} ms (seen by polling); what lintasd says of it:")
    for line in lab.gateway.ctl("events", "--since", "60s").stdout.splitlines():
        if "md-dx" in line and ("moved" in line or "BFD" in line or "bfd" in line):
            print("    " + line)
    rows(table, "100k to backup", results[:3], 1500)
    rows(table, "100k to backup, others", results[3:], 0, lossless=True)
    bird.load(lab.world, 0)
    wait_for("the prefixes are gone again", 60, lambda: routes(lab) < len(v4))


def grey_failure(lab, table):
    title("the primary loses 3 packets of a hundred, light, BGP and BFD stay: the probes must notice")
    ends = ["10.80.0.10", "2001:db8:80::10"]
    seen = {}

    def during():
        pause(0.3)
        begin = time.monotonic()
        topo.lose(lab.world, "md1", 3)
        wait_for("both families by way of the backup", 60, lambda: all(lab.living(a) == {"md-dx2"} for a in ends))
        seen["s"] = time.monotonic() - begin
        topo.lose(lab.world, "md1", 3, on=False)
        pause(0.5)

    results, _ = streams(lab.world, [(B, D, 4), (B, C, 4)], during)
    ctl(lab, "probe", "show")
    table.row("gcp -> media", "both", "grey, 3 % loss", True, "on the backup, sessions untouched", f"{results[0].lost}", f"{seen['s'] * 1e3:.0f} ms")
    rows(table, "grey, others", results[1:], 0, lossless=True)
    print(f"  on the backup after {seen['s']:.1f} s; back on the primary once it has been good for a while")
    wait_for("back on the primary", 120, lambda: all(lab.living(a) == {"md-dx1"} for a in ends))


def prefix_flood(lab, table):
    title("thousands of routes toward an AWS profile that takes 100: the session must not drop")
    gw = lab.gateway
    before = peers.established(lab.world)
    gw.settings.reach.append(("aws", "media"))
    gw.settings.announce_d = [f"{n}.0.0.0/8 le 24" for n in (3, 13, 15, 18, 23, 35, 43, 52, 54)] + ["2400::/12 le 56", "2600::/12 le 56"]
    gw.write()
    gw.hup()
    begin = time.monotonic()
    names = [f"md{n}_{f}" for n in (1, 2) for f in (4, 6)]
    wait_for("cloud-d has 100 prefixes of each family over each attachment", 60,
             lambda: all(bird.session(lab.world, n)[1] >= bird.LIMIT for n in names))
    took = time.monotonic() - begin
    pause(1.0)
    have = {n: bird.session(lab.world, n) for n in names}
    reset = peers.reset_since(before, peers.established(lab.world))
    print(f"  after {took:.1f} s: " + ", ".join(f"{n} {s} {got}" for n, (s, got, _) in have.items()))
    ctl(lab, "bgp", "show")
    for line in gw.ctl("events", "--since", "30s").stdout.splitlines():
        if "md-dx" in line and "prefixes" in line:
            print("    " + line)
    table.row("3,000 routes -> media", "both", "prefix flood", not reset and all(
        s == "Established" and got == bird.LIMIT for s, got, _ in have.values()), "100 arrived, sessions stay", "", f"{took * 1e3:.0f} ms")
    gw.settings = type(gw.settings)(gw.settings.hugepages)
    gw.write()
    gw.hup()
    lab.converge()


def bgp_killed(lab, table):
    title("cloud-d ends one BGP session, BFD stays up")
    def during():
        pause(0.3)
        begin = time.monotonic()
        bird.birdc(lab.world, "disable", "md1_4")
        wait_for("IPv4 by way of the backup", 30, lambda: lab.living("10.80.0.10") == {"md-dx2"})
        took = time.monotonic() - begin
        bird.birdc(lab.world, "enable", "md1_4")
        wait_for("and back", 60, lambda: lab.living("10.80.0.10") == {"md-dx1"})
        return took

    results, took = streams(lab.world, [(B, D, 4), (B, D, 6), (B, C, 4)], during)
    print(f"  on the backup after {took * 1e3:.0f} ms")
    rows(table, "BGP killed", results, 0, lossless=True)


def ipsec(lab, table):
    title("an IPsec tunnel to cloud-a as the backup of its interconnect; IKE by Debian's charon, ESP by us")
    ours = vpn.start(lab)
    begin = time.monotonic()
    vpn.join(lab)
    print(f"  keys negotiated, BGP through the tunnel, {time.monotonic() - begin:.1f} s after the reload began")
    for words in (("link", "show", "aws-vpn"), ("ike", "show"), ("ipsec", "show")):
        ctl(lab, *words)
    host = topo.End("aws-vpn", "aws-vpn", vpn.HOST[4], vpn.HOST[6])
    for family in (4, 6):
        for src, dst in ((B, host), (host, B)):
            sent, got, ms = measure.ping(lab.world, src, dst, family)
            table.row(f"{src.name} -> {dst.name}", f"IPv{family}", "ESP: ping", got == sent, f"{got}/{sent}", f"{sent - got}", f"{ms:.2f} ms")

    def rekeys():
        for _ in range(10):
            vpn.swanctl(ours, "--rekey", "--child", "aws-vpn")
            pause(0.2)

    results, _ = streams(lab.world, [(B, host, 4), (B, host, 6), (host, B, 4)], rekeys, pps=200)
    rows(table, "ten rekeys", results, 0, lossless=True)

    for addr in A.addr.values():  # the far side knows its neighbour: what is measured is ours
        lab.world.run("aws-vpn", "ping", "-n", "-c", "1", "-W", "2", addr, check=False)

    def silent():
        pause(0.3)
        topo.silence(lab.world, "cloud-a")
        wait_for("cloud-a by way of the tunnel", 15, lambda: lab.living(A.addr[4]) == lab.living(A.addr[6]) == {"aws-vpn"})
        pause(0.5)

    results, _ = streams(lab.world, [(B, A, 4), (B, A, 6), (B, C, 4)], silent, pps=200)
    topo.silence(lab.world, "cloud-a", on=False)
    rows(table, "silent, to the tunnel", results[:2], 1500)
    rows(table, "silent, others", results[2:], 0, lossless=True)
    lab.converge()
    wait_for("back on the interconnect", 60, lambda: lab.living(A.addr[4]) == {"aws-dx1"})


def gre(lab, table):
    title("one more cloud without a restart: GRE as AWS's Transit Gateway Connect has it, to a virtual machine")
    try:
        vm = edge.start(lab.world, lab.gateway.build, peers.GATEWAY_AS)
    except guest.Missing as e:
        print(f"  not tried: {e}")
        return
    begin = time.monotonic()
    edge.join(lab)
    print(f"  four BGP sessions in one tunnel, {time.monotonic() - begin:.1f} s after the reload began")
    ctl(lab, "link", "show", "tgw-gre")
    ctl(lab, "route", "get", edge.HOST[4], "vrf", "prod")
    for family in (4, 6):
        out = lab.world.run("cloud-a", "ping", "-n", "-c", "5", "-i", "0.05", "-W", "2", "-I", A.addr[family], "-s", "1400" if family == 4 else "1300",
                            edge.HOST[family], check=False).stdout
        got = out.count(" bytes from ")
        table.row("aws -> edge", f"IPv{family}", "ping", got == 5, f"{got}/5 through GRE, BGP inside", f"{5 - got}")
    before = edge.sessions(lab)
    vm.run("birdc -s /tmp/bird0.ctl disable all")
    wait_for("one of the two routers is gone", 20, lambda: len(edge.sessions(lab)) == 2)
    out = lab.world.run("cloud-a", "ping", "-n", "-c", "3", "-i", "0.05", "-W", "2", "-I", A.addr[4], edge.HOST[4], check=False).stdout
    table.row("aws -> edge", "both", "one of two sessions", len(before) == 4 and out.count(" bytes from ") == 3, "the other one carries on")
    vm.run("birdc -s /tmp/bird0.ctl enable all")
    wait_for("both routers are there again", 40, lambda: len(edge.sessions(lab)) == 4)


def routes(lab):
    return (lab.gateway.try_ctl("stats") or {}).get("mirror", {}).get("routes", 0)


def kill_and_restart(lab, table):
    title("kill -9 lintasd, start it again")
    before = peers.established(lab.world)
    plan = [(A, B, 4), (A, B, 6), (B, C, 4), (C, B6, 6)]
    took = {}

    def during():
        pause(0.5)
        begin = time.monotonic()
        lab.gateway.kill(signal.SIGKILL)
        lab.gateway.start_daemon()
        took["answers"] = time.monotonic() - begin
        lab.converge()
        took["converged"] = time.monotonic() - begin
        pause(0.5)

    results, _ = streams(lab.world, plan, during)
    reset = peers.reset_since(before, peers.established(lab.world))
    print(f"  lintasd answers after {took['answers']:.2f} s, all paths known after {took['converged']:.2f} s")
    rows(table, "kill -9", results, 15000)
    gap = max(r.gap_ms for r in results)
    bfd = {"169.254.10.1", "2001:db8:f:10::1", "169.254.20.2", "2001:db8:f:20::2"}
    late = gap > 300 * peers.BFD_MULTIPLIER  # then BFD is right to end its sessions
    table.row("BGP sessions", "both", "kill -9", len(before) >= 6 and set(reset) <= (bfd if late else set()),
              f"{len(before) - len(reset)} of {len(before)} kept, uptime keeps growing" +
              (f"; lost {' '.join(sorted(map(str, reset)))}" if reset else ""), "", f"{gap:.0f} ms gap")
