"""Private worlds: the mount and network namespaces of one lab, and the processes in them.

A lab is a folder (state, sockets, logs) and two holder processes. The first holds a mount namespace whose
/run/netns is a tmpfs of its own: the lab's network namespaces have names only there. The second, the
gateway's, holds another with another empty /run/netns: only the VRFs that lintas-keeper makes appear in it,
and so zebra -n adopts those and nothing else. The host's network, mounts and /run/netns are never touched.

Every process is written to the folder's file `pids` with its start time before it is used; down() ends
exactly those, and whatever else lives in the lab's two mount namespaces, then removes the folder."""
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import time

POLL_S = 0.02


class LabError(Exception):
    """Something the lab needs did not happen; the text says what, and where to look."""


def start_time(pid):
    """Start time of a process in clock ticks, or None when there is none (or only its zombie)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            fields = f.read().rsplit(b")", 1)[1].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def wait_for(what, seconds, probe):
    """Call probe() until it returns something true; return that. LabError after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        got = probe()
        if got:
            return got
        if time.monotonic() > deadline:
            raise LabError(f"waited {seconds:g} s in vain: {what}")
        select.select([], [], [], POLL_S)


def end_process(pid, started, seconds=5.0, first=signal.SIGTERM):
    """End one process: politely, and after so many seconds for good. True when it went politely."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return True
    try:
        if start_time(pid) != started:
            return True
        signal.pidfd_send_signal(fd, first)
        signal.pidfd_send_signal(fd, signal.SIGCONT)
        if select.select([fd], [], [], seconds)[0]:
            return True
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        select.select([fd], [], [], 5.0)
        return False
    except ProcessLookupError:
        return True
    finally:
        os.close(fd)


class World:
    """The namespaces and processes of one lab, in FOLDER. attach() finds a lab that is up already."""

    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        self.holder = self.gateway = 0  # pids of the two holders
        self.children = {}              # name -> Popen, of those this process started
        self.lock_file = None

    # ---- life ----
    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def create(self):
        """A clean folder and the first holder; whatever a crashed run left is removed."""
        self.down()
        os.makedirs(self.path("log"), mode=0o755)
        os.chmod(self.folder, 0o755)  # FRR's daemons run as another user
        self.lock()
        self.holder = self.hold("holder", ["unshare", "--mount", "--propagation", "private"],
                                "mount -n -t tmpfs -o mode=755 lintas-lab /run/netns")

    def lock(self):
        """One up or down at a time for one folder."""
        self.lock_file = open(self.path("lock"), "w")
        try:
            fcntl.flock(self.lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise LabError(f"another lab command is at work in {self.folder}") from None

    def hold(self, name, enter, mounts):
        """A process that only keeps namespaces alive, once `mounts` (shell) has run in them."""
        os.makedirs("/run/netns", exist_ok=True)
        ready = self.path(name + ".ready")
        script = f"{mounts} && : >'{ready}' && exec sleep infinity"
        child = self.spawn(name, None, enter + ["sh", "-c", script])
        wait_for(f"namespace holder, see {self.path('log', name)}.log", 10,
                 lambda: os.path.exists(ready) or child.poll() is not None)
        if child.poll() is not None:
            raise LabError(f"{name} ended: {self.log_tail(name)}")
        return child.pid

    def hold_gateway(self, netns):
        """The gateway's own mount namespace, inside the network namespace `netns`."""
        self.gateway = self.hold(
            "gateway-holder",
            self.enter(netns) + ["unshare", "--mount", "--propagation", "private"],
            "mount -n -t tmpfs -o mode=755 lintas-gw /run/netns && mount -n -t sysfs sysfs /sys")
        self.save({})

    def save(self, extra):
        with open(self.path("state.tmp"), "w") as f:
            json.dump({"holder": self.holder, "gateway": self.gateway, **extra}, f)
        os.rename(self.path("state.tmp"), self.path("state.json"))

    def attach(self):
        """Find the lab that an earlier command left up."""
        try:
            with open(self.path("state.json")) as f:
                state = json.load(f)
        except (OSError, ValueError):
            raise LabError(f"no lab is up in {self.folder}: start one with `lab up`") from None
        known = self.recorded()
        for who in ("holder", "gateway"):
            if not any(pid == state[who] and start_time(pid) == started for pid, started, _ in known):
                raise LabError(f"the lab in {self.folder} is gone (its {who} ended): `lab down`, then `lab up`")
        self.holder, self.gateway = state["holder"], state["gateway"]
        return state

    def down(self):
        """End what was started, newest first, and remove the folder. Idempotent; survives a crashed run."""
        if not os.path.isdir(self.folder):
            return
        mounts = self.mount_ids()
        for pid, started, name in reversed(self.recorded()):
            if not name.endswith("holder"):
                end_process(pid, started)
        for pid in self.inhabitants(mounts):
            end_process(pid, start_time(pid), 2.0)
        for pid, started, name in reversed(self.recorded()):
            if name.endswith("holder"):
                end_process(pid, started, 0.5, signal.SIGKILL)
        for child in self.children.values():
            child.wait()
        self.children.clear()
        if self.lock_file:
            self.lock_file.close()
            self.lock_file = None
        shutil.rmtree(self.folder, ignore_errors=True)

    def mount_ids(self):
        """The mount namespaces of the holders that live, never the caller's own."""
        mine, ids = os.stat("/proc/self/ns/mnt").st_ino, set()
        for pid, started, name in self.recorded():
            if name.endswith("holder") and start_time(pid) == started:
                try:
                    ids.add(os.stat(f"/proc/{pid}/ns/mnt").st_ino)
                except OSError:
                    pass
        return ids - {mine}

    def inhabitants(self, mounts):
        """Whoever else lives in these mount namespaces: shells a user left, children of killed daemons."""
        holders = {pid for pid, _, name in self.recorded() if name.endswith("holder")}
        found = []
        for entry in os.listdir("/proc") if mounts else []:
            try:
                if entry.isdigit() and int(entry) not in holders and \
                        os.stat(f"/proc/{entry}/ns/mnt").st_ino in mounts and start_time(entry):
                    found.append(int(entry))
            except OSError:
                pass
        return found

    # ---- processes ----
    def recorded(self):
        """[(pid, start time, name)] in the order they were started."""
        out = []
        try:
            with open(self.path("pids")) as f:
                for line in f:
                    pid, started, name = line.split()
                    out.append((int(pid), int(started), name))
        except (OSError, ValueError):
            pass
        return out

    def netns_file(self, where):
        """The file that stands for a network namespace: a peer's, `gw`, or one of the gateway's VRFs."""
        peer = f"/proc/{self.holder}/root/run/netns/{where}"
        return peer if os.path.exists(peer) else f"/proc/{self.gateway}/root/run/netns/{where}"

    def enter(self, where):
        """Command prefix that runs what follows in a network namespace of the lab."""
        file = self.netns_file(where)
        if not os.path.exists(file):
            raise LabError(f"no namespace '{where}' in this lab: `lab status` lists them")
        inside = self.gateway if self.gateway and (where == "gw" or f"/{self.gateway}/" in file) else self.holder
        return ["nsenter", f"--mount=/proc/{inside}/ns/mnt", f"--net={file}", "--"]

    def spawn(self, name, where, argv, **popen):
        """Start a process of the lab: recorded, in its own session, its words in log/NAME.log."""
        log = open(self.path("log", name + ".log"), "ab")
        popen = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, **popen}
        child = subprocess.Popen((self.enter(where) if where else []) + [str(a) for a in argv],
                                 start_new_session=True, **popen)
        log.close()
        with open(self.path("pids"), "a") as f:
            f.write(f"{child.pid} {start_time(child.pid) or 0} {name}\n")
        self.children[name] = child
        return child

    def log_tail(self, name, lines=8):
        try:
            with open(self.path("log", name + ".log"), errors="replace") as f:
                return " | ".join(line.strip() for line in f.readlines()[-lines:]) or "(it said nothing)"
        except OSError:
            return "(no log)"

    def run(self, where, *argv, check=True, timeout=60, text_in=None):
        """Run a command in a namespace (None: here) and return its CompletedProcess, output as text."""
        done = subprocess.run((self.enter(where) if where else []) + [str(a) for a in argv], timeout=timeout,
                              capture_output=True, text=True, errors="replace", input=text_in)
        if check and done.returncode:
            raise LabError(f"{where or 'here'}: {' '.join(map(str, argv))}: status {done.returncode}: "
                           f"{(done.stderr or done.stdout).strip()[-600:]}")
        return done

    def json(self, where, *argv, **kw):
        """Run a command that prints JSON; None when it printed none."""
        try:
            return json.loads(self.run(where, *argv, check=False, **kw).stdout)
        except ValueError:
            return None

    def ip(self, where, script, *options):
        """`ip -batch`, one command a line."""
        self.run(where, "ip", *options, "-batch", "-", text_in=script)
