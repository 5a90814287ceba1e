"""What the files of tests/netns share: one lab a file, one line a test.

A test is a function `@test def name(lab)` that raises (AssertionError, LabError, …) when it fails, Skip when
it cannot be tried; they run in the order they are written in, on one lab. run() prints `PASS name`,
`FAIL name: why` or `SKIP name: why`, takes the lab down in every case, also on SIGTERM, and leaves what the
daemons said on the output when something failed."""
import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tools", "lab"))
sys.dont_write_bytecode = True
import core  # noqa: E402
from world import LabError, wait_for  # noqa: E402

tests = []


class Skip(Exception):
    """This test cannot be tried here; the text says why."""


def test(function):
    tests.append((function.__name__, function))
    return function


def check(condition, *why):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in why))


def arguments():
    p = argparse.ArgumentParser(description="one line a test: PASS, FAIL or SKIP")
    p.add_argument("--build", default=os.path.join(TOP, "build"))
    p.add_argument("--only", help="tests whose name, or the file's, contains this")
    p.add_argument("--keep", action="store_true", help="after a failure leave the lab up and say where it is")
    return p.parse_args()


def chosen(file, only):
    if not only or only in file:
        return tests
    return [t for t in tests if only in t[0]]


def reason(error):
    text = " ".join(str(error).split()) or type(error).__name__
    where = traceback.extract_tb(error.__traceback__)
    lines = [f"{os.path.basename(f.filename)}:{f.lineno}" for f in where if os.path.basename(f.filename).startswith("test_")]
    return f"{text[:900]} ({' '.join(lines) or type(error).__name__})"


def run(before=None):
    """All tests of the file that was started. before(lab): settings to change before the lab comes up."""
    args = arguments()
    file = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    todo = chosen(file, args.only)
    if not todo:
        return 0
    if os.geteuid():
        print(f"SKIP {file}: needs root, for network namespaces: sudo make test")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    folder = tempfile.mkdtemp(prefix=f"lintas-{file}-", dir="/run")
    lab, failed = core.Lab(folder, args.build), 0
    try:
        begin = time.monotonic()
        try:
            if before:
                before(lab)
            lab.up()
            lab.converge()
        except (LabError, OSError, subprocess.SubprocessError) as e:
            print(f"FAIL {file} up: {reason(e)}", flush=True)
            failed = 1
            tell(lab)
            return 1
        print(f"lab up and converged after {time.monotonic() - begin:.1f} s", flush=True)
        for name, function in todo:
            failed += not one(lab, f"{file[5:]}/{name}", function)
            if failed and args.keep:
                break
        if failed:
            tell(lab)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if failed and args.keep:
            print(f"left up: tools/lab/lab --dir {folder} --build {args.build} status")
            return 1
        lab.down()
        shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


def one(lab, name, function):
    begin = time.monotonic()
    try:
        said = function(lab)
    except Skip as e:
        print(f"SKIP {name}: {e}", flush=True)
        return True
    except Exception as e:  # whatever went wrong, the next test is tried
        print(f"FAIL {name}: {reason(e)}", flush=True)
        return False
    print(f"PASS {name}{f'  [{said}]' if said else ''}  {time.monotonic() - begin:.1f} s", flush=True)
    return True


def tell(lab):
    """What the gateway's programs said last."""
    for name in ("lintasd", "lintas-keeper", "gw-bgpd", "gw-zebra"):
        print(f"--- {name}: {lab.world.log_tail(name, 12)}")


__all__ = ["Skip", "check", "run", "test", "wait_for", "LabError", "core"]
