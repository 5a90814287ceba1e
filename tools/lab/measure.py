"""Ping, TCP, UDP, and what a path lost: each returns numbers, none judges them."""
import json
import os
import re
import signal
import subprocess
import time

from world import LabError, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
PORT = 5402


def pause(seconds):
    """Let traffic flow for so long: a duration of the measurement, not a wait for anything."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(max(0.0, end - time.monotonic()))


def build_probe(world):
    """probe.c, compiled into the lab's folder."""
    world.run(None, "cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", world.path("probe"), os.path.join(HERE, "probe.c"))


def ping(world, src, dst, family, count=5, size=56, extra=()):
    """(sent, received, average ms) from one end's host address to another's; dst: an End or an address."""
    to = dst if isinstance(dst, str) else dst.addr[family]
    done = world.run(src.peer, "ping", f"-{family}", "-n", "-q", "-c", count, "-i", "0.05", "-W", "1", "-s", size,
                     "-I", src.addr[family], *extra, to, check=False)
    m = re.search(r"(\d+) packets transmitted, (\d+) received", done.stdout)
    t = re.search(r"= [\d.]+/([\d.]+)/", done.stdout)
    return (int(m[1]), int(m[2]), float(t[1]) if t else 0.0) if m else (count, 0, 0.0)


def tcp(world, src, dst, family, megabytes=8, port=5401):
    """Megabits a second of one TCP connection (iperf3) that carries so much, or 0 with the reason."""
    server = world.spawn(f"iperf-{dst.peer}", dst.peer, ["iperf3", "-s", "-1", "-p", port, "-B", dst.addr[family]])
    try:
        wait_for(f"iperf3 server in {dst.peer}", 5, lambda: listening(world, dst.peer, port) or server.poll() is not None)
        done = world.run(src.peer, "iperf3", "-J", "-c", dst.addr[family], "-B", src.addr[family], "-p", port, "-n",
                         f"{megabytes}M", "--connect-timeout", 3000, check=False, timeout=30)
        try:
            data = json.loads(done.stdout)
            return data["end"]["sum_received"]["bits_per_second"] / 1e6, ""
        except (ValueError, KeyError):
            try:
                return 0.0, json.loads(done.stdout).get("error", "no result")
            except ValueError:
                return 0.0, (done.stderr or "no result").strip()
    finally:
        server.terminate()
        server.wait()


def listening(world, where, port):
    return f":{port} " in world.run(where, "ss", "-Hltn", check=False).stdout


class Listener:
    """The receiving end of probes in one namespace, for any number of senders."""

    def __init__(self, world, where, port=PORT):
        self.world, self.where = world, where
        self.child = world.spawn(f"probe-recv-{where}", where, [world.path("probe"), "recv", port],
                                 stdout=subprocess.PIPE, text=True)
        if self.child.stdout.readline().strip() != "ready":
            raise LabError(f"probe in {where}: {world.log_tail(f'probe-recv-{where}')}")

    def stop(self):
        """{run: report}"""
        self.child.send_signal(signal.SIGTERM)
        out = self.child.communicate(timeout=30)[0]
        return {r["run"]: r for r in json.loads(out)}


class Stream:
    """A numbered UDP stream from one end to another, of `flows` flows in turn."""

    def __init__(self, world, src, dst, family, pps=1000, flows=1, size=100, seconds=0, port=PORT):
        self.name = f"{src.name} -> {dst.name} v{family}"
        self.child = world.spawn(f"probe-send-{src.name}-{dst.name}-{family}", src.peer,
                                 [world.path("probe"), "send", src.addr[family], dst.addr[family], port, pps, flows, size,
                                  seconds], stdout=subprocess.PIPE, text=True)
        self.sent = None
        if self.child.stdout.readline().strip() != "ready":
            raise LabError(f"probe {self.name}: {world.log_tail(f'probe-send-{src.name}-{dst.name}-{family}')}")

    def stop(self, seconds=None):
        """End it (or wait until it ends by itself) and return what it sent."""
        if seconds is None:
            self.child.send_signal(signal.SIGTERM)
        out = self.child.communicate(timeout=seconds or 30)[0]
        if not out.strip():
            raise LabError(f"probe {self.name} said nothing, status {self.child.returncode}")
        self.sent = json.loads(out)
        return self.sent


class Result:
    """One stream's fate: sent, lost, the longest hole in milliseconds, latency."""

    def __init__(self, stream, reports):
        sent = stream.sent
        r = reports.get(sent["run"], {"received": 0, "holes": [], "p50_us": 0, "p99_us": 0, "max_us": 0, "doubled": 0,
                                      "reordered": 0, "last_ns": 0})
        self.name, self.sent, self.received = stream.name, sent["sent"], r["received"]
        self.lost = self.sent - self.received
        self.holes, self.doubled, self.reordered = r["holes"], r["doubled"], r["reordered"]
        self.p50_us, self.p99_us, self.max_us = r["p50_us"], r["p99_us"], r["max_us"]
        # A stream that never came back has its hole at the end.
        tail = (sent["end_ns"] - r["last_ns"]) / 1e6 if r["last_ns"] else sent["seconds"] * 1e3
        self.gap_ms = max([h["ms"] for h in self.holes] + ([tail] if self.lost and (tail > 200 or not self.received) else [0.0]))

    def __str__(self):
        return (f"{self.name}: sent {self.sent}, lost {self.lost}"
                f"{f', longest hole {self.gap_ms:.1f} ms' if self.lost else ''}, median {self.p50_us:.0f} us, p99 {self.p99_us:.0f} us")


def streams(world, plan, during, **kw):
    """Run streams [(src, dst, family)] while during() works; returns ([Result], what during returned)."""
    listeners, running, reports = [], [], {}
    try:
        listeners += [Listener(world, p) for p in sorted({dst.peer for _, dst, _ in plan})]
        running += [Stream(world, *p, **kw) for p in plan]
        got = during()
    finally:
        for s in running:
            s.stop()
        settle(world)
        for listener in listeners:
            reports.update(listener.stop())
    return [Result(s, reports) for s in running], got


def settle(world):
    """Let what is on its way arrive: a few echoes take longer than any queue here."""
    world.run("cloud-a", "ping", "-c", "3", "-i", "0.1", "-q", "127.0.0.1", check=False)
