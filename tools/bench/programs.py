"""The programs under test, as processes whose worker thread is measured: stopped and continued, ended always.

All of them get their packets from net_bench devices, so packets and vectors are counted by the same code whatever
the program is; CPU time is the kernel's, of the one thread that forwards. While a program is stopped both stand
still, which is when they are read."""
import json
import os
import shlex
import signal
import subprocess
import time

READY_S, END_S = 60, 15


class BenchError(Exception):
    """The text is for people: what is missing, what to do."""


def wait_for(what, ready, seconds=READY_S, alive=None):
    """Polls: a process of somebody else's tells nothing."""
    end = time.monotonic() + seconds
    while True:
        try:
            if ready():
                return
        except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError, IndexError):
            pass
        if alive and alive.poll() is not None:
            raise BenchError(f"{what}: the program ended with status {alive.returncode}")
        if time.monotonic() > end:
            raise BenchError(f"{what}: not after {seconds} s")
        time.sleep(0.02)


def end_process(process):
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGCONT)
    process.terminate()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def tail(path, n=12):
    try:
        with open(path, errors="replace") as f:
            return "".join(f.readlines()[-n:])
    except OSError:
        return ""


class Program:
    """A process with a source (its device 0) and sinks."""

    name = "?"

    def __init__(self, place, source, sinks):
        self.place, self.source, self.sinks = place, source, sinks
        self.process = self.thread = None
        self.log = f"{place.folder}/{self.name}.log"

    @property
    def devices(self):
        return [self.source, *[s for s in self.sinks if s is not self.source]]

    def spawn(self, argv, **more):
        for d in self.devices:
            d.forget()
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(argv, preexec_fn=self.place.on_all_cpus, stderr=log, stdin=more.pop("stdin", subprocess.DEVNULL),
                                            stdout=more.pop("stdout", log), **more)

    def find_thread(self, comm=""):
        """The worker: of the threads whose name contains this the one that uses most time."""
        tasks = f"/proc/{self.process.pid}/task"
        threads = [t for t in os.listdir(tasks) if comm in open(f"{tasks}/{t}/comm").read()]
        if len(threads) == 1:
            self.thread = threads[0]
            return

        def used():
            return {t: int(open(f"{tasks}/{t}/schedstat").read().split()[0]) for t in threads}

        before = used()
        time.sleep(0.3)
        after = used()
        self.thread = max(threads, key=lambda t: after[t] - before[t])

    def turns(self):
        """How often its worker got a CPU: unchanged when nobody took it away."""
        with open(f"/proc/{self.process.pid}/task/{self.thread}/schedstat") as f:
            return int(f.read().split()[2])

    def cpu_ns(self):
        with open(f"/proc/{self.process.pid}/task/{self.thread}/schedstat") as f:
            return int(f.read().split()[0])

    def rx(self):
        return self.source.rx()

    def tx(self):
        return sum(s.tx() for s in self.sinks)

    # ---- stop and go ----
    def stop(self):
        """Returns when every thread stands still."""
        self.process.send_signal(signal.SIGSTOP)
        self.changed(os.WSTOPPED, "stopped")

    def go(self):
        self.process.send_signal(signal.SIGCONT)

    def changed(self, kind, what):
        info = os.waitid(os.P_PID, self.process.pid, kind | os.WEXITED | os.WNOWAIT)
        if info.si_code not in (os.CLD_STOPPED, os.CLD_TRAPPED):
            raise BenchError(f"{self.name} ended when it should have {what}: {tail(self.log)}")

    def hold(self):
        for d in self.devices:
            d.control(hold=1)

    def rest(self):
        """Hands out nothing more and lets what is on its way arrive. Stopped before and after."""
        self.hold()
        self.go()
        time.sleep(0.05)
        last = None
        for _ in range(100):
            now = (self.rx(), self.tx())
            if now == last:
                break
            last = now
            time.sleep(0.01)
        self.stop()

    def end(self):
        if self.process:
            end_process(self.process)


class Bare(Program):
    """tools/bench/bareloop.c"""

    name = "bareloop"

    def start(self, family, routes, *more):
        self.spawn([f"{self.place.build}/bareloop", f"--lcores=0@{self.place.other_cpus},1@{self.place.cpu}", "--in-memory",
                    "--no-pci", "--no-telemetry", "--force-max-simd-bitwidth=512", "--log-level=3", "-d", self.place.driver, "--",
                    str(family), self.source.text, self.sinks[0].text, routes, *more],
                   stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if line != "ready\n":
            self.process.wait()
            raise BenchError(f"bareloop does not start: {line}{tail(self.log)}")
        wait_for("bareloop's devices", lambda: all(d.opened() for d in self.devices), alive=self.process)
        self.thread = None
        wait_for("bareloop's worker", lambda: self.find_thread("worker") is None, alive=self.process)
        self.stop()


class Crypto(Program):
    """tools/bench/cryptoloop.c"""

    name = "cryptoloop"

    def __init__(self, place, device):
        super().__init__(place, device, [device])

    def start(self):
        self.spawn([f"{self.place.build}/cryptoloop", f"--lcores=0@{self.place.other_cpus},1@{self.place.cpu}", "--in-memory",
                    "--no-pci", "--no-telemetry", "--log-level=3", "-m", "64", "--", self.source.stats_path],
                   stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            self.process.wait()
            raise BenchError(f"cryptoloop does not start: {tail(self.log)}")
        wait_for("cryptoloop's worker", lambda: self.find_thread("worker") is None, alive=self.process)
        self.stop()


class Testpmd(Program):
    """Debian's dpdk-testpmd: the ceiling."""

    name = "testpmd"

    def start(self, mode):
        self.spawn(["dpdk-testpmd", f"--lcores=0@{self.place.other_cpus},1@{self.place.cpu}", "--in-memory", "--no-pci",
                    "--no-telemetry", "--log-level=3", "-d", self.place.driver, "--vdev", self.source.text, "--vdev", self.sinks[0].text, "--",
                    f"--forward-mode={mode}", "--nb-cores=1", "--port-topology=paired", "--burst=64", "--auto-start",
                    "--interactive", "--no-lsc-interrupt"], stdin=subprocess.PIPE)
        wait_for("testpmd's devices", lambda: all(d.opened() for d in self.devices), alive=self.process)
        self.warm()

    def warm(self):
        """Until it forwards; then its busiest thread is the worker."""
        self.source.control()
        wait_for(f"{self.name} forwards; see {tail(self.log)}", lambda: self.tx() > 100_000, alive=self.process)
        self.find_thread()
        self.stop()

    def end(self):
        if self.process and self.process.poll() is None:
            self.go()
            try:
                self.process.communicate(b"quit\n", timeout=5)
            except (OSError, subprocess.TimeoutExpired):
                pass
        super().end()


class Other(Testpmd):
    """Whatever OTHER names: words with {driver} {source} {sink} {cpu} {cpus} {folder} to be replaced."""

    name = "other"

    def start(self, template):
        known = {"driver": self.place.driver, "source": self.source.text, "sink": self.sinks[0].text, "cpu": str(self.place.cpu),
                 "cpus": self.place.other_cpus, "folder": self.place.folder}
        try:
            argv = [word.format(**known) for word in shlex.split(template)]
        except (KeyError, IndexError, ValueError) as e:
            raise BenchError(f"OTHER: {e}: need a command with {' '.join('{%s}' % k for k in known)}") from e
        self.spawn(argv, stdin=subprocess.PIPE)
        wait_for("OTHER's devices", lambda: all(d.opened() for d in self.devices), alive=self.process)
        self.warm()


class Lintas(Program):
    """lintasd; its keeper and the kernel's part are gateway.py's."""

    name = "lintasd"

    def start(self, gateway):
        self.gateway, keeper = gateway, f"{self.place.folder}/keeper.sock"
        self.spawn([f"{self.place.build}/lintasd", "-c", gateway.conf, "--keeper", keeper, "--socket", self.socket,
                    "--driver", self.place.driver])
        self.wait("answers", lambda: self.ctl("status"))

    def links(self):
        """Returns when every link is up: tunnels want their neighbours first."""
        self.wait("links are up", lambda: all(link["up"] for link in self.ctl("link", "show")))

    @property
    def socket(self):
        return f"{self.place.folder}/lintas.sock"

    def ready(self, routes4, routes6):
        self.links()
        self.wait(f"{routes4} + {routes6} routes are in the FIB", lambda: self.routes(4) >= routes4 and self.routes(6) >= routes6)
        self.wait("the mirror is in step", lambda: self.ctl("stats")["mirror"]["synced"])
        self.find_thread("worker")
        self.stop()

    def wait(self, what, ready):
        try:
            wait_for(f"lintasd: {what}", ready, alive=self.process)
        except BenchError as e:
            raise BenchError(f"{e}\n{tail(self.log)}") from e

    def ctl(self, *words):
        out = subprocess.run([f"{self.place.build}/lintasctl", "--socket", self.socket, "--json", *words], capture_output=True,
                             text=True, check=True, timeout=20).stdout
        return json.loads(out)

    def routes(self, family):
        return sum(v[f"routes{family}"] for v in self.ctl("vrf", "show"))

    def accounts(self):
        """What it says of packets that are not forwarded: ({drop: packets}, {up, down, dropped} of punt). Running."""
        s = self.ctl("stats")
        punt = {k: sum(c[k] for c in s["punt"]) for k in ("to_kernel", "from_kernel", "dropped")}
        return {d["name"]: d["packets"] for d in s["drops"]}, punt
