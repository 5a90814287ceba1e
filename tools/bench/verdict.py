"""From ratios to lines, and to the exit status.

`accepted` names each goal that honest work did not reach: a line "NAME ratio reason". A miss that is not named
there counts, and so does a ratio more than a tenth past the recorded one; with a tolerance (a machine that is not
idle) only what is that far past the goal or the recorded ratio counts. A row that
failed counts, unless it is only that the machine is busy and a tolerance says that it may be."""
import argparse
import os
import statistics

from measure import interval
from rows import Result

ACCEPTED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "accepted")
PAST = 1.10


def percent(text):
    try:
        return float(text.rstrip("%")) / 100
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: need a percentage such as 25%") from None


def read_accepted(path=ACCEPTED):
    """{name: ratio}"""
    out = {}
    if not os.path.exists(path):
        return out
    with open(path) as f:
        for n, line in enumerate(f, 1):
            words = line.split("#", 1)[0].split(None, 2)
            if not words:
                continue
            try:
                name, ratio, _reason = words
                out[name] = float(ratio)
            except ValueError:
                raise SystemExit(f"bench: {path}:{n}: need NAME RATIO REASON") from None
    return out


def failed(names, why):
    results = [Result(name, None) for name in names]
    for r in results:
        r.failed = " ".join(str(why).split())
    return results


class Court:
    def __init__(self, tolerance=None):
        self.tolerance, self.accepted, self.bad = tolerance, read_accepted(), 0
        self.counts = {"pass": 0, "accepted": 0, "miss": 0, "failed": 0}

    def judge(self, r):
        """The row's line."""
        if r.failed:
            self.bad += not (r.busy and self.tolerance is not None)
            self.counts["failed"] += 1
            return f"bench {r.name} failed: {r.failed}"
        if r.line:
            if r.goal is None:
                return r.line
            known = self.accepted.get(r.name)
            word = self.word(r.name, r.ratios[0], r.goal)
            return r.line if word in ("pass", "miss") else f"{r.line} (accepted: {known:.2f} of the goal)"
        ratio, low, high = interval(r.ratios)
        line = f"bench {r.name} ratio={ratio:.2f} [{low:.2f}..{high:.2f}]"
        if r.goal is not None:
            line += f" goal={r.goal:.2f} {self.word(r.name, ratio, r.goal)}"
        costs = " ".join(f"{name}={statistics.median(c):.1f}" for name, c in r.costs.items() if c)
        line += f"  {costs} {r.unit}"
        if r.vector:
            line += f", {r.vector:.1f} packets/vector"
        return line + "".join(f"; {note}" for note in r.notes)

    def word(self, name, value, goal):
        """pass or miss, and whether a miss counts."""
        known = self.accepted.get(name)
        passed = round(value, 2) <= goal
        if self.tolerance is not None:
            bad = value > (1 + self.tolerance) * max(goal, known or 0)
        else:
            bad = not passed and (known is None or value > known * PAST)
        self.bad += bad
        self.counts["pass" if passed else "miss" if bad or known is None else "accepted"] += 1
        if passed:
            return "pass"
        return f"miss (accepted: {known:.2f})" if known is not None else "miss"

    def summary(self):
        c = self.counts
        return f"{c['pass']} goals reached, {c['accepted']} misses accepted, {c['miss']} missed, {c['failed']} rows failed"
