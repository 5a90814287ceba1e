#!/usr/bin/python3
"""The bench's own conscience: its judge finds whatever is wrong with a frame, its books find a lost packet, and its
exit status says so. No process is started; make bench itself takes a quarter of an hour."""
import contextlib
import io
import os
import random
import struct
import sys
import tempfile

sys.dont_write_bytecode = True
from router import TOP, check, run, test  # noqa: E402

sys.path.insert(0, os.path.join(TOP, "tools", "bench"))
import esp  # noqa: E402
import judge  # noqa: E402
import layers  # noqa: E402
import measure  # noqa: E402
import traffic  # noqa: E402
import verdict  # noqa: E402
from own import quantile  # noqa: E402
from rows import Result, repeat  # noqa: E402

HOP, OTHER, OUT = b"\x02\0\0\0\0\x07", b"\x02\0\0\0\0\x08", b"\x02\0\0\0\xbe\x01"
OURS, FAR, INNER_SRC, INNER_DST = 0x0A010001, 0x0A016401, b"\x02\0\0\1\1\1", b"\x02\0\0\2\0\1"


def forwarded(frame):
    """What a router makes of an untagged frame: one hop less, the checksum right, addresses of the next hop."""
    d = bytearray(HOP + OUT + frame[12:])
    if d[12:14] == b"\x08\x00":
        d[22] -= 1
        d[24:26] = b"\0\0"
        d[24:26] = struct.pack(">H", traffic.checksum(bytes(d[14:34])))
    else:
        d[21] -= 1
    return bytes(d)


def marked(packet, tos):
    return traffic.with_tos(packet, tos) if packet[0] >> 4 == 4 else packet


def sized(packet, number, dst, size):
    return traffic.sized4(number, dst, size) if size and packet is traffic.packet4 else packet(number, dst)


class Case:
    """One route a family, one frame of each, and a judge of what comes out."""

    def __init__(self, folder, legs, tos=0, size=0):
        self.traffic = traffic.Traffic(f"{folder}/pcap")
        tables, rng = {}, random.Random(1)
        for family, packet in ((4, traffic.packet4), (6, traffic.packet6)):
            tables[family, False] = tables[family, True] = table = traffic.Table(family)
            prefixes = table.add_random(50, rng, [1])
            for dst in traffic.destinations(prefixes, family, 1, rng):
                self.traffic.add(str(family), [lambda number, dst=dst, packet=packet: traffic.untagged(marked(sized(packet, number, dst, size), tos))])
        self.judge = judge.Judge(self.traffic, tables, {1: legs})

    def good(self, number):
        return forwarded(self.traffic.frame(number))


def refused(case, frame, what):
    check(case.judge.of([frame]), f"{what} was not noticed: {frame.hex()}")


def in_folder(function):
    def inside(_):
        with tempfile.TemporaryDirectory() as folder:
            return function(folder)
    inside.__name__ = function.__name__
    return inside


@test
@in_folder
def judge_sees_every_byte(folder):
    """A good frame passes; with any one byte changed it does not, wherever that byte is."""
    case = Case(folder, [judge.Leg(HOP, OUT)])
    for number in (0, 1):
        good = case.good(number)
        check(case.judge.of([good]) is None, case.judge.of([good]))
        for at in range(len(good)):
            refused(case, good[:at] + bytes([good[at] ^ 1]) + good[at + 1:], f"byte {at}")
        refused(case, good[:-1], "a byte less")
    return "2 x 64 bytes"


@test
@in_folder
def judge_knows_the_way(folder):
    """The wrong next hop, the sent frame itself, a tag too many, two ways for one flow."""
    case = Case(folder, [judge.Leg(OTHER, OUT)])
    refused(case, case.good(0), "the wrong next hop")
    case = Case(folder, [judge.Leg(HOP, OUT), judge.Leg(OTHER, OUT)])
    refused(case, case.traffic.frame(0), "an unchanged frame")
    tagged = case.good(0)[:12] + b"\x81\0\0\x05" + case.good(0)[12:]
    refused(case, tagged, "a tag")
    check(case.judge.of([case.good(0), case.good(0)]) is None, "one flow, one way")
    refused(case, OTHER + case.good(0)[6:], "a flow that changes its way")


def tunnel_frame(kind, inner, number=6001, ours=OURS, far=FAR, src=INNER_SRC, dst=INNER_DST):
    """As a router sends it, by the next hop: of a flow that has DSCP 34 and ECT(0)."""
    if kind == "gre":
        f = traffic.in_gre(inner, ours, far)
    elif kind == "ipip":
        f = traffic.in_ipip(inner, ours, far)
    else:
        f = {"vxlan": traffic.in_vxlan, "geneve": traffic.in_geneve}[kind](inner, number, dst, ours, far, 50000)
        f = f[:56] + src + f[62:]
    return HOP + OUT + f[12:]


def changed(frame, at, value):
    """Another octet of the outer IPv4 header, whose checksum is right again."""
    d = bytearray(frame)
    d[at] = value
    d[24:26] = b"\0\0"
    d[24:26] = struct.pack(">H", traffic.checksum(bytes(d[14:34])))
    return bytes(d)


@test
@in_folder
def judge_opens_tunnels(folder):
    """Every kind: outer and inner addresses, VNI, TTL, DSCP, DF; headers that are not exactly as they should be."""
    for kind in ("gre", "ipip", "geneve", "vxlan"):
        ether = kind in ("geneve", "vxlan")
        ends = (INNER_SRC, INNER_DST) if ether else ()
        leg = judge.Leg(HOP, OUT, tunnel=layers.Tunnel(kind, 6001 if ether else None, OURS, FAR, *ends))
        case = Case(folder, [leg], tos=0x8A)
        inner = forwarded(case.traffic.frame(0))[14:]
        good = tunnel_frame(kind, inner)
        check(case.judge.of([good]) is None, kind, case.judge.of([good]))
        for wrong in ({"ours": OURS + 1}, {"far": FAR + 1}) + ({"number": 6002}, {"dst": HOP}, {"src": HOP}) * ether:
            refused(case, tunnel_frame(kind, inner, **wrong), f"{kind} {wrong}")
        for at, value in ((15, 0x88), (15, 0x0A), (22, 63), (20, 0)):
            refused(case, changed(good, at, value), f"{kind}: octet {at}")
        for at in range(34, len(good) - len(inner)):
            if not (kind in ("geneve", "vxlan") and at in (34, 35)):  # the source port is free
                refused(case, good[:at] + bytes([good[at] ^ 1]) + good[at + 1:], f"{kind}: octet {at}")
        refused(case, case.good(0), "a packet outside of its tunnel")
        refused(case, tunnel_frame("ipip" if kind == "gre" else "gre", inner), f"another tunnel than {kind}")


@test
@in_folder
def judge_opens_esp(folder):
    """With the key, and only when every byte is right; the row's own frames, as the far end makes them."""
    e = esp.EspEnds(1)
    leg = judge.Leg(HOP, OUT, tunnel=layers.Tunnel("esp", e.spis["in"], e.remote, esp.OURS))
    for size in (64, 65, 66, 67):  # every length of padding
        case = Case(folder, [leg], tos=0x8A, size=size)
        case.judge.keys = {e.spis["in"]: e.keys["in"], e.spis["in"] + 1: e.keys["in"]}
        good = HOP + OUT + e.frame(forwarded(case.traffic.frame(0))[14:], 7)[12:]
        check(case.judge.of([good]) is None, size, case.judge.of([good]))
        for at in range(34, len(good)):
            refused(case, good[:at] + bytes([good[at] ^ 1]) + good[at + 1:], f"{size} bytes: octet {at}")
        refused(case, changed(good, 22, 63), "TTL")
        refused(case, changed(good, 15, 0), "DSCP")
        refused(case, case.good(0), "a packet in clear")


class Fake:
    """A program at rest whose counters the test sets."""

    name = "fake"

    def __init__(self):
        self.received, self.sent, self.sinks = (1000, 10, 0), 1000, []

    def rest(self):
        pass

    def rx(self):
        return self.received

    def tx(self):
        return self.sent


@test
def books_miss_no_packet(_):
    for received, sent in (((1064, 11, 0), 1063), ((1064, 11, 0), 1065), ((1064, 11, 1), 1064)):
        program = Fake()
        books = measure.Books(program, None)
        books.open()
        books.close()
        program.received, program.sent = received, sent
        try:
            books.close()
        except measure.Void:
            continue
        raise AssertionError(f"received {received[0] - 1000}, sent {sent - 1000}, without buffers {received[2]}: not noticed")


@test
def void_twice_fails(_):
    """One void pair is said and repeated, a second one is the row's end."""
    for voids, failed in ((1, False), (2, True)):
        left, said, result = [voids], [], Result("x", 1.0)

        def one(left=left, result=result):
            if left[0]:
                left[0] -= 1
                raise measure.Void("a reason")
            result.add(1, 1, 1)

        repeat(6, {"x": result}, said.append, one)
        check(len(said) == voids and all("a reason" in s for s in said), said)
        check(bool(result.failed) == failed and (failed or len(result.ratios) == 6), voids, result.failed, result.ratios)


def outcome(ratio, goal, accepted, tolerance=None):
    court = verdict.Court(tolerance)
    court.accepted = accepted
    result = Result("x", goal)
    for r in (ratio * .9, ratio, ratio * 1.1):
        result.add(r, 10 * r, 10)
    line = court.judge(result)
    return court.bad, line


@test
def verdict_is_the_exit_status(_):
    for ratio, goal, accepted, tolerance, bad, word in (
            (1.15, 1.15, {}, None, 0, "pass"), (1.16, 1.15, {}, None, 1, "miss"),
            (1.30, 1.15, {"x": 1.25}, None, 0, "miss"), (1.40, 1.15, {"x": 1.25}, None, 1, "miss"),
            (1.30, 1.15, {}, .25, 0, "miss"), (1.45, 1.15, {}, .25, 1, "miss"), (1.50, 1.15, {"x": 1.25}, .25, 0, "miss")):
        got, line = outcome(ratio, goal, accepted, tolerance)
        check(got == bad and f" {word}" in line, ratio, goal, accepted, tolerance, line)
        check(line.startswith(f"bench x ratio={ratio:.2f} [{ratio * .9:.2f}..{ratio * 1.1:.2f}] goal={goal:.2f} "), line)
    court = verdict.Court()
    result = Result("x", 1.0)
    result.failed = "why"
    check(court.judge(result) == "bench x failed: why" and court.bad == 1, "a row that failed")


@test
@in_folder
def accepted_wants_a_reason(folder):
    path = f"{folder}/accepted"
    with open(path, "w") as f:
        f.write("# a remark\nip4-1k 1.30 the matrix costs two lines\n")
    check(verdict.read_accepted(path) == {"ip4-1k": 1.3}, verdict.read_accepted(path))
    for text in ("ip4-1k 1.30\n", "ip4-1k much because\n"):
        with open(path, "w") as f:
            f.write(text)
        with contextlib.redirect_stderr(io.StringIO()):
            try:
                verdict.read_accepted(path)
            except SystemExit:
                continue
        raise AssertionError(f"{text!r} was taken")
    verdict.read_accepted()  # the real one can be read


@test
def quantiles_are_of_frames(_):
    ages = [0] * 1024
    ages[10], ages[31] = 98, 2
    check(quantile(ages, .5) == 10 and quantile(ages, .99) == 31, quantile(ages, .5), quantile(ages, .99))


sys.exit(run())
