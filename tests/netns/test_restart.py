#!/usr/bin/python3
"""lintasd dies, is doubled, is stopped: carrier, next hops and BGP stay, the fast path comes back the same."""
import os
import signal
import subprocess
import sys
import time

from harness import check, run, test, wait_for
import measure
from measure import streams
import peers
from topo import A, B, B6, C

PLAN = [(A, B, 4), (A, B, 6), (B, C, 4), (C, B6, 6)]


def shape(lab):
    """The kernel's state of VRF prod that a death must not change: interfaces, neighbours, BGP's routes."""
    links = {i["ifname"]: (i["ifindex"], i["operstate"], i["address"]) for i in lab.world.json("prod", "ip", "-j", "link")}
    routes = {f: {p: sorted(str(r.get("gateway") or sorted(n.get("gateway", "") for n in r.get("nexthops", []))) for r in rs)
                  for p, rs in lab.gateway.kernel_routes("prod", f).items()} for f in (4, 6)}
    return links, routes


def fib(lab, addrs=("10.40.0.10", "10.41.0.10", "10.60.0.10", "10.62.0.10", "10.70.0.10", "2001:db8:40::10", "2001:db8:41::10",
                    "2001:db8:60::10", "2001:db8:62::10")):
    vrf = lab.gateway.json("vrf", "show", "prod")[0]
    return vrf["routes4"], vrf["routes6"], {a: sorted(lab.living(a)) for a in addrs}


@test
def second_instance(lab):
    """Refused at once, by the pid of the first, which does not notice."""
    pid = lab.gateway.pid()
    argv = lab.world.enter("gw") + lab.gateway.daemon_argv()[:-1] + [lab.world.path("api", "second.sock")]

    def second():
        return subprocess.run(argv, capture_output=True, text=True, timeout=20)

    results, done = streams(lab.world, PLAN[:2], second)
    check(done.returncode not in (0, None), "the second one did not fail")
    check(str(pid) in done.stderr + done.stdout, f"the first one's pid {pid} is not told:", done.stderr)
    check(lab.gateway.pid() == pid, "the first one is gone")
    for r in results:
        check(r.lost == 0, r)
    return f"status {done.returncode}"


@test
def bad_start(lab):
    """A configuration that cannot be read: status 78 and the reason, nobody is disturbed."""
    done = subprocess.run(lab.world.enter("gw") + [f"{lab.gateway.build}/lintasd", "-c", lab.world.path("no.conf"), "--keeper",
                          lab.gateway.keeper_socket, "--socket", lab.world.path("api", "second.sock")],
                          capture_output=True, text=True, timeout=20)
    check(done.returncode == 78, f"status {done.returncode}:", done.stderr)
    check("no.conf" in done.stderr + done.stdout, done.stderr)


def same_fib(lab, before):
    def probe():
        if not lab.gateway.try_ctl("status"):
            return False
        return fib(lab) == before
    return probe


@test
def kill_9(lab):
    """Dead in the middle of traffic and started at once: BGP does not notice, the fast path is as before."""
    before, fib_before, up_before = shape(lab), fib(lab), peers.established(lab.world)
    took = {}

    def during():
        measure.pause(0.3)
        begin = time.monotonic()
        lab.gateway.kill(signal.SIGKILL)
        lab.gateway.start_daemon()
        took["answers"] = time.monotonic() - begin
        wait_for("the fast path is as before", 20, same_fib(lab, fib_before))
        took["same"] = time.monotonic() - begin
        measure.pause(0.3)

    results, _ = streams(lab.world, PLAN, during)
    gap = max(r.gap_ms for r in results)
    said = (f"gap {gap:.0f} ms, answers after {took['answers'] * 1e3:.0f} ms, "
            f"FIB the same after {took['same'] * 1e3:.0f} ms")
    reset = peers.reset_since(up_before, peers.established(lab.world))
    check(len(up_before) == 10 and not reset, f"BGP sessions were reset: {reset}; {said}")
    check(shape(lab) == before, f"interfaces or routes of the kernel changed; {said}")
    for r in results:
        check(r.received > 0 and r.gap_ms < 10000, r)
    check(lab.gateway.json("stats")["mirror"]["audit_fixed"] == 0, "the auditor had to repair")
    return said


@test
def dead_for_a_while(lab):
    """Nobody starts it again: interfaces keep their carrier, routes and BGP without BFD stay in the kernel."""
    before, up_before = shape(lab), peers.established(lab.world)
    lab.gateway.kill(signal.SIGKILL)
    links, routes = shape(lab)
    check(links == before[0], f"interfaces changed while it was dead: {before[0]} -> {links}")
    check(routes == before[1], "the kernel's routes changed while it was dead")
    measure.pause(2)
    links, routes = shape(lab)
    check(links == before[0], f"interfaces changed after two seconds: {before[0]} -> {links}")
    lab.gateway.start_daemon()
    lab.converge()
    # BFD has rightly ended its sessions: nothing was forwarded for longer than it allows.
    kept = {p: t for p, t in up_before.items() if p in ("10.61.255.2", "2001:db8:f:61::2")}
    reset = peers.reset_since(kept, peers.established(lab.world))
    check(len(kept) == 2 and not reset, f"BGP sessions without BFD were reset: {reset}")


@test
def kill_9_nothing_leaks(lab):
    """Five deaths in a row: the keeper's descriptors and the memory it left stay as they were."""
    keeper = lab.gateway.pid("lintas-keeper")

    def descriptors():
        return len(os.listdir(f"/proc/{keeper}/fd"))

    def huge():
        with open("/proc/meminfo") as f:
            return next(line for line in f if line.startswith("HugePages_Free"))

    lab.gateway.kill(signal.SIGKILL)
    lab.gateway.start_daemon()
    lab.converge()
    before = descriptors()
    for _ in range(4):
        lab.gateway.kill(signal.SIGKILL)
        lab.gateway.start_daemon()
    lab.converge()
    # A tool that runs for lintasd has two while it runs: what a death leaked stays.
    wait_for(f"the keeper has {before} descriptors again", 15, lambda: descriptors() <= before)
    return f"{before} descriptors; {' '.join(huge().split())}"


@test
def sigterm(lab):
    """Ends by itself with status 0 within 5 s, under traffic; the API socket is gone; and starts again."""
    def during():
        child = lab.world.children["lintasd"]
        begin = time.monotonic()
        polite = lab.gateway.kill(signal.SIGTERM, 5)
        took = time.monotonic() - begin
        check(polite, "still there after 5 s")
        check(child.returncode == 0, f"status {child.returncode}: {lab.world.log_tail('lintasd')}")
        return took

    results, took = streams(lab.world, PLAN[:2], during)
    check(not os.path.exists(lab.gateway.api_socket), "the API socket was left behind")
    lab.gateway.start_daemon()
    lab.converge()
    return f"{took * 1e3:.0f} ms"


@test
def configuration_changed_while_dead(lab):
    """What the file dropped while nobody looked is gone after the start: the route, the link, its interface."""
    lab.gateway.settings.statics = ["10.63.0.0/16"]
    lab.gateway.settings.links = ['  aws-dx2 = { circuit = "dx"; vlan = 102; vrf = "prod"; cloud = "aws"; '
                                  'address = [ "169.254.11.2/30" ]; };\n']
    lab.gateway.write()
    lab.gateway.hup()
    wait_for("both are there", 10, lambda: lab.living("10.63.0.1") == {"gcp-vpc6"} and
             lab.world.run("prod", "ip", "link", "show", "aws-dx2", check=False).returncode == 0)
    lab.gateway.kill(signal.SIGKILL)
    lab.gateway.settings.statics, lab.gateway.settings.links = [], []
    lab.gateway.write()
    lab.gateway.start_daemon()
    wait_for("our old static route left the kernel", 10, lambda: "10.63.0.0/16" not in lab.gateway.kernel_routes("prod", 4))
    wait_for("the old link left the kernel", 10, lambda: lab.world.run("prod", "ip", "link", "show", "aws-dx2", check=False).returncode)
    lab.converge()


def before(_):
    """BFD of 3 s: what is tested is that nothing but time ends a session, on machines of any speed."""
    peers.BFD_MULTIPLIER = 10


sys.exit(run(before))
