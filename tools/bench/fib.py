"""The forwarding tables by themselves: fibbench does the work and says `bench NAME WHAT=… … goal=… pass|miss`.

Its goals are not ratios; in `accepted` such a row stands with value / goal (where more is better, goal / value)."""
import os
import re
import subprocess

from programs import BenchError
from rows import Result

LINE = re.compile(r"bench (\S+) \w+=([\d.]+)(.*?)(?: goal=([\d.]+) (pass|miss))?$")
LONGEST_S = 240


class Fib:
    rows = {"fib": None}

    def run(self, place, _wanted, _pairs, say):
        program = f"{place.build}/fibbench"
        if not os.path.exists(program):
            say("fib: fibbench is not built")
            return {}
        try:
            done = subprocess.run(["taskset", "-c", str(place.cpu), program], capture_output=True, text=True, timeout=LONGEST_S,
                                  preexec_fn=place.on_all_cpus, check=False)
        except subprocess.TimeoutExpired:
            raise BenchError(f"fibbench: not done after {LONGEST_S} s") from None
        results = dict(filter(None, map(self.read, done.stdout.splitlines())))
        if not results or done.returncode not in (0, 1):
            raise BenchError(f"fibbench ended with status {done.returncode}: {done.stderr[-300:]}{done.stdout[-300:]}")
        return results

    @staticmethod
    def read(line):
        found = LINE.match(line)
        if not found:
            return None
        name, value, _, goal, word = found.groups()
        result = Result(name, None)
        result.line = line
        if goal:
            value, goal = float(value), float(goal)
            less_is_better = (word == "pass") == (value <= goal)
            result.goal = 1.0
            result.ratios = [value / goal if less_is_better else goal / max(value, 1e-9)]
        return name, result
