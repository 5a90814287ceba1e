#!/usr/bin/python3
"""Packets in, packets out, through the real pipeline: runs every row of rows_*.py and prints a line a row.

A row is a function whose docstring names the rule. It gets a fresh-enough World (state is shared by the rows of
a module unless it asks for its own) and raises Failure when a user would have noticed. Options: --build DIR,
--only NAME (a substring), --list."""
import argparse
import importlib
import inspect
import os
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from world import Failure, World  # noqa: E402

MODULES = ("rows_l2", "rows_ip4", "rows_ip6", "rows_icmp", "rows_frag", "rows_tunnel", "rows_gre", "rows_geneve", "rows_outer", "rows_reassemble", "rows_esp", "rows_path", "rows_local", "rows_virtual", "rows_vector", "rows_workers")


def rows(module):
    for name, f in inspect.getmembers(importlib.import_module(module), inspect.isfunction):
        if name.startswith("row_"):
            yield f"{module[5:]}.{name[4:]}", f


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", default="build")
    p.add_argument("--only", default="")
    p.add_argument("--list", action="store_true")
    args = p.parse_args()
    failed = 0
    for module in MODULES:
        world = None
        for name, f in sorted(rows(module), key=lambda r: inspect.getsourcelines(r[1])[1]):
            if args.only not in name:
                continue
            if args.list:
                print(f"{name:40} {(f.__doc__ or '').splitlines()[0]}")
                continue
            try:
                if getattr(f, "own_world", None) is not None:
                    own = World(args.build, **f.own_world)
                    try:
                        f(own)
                    finally:
                        status = own.run.close()
                    if status:
                        raise Failure(f"pktrun ended with status {status}")
                else:
                    world = world or World(args.build)
                    f(world)
                print(f"PASS {name}", flush=True)
            except Failure as e:
                failed += 1
                print(f"FAIL {name}: {e}", flush=True)
            except Exception:  # a broken row is a failed row
                failed += 1
                print(f"FAIL {name}: {traceback.format_exc()}", flush=True)
            if world and world.run.process.poll() is not None:
                print(f"FAIL {name}: pktrun died with status {world.run.process.returncode}", flush=True)
                failed += 1
                world = None
        if world:
            status = world.run.close()
            if status:
                failed += 1
                print(f"FAIL {module}: pktrun ended with status {status}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
