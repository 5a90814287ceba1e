#!/usr/bin/python3
"""LACP: with a partner played by scapy, then with Linux bonding in a guest (guest.py).

What is asserted is what somebody at the other end, or behind it, notices: which member a packet comes by, how long
none comes, what LACPDUs say."""
import argparse
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import lag_rig  # sets the path
import guest
from lag_rig import ACTIVE, AGGREGATE, COLLECT, DISTRIBUTE, LACP, READY, SHORT, SLOW, SYNC, Ether, Flows, Partner, Rig, wait_for
from harness import Skip, check, reason

TWO = 'lag = [ "net_af_packet0,iface=m0", "net_af_packet1,iface=m1" ]; '
ONE = 'lag = [ "net_af_packet0,iface=m0" ]; '
GAP_MS = 50
tests = []


def test(function):
    tests.append(function)
    return function


class Stage:
    """What the tests share: one gateway, one partner, replaced by those that want another."""

    def __init__(self, build):
        self.rig = Rig(build).up()
        self.partner = None
        self.running = None

    def configure(self, lag):
        if self.running == lag:
            return
        if self.running:
            self.partner.end()
            self.rig.stop()
        self.rig.start(lag)
        self.partner = Partner(self.rig)
        self.running = lag
        self.mac = self.rig.prepare_flows()

    def came_by(self, since):
        """{flow: members it came by} of what arrived since then."""
        out = {}
        for at, member, (port, _) in self.partner.flows:
            if at >= since:
                out.setdefault(port, set()).add(member)
        return out


@test
def comes_up(s):
    """Each arc of the mux machine, driven by what the partner says."""
    s.configure(TWO + 'lacp = "fast"')
    p = s.partner
    p.flags = [ACTIVE | SHORT | AGGREGATE] * 2
    wait_for("we are in sync", 8, lambda: p.last(0) and p.last(1) and p.last(0).actor_state & SYNC and p.last(1).actor_state & SYNC)
    check(not p.last(0).actor_state & COLLECT, "collects before the partner is in sync")
    check(not s.rig.lag_show()["up"] and not s.rig.link_up(), "the port is up without a partner in sync")
    p.flags = [ACTIVE | SHORT | AGGREGATE | SYNC] * 2
    wait_for("we collect", 4, lambda: p.last(0).actor_state & COLLECT)
    check(not p.last(0).actor_state & DISTRIBUTE, "distributes before the partner collects")
    p.flags = [READY | SHORT] * 2
    took = s.rig.wait_members([1, 2], 4)
    wait_for("the link has carrier", 4, s.rig.link_up)
    member = s.rig.lag_show()["members"][0]
    check(member["partner"]["system"] == "02:00:00:00:09:01" and member["partner"]["key"] == 17, member)
    check({"in-sync", "collecting", "distributing"} <= set(member["actor"]["state"]), member)
    return f"{took:.1f} s after the partner collects"


@test
def octets(s):
    """Our LACPDUs as scapy and, where it is installed, tshark read them."""
    s.configure(TWO + 'lacp = "fast"')
    frames = [f for _, f in s.partner.heard[0] + s.partner.heard[1] if f[14] == 1]
    check(len(frames) > 2, len(frames), "LACPDUs")
    macs = [m["mac"] for m in s.rig.lag_show()["members"]]
    for f in frames:
        e = Ether(f)
        pdu = e[LACP]
        check(len(f) == 124 and e.dst == SLOW and e.src in macs and e.type == 0x8809, e.summary(), len(f))
        check((pdu.version, pdu.actor_type, pdu.actor_length, pdu.partner_type, pdu.partner_length, pdu.collector_type,
               pdu.collector_length, pdu.terminator_type, pdu.terminator_length) == (1, 1, 20, 2, 20, 3, 16, 0, 0), pdu)
        check(pdu.actor_system == macs[0] and pdu.actor_port_number in (1, 2) and pdu.actor_state & SHORT, pdu)
    last = s.partner.last(1)
    check(last.partner_system == "02:00:00:00:09:01" and last.partner_key == 17 and last.partner_port_number == 2, last)
    try:
        version = subprocess.run(["tshark", "--version"], capture_output=True).returncode
    except OSError:
        return f"{len(frames)} frames; tshark is not installed"
    with tempfile.NamedTemporaryFile(suffix=".pcap") as f:
        f.write(struct.pack("=IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for frame in frames[-8:]:
            f.write(struct.pack("=IIII", 0, 0, len(frame), len(frame)) + frame)
        f.flush()
        out = subprocess.run(["tshark", "-r", f.name, "-T", "fields", "-e", "lacp.version", "-e", "lacp.actor.sys_priority",
                              "-e", "_ws.malformed", "-e", "_ws.expert.severity"], capture_output=True, text=True, timeout=30).stdout
    check(not version and all(line.split() == ["0x01", "65535"] or line.split() == ["1", "65535"] for line in out.splitlines()) and out,
          "tshark:", out)
    return f"{len(frames)} frames, scapy and tshark agree"


@test
def spreads(s):
    """Both members carry about half of the flows, and a flow keeps to one."""
    s.configure(TWO + 'lacp = "fast"')
    s.rig.wait_members([1, 2], 6)
    since, flows = time.monotonic(), Flows(s.rig, s.mac, n=256, interval=0.0005)
    wait_for("every flow three times", 10, lambda: flows.sent > 1000 and len(s.came_by(since)) == 256)
    flows.end()
    by = s.came_by(since)
    check(all(len(members) == 1 for members in by.values()), "a flow came by both members")
    first = sum(members == {0} for members in by.values())
    check(96 <= first <= 160, first, "of 256 flows by member 1")
    return f"{first} of 256 flows by member 1"


@test
def carrier_lost(s):
    """A member's carrier goes: its flows are on the other within 50 ms, the others lose nothing."""
    s.configure(TWO + 'lacp = "fast"')
    s.rig.wait_members([1, 2], 6)
    since, flows = time.monotonic(), Flows(s.rig, s.mac, interval=0.001)
    wait_for("flows on both members", 5, lambda: len(s.came_by(since)) == 64)
    mine = {flow for flow, members in s.came_by(since).items() if members == {0}}
    check(len(mine) > 10, mine)
    s.rig.world.run("peer", "ip", "link", "set", "p0", "down")
    down = time.monotonic()
    wait_for("its flows on the other", 5, lambda: mine <= set(s.came_by(down)) and len(s.partner.flows) and time.monotonic() > down + 1)
    n = flows.end()
    wait_for("the last packet", 2, lambda: any(number == n - 1 for _, _, (_, number) in s.partner.flows[-64:]))
    arrived = [(at, m, number) for at, m, (_, number) in s.partner.flows if at >= since]
    lost = sorted(set(range(n)) - {number for _, _, number in arrived})
    others = [number for number in lost if 20000 + number % 64 not in mine]
    span = (lost[-1] - lost[0]) * 1.0 if lost else 0.0
    s.rig.world.run("peer", "ip", "link", "set", "p0", "up")
    check(not others, len(others), "packets of flows of the other member lost")
    check(span <= GAP_MS, f"packets were lost for {span:.0f} ms ({len(lost)} of {n})")
    s.rig.wait_members([1, 2], 10)
    return f"{len(lost)} of 1,000 packets a second lost, within {span:.0f} ms"


@test
def silent(s):
    """The partner says nothing more on one member, carrier stays: nothing is sent there after 3 s."""
    s.configure(TWO + 'lacp = "fast"')
    s.rig.wait_members([1, 2], 10)
    flows = Flows(s.rig, s.mac, interval=0.005)
    s.partner.flags[1] = None
    begin = time.monotonic()
    wait_for("member 1 alone", 6, lambda: s.rig.distributing() == [1])
    took = time.monotonic() - begin
    since = time.monotonic()
    wait_for("all flows on member 1", 5, lambda: len(s.came_by(since + 0.2)) == 64)
    check(all(m == {0} for m in s.came_by(since + 0.2).values()), "flows on the silent member")
    why = s.rig.lag_show()["members"][1]["why"]
    check("silent" in why or "no LACP" in why, why)
    flows.end()
    check(took <= 3.6, f"{took:.2f} s")
    s.partner.flags[1] = READY | SHORT
    s.rig.wait_members([1, 2], 8)
    return f"after {took:.2f} s"


@test
def malformed(s):
    """Thousands of broken LACPDUs a second: the LAG stays, they are counted, lintasd answers."""
    s.configure(TWO + 'lacp = "fast"')
    s.rig.wait_members([1, 2], 8)
    rng, good = random.Random(4), [f for _, f in s.partner.heard[0] if f[14] == 1][-1]
    before = s.rig.lag_show()["members"][0]["pdus"]["bad"]
    begin, sent = time.monotonic(), 0
    while time.monotonic() < begin + 4:
        frame = bytearray(good)
        frame[6:12] = bytes.fromhex("020000000910")
        kind = sent % 4
        if kind == 0:
            frame = frame[:rng.randrange(14, 124)]
        elif kind == 1:
            frame[rng.choice([14, 17, 37, 57])] = rng.randrange(3, 16)
        elif kind == 2:
            frame[20:26] = bytes(6)
        else:
            frame[14:] = rng.randbytes(110)
        s.partner.send(0, bytes(frame))
        sent += 1
        if not sent % 50:
            select.select([], [], [], 0.01)  # the pace
    check(s.rig.distributing() == [1, 2], s.rig.gateway.ctl("lag", "show").stdout)
    bad = s.rig.lag_show()["members"][0]["pdus"]["bad"] - before
    dropped = {d["name"]: d["packets"] for d in s.rig.gateway.json("stats", "drops")}
    check(bad > 100 and dropped.get("slow_bad", 0) > 100, bad, dropped)
    return f"{sent} sent, {dropped['slow_bad']} dropped by the worker, {bad} refused by control"


@test
def marker(s):
    s.configure(TWO + 'lacp = "fast"')
    body = bytes.fromhex("0201 0110 0001 020000000901 12345678 0000") + bytes(92)
    s.partner.send(0, bytes.fromhex("0180c2000002 020000000910 8809") + body)
    wait_for("a marker response", 4, lambda: any(f[14] == 2 for _, f in s.partner.heard[0]))
    f = [f for _, f in s.partner.heard[0] if f[14] == 2][-1]
    check(f[16] == 2 and f[17:] == body[3:], f.hex())


@test
def min_links(s):
    """Two needed: with one the port is down, with two it is back."""
    s.configure(TWO + 'min_links = 2; lacp = "slow"')
    s.rig.wait_members([1, 2], 10)
    wait_for("the link is up", 4, s.rig.link_up)
    wait_for("slow LACPDUs", 4, lambda: not s.partner.last(0).actor_state & SHORT)
    s.rig.world.run("peer", "ip", "link", "set", "p1", "down")
    wait_for("the link is down", 4, lambda: not s.rig.link_up())
    check("min_links is 2" in s.rig.lag_show()["why"], s.rig.lag_show()["why"])
    s.rig.world.run("peer", "ip", "link", "set", "p1", "up")
    wait_for("the link is back", 10, s.rig.link_up)


@test
def single(s):
    """One member is a LAG: what Google asks of a single circuit."""
    s.configure(ONE + 'lacp = "fast"')
    s.rig.wait_members([1], 8)
    wait_for("the link is up", 4, s.rig.link_up)
    since, flows = time.monotonic(), Flows(s.rig, s.mac, n=8)
    wait_for("traffic", 5, lambda: len(s.came_by(since)) == 8)
    flows.end()


@test
def static(s):
    """lacp = "off": carrier is all that counts, and nothing is said."""
    s.configure(TWO + 'lacp = "off"')
    s.rig.wait_members([1, 2], 4)
    since, flows = time.monotonic(), Flows(s.rig, s.mac)
    wait_for("flows on both", 5, lambda: len(s.came_by(since)) == 64)
    flows.end()
    check(not s.partner.heard[0], "LACP spoken")


# ---- Linux bonding in a guest ----

class Pings(threading.Thread):
    """Echo requests to the guest's 16 addresses from VRF v, each every 20 ms; when each was answered."""

    def __init__(self, rig):
        super().__init__(daemon=True)
        self.socket = lag_rig.socket_in(rig.world.netns_file("v"), socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.answers, self.ending = {n: [] for n in range(2, 18)}, False
        self.start()

    def run(self):
        number, due = 0, time.monotonic()
        while not self.ending:
            for n in self.answers:
                head = struct.pack("!BBHHH", 8, 0, 0, 4711, number & 0xFFFF)
                total = sum(struct.unpack("!4H", head))
                total = (total & 0xFFFF) + (total >> 16)
                self.socket.sendto(head[:2] + struct.pack("!H", ~total & 0xFFFF) + head[4:], (f"10.9.0.{n}", 0))
            number, due = number + 1, due + 0.02
            while select.select([self.socket], [], [], max(0.0, due - time.monotonic()))[0]:
                data = self.socket.recv(2048)
                if data[20] == 0 and data[15] in range(2, 0xFF) and data[24:26] == struct.pack("!H", 4711) and data[15] in self.answers:
                    self.answers[data[15]].append(time.monotonic())

    def gap(self, since):
        """The longest time without an answer from an address that answered before, until now."""
        now, longest = time.monotonic(), 0.0
        for times in self.answers.values():
            late = [t for t in times if t >= since]
            marks = [since, *late, now]
            longest = max(longest, max(b - a for a, b in zip(marks, marks[1:])))
        return longest

    def all_answer(self):
        now = time.monotonic()
        return all(times and times[-1] > now - 0.3 for times in self.answers.values())

    def end(self):
        self.ending = True
        self.join()
        self.socket.close()


class GuestStage:
    def __init__(self, build):
        self.rig = Rig(build).up(guest=True)
        self.guest = guest.Guest(self.rig.world, build, ["m0", "m1"])

    def wait_bond(self, seconds):
        begin = time.monotonic()
        self.rig.wait_members([1, 2], seconds)
        wait_for("carrier of the link", 4, self.rig.link_up)
        return time.monotonic() - begin


guest_tests = []


def guest_test(function):
    guest_tests.append(function)
    return function


@guest_test
def guest_slow(s):
    """Bond and LAG, both asking for one LACPDU in 30 s."""
    s.guest.wait_up()
    s.rig.start(TWO + 'lacp = "slow"')
    s.guest.bond("slow")
    took = s.wait_bond(40)
    said = s.guest.run("cat /proc/net/bonding/bond0")
    mac = s.rig.lag_show()["mac"]
    check(f"Partner Mac Address: {mac}" in said and "Number of ports: 2" in said, said)
    partner = s.rig.lag_show()["members"][0]["partner"]
    check("slow" in partner["state"] and "collecting" in partner["state"], partner)
    return f"after {took:.1f} s"


@guest_test
def guest_fast(s):
    """The same, every second."""
    s.rig.stop()
    s.rig.start(TWO + 'lacp = "fast"')
    s.guest.rate("fast")
    took = s.wait_bond(30)
    wait_for("the guest asks for fast", 5, lambda: all("fast" in m["partner"]["state"] for m in s.rig.lag_show()["members"]))
    return f"after {took:.1f} s"


@guest_test
def guest_traffic(s):
    """Pings to 16 addresses and TCP both use both members, in both directions; IPv6 too."""
    before, pings = s.guest.packets(), Pings(s.rig)
    try:
        wait_for("answers of all addresses", 8, pings.all_answer)
        time_begin = time.monotonic()
        wait_for("two seconds of pings", 6, lambda: time.monotonic() > time_begin + 2)
        check(pings.gap(time_begin) < 1.0, f"no answer for {pings.gap(time_begin):.2f} s in peace")
    finally:
        pings.end()
    after = s.guest.packets()
    for nic in (0, 1):
        for way in (0, 1):
            check(after[nic][way] - before[nic][way] > 50, "NIC", nic, "packets", ("received", "sent")[way], before, after)
    s.rig.world.run("v", "ping", "-6", "-c", "3", "-i", "0.2", "-W", "2", "2001:db8:9::2")
    s.guest.run("(while :; do nc -l -p 5001 -e wc -c; done >/dev/null 2>&1 &)")
    size, begin = 2 << 20, time.monotonic()
    counts = []
    for _ in range(2):
        with lag_rig.socket_in(s.rig.world.netns_file("v"), socket.AF_INET, socket.SOCK_STREAM) as c:
            c.settimeout(20)
            wait_for("the guest listens", 8, lambda: not c.connect_ex(("10.9.0.2", 5001)))
            c.sendall(bytes(size))
            c.shutdown(socket.SHUT_WR)
            counts.append(c.recv(64).split()[0])
    check(counts == [str(size).encode()] * 2, counts)
    return f"TCP {2 * size * 8 / 1e6 / (time.monotonic() - begin):.0f} Mb/s"


@guest_test
def guest_loses_one(s):
    """A NIC goes down in the guest: our TAP keeps carrier, only silence tells. Then it comes back."""
    pings = Pings(s.rig)
    try:
        wait_for("answers of all addresses", 8, pings.all_answer)
        since = time.monotonic()
        s.guest.run("ip link set eth1 down")
        wait_for("member 1 alone", 6, lambda: s.rig.distributing() == [1])
        wait_for("answers of all addresses", 3, pings.all_answer)
        gap = pings.gap(since)
        check(gap <= 3.6, f"{gap:.2f} s without answers")
        s.guest.run("ip link set eth1 up")
        s.rig.wait_members([1, 2], 12)
        wait_for("answers of all addresses", 4, pings.all_answer)
    finally:
        pings.end()
    return f"{gap:.2f} s without answers"


@guest_test
def guest_carrier(s):
    """Our side of a member goes down: the guest hears of it by LACP from us and by silence."""
    pings = Pings(s.rig)
    try:
        wait_for("answers of all addresses", 8, pings.all_answer)
        since = time.monotonic()
        s.rig.world.run("gw", "ip", "link", "set", "m1", "down")
        wait_for("member 1 alone", 2, lambda: s.rig.distributing() == [1])
        wait_for("answers of all addresses by member 1", 8, lambda: time.monotonic() > since + 4 and pings.all_answer())
        gap = pings.gap(since)
        check(gap <= 3.6, f"{gap:.2f} s without answers")
        s.rig.world.run("gw", "ip", "link", "set", "m1", "up")
        s.rig.wait_members([1, 2], 12)
    finally:
        pings.end()
    return f"{gap:.2f} s without answers"


def start_guest(build, todo):
    """It boots while the partner's tests run. None: nothing to do, or it cannot be."""
    if not todo:
        return None
    try:
        guest.prepare(build)
    except (guest.Missing, OSError, subprocess.SubprocessError) as e:
        print(f"SKIP lacp/guest: {e}", flush=True)
        return None
    return GuestStage(build)


def run_all(stage, todo):
    """How many failed. In the guest what follows builds on what was."""
    failed = 0
    for t in todo if stage else ():
        failed += not one(t.__name__, t, stage)
        if failed and t in guest_tests:
            break
    if failed:
        print("--- lintasd:", stage.rig.world.log_tail("lintasd", 20))
    return failed


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("--build", default=os.path.join(lag_rig.TOP, "build"))
    p.add_argument("--only", default="")
    return p.parse_args()


def one(name, function, *args):
    begin = time.monotonic()
    try:
        said = function(*args)
    except Skip as e:
        print(f"SKIP lacp/{name}: {e}", flush=True)
        return True
    except Exception as e:
        print(f"FAIL lacp/{name}: {reason(e)}", flush=True)
        return False
    print(f"PASS lacp/{name}{f'  [{said}]' if said else ''}  {time.monotonic() - begin:.1f} s", flush=True)
    return True


def main():
    args = arguments()
    todo = [t for t in tests if args.only in t.__name__ or args.only in "test_lacp"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if os.geteuid():
        print("SKIP lacp: needs root, for network namespaces: sudo make test")
        return 0
    failed, stage, with_guest = 0, None, None
    chosen = [t for t in guest_tests if args.only in t.__name__ or args.only in "test_lacp"]
    try:
        with_guest = start_guest(args.build, chosen)
        if todo:
            stage = Stage(args.build)
            failed += run_all(stage, todo)
            stage.rig.down()
        failed += run_all(with_guest, chosen)
    finally:
        for s in (stage, with_guest):
            if s:
                s.rig.down()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
