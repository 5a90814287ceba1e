#!/usr/bin/python3
"""10,000 route updates a second while the gateway forwards: what it costs packets.

The gateway's source is net_bench (tools/bench), which is paced, counts what came due while 1,024 packets waited, and
tells time by the worker's own CPU time: what other programs take away from the worker costs nothing. Updates go to
the kernel of the gateway's VRF, in both families: next hops change, and every fourth prefix is deleted and added.
A processor whose two CPUs share a core forwards slower when the other one is busy, with whatever; so while there is
no churn in the gateway's VRF the same updates go to a namespace that it does not know.

    capacity   packets a CPU second as fast as it goes, windows with and without churn in turn: the median ratio of
               neighbours, and its 95 % interval; it fails when even the upper end is below 0.98
    loss       at 90 % of the highest rate at which nothing is missed without churn: windows with and without churn
               in turn; nothing is dropped inside, ever, and no more windows have misses with churn than without (and
               NOISE more: on an idle machine there are none at all). Windows in which the hypervisor took the CPU
               away do not count: no clock of the guest tells how long.

    test_churn.py --proof [--build DIR]      60 s of churn on end, in which nothing may be missed, and the numbers
"""
import os
import random
import shutil
import statistics
import sys

import router
from router import TOP, VRF, Router, Skip, check, hugepages_free_mb, prefixes4, test, wait_for

sys.path.append(os.path.join(TOP, "tools", "bench"))
from device import Device  # noqa: E402
import traffic  # noqa: E402

UPDATES = {4: 7500, 6: 2500}  # a second
CHURNED = {4: 10000, 6: 4000}  # prefixes 0 … of each family; what follows is left alone
ROUTES = {4: 100000, 6: 20000}
FLOWS = 2048
OWN_TIME = 1 << 63
HUGE_MB = 700
RING_S, WINDOW_S = 0.02, 0.25
NOISE = 3
SHARES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.55, 0.4, 0.25, 0.12)


def tsc_mhz():
    with open("/proc/cpuinfo") as f:
        return next(float(line.split(":")[1]) for line in f if line.startswith("cpu MHz"))


class Spin:
    """Updates without end in one namespace, of both families; stopped at first."""

    def __init__(self, r, vrf):
        legs = {4: [f"{r.gateway4(0, n)}%lout0" for n in (1, 2, 3)], 6: [f"{r.gateway6(0, n)}%lout0" for n in (1, 2, 3)]}
        self.children = [r.background(f"churn-{vrf}-{f}", r.routes_argv("churn", f, 0, CHURNED[f], rate, 10000, *legs[f], vrf=vrf))
                         for f, rate in UPDATES.items()]
        self.stop()

    def stop(self):
        for child in self.children:
            child.send_signal(router.signal.SIGSTOP)

    def go(self):
        for child in self.children:
            child.send_signal(router.signal.SIGCONT)

    def alive(self):
        return all(c.poll() is None for c in self.children)


class Forwarding:
    """The gateway between its source and sink, its routes, and updates here or elsewhere."""

    def __init__(self, args):
        plug_in = f"{os.path.abspath(args.build)}/net_bench.so"
        if not os.path.exists(plug_in):
            raise Skip(f"{plug_in} is not there: `make bench-build` needs the source package of DPDK")
        if args.build.endswith("-san"):
            raise Skip("sanitizers make every packet dear")
        if hugepages_free_mb() < HUGE_MB:
            raise Skip(f"needs {HUGE_MB} MB of free huge pages, has {hugepages_free_mb()}: echo 512 >/proc/sys/vm/nr_hugepages")
        if len(router.cpus()) < 2:
            raise Skip("needs two CPUs")
        self.folder = router.FOLDER  # its name is short: device strings have 127 bytes
        os.chmod(shutil.copy(plug_in, self.folder), 0o755)
        self.write_frames(f"{self.folder}/f")
        self.source, self.sink = Device(self.folder, "s", 0, f"{self.folder}/f", every=0), Device(self.folder, "s", 1, every=0)
        self.r = Router(args.build, [self.sink.text], source=self.source.text, poll="busy", driver=f"{self.folder}/net_bench.so")
        os.sched_setaffinity(0, set(self.r.cpus) - {self.r.cpus[-1]})  # we are not in the worker's way
        try:
            self.start()
        except BaseException:
            self.tell()
            self.close()
            raise

    def start(self):
        r = self.r.start()
        r.neighbours()
        for f, gateway in ((4, r.gateway4), (6, r.gateway6)):
            r.routes("fill", f, ROUTES[f], *[f"{gateway(0, n)}%lout0" for n in range(1, 65)])
        self.full = [ROUTES[4], ROUTES[6]]
        wait_for("routes are in the FIB", 60, lambda: all(a >= b for a, b in zip(r.fib(), self.full)))
        self.elsewhere()
        self.here, self.there = Spin(r, VRF), Spin(r, "other")
        self.worker = next(f"/proc/{r.daemon.pid}/task/{t}" for t in os.listdir(f"/proc/{r.daemon.pid}/task")
                           if "worker" in open(f"/proc/{r.daemon.pid}/task/{t}/comm").read())
        self.sink.control(hold=0)

    def elsewhere(self):
        """A namespace of the same shape that the gateway does not know."""
        router.subprocess.run(["ip", "netns", "add", "other"], check=True)
        self.r.ip("link add lout0 type veth peer name far\nlink set lout0 up\nlink set far up\n"
                  "addr add 10.1.0.1/16 dev lout0\naddr add fd10:11::1/64 dev lout0 nodad", vrf="other")
        for f, gateway in ((4, self.r.gateway4), (6, self.r.gateway6)):
            self.r.routes("fill", f, CHURNED[f], f"{gateway(0)}%lout0", vrf="other")

    @staticmethod
    def write_frames(path):
        """To prefixes that stay as they are, and to those whose next hop changes but which are never deleted."""
        rng, frames, nets = random.Random(3), traffic.Traffic(path), prefixes4(ROUTES[4])

        def one(family, i):
            if family == 4:
                net = int.from_bytes(map(int, nets[i].split("/")[0].split(".")), "big")
                return lambda number: traffic.untagged(traffic.packet4(number, net | rng.randrange(1, 255)))
            return lambda number: traffic.untagged(traffic.packet6(number, (0x20010DB8 << 32 | 0xA0000000 + i) << 64 | rng.getrandbits(32)))

        makers = []
        for i in range(FLOWS):
            family = 4 if i % 4 else 6
            quiet = rng.randrange(CHURNED[family], ROUTES[family])
            makers.append(one(family, quiet if i % 2 else rng.randrange(CHURNED[family] // 4) * 4))
        frames.add("all", makers)
        frames.done()

    def close(self):
        for spin in (getattr(self, "here", None), getattr(self, "there", None)):
            if spin:
                spin.go()
        self.r.close()

    def tell(self):
        self.r.tell()

    # ---- windows ----
    def steal(self):
        with open("/proc/stat") as f:
            return next(int(line.split()[8]) for line in f if line.startswith(f"cpu{self.r.cpus[-1]} "))

    def window(self, churn, pace):
        """(packets a second of the worker's CPU time, packets missed or shed, whether the hypervisor interfered)"""
        (self.here if churn else self.there).go()
        (self.there if churn else self.here).stop()
        self.source.control(pace=pace | OWN_TIME if pace else 0)
        router.pause(RING_S)
        shed = self.drops("shed")
        begin = self.cpu_ns(), self.source.rx()[0], self.source.missed(), self.steal()
        router.pause(WINDOW_S)
        end = self.cpu_ns(), self.source.rx()[0], self.source.missed() + self.drops("shed") - shed, self.steal()
        ns, packets, missed, stolen = (b - a for a, b in zip(begin, end))
        check(self.here.alive() and self.there.alive(), "an updater ended")
        return packets * 1e9 / max(ns, 1), missed, stolen > 0

    def cpu_ns(self):
        with open(f"{self.worker}/schedstat") as f:
            return int(f.read().split()[0])

    @staticmethod
    def pace_of(rate):
        return int(256 * tsc_mhz() * 1e6 / rate)

    def no_drop_rate(self, most):
        """The highest share of `most` at which three windows without churn miss nothing; on a machine too busy for any
        the lowest, where those with churn are compared with those without."""
        for share in SHARES:
            windows = [self.window(False, self.pace_of(most * share)) for _ in range(6)][3:]  # no more shed for the share before
            if not any(missed for _, missed, stolen in windows if not stolen):
                break
        return most * share

    def messages(self):
        return self.r.json("stats")["mirror"]["messages"]

    def drops(self, *names):
        """Those; without names all but what was shed, which is counted with the missed ones."""
        return sum(d["packets"] for d in self.r.json("stats", "drops") if (d["name"] in names if names else d["name"] != "shed"))

    def rest(self):
        """Nothing more comes, all that came has left."""
        for spin in (self.here, self.there):
            spin.stop()
        self.source.control(hold=1)
        wait_for("packets come to rest", 10, lambda: self.quiet())

    def quiet(self):
        before = self.sink.tx()
        router.pause(RING_S)
        return self.sink.tx() == before


def interval(values):
    """Median and its 95 % interval by rank."""
    values = sorted(values)
    n = len(values)
    half = 0.98 * n ** 0.5
    return statistics.median(values), values[max(0, int(n / 2 - half))], values[min(n - 1, int(n / 2 + half))]


def capacity(f, pairs):
    """Throughput with churn over that without, as fast as it goes."""
    ratios = []
    for i in range(pairs):
        first = i % 2 == 0
        a, b = f.window(first, 0)[0], f.window(not first, 0)[0]
        ratios.append(a / b if first else b / a)
    return interval(ratios)


class Loss:
    """Windows at 90 % of the no-drop rate: of each kind those that count, and those of them with misses."""

    def __init__(self, f, most, seconds, on_end):
        """on_end: the windows with churn one after the other, then a third as many without; else in turn."""
        self.rate, self.missed = 0.9 * f.no_drop_rate(most), 0
        self.count, self.bad = {True: 0, False: 0}, {True: 0, False: 0}
        heard = churned = windows = 0
        while churned < seconds:
            begin, before = router.time.monotonic(), f.messages()
            self.one(f, True)
            churned += router.time.monotonic() - begin
            heard += f.messages() - before
            windows += 1
            if not on_end:
                self.one(f, False)
        for _ in range(windows // 3 if on_end else 0):
            self.one(f, False)
        self.updates = heard / churned

    def one(self, f, churn):
        _, missed, stolen = f.window(churn, f.pace_of(self.rate))
        if not stolen:
            self.count[churn] += 1
            self.bad[churn] += missed > 0
            self.missed += missed if churn else 0

    def __str__(self):
        return (f"at {self.rate / 1e6:.1f} M/s {self.missed} missed, in {self.bad[True]} of {self.count[True]} windows with churn, "
                f"{self.bad[False]} of {self.count[False]} without, {self.updates:.0f} updates/s")


@test
def threads_keep_off(f):
    """No thread of lintasd but the worker may run on the worker's CPU."""
    worker = f.r.cpus[-1]
    for t in os.listdir(f"/proc/{f.r.daemon.pid}/task"):
        with open(f"/proc/{f.r.daemon.pid}/task/{t}/comm") as name:
            name = name.read().strip()
        if "worker" not in name:
            allowed = os.sched_getaffinity(int(t))
            check(worker not in allowed, f"{name} may run on CPU {worker}: {allowed}")


@test
def cycles_are_the_whole(f):
    """What `stats cycles` says of a live gateway: its stages sum up to what the worker's CPU time says."""
    f.source.control()
    begin = f.cpu_ns(), f.source.rx()[0]
    row = f.r.json("stats", "cycles", "interval", "2s")["all"]
    ns, packets = f.cpu_ns() - begin[0], f.source.rx()[0] - begin[1]
    whole, told = ns * tsc_mhz() / 1000 / packets, row["cycles_per_packet"]
    stages = {s["name"]: s["cycles_per_packet"] for s in row["stages"]}
    said = f"{told:.1f} in {', '.join(f'{k} {v:.1f}' for k, v in stages.items() if v)}; by CPU time {whole:.1f}"
    check(abs(sum(stages.values()) - told) < 0.1 * len(stages), said)
    check(row["sampled_vectors"] > 100 and 0.7 < told / whole < 1.15, said, row)
    return said


def measure(f, pairs, seconds, on_end):
    middle, low, high = capacity(f, pairs)
    most = statistics.median(f.window(False, 0)[0] for _ in range(5))
    loss = Loss(f, most, seconds, on_end)
    f.rest()
    dropped = f.drops()
    said = f"capacity with churn {middle:.3f} ({low:.3f}..{high:.3f}) of {most / 1e6:.1f} M/s; {loss}; {dropped} dropped"
    check(dropped == 0, f"dropped inside: {[d for d in f.r.json('stats', 'drops') if d['packets']]}; {said}")
    check(f.sink.tx() + f.drops("shed") >= f.source.rx()[0], f"{f.source.rx()[0]} received, {f.sink.tx()} sent: {said}")
    check(high >= 0.98, "churn costs more than 2 %:", said)
    return said, loss


@test
def costs_no_packets(f):
    said, loss = measure(f, 24, 8, False)
    check(loss.count[True] > 5, "the hypervisor left too few windows:", said)
    check(loss.bad[True] <= loss.bad[False] + NOISE, said)
    check(loss.updates > 0.5 * sum(UPDATES.values()), "this machine does not manage so many updates:", said)
    return said


@test
def ends_as_the_kernel_has_it(f):
    """After all of it the fast path holds what the kernel holds, and the auditor found nothing to repair."""
    f.rest()
    for family, gateway in ((4, f.r.gateway4), (6, f.r.gateway6)):
        f.r.routes("replace", family, 0, CHURNED[family], f"{gateway(0, 5)}%lout0")
    wait_for("every route is there", 20, lambda: all(a >= b for a, b in zip(f.r.fib(), f.full)))
    for i in random.Random(1).sample(range(CHURNED[4]), 50):
        got = f.r.json("route", "get", prefixes4(i + 1)[i].replace(".0/24", ".9"), "vrf", VRF)
        check(got["in_step"] and [leg["to"]["nexthop"] for leg in got["path"]["legs"]] == [f.r.gateway4(0, 5)], got)
    m = f.r.json("stats")["mirror"]
    check(m["audit_fixed"] == 0 and m["fib_refused"] == 0, m)


def proof(args):
    """60 s, strictly; the whole is printed."""
    router.in_own_world()
    f = Forwarding(args)
    try:
        said, loss = measure(f, 60, 60, True)
        noise = " (without churn, too: this machine is not idle)" if loss.bad[False] else ""
        print(f"{'FAIL' if loss.missed else 'PASS'} churn: {said}{noise}", flush=True)
        return 1 if loss.missed else 0
    finally:
        f.close()


sys.exit(proof(router.arguments()) if router.arguments().proof else router.run(Forwarding))
