#!/usr/bin/python3
"""Every kind of tunnel against the Linux kernel of a guest, both families inside, either outside."""
import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import time

import guest_rig
from guest_rig import KINDS, guest, wait_for
from harness import Skip, check, reason  # noqa: E402  (guest_rig has set the path)
from lag_rig import socket_in

tests = []


def test(function):
    tests.append(function)
    return function


def each(rig, probe):
    """probe(k, kind) of every kind; which failed, with what they said."""
    bad = []
    for k, kind in enumerate(KINDS, 1):
        try:
            probe(k, kind)
        except (AssertionError, OSError, subprocess.SubprocessError) as e:
            bad.append(f"{kind.name}: {' '.join(str(e).split())[:160]}")
    check(not bad, f"{len(bad)} of {len(KINDS)}:", "; ".join(bad))
    return f"{len(KINDS)} tunnels"


def ping(rig, source, target, *more):
    return rig.world.run("peer", "ping", "-n", "-c", "2", "-i", "0.2", "-W", "2", "-I", source, *more, target, check=False)


@test
def links(rig):
    """Every link is up and says what it is."""
    wait_for("the underlay is resolved by the first packets", 10, lambda: [
        rig.world.run("w", "ping", "-c", "1", "-W", "1", a, check=False).returncode for a in (guest_rig.GUEST4, guest_rig.GUEST6)] == [0, 0])
    wait_for("every tunnel is up", 10, lambda: all(x["up"] for x in rig.gateway.json("link", "show")))
    shown = {x["name"]: x for x in rig.gateway.json("link", "show")}
    check(shown["gre-key"]["shape"]["key"] == 77 and shown["gre"]["mtu"] == 1476 and shown["gre-csum"]["mtu"] == 1468, shown["gre-key"])
    check(shown["ipip"]["mtu"] == 1480 and shown["ip6tnl"]["mtu"] == 1460 and shown["geneve"]["mtu"] == 1450 and shown["geneve-ip"]["mtu"] == 1464, shown)
    text = rig.gateway.ctl("link", "show").stdout
    check(re.search(r"gre 77 to 198\.51\.100\.2 over u", text), text)


@test
def ping_both_families(rig):
    def probe(k, kind):
        for source, target in ((f"10.8.{k}.9", f"10.9.{k}.1"), (f"2001:db8:8:{k}::9", f"2001:db8:9:{k}::1")):
            out = ping(rig, source, target)
            check(out.returncode == 0, target, out.stdout[-200:])
    return each(rig, probe)


@test
def ping_from_the_gateway(rig):
    """The kernel's own packets: what BGP would be."""
    def probe(k, kind):
        for target in (f"169.254.{k}.2", f"fd00:{k}::2"):
            out = rig.world.run("v", "ping", "-n", "-c", "2", "-i", "0.2", "-W", "2", target, check=False)
            check(out.returncode == 0, target, out.stdout[-200:])
    return each(rig, probe)


@test
def largest_packet(rig):
    """As long as the link's MTU passes; one byte more comes back with that MTU, and is sent smaller."""
    mtus = {x["name"]: x["mtu"] for x in rig.gateway.json("link", "show")}

    def probe(k, kind):
        mtu = mtus[kind.name]
        for source, target, head in ((f"10.8.{k}.9", f"10.9.{k}.1", 28), (f"2001:db8:8:{k}::9", f"2001:db8:9:{k}::1", 48)):
            out = ping(rig, source, target, "-M", "do", "-s", str(mtu - head))
            check(out.returncode == 0, f"{mtu} to {target}:", out.stdout[-200:])
            out = ping(rig, source, target, "-M", "do", "-s", str(mtu - head + 1))
            check(re.search(rf"(mtu ?= ?{mtu}|too long.*{mtu})", out.stdout + out.stderr), f"{mtu + 1} to {target}:", out.stdout[-200:])
    return each(rig, probe)


@test
def tcp(rig):
    """A connection through every tunnel; its MSS is what fits, though neither end knows of the tunnel."""
    mtus = {x["name"]: x["mtu"] for x in rig.gateway.json("link", "show")}
    rig.guest.run("(while :; do nc -l -p 5001 -e wc -c; done >/dev/null 2>&1 &)")
    size = 300000

    def probe(k, kind):
        with socket_in(rig.world.netns_file("peer"), socket.AF_INET, socket.SOCK_STREAM) as c:
            c.settimeout(20)
            c.bind((f"10.8.{k}.9", 0))
            wait_for("the guest listens", 8, lambda: not c.connect_ex((f"10.9.{k}.1", 5001)))
            mss = c.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
            check(mss <= mtus[kind.name] - 40, f"MSS {mss}, MTU {mtus[kind.name]}")
            c.sendall(bytes(size))
            c.shutdown(socket.SHUT_WR)
            got = c.recv(64).split()
            check(got and int(got[0]) == size, got)
    return each(rig, probe)


@test
def nothing_was_dropped(rig):
    """Nothing that the guest's kernel sends is bad to us, nor ours to it."""
    drops = {d["name"]: d["packets"] for d in rig.gateway.json("stats", "drops")}
    check(not any(name.startswith("tun_bad") for name in drops), drops)
    said = rig.guest.run("cat /proc/net/snmp | grep '^Udp:' | tail -1; cd /sys/class/net; grep . */statistics/rx_errors; cd /")
    bad = [line for line in said.splitlines()[1:] if not line.endswith(":0")]
    check(not bad, bad)


@test
def a_key_that_differs(rig):
    """The guest's key changes: we hear it no more, and say why."""
    def dropped():
        return sum(d["packets"] for d in rig.gateway.json("stats", "drops", "--link", "u") if d["name"].startswith("tun_"))
    k = next(i for i, kind in enumerate(KINDS, 1) if kind.name == "gre-key")
    before = dropped()
    rig.guest.run("ip2 link set gre-key type gre key 99")
    out = rig.guest.run(f"ping -c 2 -W 1 169.254.{k}.1; true")
    check("100% packet loss" in out, out)
    check(dropped() >= before + 2, before, dropped())
    rig.guest.run("ip2 link set gre-key type gre key 77")
    wait_for("the tunnel works again", 5, lambda: ping(rig, f"10.8.{k}.9", f"10.9.{k}.1").returncode == 0)


@test
def underlay_is_narrow(rig):
    """A router of the underlay takes 1,200 bytes and says so: the sender inside is told what is left, the kernel too."""
    sent = rig.world.run("peer", "ping", "-n", "-c", "6", "-i", "0.3", "-W", "1", "-M", "do", "-s", "1300", "-I", "10.8.99.9", "10.9.99.1",
                         check=False)
    check(re.search(r"mtu ?= ?1176", sent.stdout + sent.stderr), sent.stdout)
    wait_for("the kernel's interface follows", 5, lambda: rig.world.json("v", "ip", "-j", "link", "show", "narrow")[0]["mtu"] == 1280)
    events = rig.gateway.ctl("events", "narrow").stdout
    check("takes less: MTU 1176" in events, events)


@test
def underlay_moves(rig):
    """The guest's MAC changes: every tunnel follows its neighbour, routes inside are not touched."""
    before = rig.gateway.json("status")["mirror"]["routes"]
    rig.guest.run("ip link set eth0 down; ip link set eth0 address 02:00:00:00:77:99; ip link set eth0 up; "
                  f"ip2 addr add {guest_rig.GUEST6}/64 dev eth0 nodad 2>/dev/null; true")
    begin = time.monotonic()
    rig.guest.run(f"ping -c 1 -W 1 {guest_rig.US4}; true")
    wait_for("tunnels over IPv4 and IPv6 work again", 40, lambda: ping(rig, "10.8.1.9", "10.9.1.1").returncode == 0 and
             ping(rig, "10.8.7.9", "10.9.7.1").returncode == 0)
    check(rig.gateway.json("status")["mirror"]["routes"] == before)
    return f"after {time.monotonic() - begin:.1f} s"


def one(name, function, rig):
    begin = time.monotonic()
    try:
        said = function(rig)
    except Skip as e:
        print(f"SKIP guest/{name}: {e}", flush=True)
        return True
    except Exception as e:  # whatever went wrong, the next test is tried
        print(f"FAIL guest/{name}: {reason(e)}", flush=True)
        return False
    print(f"PASS guest/{name}{f'  [{said}]' if said else ''}  {time.monotonic() - begin:.1f} s", flush=True)
    return True


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", default=os.path.join(guest_rig.TOP, "build"))
    p.add_argument("--only", default="")
    args = p.parse_args()
    todo = [t for t in tests if args.only in t.__name__ or args.only in "test_guest"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if os.geteuid():
        print("SKIP guest: needs root, for network namespaces: sudo make test")
        return 0
    failed, rig = 0, None
    try:
        guest.prepare(args.build)
        rig = guest_rig.Rig(args.build)
        rig.up()
        for t in todo:
            failed += not one(t.__name__, t, rig)
        if failed:
            print("--- lintasd:", rig.world.log_tail("lintasd", 20))
    except guest.Missing as e:
        print(f"SKIP guest: {e}", flush=True)
    except Exception as e:
        print(f"FAIL guest/up: {reason(e)}", flush=True)
        failed += 1
        if rig:
            print("--- lintasd:", rig.world.log_tail("lintasd", 20))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if rig:
            rig.down()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
