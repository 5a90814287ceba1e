#!/usr/bin/python3
"""Every command, as a table and as JSON; bad requests; clients that stall, vanish or may not."""
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time

from harness import Skip, check, run, test, wait_for
import measure
import topo
from measure import streams
from topo import A, B

COMMANDS = [("status",), ("port", "show"), ("port", "show", "colo0"), ("link", "show"), ("link", "show", "aws-dx1"),
            ("vrf", "show"), ("vrf", "show", "prod"), ("route", "show"), ("route", "show", "vrf", "prod"),
            ("route", "show", "vrf", "prod", "10.40.0.0/16"), ("route", "show", "vrf", "prod", "10.0.0.0/8", "longer"),
            ("route", "get", "10.41.0.10", "vrf", "prod"), ("route", "get", "2001:db8:41::10", "vrf", "prod"),
            ("route", "get", "203.0.113.1", "vrf", "prod"), ("route", "get", "10.40.0.10", "vrf", "bank"),
            ("neighbor", "show"), ("nexthop", "show"), ("bgp", "show"), ("stats",), ("stats", "--cycles"), ("stages",), ("config", "show"),
            ("events",)]


def raw(lab):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(10)
    s.connect(lab.gateway.api_socket)
    return s


def ask(lab, line):
    """One raw request line; the first answer line, parsed, or None when the connection was closed."""
    with raw(lab) as s:
        try:
            s.sendall(line + b"\n")
            data = b""
            while not data.endswith(b"\n"):
                part = s.recv(65536)
                if not part:
                    break
                data += part
        except (BrokenPipeError, ConnectionResetError):
            return None
    return json.loads(data.split(b"\n")[0]) if data else None


@test
def every_command(lab):
    for words in COMMANDS:
        table = lab.gateway.ctl(*words)
        check(table.stdout.strip() or words == ("events",), f"{' '.join(words)} prints nothing")
        check("Traceback" not in table.stdout and "(null)" not in table.stdout, table.stdout)
        lab.gateway.json(*words)
    return f"{len(COMMANDS)} commands, both forms"


@test
def route_filters(lab):
    """By VRF, by prefix, with `longer`: exactly those."""
    everything = lab.gateway.json("route", "show", "vrf", "prod")
    check(len(everything) > 3000, f"{len(everything)} routes")
    check({r["vrf"] for r in everything} == {"prod"}, "routes of another VRF")
    one = lab.gateway.json("route", "show", "vrf", "prod", "10.40.0.0/16")
    check([r["prefix"] for r in one] == ["10.40.0.0/16"], one)
    longer = {r["prefix"] for r in lab.gateway.json("route", "show", "vrf", "prod", "10.0.0.0/8", "longer")}
    check({"10.40.0.0/16", "10.60.0.0/16", "10.62.0.0/16"} <= longer and all(p.startswith("10.") for p in longer), sorted(longer))
    six = {r["prefix"] for r in lab.gateway.json("route", "show", "vrf", "prod", "2001:db8::/32", "longer")}
    check("2001:db8:60::/48" in six and not any("." in p for p in six), sorted(six))


@test
def unknown_things(lab):
    """Exit status 1 and a sentence that says what to do, as text and as JSON."""
    for words in (("link", "show", "nope"), ("vrf", "show", "nope"), ("route", "get", "300.1.1.1", "vrf", "prod"),
                  ("route", "get", "10.0.0.1", "vrf", "nope"), ("route", "show", "vrf", "prod", "10.0.0.0/99"), ("no", "such"),
                  ("route", "get"), ("port", "show", "x" * 5000), ("events", "nope"), ("monitor", "nope")):
        done = lab.gateway.ctl(*words, check=False)
        check(done.returncode == 1, f"{words[:3]}: status {done.returncode}")
        check((done.stderr + done.stdout).strip(), f"{words[:3]}: no reason given")


@test
def events_of_nobody(lab):
    """A misspelt link is told so, with the links there are; what exists and has no events yet is not."""
    done = lab.gateway.ctl("events", "aws-dx2", check=False)
    check('no link "aws-dx2"' in done.stderr and "aws-dx1" in done.stderr, done)
    for name in ("aws-dx1", "bank", "colo0", "frr", "lintasd"):
        check(lab.gateway.ctl("events", name, check=False).returncode == 0, name)


@test
def sessions_as_events(lab):
    """A cut fibre: BFD and BGP with that cloud go down and come back, as events of the link, each with its time."""
    def told(what):
        return [e for e in lab.gateway.json("events", "aws-dx1", "since", "2m") if what in e["text"]]
    peer = "169.254.10.1"

    def all_seen_up():
        """The first look's counts, and whatever came up since."""
        first = [re.findall(r"\d+", e["text"]) for e in lab.gateway.json("events", "frr") if "BGP sessions are up" in e["text"]]
        if not first:
            return False
        up, of, bfd_up, bfd_of = map(int, first[-1])
        return up + bfd_up + len([e for e in lab.gateway.json("events") if " is up" in e["text"] and " with " in e["text"]]) >= of + bfd_of
    wait_for("every session has been seen up", 30, all_seen_up)
    check(not told(" is down"), told(" is down"))
    topo.cut(lab.world, "cloud-a", True)
    try:
        for kind in ("BFD", "BGP"):
            wait_for(f"{kind} with {peer} is down, as an event", 30, lambda k=kind: told(f"{k} with {peer} is down"))
    finally:
        topo.cut(lab.world, "cloud-a", False)
    for kind in ("BFD", "BGP"):
        wait_for(f"{kind} with {peer} is up again, as an event", 60, lambda k=kind: told(f"{k} with {peer} is up"))
    lab.converge()
    check(all("az-er" != e["subject"] for e in lab.gateway.json("events", "since", "2m") if " is down (" in e["text"]), "the other link's too")


@test
def cycles_of_now(lab):
    """What is counted is the interval's, not since start; every stage of the picture has a number once traffic flows."""
    quiet = lab.gateway.json("stats", "--cycles")
    stages = [s["name"] for s in lab.gateway.json("stages")]
    results, busy = streams(lab.world, [(A, B, 4), (B, A, 6)], lambda: lab.gateway.json("stats", "cycles", "interval", "2s"), pps=2000)
    total = sum(w["packets"] for w in lab.gateway.json("stats")["workers"])
    check(all(r.lost == 0 for r in results), results)
    check(quiet["all"]["packets"] < 1000 < busy["all"]["packets"] < total, quiet["all"], busy["all"], total)
    check(1.9 < busy["interval_s"] < 10, busy["interval_s"])
    check([s["name"] for s in busy["all"]["stages"]] == stages, busy["all"])
    check(0 < busy["all"]["sampled_vectors"] <= busy["all"]["vectors"] / 256 + 2, busy["all"])
    cycles = {s["name"]: s["cycles_per_packet"] for s in busy["all"]["stages"]}
    check(all(cycles[s] > 0 for s in ("rx", "parse", "route", "rewrite", "tx")), cycles)
    check(abs(sum(cycles.values()) - busy["all"]["cycles_per_packet"]) < 1, busy["all"])
    return f"{busy['all']['cycles_per_packet']:.0f} cycles a packet, {busy['all']['packets_per_vector']:.1f} packets a vector"


@test
def memory_adds_up(lab):
    """What `status` says of all is what `vrf show` says of each; counters are what was written, not 16 MiB of address space."""
    memory, vrfs = lab.gateway.json("status")["memory"], lab.gateway.json("vrf", "show")
    routes, links = memory["routes"], memory["links"]
    check(routes["count"] == sum(v["routes4"] + v["routes6"] for v in vrfs), routes, vrfs)
    check(routes["lookup_bytes"] == sum(v["lookup_bytes"] for v in vrfs), routes, vrfs)
    check(routes["control_bytes"] == sum(v["control_bytes"] for v in vrfs), routes, vrfs)
    check(abs(routes["lookup_bytes_each"] * routes["count"] - routes["lookup_bytes"]) <= routes["count"], routes)
    check(links["count"] == len(lab.gateway.json("link", "show")) and memory["vrfs"]["count"] == len(vrfs), memory)
    check(links["shape_bytes"] > 0 and 0 < links["counter_bytes"] < 16 << 20, links)
    check(memory["groups"]["count"] > 0 and memory["adjacencies"]["count"] > 0, memory)
    return f"a route {routes['lookup_bytes_each']} + {routes['control_bytes_each']} bytes"


@test
def configuration_as_json(lab):
    """`config show --json` is a configuration: the same objects, and `check` takes it as a file."""
    shown = lab.gateway.json("config", "show")
    check(set(shown["links"]) == {link["name"] for link in lab.gateway.json("link", "show")}, shown["links"])
    check(shown["links"]["aws-dx1"]["vlan"] == 101 and shown["gateway"]["hugepages"] in (True, False), shown)
    file = lab.world.path("shown.json")
    with open(file, "w") as f:
        json.dump(shown, f)
    done = subprocess.run([f"{lab.gateway.build}/lintasctl", "check", file], capture_output=True, text=True, timeout=20)
    check(done.returncode == 0, done.stderr)


@test
def lab_command(lab):
    """`lab status | head` ends quietly; `lab up` leaves a lab that is up alone and says so."""
    me = [os.path.join(os.path.dirname(os.path.abspath(measure.__file__)), "lab"), "--dir", lab.world.folder, "--build", lab.gateway.build]
    piped = subprocess.run(["bash", "-c", '"$@" status | head -1', "bash", *me], capture_output=True, text=True, timeout=20)
    check(len(piped.stdout.splitlines()) == 1 and not piped.stderr, piped)
    before = lab.gateway.pid()
    up = subprocess.run([*me, "up"], capture_output=True, text=True, timeout=20)
    check(up.returncode == 1 and "is up already" in up.stderr, up)
    check(lab.gateway.pid() == before and lab.gateway.json("status")["uptime_s"] >= 0, "it was started anew")


@test
def bad_requests(lab):
    """Raw bytes on the socket: each gets an error in JSON or is hung up on; the next client is served."""
    for line in (b"", b"{", b"[]", b"null", b"17", b'"x"', b"{}", b'{"cmd": 5}', b'{"cmd": "nope"}', b'{"cmd": "status", "args": 7}',
                 b'{"cmd": "route get", "args": {"addr": 5, "vrf": "prod"}}', b'{"cmd": "route get", "args": {"addr": "10.0.0.1"}}',
                 b'{"cmd": "link show", "args": {"name": "' + b"y" * 3000 + b'"}}', b"\xff\xfe\0\0", b"\0" * 100,
                 b'{"cmd": "status", "cmd": "status"}}}}', b"[" * 5000, b'{"cmd": "status", "args": {"nope": 1}}'):
        answer = ask(lab, line)
        check(answer is None or answer.get("ok") is False and answer.get("error"), f"{line[:60]!r}: {str(answer)[:200]}")
    huge = ask(lab, b'{"cmd": "' + b"z" * 200000 + b'"}')
    check(huge is None or huge["ok"] is False, str(huge)[:200])
    check(ask(lab, b'{"cmd": "status"}')["ok"], "status is not answered any more")


@test
def several_requests_on_one_connection(lab):
    with raw(lab) as s:
        s.sendall(b'{"cmd": "status"}\n{"cmd": "nope"}\n{"cmd": "link show"}\n')
        data, oks = b"", []
        while len(oks) < 3:
            part = s.recv(65536)
            check(part, "the connection was closed")
            data += part
            *lines, data = data.split(b"\n")
            oks += [json.loads(x)["ok"] for x in lines if x and not json.loads(x).get("more")]
    check(oks == [True, False, True], oks)


def answers(lab, n=50):
    """(median, slowest) of n requests that need nothing but the control thread, in seconds."""
    took = []
    for _ in range(n):
        begin = time.monotonic()
        check(ask(lab, b'{"cmd": "link show"}')["ok"], "link show refused")
        took.append(time.monotonic() - begin)
    return statistics.median(took), max(took)


@test
def stalled_clients(lab):
    """Twenty clients ask for every route and read nothing: others are served at once, traffic flows.

    The median is the promise; the slowest of fifty is mostly the machine's scheduler."""
    alone, stuck = answers(lab), []
    try:
        for _ in range(20):
            s = raw(lab)
            s.sendall(b'{"cmd": "route show", "args": {"all": true}}\n' * 50)
            stuck.append(s)
        results, beside = streams(lab.world, [(A, B, 4), (B, A, 6)], lambda: answers(lab), pps=1000)
        said = " and ".join(f"median {m * 1e3:.1f} ms, slowest {w * 1e3:.1f} ms {where}"
                            for (m, w), where in ((beside, "beside them"), (alone, "alone")))
        check(beside[0] < 0.02 + 2 * alone[0] and beside[1] < 1 + 2 * alone[1], said)
        for r in results:
            check(r.lost == 0, r)
    finally:
        for s in stuck:
            s.close()
    return said


@test
def too_many_clients(lab):
    """More than it serves are refused or wait, and it recovers when they go."""
    crowd = []
    try:
        for _ in range(200):
            try:
                crowd.append(raw(lab))
            except OSError:
                break
    finally:
        for s in crowd:
            s.close()
    wait_for("status is answered again", 10, lambda: lab.gateway.try_ctl("status"))
    return f"{len(crowd)} connections"


@test
def vanishing_client(lab):
    for _ in range(50):
        s = raw(lab)
        s.sendall(b'{"cmd": "route show"}\n')
        s.recv(100)
        s.close()
    check(ask(lab, b'{"cmd": "status"}')["ok"], "status is not answered any more")


@test
def output_into_a_closed_pipe(lab):
    """`lintasctl route show | head`: no error, no hang."""
    argv = f"{lab.gateway.build}/lintasctl --socket {lab.gateway.api_socket} route show | head -3"
    done = subprocess.run(["bash", "-c", argv], capture_output=True, text=True, timeout=20)
    check(len(done.stdout.splitlines()) == 3, done.stdout)
    check("roken pipe" not in done.stderr, done.stderr)


@test
def who_may(lab):
    """The folder is 0750, the socket not for others; another user is refused, whatever they ask."""
    folder = os.stat(os.path.dirname(lab.gateway.api_socket))
    check(folder.st_mode & 0o777 == 0o750, oct(folder.st_mode))
    sock = os.stat(lab.gateway.api_socket)
    check(sock.st_mode & 0o007 == 0, oct(sock.st_mode))
    os.chmod(os.path.dirname(lab.gateway.api_socket), 0o755)  # as if somebody had opened the folder
    os.chmod(lab.gateway.api_socket, 0o666)
    try:
        code = ("import socket,sys; s=socket.socket(socket.AF_UNIX); s.settimeout(5); s.connect(sys.argv[1]);"
                "s.sendall(sys.argv[2].encode()+b'\\n'); print(s.recv(65536).decode())")
        for cmd in ("reload", "status"):
            done = subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/python3", "-c", code,
                                   lab.gateway.api_socket, json.dumps({"cmd": cmd})], capture_output=True, text=True, timeout=20)
            if done.returncode == 127:
                raise Skip("setpriv is not installed")
            check('"ok": true' not in done.stdout and '"ok":true' not in done.stdout, f"nobody may {cmd}: {done.stdout[:200]}")
    finally:
        os.chmod(lab.gateway.api_socket, sock.st_mode & 0o777)
        os.chmod(os.path.dirname(lab.gateway.api_socket), 0o750)


@test
def monitor_and_events(lab):
    """What happens shows up while it happens, and in the list afterwards."""
    child = subprocess.Popen([f"{lab.gateway.build}/lintasctl", "--socket", lab.gateway.api_socket, "monitor"],
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        os.set_blocking(child.stdout.fileno(), False)
        before = lab.gateway.json("stats")["control"]["reloads"]
        seen = b""

        def grew():
            nonlocal seen
            if lab.gateway.json("stats")["control"]["reloads"] < before + 1:
                return False
            lab.gateway.hup()
            seen += child.stdout.read() or b""
            return seen.strip()

        lab.gateway.hup()
        wait_for("monitor shows the reload", 10, grew)
    finally:
        child.terminate()
        child.wait()
    check(lab.gateway.ctl("events").stdout.strip(), "events is empty")


@test
def check_without_daemon(lab):
    """The configuration is checked by the same code, offline: 0 for a good file, 1 for a bad one."""
    argv = [f"{lab.gateway.build}/lintasctl", "check", lab.gateway.conf]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    if done.returncode and "unknown" in done.stderr:
        raise Skip("lintasctl has no `check` yet")
    check(done.returncode == 0, done.stderr or done.stdout)
    bad = lab.world.path("bad.conf")
    with open(bad, "w") as f:
        f.write(lab.gateway.settings.render(lab.world).replace("vlan = 101", "vlann = 101"))
    done = subprocess.run([*argv[:-1], bad], capture_output=True, text=True, timeout=20)
    check(done.returncode == 1 and "vlan" in done.stdout + done.stderr, done)


@test
def nothing_lost_meanwhile(lab):
    sent, got, _ = measure.ping(lab.world, A, B, 4, count=20)
    check(got == sent, f"{got} of {sent}")
    control = lab.gateway.json("stats")["control"]
    return f"{control['stalls']} callbacks over 2 ms, longest {control['longest_us']} us"


sys.exit(run())
