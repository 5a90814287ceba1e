"""A world of the bench's own: mount, network and process namespaces.

Nothing of the host is touched. The bench goes on as the first process in there, and when that ends, however it
comes, the kernel ends all it started; the process outside only waits and hands signals on."""
import ctypes
import os
import signal
import subprocess
import sys

NEWNS, NEWNET, NEWPID, PR_SET_PDEATHSIG = 0x20000, 0x40000000, 0x20000000, 1
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
INSIDE = """mount --make-rprivate / && mount -t proc proc /proc && mkdir -p /run/netns {folder} &&
mount -t tmpfs netns /run/netns && mount -t tmpfs -o mode=0700 bench {folder} && ip link set lo up"""


def enter(folder):
    """Returns within; `folder` is an empty one of ours alone. Signals raise SystemExit from here on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEWNS | NEWNET | NEWPID):
        sys.exit(f"bench: no namespaces of its own: {os.strerror(ctypes.get_errno())}")
    sys.stdout.flush()
    inside = os.fork()
    if inside:
        wait_outside(inside)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for sig in SIGNALS:
        signal.signal(sig, leave)
    subprocess.run(["sh", "-ec", INSIDE.format(folder=folder)], check=True)


def leave(number, _frame):
    """Once: what is being ended goes on being ended."""
    for sig in SIGNALS:
        signal.signal(sig, signal.SIG_IGN)
    sys.exit(128 + number)


def wait_outside(inside):
    for sig in SIGNALS:
        signal.signal(sig, lambda number, _: os.kill(inside, number))
    _, status = os.waitpid(inside, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)
