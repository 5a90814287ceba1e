"""Windows, pairs of processes, medians.

A window: a stopped program is continued with one set of frames for a second and stopped again; CPU time of its
worker and packets are read while it stands still, so neither is a guess. Windows of A and B alternate (A B B A …),
so that whatever else the machine does meets both alike. A pair of processes gives one ratio: cycles a packet of
all A windows over those of all B windows.

Processes differ by ± 10 % (where their memory lies), so a row takes six pairs, all fresh. What is printed is the
median of the six ratios, and as its interval the smallest and the largest: whatever the distribution, six values
all lie on one side of the true median with probability 2 / 2^6, so the interval covers it with 96.9 %.

A pair is void when a packet was dropped, sent less or more than received, or a sampled frame is not what it should be."""
import statistics
import time

import device
from programs import BenchError, Lintas

WINDOW_S, WARM_S, PAIRS = 1.0, 0.15, 6
PUNT_DROPS = ("punt_limited", "punt_full")


class Void(Exception):
    """The text says why the windows say nothing."""


class Busy(Void):
    """Not the router's doing: others want the worker's CPU."""


def tsc_mhz():
    """The kernel's calibration of the TSC is bogomips / 2 on x86, whatever the clock is at the moment."""
    with open("/proc/cpuinfo") as f:
        return next(float(line.split(":")[1]) for line in f if line.startswith("bogomips")) / 2


class Cost:
    """Sum over windows."""

    def __init__(self):
        self.ns = self.packets = self.bursts = 0

    def add(self, ns, packets, bursts):
        self.ns, self.packets, self.bursts = self.ns + ns, self.packets + packets, self.bursts + bursts

    @property
    def cycles(self):
        return self.ns * tsc_mhz() / 1000 / self.packets

    @property
    def vector(self):
        return self.packets / self.bursts if self.bursts else 0


class Side:
    """One of the things that alternate: a program with one setting of its source."""

    def __init__(self, name, program, burst=device.BURST, span=(0, 0), **more):
        self.name, self.program, self.cost = name, program, Cost()
        self.setting = dict(burst=burst, first=span[0], count=span[1], **more)

    def window(self, seconds=WINDOW_S, counts=True):
        p = self.program
        p.source.control(**self.setting)
        ns, (rx, bursts, _), tx = p.cpu_ns(), p.rx(), p.tx()
        p.go()
        time.sleep(seconds)
        p.stop()
        if counts:
            sent = p.tx() - tx
            if sent < 1000 and "pace" not in self.setting:
                raise Void(f"{self.name}: {sent} packets in {seconds} s")
            self.cost.add(p.cpu_ns() - ns, sent or 1, p.rx()[1] - bursts)


class Books:
    """Whether a program's packets add up between open() and close(); both leave it stopped and at rest."""

    def __init__(self, program, judge, punts=False):
        self.program, self.judge, self.punts = program, judge, punts

    def accounts(self):
        p = self.program
        p.rest()
        if not isinstance(p, Lintas):
            return {}, {"to_kernel": 0, "from_kernel": 0, "dropped": 0}
        p.go()
        drops, punt = p.accounts()
        p.stop()
        return drops, punt

    def open(self):
        self.drops, self.punt = self.accounts()
        self.rx, self.tx = self.program.rx(), self.program.tx()
        for sink in self.program.sinks:
            sink.samples()  # of the warm-up

    def close(self):
        """Raises Void."""
        p, (drops, punt) = self.program, self.accounts()
        rx, tx = p.rx(), p.tx()
        if rx[2] > self.rx[2]:
            raise Void(f"{p.name}: the source had no packet buffer {rx[2] - self.rx[2]} times")
        lost = {k: n - self.drops.get(k, 0) for k, n in drops.items() if n > self.drops.get(k, 0)}
        limited = sum(lost.pop(k, 0) for k in PUNT_DROPS) if self.punts else 0
        if lost:
            raise Void(f"{p.name} dropped " + ", ".join(f"{n} {k}" for k, n in lost.items()))
        up, down = punt["to_kernel"] - self.punt["to_kernel"], punt["from_kernel"] - self.punt["from_kernel"]
        received, sent = rx[0] - self.rx[0], tx - self.tx
        if received + down != sent + up + limited:
            raise Void(f"{p.name}: received {received} and {down} from the kernel, sent {sent} and {up} to the kernel")
        if not self.judge:
            return
        frames = [f for sink in p.sinks for f in sink.samples() if not self.of_kernel(f)]
        if len(frames) < 10:
            raise Void(f"{p.name}: only {len(frames)} samples")
        wrong = self.judge.of(frames)
        if wrong:
            raise Void(f"{p.name}: a sampled frame is wrong: {wrong}")

    @staticmethod
    def of_kernel(frame):
        """Neighbour discovery, multicast listeners: the gateway's own kernel, not the traffic. Multicast only."""
        return bool(frame[0] & 1)


def alternate(sides, rounds):
    for i in range(rounds):
        for side in sides if i % 2 == 0 else reversed(sides):
            side.window()


def warm(sides):
    for side in sides:
        side.window(WARM_S, counts=False)


def interval(values):
    """(median, lowest, highest)"""
    return statistics.median(values), min(values), max(values)


__all__ = ["BenchError", "Books", "Busy", "Cost", "PAIRS", "Side", "Void", "alternate", "interval", "tsc_mhz", "warm"]
