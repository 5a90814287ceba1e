#!/usr/bin/python3
"""BFD in the fast path: FRR's bfdd hands its sessions to lintasd (--dplaneaddr), a worker runs them.

Against FRR's own bfdd in the clouds: up in both families, a dead peer found within its budget and traffic moved
before FRR withdrew anything, timers changed live, restarts of lintasd and of bfdd. """
import datetime
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "netns"))
if len(sys.argv) == 2 and os.path.isdir(sys.argv[1]):
    sys.argv[1:] = ["--build", sys.argv[1]]
from harness import check, run, test, wait_for  # noqa: E402
import peers  # noqa: E402

WANTED = {("aws-dx1", "169.254.10.1"), ("aws-dx1", "2001:db8:f:10::1"),
          ("az-er", "169.254.20.2"), ("az-er", "2001:db8:f:20::2")}


def show(lab):
    data = lab.gateway.try_ctl("bfd", "show") or {"sessions": []}
    return {(s["link"], s["peer"]): s for s in data["sessions"]}


def up(lab, wanted=WANTED):
    have = show(lab)
    return all(have.get(w, {}).get("state") == "up" for w in wanted) and have


def events(lab, pattern, since=0):
    """(time of day in seconds, text) of lintasd's events, from its log."""
    found = []
    with open(lab.world.path("log", "lintasd.log"), errors="replace") as f:
        f.seek(since)
        for line in f:
            m = re.match(r"(\d+):(\d+):(\d+\.\d+) (.*)", line)
            if m and re.search(pattern, m[4]):
                found.append((int(m[1]) * 3600 + int(m[2]) * 60 + float(m[3]), m[4].strip()))
    return found


def log_size(lab):
    return os.path.getsize(lab.world.path("log", "lintasd.log"))


def clock():
    now = datetime.datetime.utcnow()
    return now.hour * 3600 + now.minute * 60 + now.second + now.microsecond / 1e6


def bfdd_says(lab):
    return {p["peer"]: p["status"] for p in peers.vtysh_json(lab.world, "gw", "show bfd peers json") or []}


@test
def both_families(lab):
    """Up in lintasd, known to bfdd, with the timers of the configuration; the kernel saw none of it."""
    have = wait_for("four sessions are up", 15, lambda: up(lab))
    for w in WANTED:
        s = have[w]
        check(s["local"]["min_tx_us"] == 300000 and s["remote"]["min_rx_us"] == 300000 and s["detect_us"] == 900000, s)
        check(not s["discarded"] and s["downs"] == 0, s)
    wait_for("bfdd knows", 5, lambda: all(bfdd_says(lab).get(p) == "up" for _, p in WANTED))
    counters = peers.vtysh_json(lab.world, "gw", "show bfd peers counters json")
    check(all(c["control-packet-input"] > 0 for c in counters), counters)
    shown = {s["peer"]: (s["bfd"] or {}).get("status") for s in lab.gateway.json("bgp", "show")["sessions"]}
    check(all(shown.get(p) == "up" for _, p in WANTED), shown)


@test
def dead_peer(lab):
    """The peer's bfdd is stopped: detected within a second, legs moved before FRR has said anything."""
    wait_for("four sessions are up", 15, lambda: up(lab))
    pid, start = lab.gateway.pid("cloud-a-bfdd"), log_size(lab)
    began = clock()
    os.kill(pid, signal.SIGSTOP)
    try:
        down = wait_for("bfd down is an event", 5, lambda: len(events(lab, r"aws-dx1: BFD with \S+ is down", start)) == 2 and
                        events(lab, r"aws-dx1: BFD with \S+ is down", start))
        wait_for("one leg is left", 5, lambda: lab.living("10.41.0.10") == {"az-er"})
    finally:
        os.kill(pid, signal.SIGCONT)
    took = down[0][0] - began
    check("control detection time expired, after" in down[0][1], down)
    check(took < 1.05, f"detected after {took:.3f} s")
    moved = events(lab, r"aws-dx1: BFD down: \d+ path groups", start)
    check(moved, "no event says what moved")
    wait_for("sessions and BGP are back", 60, lambda: up(lab) and lab.gateway.bgp_up())
    wait_for("two legs again", 30, lambda: lab.living("10.41.0.10") == {"aws-dx1", "az-er"})
    return f"{took * 1000:.0f} ms; {moved[0][1].split(': ', 1)[1]}"


@test
def timers_live(lab):
    """The peer wants other timers: a poll sequence, no session lost."""
    before = wait_for("four sessions are up", 15, lambda: up(lab))
    peers.vtysh(lab.world, "cloud-a", "configure terminal", "bfd", "profile lab", "transmit-interval 500",
                "receive-interval 500", "detect-multiplier 4")
    after = wait_for("what the peer wants is in force", 10, lambda: (lambda s: s and all(
        s[w]["remote"]["min_tx_us"] == 500000 and s[w]["tx_us"] == 500000 and s[w]["detect_us"] == 2000000
        for w in WANTED if w[0] == "aws-dx1") and s)(up(lab)))
    peers.vtysh(lab.world, "cloud-a", "configure terminal", "bfd", "profile lab", "transmit-interval 300",
                "receive-interval 300", "detect-multiplier 3")
    wait_for("and back", 10, lambda: (lambda s: s and all(s[w]["detect_us"] == 900000 for w in WANTED) and s)(up(lab)))
    check(all(after[w]["downs"] == before[w]["downs"] for w in WANTED), after)


@test
def kernel_gives_up(lab):
    """The kernel's questions to a peer are lost, as in an overload, and it gives the neighbour up: the session stays up,
    and the kernel is told who is there."""
    before = wait_for("four sessions are up", 15, lambda: up(lab))
    for link, peer in WANTED:
        lab.world.run("prod", "ip", "neigh", "change", peer, "dev", link, "nud", "failed")
    wait_for("the kernel believes it", 5, lambda: all(
        lab.world.json("prod", "ip", "-j", "neigh", "show", peer, "dev", link)[0]["state"] == ["REACHABLE"]
        for link, peer in WANTED))
    after = wait_for("each has sent for a detection time", 5, lambda: (lambda s: s and all(
        s[w]["tx"] >= before[w]["tx"] + 5 for w in WANTED) and s)(show(lab)))
    check(all(after[w]["downs"] == before[w]["downs"] and after[w].get("unsent") == before[w].get("unsent")
              for w in WANTED), before, after)


def lladdr(lab, where, dev, addr):
    return lab.world.json(where, "ip", "-j", "neigh", "show", addr, "dev", dev)[0].get("lladdr")


@test
def mac_moves(lab):
    """Another box takes a peer's addresses without a word (nothing announced, nobody asked for): the kernel was told that
    the old MAC address is good, and would believe it for long; BFD goes down, so it asks who has the address."""
    wait_for("four sessions are up", 15, lambda: up(lab))
    link, other = "aws-dx1", "02:00:00:00:de:ad"
    theirs, ours = ("169.254.10.1", "2001:db8:f:10::1"), ("169.254.10.2", "2001:db8:f:10::2")
    mac = lladdr(lab, "cloud-a", "dx1", ours[0])
    for family, peer in (("ipv4", theirs[0]), ("ipv6", theirs[1])):
        lab.world.run("prod", "sysctl", "-qw", f"net.{family}.neigh.{link}.base_reachable_time_ms=600000")
        lab.world.run("prod", "ip", "neigh", "change", peer, "dev", link, "nud", "reachable")
    stopped = [lab.gateway.pid(f"cloud-a-{daemon}") for daemon in ("bfdd", "bgpd")]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        lab.world.ip("cloud-a", "\n".join([f"link set dx1 address {other}"] + [
            f"neigh replace {a} lladdr {mac} dev dx1 nud permanent" for a in ours]))
        began = time.monotonic()
        wait_for("the other box is known", 20, lambda: all(lladdr(lab, "prod", link, a) == other for a in theirs))
        took = time.monotonic() - began
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        for family in ("ipv4", "ipv6"):
            lab.world.run("prod", "sysctl", "-qw", f"net.{family}.neigh.{link}.base_reachable_time_ms=30000")
    wait_for("sessions and BGP are back", 60, lambda: up(lab) and lab.gateway.bgp_up())
    lab.world.ip("cloud-a", "\n".join(f"neigh del {a} dev dx1" for a in ours))
    return f"known after {took:.1f} s"


@test
def bfdd_restart(lab):
    """bfdd is killed and comes back with other numbers: sessions go on, their peers notice nothing."""
    before = wait_for("four sessions are up", 15, lambda: up(lab))
    lab.gateway.kill(signal.SIGKILL, name="gw-bfdd")
    peers.run_daemon(lab.world, "gw", "gw", "bfdd", ["-n"])
    wait_for("bfdd has its sessions again, up", 40, lambda: all(bfdd_says(lab).get(p) == "up" for _, p in WANTED))
    after = wait_for("four sessions are up", 15, lambda: up(lab))
    for w in WANTED:
        check(after[w]["downs"] == before[w]["downs"] and after[w]["rx"] > before[w]["rx"], w, before[w], after[w])
        check(after[w]["local"]["discriminator"] == before[w]["local"]["discriminator"], w, "another discriminator")


@test
def lintasd_restart(lab):
    """lintasd is killed and started at once, with peers that wait 6 s: their sessions never go down."""
    peers.vtysh(lab.world, "cloud-a", "configure terminal", "bfd", "profile lab", "transmit-interval 300")
    wait_for("four sessions are up", 15, lambda: up(lab))
    for router in ("cloud-a", "cloud-c"):
        peers.vtysh(lab.world, router, "configure terminal", "bfd", "profile lab", "receive-interval 2000")
    wait_for("peers wait 6 s", 10, lambda: (lambda s: s and all(s[w]["tx_us"] == 2000000 for w in WANTED))(up(lab)))

    def downs():
        out = {}
        for router in ("cloud-a", "cloud-c"):
            for c in peers.vtysh_json(lab.world, router, "show bfd peers counters json"):
                if not c["peer"].startswith(("172.31.", "2001:db8:f:31:")):  # the clouds' own cross-connect
                    out[router, c["peer"]] = c["session-down"]
        return out
    before, began = downs(), time.monotonic()
    lab.gateway.kill(signal.SIGKILL)
    lab.gateway.start_daemon()
    answers = time.monotonic() - began
    wait_for("four sessions are up", 20, lambda: up(lab))
    took, after = time.monotonic() - began, downs()
    lost = [w for w in before if after.get(w, 0) != before[w]]
    for router in ("cloud-a", "cloud-c"):
        peers.vtysh(lab.world, router, "configure terminal", "bfd", "profile lab", "receive-interval 300")
    check(not lost, f"sessions were lost at the peers: {lost}; answers after {answers:.1f} s, up after {took:.1f} s")
    return f"answers after {answers:.1f} s, all up in lintasd after {took:.1f} s"


sys.exit(run())
