"""The rows of lintasd against itself: one process, its source's frames changed from window to window.

Where the memory of a process lies makes ± 10 %, which a goal of 1.05 cannot bear; within one process it is the
same for both sides. The whole gateway (gateway.py) has everything at once: 1,000 VLANs, tunnels, both families.

    plain     IPv4, untagged, 2,048 flows to 1,000 prefixes behind 1,000 neighbours
    vlan      the same by and over 1,000 VLANs of one port                             vlan / plain
    vxlan     out of one of four tunnels, routed, into another of four                vxlan / plain
    ip6       IPv6, untagged, 1,000 prefixes
    mixed     every hundred frames: 30 plain, 25 ip6, 24 vlan, 20 vxlan, 1 for the kernel, in random order
    punt      99 plain and 1 for the kernel
    vector-1  plain, one packet a vector                                               vector-1 / plain

The mixture's goal is a ratio to the weighted sum of its parts, .30 plain + .25 ip6 + .24 vlan + .20 vxlan and what
one in a hundred for the kernel costs: punt - .99 plain.

latency: from the moment a frame is due, whether or not it is asked for (the source's pace), to when it is sent, so
that waiting counts; at 1 % and at 90 % of what the same process forwards at most. The ratio is light over heavy,
the larger one of median and 99th percentile."""
import os
import random
import statistics
import time

import device
import judge
import traffic
from device import Device
from gateway import Gateway, TUNNELS, VLANS, VNI_IN, tunnel_ends, whole
from kernel import Kernel
from measure import Books, Busy, Side, Void, tsc_mhz, warm
from rows import Result, repeat
from traffic import bfd4, destinations, in_vxlan, packet4, packet6, tagged, untagged

FLOWS, PREFIXES, BLOCKS = 2048, 1000, 40
SHARES = {"plain": 30, "ip6": 25, "vlan": 24, "vxlan": 20, "punt": 1}
WINDOW_S = 0.5
# Sides that are compared stand close together; the second round goes backwards.
ORDER = {"vlan": ["plain", "vlan", "vlan", "plain", "plain", "vlan"], "vxlan": ["plain", "vxlan"],
         "mixed": ["plain", "mixed", "ip6", "vlan", "mixed", "vxlan", "punt", "plain"], "vector-1": ["plain", "vector-1"], "latency": ["plain"]}
LOADS = {"light": .01, "heavy": .90}
TURNS, TURN_S, TURNS_LEAST = 200, 0.005, 20
OUR_ADDRESS = 0x0A000001


class Within:
    """Rows of one process: a gateway, its routes and frames, and what is measured with them. A subclass says which:
    rows, shape(), fill(), result(), measure(); self.frames is there after fill()."""

    def run(self, place, wanted, pairs, say):
        results = {name: self.result(name) for name in wanted}
        path = f"{place.folder}/f"
        traffic.simple(path, *self.one_route(), {"first": 1})  # the device wants a file before MAC addresses are known
        source, sink = Device(place.folder, "l", 0, path), Device(place.folder, "l", 1)
        gateway = Gateway(place, source, sink, **self.shape(place))
        try:
            gateway.open(lambda g: self.fill(g, path))
            repeat(pairs, results, say, lambda: self.one(gateway, results))
        finally:
            gateway.close()
            os.unlink(path)
        return results

    @staticmethod
    def one_route():
        table = traffic.Table(4)
        return table, table.add_random(1, random.Random(0), [1])

    def one(self, gateway, results):
        program = gateway.start()
        try:
            self.measure(program, results)
        finally:
            program.end()


class Whole(Within):
    rows = {"vlan": 1.05, "vxlan": 2.0, "mixed": 1.3, "vector-1": 4.0, "latency": 1.0}

    @staticmethod
    def shape(_place):
        return whole()

    def result(self, name):
        if name != "latency":
            return Result(name, self.rows[name], of=name, to="parts" if name == "mixed" else "plain")
        r = Result(name, self.rows[name], of="light", to="heavy")
        r.unit, r.tails = "ns median", {load: [] for load in LOADS}
        return r

    # ---- routes and frames ----
    def fill(self, gateway, path):
        rng = random.Random(4)
        self.legs = gateway.hops(4, PREFIXES) | gateway.hops(6, 256) | gateway.vlans() | gateway.tunnels()
        prod, prod6, vpc = traffic.Table(4), traffic.Table(6), traffic.Table(4)
        spans = {"plain": prod.add_random(PREFIXES, rng, range(1, PREFIXES + 1)),
                 "vlan": prod.add_random(PREFIXES, rng, range(30001, 30001 + VLANS)),
                 "ip6": prod6.add_random(PREFIXES, rng, range(10001, 10257)),
                 "vxlan": vpc.add_random(PREFIXES, rng, range(40001, 40001 + TUNNELS))}
        for table, vrf in ((prod, "prod"), (prod6, "prod"), (vpc, "vpc")):
            gateway.load(table, vrf)
        self.tables = {(4, False): prod, (6, False): prod6, (4, True): vpc}
        macs = {i: Kernel("vpc").mac(f"ti{i}") for i in range(1, TUNNELS + 1)}
        self.frames = traffic.Traffic(path)
        for name in spans:
            self.frames.add(name, self.makers(name, spans, macs, FLOWS, rng))
        mixture = {name: iter(self.makers(name, spans, macs, BLOCKS * share, rng)) for name, share in SHARES.items()}
        self.frames.add("mixed", self.blocks(mixture, SHARES, rng))
        punted = {"plain": iter(self.makers("plain", spans, macs, 99 * BLOCKS, rng)),
                  "punt": iter(self.makers("punt", spans, macs, BLOCKS, rng))}
        self.frames.add("punt", self.blocks(punted, {"plain": 99, "punt": 1}, rng))
        self.frames.done()

    @staticmethod
    def blocks(makers, shares, rng):
        """Hundreds in random order, each with its exact shares."""
        for _ in range(BLOCKS):
            block = [name for name, share in shares.items() for _ in range(share)]
            rng.shuffle(block)
            yield from (next(makers[name]) for name in block)

    @staticmethod
    def makers(name, spans, macs, count, rng):
        """A function frame number -> frame for each."""
        if name == "punt":
            for _ in range(count):
                yield lambda number: untagged(bfd4(number, OUR_ADDRESS))
            return
        for dst in destinations(spans[name], 6 if name == "ip6" else 4, count, rng):
            if name == "plain":
                yield lambda number, dst=dst: untagged(packet4(number, dst))
            elif name == "ip6":
                yield lambda number, dst=dst: untagged(packet6(number, dst))
            elif name == "vlan":
                yield lambda number, dst=dst: tagged(packet4(number, dst), rng.randint(1, VLANS))
            else:
                i = rng.randint(1, TUNNELS)
                ours, theirs = tunnel_ends("i", i)
                yield lambda number, dst=dst, i=i, ours=ours, theirs=theirs: in_vxlan(
                    packet4(number, dst), VNI_IN + i, macs[i], theirs, ours, 0xC000 | number & 0x3FFF)

    # ---- one process ----
    def measure(self, program, results):
        sides = {name: Side(name, program, span=span) for name, span in self.frames.sets.items()}
        sides["vector-1"] = Side("vector-1", program, burst=1, span=self.frames.sets["plain"])
        order = [sides[s] for name, part in ORDER.items() if name in results for s in part]
        books = Books(program, judge.Judge(self.frames, self.tables, self.legs), punts=True)
        warm(set(order))
        books.open()
        for side in order + order[::-1]:
            side.window(WINDOW_S)
        books.close()
        cost = {name: side.cost.cycles for name, side in sides.items() if side.cost.packets}
        for name, result in results.items():
            if name == "latency":
                self.latency_or_not(program, result)
                continue
            base = cost["plain"]
            if name == "mixed":
                base = sum(SHARES[p] / 100 * cost[p] for p in ("plain", "ip6", "vlan", "vxlan")) + cost["punt"] - .99 * cost["plain"]
            result.add(cost[name] / base, cost[name], base, sides[name].cost.vector)



    # ---- latency ----
    def latency_or_not(self, program, result):
        """A machine too busy for this one says nothing about the other rows."""
        for last in (False, True):
            try:
                return self.latency(program, result)
            except Void as e:
                if last:
                    result.failed, result.busy = f"void twice: {e}", isinstance(e, Busy)

    def latency(self, program, result):
        """Light and heavy load in short turns of one running process."""
        ages = {name: [0] * device.AGES_N for name in LOADS}
        kept = dict.fromkeys(LOADS, 0)
        books = Books(program, None)
        books.open()
        program.sinks[0].control(stamp=1)
        most = Side("stamped", program, span=self.frames.sets["plain"], stamp=1)  # stamps cost something too
        most.window(WINDOW_S)
        program.go()
        for _ in range(TURNS):
            for name in LOADS:
                kept[name] += self.turn(program, int(256 * most.cost.cycles / LOADS[name]), ages[name])
        program.stop()
        books.close()
        if min(kept.values()) < TURNS_LEAST:
            raise Busy(f"the worker kept its CPU in {min(kept.values())} of {TURNS} turns only: the machine is busy")
        self.quantiles(ages, kept, result)

    def turn(self, program, pace, ages):
        """Adds the ages of a turn in which nobody took the worker's CPU away: waiting for the CPU is the machine's
        doing, not the router's. Returns whether it did."""
        first, count = self.frames.sets["plain"]
        program.source.control(first=first, count=count, pace=pace, stamp=1)
        time.sleep(TURN_S / 10)
        turns, before = program.turns(), program.sinks[0].ages()
        time.sleep(TURN_S)
        after = program.sinks[0].ages()
        if program.turns() != turns:
            return 0
        ages[:] = [n + a - b for n, a, b in zip(ages, after, before)]
        return 1

    @staticmethod
    def quantiles(ages, kept, result):
        of = {(name, q): quantile(ages[name], q) for name in LOADS for q in (.5, .99)}
        ratios = [of["light", q] / of["heavy", q] for q in (.5, .99)]
        result.add(max(ratios), of["light", .5] * 1000 / tsc_mhz(), of["heavy", .5] * 1000 / tsc_mhz())
        for name in LOADS:
            result.tails[name].append(of[name, .99] * 1000 / tsc_mhz())
        result.notes = ["99th percentile " + " ".join(f"{n}={statistics.median(t):.1f}" for n, t in result.tails.items()) + " ns, "
                        + " and ".join(map(str, kept.values())) + f" of the last {TURNS} turns undisturbed"]


def quantile(ages, q):
    """Cycles that a share q of all frames stayed below."""
    left = q * sum(ages)
    if not left:
        raise Void("latency: no stamped frame came out")
    for word, n in enumerate(ages):
        left -= n
        if left <= 0:
            return Device.age(word)
    return Device.age(len(ages) - 1)
