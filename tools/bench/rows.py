"""The rows against the bare loop: lintasd and it, on one core, on the same frames and the same routes."""
import os
import random

import judge
import machine
import traffic
from device import Device
from gateway import Gateway, hop_mac
from measure import Books, PAIRS, Side, Void, alternate, warm
from programs import Bare, BenchError

HOPS = 256


class Result:
    """What became of a row: a ratio for each pair of processes, and costs for orientation."""

    def __init__(self, name, goal, of="lintasd", to="bare"):
        self.name, self.goal, self.of, self.to = name, goal, of, to
        self.ratios, self.costs, self.notes, self.failed = [], {of: [], to: []}, [], None
        self.busy = False  # it failed because the machine is not idle
        self.unit, self.vector = "cycles/packet", None
        self.line = None  # what another program said of it, goal and all

    def add(self, ratio, a, b, vector=None):
        self.ratios.append(ratio)
        self.costs[self.of].append(a)
        self.costs[self.to].append(b)
        self.vector = vector


class Comparison:
    """One table and one file of frames for both programs; one row for each set of flows."""

    def __init__(self, family, routes, rows, legs=1, fifo=0, rounds=2):
        self.family, self.routes, self.legs, self.fifo, self.rounds = family, routes, legs, fifo, rounds
        self.rows = rows  # name -> (flows, goal)

    def index(self, number):
        """The bare loop's next hop for a next-hop object."""
        return (number - 1) % 10000 + 1

    def numbers(self):
        base = 20000 if self.legs > 1 else 0 if self.family == 4 else 10000
        return range(base + 1, base + HOPS + 1)

    def make(self, place, wanted):
        rng = random.Random(self.routes)
        self.table = traffic.Table(self.family)
        prefixes = self.table.add_random(self.routes, rng, self.numbers())
        self.table.write(f"{place.folder}/routes", self.index)
        flows = {name: flows for name, (flows, _) in self.rows.items() if name in wanted}
        self.frames = traffic.simple(f"{place.folder}/f", self.table, prefixes, flows, rng)

    def fill(self, gateway):
        """The kernel's part."""
        self.our_legs = gateway.hops(self.family, HOPS)
        if self.legs > 1:
            self.our_legs = gateway.groups(HOPS, self.legs, HOPS)
        gateway.load(self.table)

    def run(self, place, wanted, pairs, say):
        """{name: Result} of the wanted rows."""
        results = {name: Result(name, goal) for name, (_, goal) in self.rows.items() if name in wanted}
        self.make(place, wanted)
        buffers = self.fifo + 8192 if self.fifo else 0
        source, sink = (Device(place.folder, "l", i, self.frames.path if i == 0 else None, self.fifo if i == 0 else 0)
                        for i in range(2))
        gateway = Gateway(place, source, sink, buffers=buffers)
        try:
            gateway.open(self.fill)
            if self.family == 6 and not machine.has_avx512():
                say("ip6: this CPU has no AVX-512: rte_fib6 of the bare loop looks up one address at a time")
            repeat(pairs, results, say, lambda: self.pair(place, gateway, results))
        finally:
            gateway.close()
            os.unlink(self.frames.path)
        return results

    def pair(self, place, gateway, results):
        bare = Bare(place, *bare_devices(place, self.frames.path, self.fifo))
        ours = gateway.start()
        try:
            bare.start(self.family, f"{place.folder}/routes")
            self.measure(ours, bare, results)
        finally:
            bare.end()
            ours.end()

    def measure(self, ours, bare, results):
        tables = {(self.family, False): self.table}
        bare_legs = {n: [judge.Leg(hop_mac(self.index(n)))] for n in self.numbers()}
        books = [Books(ours, judge.Judge(self.frames, tables, self.our_legs)),
                 Books(bare, judge.Judge(self.frames, tables, bare_legs))]
        sides = {}
        for name in results:
            span = self.frames.sets[name]
            sides[name] = Side(f"lintasd {name}", ours, span=span), Side(f"bare loop {name}", bare, span=span)
        every = [side for pair in sides.values() for side in pair]
        warm(every)
        for b in books:
            b.open()
        alternate(every, self.rounds)
        for b in books:
            b.close()
        for name, (a, b) in sides.items():
            results[name].add(a.cost.cycles / b.cost.cycles, a.cost.cycles, b.cost.cycles, a.cost.vector)


def bare_devices(place, frames, fifo=0):
    return Device(place.folder, "b", 0, frames, fifo), [Device(place.folder, "b", 1)]


def repeat(pairs, results, say, one):
    """`pairs` pairs of processes; a void one is said and tried once more, then the rows fail."""
    voids = done = 0
    while done < pairs:
        try:
            one()
            done += 1
        except Void as e:
            voids += 1
            say(f"void: {' '.join(results)}: {e}")
            if voids > 1:
                for r in results.values():
                    r.failed = f"void twice: {e}"
                return



COMPARISONS = [
    Comparison(4, 1000, {"ip4-1k": (2048, 1.15), "ip4-1k-64k": (65536, 1.15)}),
    Comparison(4, 100_000, {"ip4-100k": (2048, 1.15), "ip4-100k-64k": (65536, 1.15)}),
    Comparison(4, 1000, {"ip4-group": (2048, 1.35)}, legs=4),
    Comparison(4, 1_000_000, {"ip4-1m": (1_000_000, 0.95)}),
    Comparison(6, 200_000, {"ip6-200k": (200_000, 0.75)}),
    Comparison(4, 1000, {"cold": (2048, 1.15)}, fifo=32768),
]

__all__ = ["BenchError", "COMPARISONS", "PAIRS", "Result", "repeat"]
