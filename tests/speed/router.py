"""What the files of tests/speed share: the real lintasd in a world of its own, and how a test is told.

A test file re-executes itself in new mount, network and process namespaces (with a /run/netns of its own, nothing
of the host is touched); the end of its first process ends everything in them, however it came. In there is one
gateway with one VRF, `fast`, whose links lead nowhere:

    port in0                 lin    10.0.0.1/30    fd10:1::1/64    what packets come from, if anything
    ports out0 out1 …        lout0  10.1.0.1/16    fd10:11::1/64   neighbours .1.1 … with fixed addresses
                             lout1  10.2.0.1/16    fd10:12::1/64   …

A port is any DPDK device; "veth" stands for one end of a veth pair by net_af_packet, whose other end (NAME-far)
the test may take down: so carrier goes."""
import argparse
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
VRF = "fast"
FOLDER = "/run/lintas-speed"  # a tmpfs of the world's own
NEIGHBOURS = 64


class Skip(Exception):
    """This test cannot be tried here; the text says why."""


def check(condition, *why):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in why))


def wait_for(what, seconds, probe, pause=0.02):
    deadline = time.monotonic() + seconds
    while True:
        try:
            got = probe()
        except (OSError, ValueError, KeyError, subprocess.SubprocessError):
            got = None
        if got:
            return got
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:g} s in vain: {what() if callable(what) else what}")
        select.select([], [], [], pause)


# ---- a file of tests ----
tests = []


def test(function):
    tests.append(function)
    return function


def arguments():
    p = argparse.ArgumentParser(description="one line a test: PASS, FAIL or SKIP")
    p.add_argument("--build", default=os.path.join(TOP, "build"))
    p.add_argument("--proof", action="store_true", help="longer, and with numbers: make proof (where a file has one)")
    p.add_argument("--only", default="", help="tests whose name, or the file's, contains this")
    return p.parse_args()


def in_own_world():
    """Become the first process of a world of our own; returns in there only."""
    if os.environ.get("LINTAS_SPEED_WORLD") == "1":
        return
    os.environ["LINTAS_SPEED_WORLD"] = "1"
    script = f'mount --make-rprivate / && for d in /run/netns {FOLDER}; do mkdir -p $d && mount -t tmpfs -o mode=0700 speed $d || exit 1; done; ' \
             'ip link set lo up && exec "$@"'
    os.execvp("unshare", ["unshare", "-m", "-n", "-p", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script, "sh",
                          sys.executable, "-B", *sys.argv])


def run(make=None, root=True):
    """Every test of the file that was started; make(args) gives what they get, closed at the end. root: they need a
    world of their own."""
    args = arguments()
    file = os.path.splitext(os.path.basename(sys.argv[0]))[0].removeprefix("test_")
    todo = [t for t in tests if args.only in t.__name__ or args.only in file]
    if not todo:
        return 0
    if root and os.geteuid():
        print(f"SKIP {file}: needs root, for network namespaces: sudo make test T=speed")
        return 0
    if root:
        in_own_world()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    failed, subject = 0, None
    try:
        try:
            subject = make(args) if make else args
        except Skip as e:
            print(f"SKIP {file}: {e}", flush=True)
            return 0
        except Exception as e:
            print(f"FAIL {file} start: {reason(e)}", flush=True)
            return 1
        for function in todo:
            failed += not one(f"{file}/{function.__name__}", function, subject)
        if failed and hasattr(subject, "tell"):
            subject.tell()
    finally:
        if hasattr(subject, "close"):
            subject.close()
    return 1 if failed else 0


def one(name, function, subject):
    begin = time.monotonic()
    try:
        said = function(subject)
    except Skip as e:
        print(f"SKIP {name}: {e}", flush=True)
        return True
    except Exception as e:  # whatever went wrong, the next test is tried
        print(f"FAIL {name}: {reason(e)}", flush=True)
        return False
    print(f"PASS {name}{f'  [{said}]' if said else ''}  {time.monotonic() - begin:.1f} s", flush=True)
    return True


def reason(error):
    text = " ".join(str(error).split()) or type(error).__name__
    where = traceback.extract_tb(error.__traceback__)
    return f"{text[:900]} ({' '.join(f'{os.path.basename(f.filename)}:{f.lineno}' for f in where[-3:])})"


# ---- the machine ----
def pause(seconds):
    """A duration of a measurement, not a wait for anything."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        select.select([], [], [], left)


def hugepages_free_mb():
    words = dict(line.split(":") for line in open("/proc/meminfo"))
    return int(words["HugePages_Free"]) * int(words["Hugepagesize"].split()[0]) // 1024


def cpus():
    return sorted(os.sched_getaffinity(0))


# ---- the gateway ----
class Router:
    """lintas-keeper and lintasd on ports of the test's choice; no FRR."""

    def __init__(self, build, outs, source="net_null0,size=64,copy=0,no-rx=1", hugepages=True, poll="adaptive", driver=None):
        self.build, self.outs, self.cpus, self.driver = os.path.abspath(build), outs, cpus(), driver
        missing = [p for p in ("lintasd", "lintas-keeper", "lintasctl") if not os.access(f"{self.build}/{p}", os.X_OK)]
        check(not missing, f"{self.build}: no {', '.join(missing)}: `make all` builds them")
        self.folder = tempfile.mkdtemp(dir=FOLDER)
        self.keeper, self.daemon, self.helpers = None, None, []
        self.devices = {"in0": source}
        for i, device in enumerate(outs):
            if device == "veth":
                self.ip(f"link add out{i} type veth peer name out{i}-far\nlink set out{i} up\nlink set out{i}-far up", vrf=None)
                device = f"net_af_packet{i},iface=out{i}"
            self.devices[f"out{i}"] = device
        self.conf = f"{self.folder}/lintas.conf"
        with open(self.conf, "w") as f:
            f.write(self.config(hugepages and hugepages_free_mb() >= 300, poll))

    def config(self, hugepages, poll):
        ports = "\n".join(f'  {p} = {{ device = "{d}"; mtu = 1500; }};' for p, d in self.devices.items())
        circuits = " ".join(f'c{p} = {{ port = "{p}"; }};' for p in self.devices)
        links = "\n".join(f'  lout{i} = {{ circuit = "cout{i}"; vrf = "{VRF}"; state = "up"; '
                          f'address = [ "10.{i + 1}.0.1/16", "fd10:{i + 11}::1/64" ]; }};' for i in range(len(self.outs)))
        return f"""schema = 1; routing = "external";
gateway = {{ name = "speed"; router_id = "10.255.0.1"; asn = "65010"; workers = "{self.cpus[-1]}"; poll = "{poll}";
            hugepages = {"true" if hugepages else "false"}; }};
ports = {{
{ports}
}};
vrfs = {{ {VRF} = {{ }}; }};
circuits = {{ {circuits} }};
links = {{
  lin = {{ circuit = "cin0"; vrf = "{VRF}"; state = "up"; address = [ "10.0.0.1/30", "fd10:1::1/64" ]; }};
{links}
}};
"""

    # ---- life ----
    def start(self, seconds=60):
        """Both programs; returns when every link is up."""
        if not self.keeper:
            self.keeper = self.spawn("lintas-keeper", "--socket", f"{self.folder}/keeper.sock")
            wait_for("lintas-keeper listens", 10, lambda: os.path.exists(f"{self.folder}/keeper.sock"))
        self.start_daemon()
        wait_for("links are up", seconds, lambda: all(link["up"] for link in self.json("link", "show")))
        return self

    def start_daemon(self):
        self.daemon = self.spawn("lintasd", "-c", self.conf, "--keeper", f"{self.folder}/keeper.sock", "--socket",
                                 f"{self.folder}/lintas.sock", *(["--driver", self.driver] if self.driver else []))

    def spawn(self, program, *args):
        with open(f"{self.folder}/{program}.log", "a") as log:
            return subprocess.Popen([f"{self.build}/{program}", *args], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                    preexec_fn=lambda: os.sched_setaffinity(0, self.cpus))

    def background(self, name, argv):
        """A helper of the test's own, ended with the gateway."""
        with open(f"{self.folder}/{name}.log", "a") as log:
            self.helpers.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        return self.helpers[-1]

    def stop_daemon(self, sig=signal.SIGTERM):
        if self.daemon:
            self.daemon.send_signal(sig)
            self.daemon.wait(20)
        self.daemon = None

    def close(self):
        for process in (*self.helpers, self.daemon, self.keeper):
            if process and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def tell(self):
        for name in ("lintasd", "lintas-keeper"):
            try:
                with open(f"{self.folder}/{name}.log") as f:
                    print(f"--- {name}: " + "".join(f.readlines()[-25:]))
            except OSError:
                pass

    # ---- ask ----
    def json(self, *words, timeout=30):
        check(self.daemon.poll() is None, f"lintasd ended with status {self.daemon.returncode}")
        done = subprocess.run([f"{self.build}/lintasctl", "--socket", f"{self.folder}/lintas.sock", "--json", *words],
                              capture_output=True, text=True, timeout=timeout, check=True)
        return json.loads(done.stdout)

    def text(self, *words):
        done = subprocess.run([f"{self.build}/lintasctl", "--socket", f"{self.folder}/lintas.sock", *words], capture_output=True,
                              text=True, timeout=30, check=True)
        return done.stdout

    def fib(self):
        v = self.json("vrf", "show", VRF)[0]
        return v["routes4"], v["routes6"]

    # ---- the kernel ----
    def ip(self, batch, *options, vrf=VRF, timeout=120):
        """ip -batch; `batch` is text or a file's path beginning with @."""
        argv = (["ip", "netns", "exec", vrf] if vrf else []) + ["ip", *options, "-batch", "-"]
        stdin = open(batch[1:]) if batch.startswith("@") else subprocess.PIPE
        done = subprocess.Popen(argv, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        out, _ = done.communicate(None if batch.startswith("@") else batch + "\n", timeout=timeout)
        check(done.returncode == 0, f"ip {' '.join(options)}: {out[:400]}")
        return out

    def routes(self, what, *args, vrf=VRF, timeout=180):
        """routes.py, which see; returns what it said."""
        done = subprocess.run(self.routes_argv(what, *args, vrf=vrf), capture_output=True, text=True, timeout=timeout)
        check(done.returncode == 0, f"routes.py {what}: {done.stderr[-400:]}")
        return done.stdout.strip()

    @staticmethod
    def routes_argv(what, *args, vrf=VRF):
        return ["ip", "netns", "exec", vrf, sys.executable, f"{TOP}/tests/speed/routes.py", what, *map(str, args)]

    def neighbours(self):
        """Every out-link's neighbours, with addresses that never need asking."""
        lines = []
        for i in range(len(self.outs)):
            for n in range(1, NEIGHBOURS + 1):
                lines += [f"neigh replace {a} lladdr 02:00:00:00:{i:02x}:{n:02x} dev lout{i} nud permanent"
                          for a in (self.gateway4(i, n), self.gateway6(i, n))]
        self.ip("\n".join(lines))

    @staticmethod
    def gateway4(out, n=1):
        return f"10.{out + 1}.1.{n}"

    @staticmethod
    def gateway6(out, n=1):
        return f"fd10:{out + 11}::{n:x}01"

    def rss_mb(self):
        with open(f"/proc/{self.daemon.pid}/status") as f:
            return int(next(line for line in f if line.startswith("VmRSS")).split()[1]) // 1024


# ---- prefixes ----
FREE = (2, 4, 6, 7, 9, 11, 12, 14, 17, 19, 20, 21, 22, 24, 25, 26, 28, 29, 30, 33)


def prefixes4(n):
    """n /24s outside of everything else here."""
    return [f"{FREE[i >> 16]}.{i >> 8 & 255}.{i & 255}.0/24" for i in range(n)]


def prefixes6(n):
    return [f"2001:db8:{0xa000 + (i >> 16):x}:{i & 0xffff:x}::/64" for i in range(n)]
