#!/usr/bin/python3
"""Static SAs against the Linux kernel of a guest: both families inside, either outside, AES-GCM and AES-CBC.

The kernel has a replay window: what lintasd sends after kill -9 is heard only if its numbers went on."""
import argparse
import os
import signal
import sys

import guest_rig
from guest_rig import GUEST4, GUEST6, US4, US6, guest, wait_for
from harness import Skip, check, reason  # noqa: E402  (guest_rig has set the path)

KEYS = {"g-in": "11" * 36, "g-out": "22" * 36, "c-in": "33" * 16 + "44" * 32, "c-out": "55" * 16 + "66" * 32, "g-new": "77" * 36}
# name, algorithm, ends, files of keys
LINKS = [("gcm", "aes256gcm16", US4, GUEST4, "g-in", "g-out"), ("cbc", "aes128-sha256", US6, GUEST6, "c-in", "c-out")]


class Ends(guest_rig.Ends):
    out = {name: out for name, _, _, _, _, out in LINKS}

    def prepare(self):
        os.makedirs(self.world.path("keys"), mode=0o700, exist_ok=True)
        for name, text in KEYS.items():
            with open(self.world.path("keys", name), "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as f:
                f.write(text + "\n")
        super().prepare()

    def daemon_argv(self):
        return super().daemon_argv() + ["--state", self.world.path("state")]

    def text(self):
        text = super().text()
        head = text[:text.index("links = {")].replace("gateway =", f'defaults = {{ keys = "{self.world.path("keys")}"; }};\ngateway =')
        links = "".join(
            f'  {name} = {{ underlay = "u"; vrf = "v"; cloud = "b"; address = [ "169.254.{k}.1/30", "fd00:{k}::1/126" ];\n'
            f'    encap = {{ type = "ipsec"; remote = "{remote}"; }};\n'
            f'    ipsec = {{ sas = {{ algorithm = "{algorithm}"; in = {{ spi = {4096 + k}; key = "{key}"; }};\n'
            f'      out = {{ spi = {8192 + k}; key = "{self.out[name]}"; }}; }}; }};\n'
            f'    static = {{ prefixes = [ "10.9.{k}.0/24", "2001:db8:9:{k}::/64" ]; via = [ "169.254.{k}.2", "fd00:{k}::2" ]; }}; }};\n'
            for k, (name, algorithm, _, remote, key, _) in enumerate(LINKS, 1))
        return head + f"""links = {{
  src = {{ circuit = "ca"; vrf = "v"; cloud = "a"; address = [ "10.8.0.1/16", "2001:db8:8::1/48" ]; }};
  u = {{ circuit = "cu"; vrf = "w"; address = [ "{US4}/24", "{US6}/64" ]; }};
{links}}};
"""


def algorithms(name, key):
    hex_ = KEYS[key]
    return f"aead 'rfc4106(gcm(aes))' 0x{hex_} 128" if name == "gcm" else f"enc 'cbc(aes)' 0x{hex_[:32]} auth-trunc 'hmac(sha256)' 0x{hex_[32:]} 128"


class Rig(guest_rig.Rig):
    def __init__(self, build):
        super().__init__(build)
        self.gateway = Ends(self.world, build)

    def ends(self):
        run = self.guest.run
        run("echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad; ip link set eth0 up")
        run(f"ip addr add {GUEST4}/24 dev eth0; ip2 addr add {GUEST6}/64 dev eth0 nodad; sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0")
        for k, (name, _, us, far, key_in, key_out) in enumerate(LINKS, 1):
            mark = f"reqid {k} mode tunnel"
            run(f"ip2 xfrm state add src {us} dst {far} proto esp spi {8192 + k} {mark} {algorithms(name, key_out)} replay-window 32 if_id {k} flag af-unspec")
            run(f"ip2 xfrm state add src {far} dst {us} proto esp spi {4096 + k} {mark} {algorithms(name, key_in)} if_id {k} flag af-unspec")
            for any_ in ("0.0.0.0/0", "::/0"):
                for way, src, dst in (("out", far, us), ("in", us, far), ("fwd", us, far)):
                    run(f"ip2 xfrm policy add src {any_} dst {any_} dir {way} tmpl src {src} dst {dst} proto esp {mark} if_id {k}")
            run(f"ip2 link add {name} type xfrm dev eth0 if_id {k}; ip2 link set {name} up mtu 1400; ip2 addr add 169.254.{k}.2/30 dev {name}; "
                f"ip2 addr add fd00:{k}::2/126 dev {name} nodad; ip2 addr add 10.9.{k}.1/32 dev lo; ip2 addr add 2001:db8:9:{k}::1/128 dev lo nodad; "
                f"ip2 route add 10.8.0.0/16 via 169.254.{k}.1 dev {name} metric {k} ; ip2 route add 2001:db8:8:{k}::/64 via fd00:{k}::1 dev {name}; "
                f"ip2 route add 10.8.{k}.0/24 via 169.254.{k}.1 dev {name}")


def pings(rig, of=LINKS):
    w, bad = rig.world, []
    for k, link in enumerate(LINKS, 1):
        for source, target in ((f"10.8.{k}.9", f"10.9.{k}.1"), (f"2001:db8:8:{k}::9", f"2001:db8:9:{k}::1")):
            out = w.run("peer", "ping", "-n", "-c", "2", "-i", "0.2", "-W", "1", "-I", source, target, check=False)
            if link in of and out.returncode:
                bad.append(f"{link[0]} {target}")
    return bad


def is_up(rig, name):
    return {x["name"]: x["up"] for x in rig.gateway.json("link", "show")}[name]


def leases(rig):
    """{link: highest number on the disk}"""
    found = {}
    for name in os.listdir(rig.world.path("state")):
        with open(rig.world.path("state", name)) as f:
            found[name.split("-")[0]] = max(found.get(name.split("-")[0], 0), int(f.read().split()[1]))
    return found


def resolve(rig):
    wait_for("the underlay is resolved", 10, lambda: [
        rig.world.run("w", "ping", "-c", "1", "-W", "1", a, check=False).returncode for a in (GUEST4, GUEST6)] == [0, 0])
    wait_for("both links are up", 10, lambda: all(is_up(rig, link[0]) for link in LINKS))


def both_ways(rig):
    resolve(rig)
    bad = pings(rig)
    check(not bad, bad)
    for k in (1, 2):
        out = rig.guest.run(f"ping -c 2 -W 1 169.254.{k}.1 && ping -c 2 -W 1 fd00:{k}::1")
        check("0% packet loss" in out, out)
    check(os.stat(rig.world.path("state")).st_mode & 0o777 == 0o700)


def killed(rig):
    """kill -9: numbers go on beyond the lease, and the kernel's replay window hears what follows."""
    resolve(rig)
    for k in (1, 2):  # more than is sent until the check below: else a number that returns is not seen
        rig.world.run("peer", "ping", "-n", "-c", "60", "-i", "0.01", "-W", "1", "-I", f"10.8.{k}.9", f"10.9.{k}.1")
    before = leases(rig)
    rig.gateway.kill(signal.SIGKILL)
    rig.gateway.start_daemon()
    resolve(rig)
    after = leases(rig)
    check(all(after[name] >= before[name] + (1 << 22) for name in before), before, after)
    bad = pings(rig)
    check(not bad, bad, rig.guest.run("cat /proc/net/xfrm_stat | grep -v '\\t0$'; true"))


def reload_leaves_the_others(rig):
    """A key changes: that link begins anew, the other is not touched."""
    before = leases(rig)
    Ends.out = {**Ends.out, "gcm": "g-new"}
    rig.guest.run("ip2 xfrm state delete src %s dst %s proto esp spi 8193" % (US4, GUEST4))
    rig.guest.run(f"ip2 xfrm state add src {US4} dst {GUEST4} proto esp spi 8193 reqid 1 mode tunnel {algorithms('gcm', 'g-new')} replay-window 32 if_id 1 flag af-unspec")
    rig.gateway.write(rig.gateway.text())
    rig.gateway.ctl("reload")
    wait_for("the new key works", 10, lambda: not pings(rig))
    check(leases(rig)["cbc"] == before["cbc"], before, leases(rig))


def without_a_folder(rig):
    """No folder, no keys; it says so, and comes up when there is one."""
    state = rig.world.path("state")
    rig.gateway.kill(signal.SIGKILL)
    os.rename(state, state + ".kept")
    with open(state, "w"):
        pass
    rig.gateway.start_daemon()
    wait_for("it says why", 10, lambda: "install -d -m 0700" in rig.gateway.ctl("events", "gcm").stdout)
    check(not is_up(rig, "gcm") and len(pings(rig)) == 4)
    os.unlink(state)
    os.rename(state + ".kept", state)
    wait_for("the links come up by themselves", 15, lambda: is_up(rig, "gcm") and is_up(rig, "cbc"))
    wait_for("and carry", 5, lambda: not pings(rig))


def one(function, rig):
    try:
        function(rig)
    except Skip as e:
        print(f"SKIP static/{function.__name__}: {e}", flush=True)
    except Exception as e:  # whatever went wrong, the next test is tried
        print(f"FAIL static/{function.__name__}: {reason(e)}", flush=True)
        return 1
    else:
        print(f"PASS static/{function.__name__}", flush=True)
    return 0


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", default=os.path.join(guest_rig.TOP, "build"))
    p.add_argument("--only", default="")
    args = p.parse_args()
    tests = (both_ways, killed, reload_leaves_the_others, without_a_folder)
    todo = [t for t in tests if args.only in t.__name__ or args.only in "test_static"]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if os.geteuid():
        print("SKIP static: needs root, for network namespaces: sudo make test")
        return 0
    if not todo:
        return 0
    failed, rig = 0, None
    try:
        guest.prepare(args.build)
        rig = Rig(args.build)
        rig.up()
        failed = sum(one(t, rig) for t in todo)
    except guest.Missing as e:
        print(f"SKIP static: {e}", flush=True)
    except Exception as e:
        print(f"FAIL static/up: {reason(e)}", flush=True)
        failed += 1
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if rig:
            if failed:
                print("--- lintasd:", rig.world.log_tail("lintasd", 20))
            rig.down()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
