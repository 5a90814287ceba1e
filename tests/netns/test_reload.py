#!/usr/bin/python3
"""SIGHUP: the same file is nothing, a bad one is refused whole, a change touches what it names and no more."""
import sys

from harness import check, run, test, wait_for
import measure
from measure import streams
from topo import A, A_ECMP, B, B6, C, End

OTHERS = [(A, B, 4), (A, B, 6), (B, C, 4), (C, B, 6), (A, C, 6), (B6, C, 4)]
SPARE = """  aws-dx2  = { circuit = "dx"; vlan = 102; vrf = "prod"; cloud = "aws";
               address = [ "169.254.11.2/30", "2001:db8:f:11::2/125" ]; };
"""


def counters(lab):
    return lab.gateway.json("stats")["control"]


def hup(lab, outcome="reloads"):
    """SIGHUP and wait until it was acted upon; returns the operations it took."""
    before = counters(lab)
    lab.gateway.hup()
    wait_for(f"SIGHUP was acted upon ({outcome})", 15, lambda: counters(lab)[outcome] > before[outcome])
    return counters(lab)["reload_operations"] - before["reload_operations"]


def apply(lab):
    lab.gateway.write()
    return hup(lab)


def restore(lab):
    """The first configuration again."""
    lab.gateway.settings = type(lab.gateway.settings)(lab.gateway.settings.hugepages)
    apply(lab)
    lab.converge()


@test
def same_file(lab):
    ops = hup(lab)
    check(ops == 0, f"{ops} operations for the same file")
    lab.gateway.write()  # the same text, another inode and time
    ops = hup(lab)
    check(ops == 0, f"{ops} operations for the same text")
    answer = lab.gateway.json("reload")
    check(answer["operations"] == 0, answer)


@test
def same_file_under_traffic(lab):
    results, _ = streams(lab.world, OTHERS, lambda: [hup(lab) for _ in range(5)], pps=500)
    for r in results:
        check(r.lost == 0 and r.reordered == 0, r)
    return f"{sum(r.sent for r in results)} packets, none lost"


@test
def bad_file(lab):
    """Five errors in five places: all are told with file and line, nothing changes, traffic does not notice."""
    good = lab.gateway.settings.render(lab.world)
    bad = good.replace('vlan = 101;', 'vlan = 4999;').replace('peer = "10.61.255.2"', 'peer = "10.61.255.999"') \
        .replace('circuit = "er";', 'circuit = "err";').replace("vni = 5002;", 'vni = "x";').replace("poll =", "pol =")
    before, running = counters(lab), lab.gateway.ctl("config", "show").stdout

    def refuse():
        lab.gateway.write(bad)
        hup(lab, "reload_failures")
        measure.pause(0.3)

    results, _ = streams(lab.world, OTHERS[:3], refuse, pps=500)
    after = counters(lab)
    check(after["reload_operations"] == before["reload_operations"], "operations were applied")
    check(lab.gateway.ctl("config", "show").stdout == running, "the running configuration changed")
    errors = lab.gateway.ctl("config", "errors", check=False)
    text = errors.stdout + errors.stderr
    for want in ("4999", "10.61.255.999", "err", "vni", "pol"):
        check(want in text, f"no error names {want!r}:", text)
    lines = {number for number, line in enumerate(bad.split("\n"), 1) if line not in good.split("\n")}
    told = {e["line"] for e in lab.gateway.json("config", "errors") if not e["warning"]} \
        if isinstance(lab.gateway.json("config", "errors"), list) else lines
    check(lines <= told, f"errors are in lines {sorted(lines)}, told were {sorted(told)}")
    for r in results:
        check(r.lost == 0, r)
    done = lab.gateway.ctl("reload", check=False)
    check(done.returncode == 1, f"lintasctl reload of a bad file: status {done.returncode}")
    lab.gateway.write()
    hup(lab)


@test
def syntax_error_and_missing_file(lab):
    running = lab.gateway.ctl("config", "show").stdout
    for text in ("ports = { colo0 = { device = ;", "", "\0\0\0", '@include "../../etc/shadow"\n'):
        lab.gateway.write(text)
        hup(lab, "reload_failures")
        check(lab.gateway.ctl("config", "show").stdout == running, f"{text!r} changed the configuration")
    lab.gateway.write()
    ops = hup(lab)
    check(ops == 0, f"{ops} operations after the good file came back")


@test
def unrelated_change(lab):
    """Static routes, an MTU and a shut bank: the other links lose nothing."""
    def change():
        s = lab.gateway.settings
        s.statics, s.mtu["gcp-vpc6"], s.shut = ["10.63.0.0/16", "2001:db8:63::/48"], 1400, {"bank-ll"}
        ops = apply(lab)
        wait_for("the new prefixes lead over gcp-vpc6", 10,
                 lambda: lab.living("10.63.0.1") == lab.living("2001:db8:63::1") == {"gcp-vpc6"})
        wait_for("bank-ll is down", 5, lambda: not lab.link("bank-ll")["up"])
        check(lab.link("gcp-vpc6")["mtu"] == 1400, lab.link("gcp-vpc6"))
        mtu = lab.world.json("prod", "ip", "-j", "link", "show", "gcp-vpc6")[0]["mtu"]
        check(mtu == 1400, f"the kernel's interface has MTU {mtu}")
        measure.pause(0.3)
        return ops

    results, ops = streams(lab.world, OTHERS[:5], change, pps=500)
    check(ops > 0, "no operation counted")
    for r in results:
        check(r.lost == 0, r)
    return f"{ops} operations, {sum(r.sent for r in results)} packets, none lost"


@test
def statics_leave_with_the_configuration(lab):
    """Ours bear protocol 66 and go; a foreign route stays."""
    lab.world.ip("prod", "route add 10.99.0.0/16 via 10.61.255.6 proto 99")
    kernel = lab.gateway.kernel_routes("prod", 4)
    check(kernel["10.63.0.0/16"][0]["protocol"] == "66", kernel["10.63.0.0/16"])
    restore(lab)
    kernel = lab.gateway.kernel_routes("prod", 4)
    check("10.63.0.0/16" not in kernel, "our static stayed in the kernel")
    wait_for("10.63.0.0/16 left the fast path", 5, lambda: not lab.living("10.63.0.1"))
    check("10.99.0.0/16" in kernel, "a foreign route was removed")
    wait_for("the foreign route is in the fast path", 5, lambda: lab.living("10.99.1.1") == {"gcp-vpc6"})
    lab.world.ip("prod", "route del 10.99.0.0/16")
    sent, got, _ = measure.ping(lab.world, End("bank", "bank", "192.0.2.70", ""), "192.0.2.66", 4)
    check(got == sent, "bank-ll did not come back")


@test
def add_and_remove_a_link(lab):
    """A second VLAN on the same circuit, and away again; its neighbour on the wire loses nothing."""
    spare = End("spare", "cloud-a", "169.254.11.1", "2001:db8:f:11::1")

    def change():
        lab.gateway.settings.links = [SPARE]
        apply(lab)
        for family, addr in ((4, "169.254.11.2"), (6, "2001:db8:f:11::2")):
            wait_for(f"{addr} answers", 10, lambda f=family, a=addr: measure.ping(lab.world, spare, a, f, count=1)[1] == 1)
        check(lab.link("aws-dx2")["up"], lab.link("aws-dx2"))
        lab.gateway.settings.links = []
        apply(lab)
        wait_for("aws-dx2 left the kernel", 5, lambda: lab.world.run("prod", "ip", "link", "show", "aws-dx2", check=False).returncode)
        check(lab.gateway.ctl("link", "show", "aws-dx2", check=False).returncode == 1, "lintasctl still knows aws-dx2")

    results, _ = streams(lab.world, [(A, B, 4), (C, A, 6), (B, A, 6)], change, pps=500)
    for r in results:
        check(r.lost == 0, r)


@test
def shut_and_open_a_link(lab):
    """state = "shut": traffic moves to the other leg, BGP goes down; and comes back."""
    def change():
        lab.gateway.settings.shut = {"aws-dx1"}
        apply(lab)
        wait_for("only az-er is left", 10, lambda: lab.living("10.41.0.10") == lab.living("2001:db8:41::10") == {"az-er"})
        wait_for("10.40/16 moved", 30, lambda: lab.living("10.40.0.10") == {"az-er"})
        restore(lab)

    results, _ = streams(lab.world, [(B, A_ECMP, 4), (B, A_ECMP, 6), (B, C, 4)], change, pps=500, flows=8)
    check(results[0].gap_ms < 3000 and results[1].gap_ms < 3000, *results)
    check(results[2].lost == 0, results[2])
    return f"holes {results[0].gap_ms:.0f} and {results[1].gap_ms:.0f} ms"


@test
def staged_until_restart(lab):
    """What cannot be changed live is named and waits; the rest of the same file applies."""
    lab.gateway.settings.statics = ["10.63.0.0/16"]
    text = lab.gateway.settings.render(lab.world).replace('poll = "adaptive"', 'poll = "busy"')
    lab.gateway.write(text)
    answer = lab.gateway.json("reload")
    check(answer["needs_restart"], answer)
    wait_for("the rest was applied", 5, lambda: lab.living("10.63.0.1") == {"gcp-vpc6"})
    restore(lab)


@test
def storm(lab):
    """A hundred SIGHUPs of two alternating files: coalesced, memory flat, the last one wins."""
    pid = lab.gateway.pid()

    def rss():
        with open(f"/proc/{pid}/status") as f:
            return int(next(line for line in f if line.startswith("VmRSS")).split()[1])

    def change():
        for i in range(100):
            lab.gateway.settings.statics = ["10.63.0.0/16"] if i % 2 == 0 else []
            lab.gateway.write()
            lab.gateway.hup()
        wait_for("the last file is in force", 20, lambda: not lab.living("10.63.0.1") and "10.63.0.0/16" not in
                 lab.gateway.kernel_routes("prod", 4))

    change()  # once, so that what is allocated once is there
    before = rss()
    results, _ = streams(lab.world, OTHERS[:3], change, pps=300)
    hup(lab)
    check("10.63.0.0/16" not in lab.gateway.kernel_routes("prod", 4), "an older file won")
    grown = rss() - before
    check(grown < 4096, f"{grown} KB more after a hundred reloads")
    for r in results:
        check(r.lost == 0, r)
    return f"{grown} KB more"


sys.exit(run())
