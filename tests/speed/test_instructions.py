#!/usr/bin/python3
"""Instructions a packet costs, counted by callgrind: the gate that no timing noise can blur.

pktrun's `push` runs vectors of 64 through a worker's round (receive, pipeline, transmit), callgrind counts inside
push_round() only, and not in crypto_run(), where the driver of the cipher begins; a short and a long run of each row
are subtracted, so that what happens once drops out. The numbers are compared with those recorded in `instructions`:
more than 3 % above fails, more than 3 % below asks to record and passes.

    test_instructions.py --record [--build DIR]      after a change that is meant: writes the file, one command

What they depend on: the source, the compiler and its options, DPDK's headers (inlined), libc. The file names gcc and
DPDK; with others every row is skipped, not failed. Not on the CPU: valgrind 3.19 knows no AVX-512, DPDK and our own
dispatch are told 64 bits (PKTRUN_SIMD), and libc's memcpy and memset are pinned to their SSE2 variants
(GLIBC_TUNABLES), because they choose by CPUID, which valgrind passes on."""
import ipaddress
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack

import router
from router import Skip, check, test
from flows import PAD, World, plain, tunnelled
from esp_peer import esp
from scapy.all import IP
from tunnels import Tunnel, underlay
from world import ADJ_PEER

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "instructions")
VECTORS, WARM, LONG = 64, 64, 64 + 1024  # LONG - WARM: a multiple of 256, of which one is timed
TOLERANCE = 0.03
TUNABLES = "glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,-AVX512F,-AVX512VL,-AVX2,-ERMS,-FSRM,-SSSE3"


def table(world, family, n):
    """n routes of the Internet's lengths to links b, c, q in turn; returns an address in each."""
    rng, out, cmds = random.Random(family), [], []
    bits = 32 if family == 4 else 128
    for i in range(n):
        if family == 4:
            length = rng.choice([16, 18, 20, 21, 22, 22, 23, 24, 24, 24, 24, 24])
            value = rng.randrange(0x14000000, 0x60000000)
        else:
            length = rng.choice([32, 32, 36, 40, 44, 48, 48, 48, 48, 56])
            value = 0x2A << 120 | rng.getrandbits(120)
        value = value >> (bits - length) << (bits - length)
        address = ipaddress.IPv4Address if family == 4 else ipaddress.IPv6Address
        cmds.append({"cmd": "fib_set", "vrf": 0, "prefix": f"{address(value)}/{length}", "group": ADJ_PEER["bcq"[i % 3]]})
        out.append(str(address(value | 1)))
    world.run("batch", cmds=cmds)
    return out


def prepare(world):
    """Everything the rows use, before the first of them: {row: flows}."""
    flows4 = [plain(world, "a", "b", 4, i, a) for i, a in enumerate(table(world, 4, 1000)[0:768:3])]
    flows6 = [plain(world, "a", "b", 6, i, a) for i, a in enumerate(table(world, 6, 1000)[0:768:3])]
    vlan = [plain(world, "c", "q", 4, i) for i in range(256)]
    vxlan = [tunnelled(world, "vx", "wx", 4, i) for i in range(256)]
    world.run("group_set", group=70, legs=[{"adj": ADJ_PEER[x], "key": 100 + i, "weight": 1, "tier": 0, "alive": True}
                                           for i, x in enumerate("bcqr")])
    world.run("fib_set", vrf=0, prefix="10.70.0.0/16", group=70)
    group = [plain(world, "a", "b", 4, i, f"10.70.{i}.9") for i in range(256)]
    kinds = (flows4, flows6, vlan, vxlan)
    return {"ip4": flows4, "ip6": flows6, "vlan": vlan, "vxlan": vxlan, "group": group,
            "mixed": [kinds[i % 4][i // 4] for i in range(256)]} | tunnels(world)


def sealed(world):
    """(ESP's link, rows): over IPv4, AES-256-GCM, IPv4 inside, each way; without the cipher, which is another library's."""
    e = world.stack.enter_context(esp(world, replay=0, underlay_mtu=1600))
    into = [plain(world, "a", "b", 4, n, f"10.66.1.{n % 250}") for n in range(256)]
    out_of = [plain(world, "b", "a", 4, n) for n in range(256)]
    for n, f in enumerate(out_of):  # pktrun's numbers go behind the packet, where no ICV is
        f.frame, f.port = bytes(e.carry(e.theirs.seal(IP(f.frame[14:]), n + 1))) + bytes(len(PAD)), 2
    return e.t.link, {"esp-out": into, "esp-in": out_of}


def tunnels(world):
    """GRE and IP in IP over IPv4, IPv4 inside, each way alone: what is routed into them, what comes out."""
    esp_link, esp_rows = sealed(world)
    made, cmds, rows = [], [], {}
    for i, kind in enumerate(("gre", "ipip"), 1):
        t = Tunnel(world, kind, False, {"remote": f"198.51.100.{80 + i}"})
        made.append(t)
        cmds += [{"cmd": "adj_set", "adj": 80 + i, "kind": "forward", "link": t.id, "nexthop": "10.66.0.2"},
                 {"cmd": "group_set", "group": 80 + i, "legs": [{"adj": 80 + i, "key": 80 + i, "weight": 1, "tier": 0, "alive": True}]},
                 {"cmd": "fib_set", "vrf": 0, "prefix": f"10.{66 + i}.0.0/16", "group": 80 + i}]
    underlay(world, 1600, [esp_link] + [t.link for t in made])
    world.run("batch", cmds=cmds)
    for i, t in enumerate(made, 1):
        rows[f"{t.kind}-out"] = [plain(world, "a", "b", 4, n, f"10.{66 + i}.1.{n % 250}") for n in range(256)]
        flows = [plain(world, "b", "a", 4, n) for n in range(256)]
        for f in flows:
            f.frame, f.port = bytes(t.outer(IP(f.frame[14:]), src=t.link["remote"])), 2
        rows[f"{t.kind}-in"] = flows
    return rows | esp_rows


ROWS = {
    "ip4": "1,000 IPv4 routes, untagged in and out",
    "ip6": "1,000 IPv6 routes, untagged in and out",
    "vlan": "IPv4, 802.1Q in, QinQ out",
    "vxlan": "VXLAN over IPv4 in, IPv4 routed, VXLAN over IPv6 out",
    "group": "IPv4 through a group of four legs",
    "mixed": "ip4, ip6, vlan and vxlan in each vector",
    "gre-out": "IPv4 routed into GRE over IPv4",
    "gre-in": "out of GRE over IPv4, IPv4 routed",
    "ipip-out": "IPv4 routed into IP in IP over IPv4",
    "ipip-in": "out of IP in IP over IPv4, IPv4 routed",
    "esp-out": "IPv4 routed into ESP, AES-256-GCM, all but the cipher",
    "esp-in": "out of ESP, AES-256-GCM, IPv4 routed, all but the cipher",
}

UNREADABLE = ("esp-out", "esp-in")  # pktrun does not find its numbers in what comes out


# ---- counting ----
class Valgrind(World):
    """The packet tests' world under callgrind."""

    def __init__(self, build, folder):
        os.environ |= {"PKTRUN_SIMD": "64", "GLIBC_TUNABLES": TUNABLES}
        self.folder, self.dumps, self.stack = folder, 0, ExitStack()
        real, args = subprocess.Popen, ["valgrind", "--tool=callgrind", "-q", "--toggle-collect=push_round", "--toggle-collect=crypto_run",
                                        "--dump-after=push_done", f"--callgrind-out-file={folder}/out"]
        try:
            subprocess.Popen = lambda argv, **kw: real(args + argv, **kw)
            super().__init__(build)
        finally:
            subprocess.Popen = real

    def push(self, row, flows, vectors):
        """Instructions inside push_round for so many vectors."""
        answer = self.run("push", flows=[f.json() for f in flows], vectors=vectors, size=VECTORS)
        out, other = ("strange", "received") if row in UNREADABLE else ("received", "strange")
        check(answer[out] == vectors * VECTORS and not answer[other], f"{answer[out]} of {vectors * VECTORS} packets came out: {answer}")
        self.dumps += 1
        with open(f"{self.folder}/out.{self.dumps}") as f:
            return int(re.search(r"^(?:totals|summary): (\d+)", f.read(), re.M)[1])


counted = {}


def count(build):
    """{row: instructions a packet}, all in one process: a second caller gets the same."""
    folder = tempfile.mkdtemp(prefix="lintas-callgrind-")
    world = None
    try:
        world = None if counted else Valgrind(build, folder)
        for name, flows in (prepare(world) if world else {}).items():
            short = world.push(name, flows, WARM)
            counted[name] = (world.push(name, flows, LONG) - short) / ((LONG - WARM) * VECTORS)
        if world:
            world.stack.close()
        return counted
    finally:
        if world:
            world.run.process.stdin.close()
            world.run.process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)


# ---- the record ----
def versions():
    gcc = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True).stdout.strip()
    dpdk = subprocess.run(["pkg-config", "--modversion", "libdpdk"], capture_output=True, text=True).stdout.strip()
    return f"gcc {gcc} DPDK {dpdk}"


def read_record():
    with open(FILE) as f:
        lines = [line.split("#")[0].split() for line in f]
    numbers = {line[0]: float(line[1]) for line in lines if len(line) == 2 and line[0] in ROWS}
    made_by = next((" ".join(line[1:]) for line in lines if line and line[0] == "by"), "")
    return made_by, numbers


def record(build):
    numbers = count(build)
    with open(FILE, "w") as f:
        f.write("# Instructions a packet, scalar dispatch, vectors of 64; written by tests/speed/test_instructions.py --record\n")
        f.write(f"by {versions()}\n")
        f.writelines(f"{name:8} {number:.1f}  # {ROWS[name]}\n" for name, number in numbers.items())
    for name, number in numbers.items():
        print(f"{name:8} {number:.1f}")
    return 0


def judge(name):
    def row(args):
        if not shutil.which("valgrind"):
            raise Skip("valgrind is not installed")
        if args.build.endswith("-san"):
            raise Skip("sanitizers add instructions of their own")
        made_by, numbers = read_record()
        if made_by != versions():
            raise Skip(f"recorded with {made_by}, this is {versions()}: another compiler counts differently")
        check(name in numbers, "not recorded: tests/speed/test_instructions.py --record")
        have, want = count(args.build)[name], numbers[name]
        said = f"{have:.1f} instructions a packet, recorded {want:.1f}: {(have / want - 1) * 100:+.1f} %"
        again = "tests/speed/test_instructions.py --record"
        check(have <= want * (1 + TOLERANCE), f"{said}; if that is meant: {again}")
        return said + (f"; fewer: {again}" if have < want * (1 - TOLERANCE) else "")
    row.__name__ = name
    return row


for row_name in ROWS:
    test(judge(row_name))

if "--record" in sys.argv:
    sys.argv.remove("--record")
    sys.exit(record(router.arguments().build))
sys.exit(router.run(root=False))
