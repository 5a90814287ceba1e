#!/usr/bin/python3
"""IPsec with Debian's own charon: it negotiates, lintasd gets the keys through lintas-xfrm.so, packets pass the
fast path; a strongSwan that encrypts by itself is the far end. Rekeying, volume, deaths and returns of each part."""
import argparse
import os
import re
import signal
import subprocess
import sys
import time

import ike_rig
from ike_rig import wait_for
from harness import Skip, check, reason  # noqa: E402  (ike_rig has set the path)

tests = []


def test(function):
    tests.append(function)
    return function


def sas(rig):
    """{way: [SPI]} as charon has them; installed ones only."""
    out, text = {"in": [], "out": []}, rig.ours.ctl("--list-sas")
    for child in re.split(r"\n  \S+: #", text)[1:]:
        if ", INSTALLED" in child or ", REKEYED" in child:
            for way, spi in re.findall(r"\n    (in|out)\s+([0-9a-f]{8})", child):
                out[way].append(spi)
    return out


def events(rig):
    return rig.gateway.ctl("events").stdout


def held(rig):
    """SPIs the fast path has, by way, newest last."""
    out = {"in": [], "out": []}
    for sa in sorted(rig.gateway.json("ipsec", "show"), key=lambda sa: -sa.get("age_s", 0)):
        if sa["spi"]:
            out[sa["direction"]].append(sa["spi"])
    return out


def stream(rig, seconds):
    """A ping every 10 ms in the background."""
    return subprocess.Popen(rig.world.enter("client") + ["ping", "-n", "-i", "0.01", "-c", str(int(seconds * 100)), "-W", "1", "10.9.1.1"],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def lost(ping):
    out, _ = ping.communicate(timeout=60)
    m = re.search(r"(\d+) packets transmitted, (\d+) received", out)
    return int(m[1]), int(m[1]) - int(m[2])


def ready(rig):
    wait_for("the link is up and passes", 10, lambda: rig.link()["up"] and rig.ping("-c", "1", "-W", "1").returncode == 0)


@test
def no_keys_no_packet(rig):
    """Before anything is negotiated the link is down, says why, and nothing leaves in clear."""
    link = rig.link()
    check(not link["up"] and link["why"] == "no keys", link["up"], link["why"])
    got = rig.gateway.json("link", "diagnose", "vpn")
    layers = {x["layer"]: x for x in got["layers"]}
    check(layers["carrier"]["state"] == "ok", layers["carrier"])
    check(layers["sa"]["state"] == "FAIL" and "no keys" in layers["sa"]["text"], layers["sa"])
    first = got["verdict"]
    check(first["layer"] == "ike" and first["turn"] == "ours" and "lintas-charon@w" in first["todo"], first)
    text = rig.gateway.ctl("route", "get", "10.9.1.1", "vrf", "v").stdout
    check("DEAD" not in text or "no keys: none has been negotiated" in text, text)
    capture = subprocess.Popen(rig.world.enter("far") + ["tcpdump", "-lnq", "-i", "p0", "-c", "1", "net", "10.8.0.0/16"],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    check("listening" in capture.stderr.readline() + capture.stderr.readline(), "tcpdump")
    check(rig.ping().returncode != 0, "a ping passed without keys")
    capture.terminate()
    check(not capture.communicate(timeout=5)[0].strip(), "a packet left in clear")


@test
def comes_up(rig):
    rig.ours.start()
    rig.connect()
    ready(rig)
    told = sas(rig)
    check(len(told["in"]) == len(told["out"]) == 1 and held(rig) == told, told, held(rig))
    # What charon says was transferred is what the worker counted.
    before = re.search(r"out .*?(\d+) packets", rig.ours.ctl("--list-sas"))
    rig.ping("-c", "5", "-i", "0.01")
    after = re.search(r"out .*?(\d+) packets", rig.ours.ctl("--list-sas"))
    check(int(after[1]) - int(before[1]) == 5, before[1], after[1])


@test
def shown(rig):
    """`link show NAME`: the way, the MTU now, and each SA with its age and counters."""
    text = rig.gateway.ctl("link", "show", "vpn").stdout
    check("vpn: leaves by u via 198.51.100.2, MTU now " in text, text)
    check(len(re.findall(r"^  (?:in|out) +[0-9a-f]{8}  .* old, \d+ packets, ", text, re.M)) == 2, text)


@test
def rekey_under_traffic(rig):
    """New keys three times while packets pass: none is lost, old SAs are gone afterwards."""
    ping = stream(rig, 4)
    for _ in range(3):
        before = sas(rig)
        rig.ours.ctl("--rekey", "--child", "vpn")
        wait_for("other SAs", 5, lambda: len(sas(rig)["out"]) == 1 and sas(rig)["out"] != before["out"])
    sent, gone = lost(ping)
    check(gone == 0, f"{gone} of {sent} lost")
    wait_for("the old SAs are gone", 10, lambda: all(len(x) == 1 for x in held(rig).values()))
    return f"{sent} packets"


@test
def far_end_rekeys(rig):
    ping = stream(rig, 2)
    before = sas(rig)
    rig.far.ctl("--rekey", "--child", "vpn")
    wait_for("other SAs", 5, lambda: len(sas(rig)["out"]) == 1 and sas(rig)["out"] != before["out"])
    sent, gone = lost(ping)
    check(gone == 0, f"{gone} of {sent} lost")


@test
def lintasd_killed(rig):
    """It comes again, has its SAs before charon says a word, and no sequence number returns."""
    wait_for("the last rekeying is over", 15, lambda: all(len(x) == 1 for x in held(rig).values()))
    before, established = sas(rig), re.search(r"vpn: #\d+", rig.ours.ctl("--list-sas"))[0]
    rig.ping("-c", "20", "-i", "0.01")
    seq_before = sequence(rig)
    rig.gateway.kill(signal.SIGKILL)
    rig.gateway.start_daemon()
    ready(rig)
    check(sas(rig) == before and established in rig.ours.ctl("--list-sas"), "it was negotiated anew", before, sas(rig))
    check(held(rig) == before, held(rig), before)
    seq_after = sequence(rig)
    check(seq_after > seq_before, f"sequence number {seq_after} after {seq_before}: used twice")
    check(rig.ping("-c", "20", "-i", "0.01").returncode == 0, "no answer after the restart")
    # And what was kept is true: a rekeying finds SAs where charon thinks they are.
    rig.ours.ctl("--rekey", "--child", "vpn")
    wait_for("the old SAs are gone", 10, lambda: all(len(x) == 1 for x in held(rig).values()) and held(rig) != before)
    check("unable to" not in rig.ours.log(), rig.ours.log()[-800:])
    return f"from {seq_before} to {seq_after}"


def sequence(rig):
    """ESP's sequence number of a packet of ours, as it arrives."""
    capture = subprocess.Popen(rig.world.enter("far") + ["tcpdump", "-lxn", "-i", "p0", "-c", "1", "udp", "src", "port", "4500", "and",
                                                         "src", "host", ike_rig.US, "and", "udp[4:2] > 100"],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    wait_for("a packet in the capture", 10, lambda: rig.ping("-c", "1", "-W", "1") and capture.poll() is not None)
    words = "".join("".join(line.split(":", 1)[1].split()) for line in capture.stdout if line.startswith("\t0x"))
    return int(words[(20 + 8 + 4) * 2:(20 + 8 + 8) * 2], 16)


@test
def charon_killed(rig):
    """Its SAs go on; a new charon makes others, and then those of the dead one go."""
    before = held(rig)
    ping = stream(rig, 2)
    rig.ours.kill()
    sent, gone = lost(ping)
    check(gone == 0, f"{gone} of {sent} lost")
    check(held(rig) == before, held(rig), before)
    rig.ours.start()
    rig.connect()
    ready(rig)
    now = held(rig)
    check(now["out"][-1] not in before["out"], now, before)
    wait_for("the dead one's SAs are gone", 20, lambda: all(len(x) == 1 for x in held(rig).values()))


@test
def by_volume(rig):
    """The soft limit of bytes makes charon rekey: it was told by us."""
    rig.ours.ctl("--terminate", "--ike", "vpn")
    wait_for("no keys", 5, lambda: rig.link()["why"] == "no keys")
    rig.connect(ours="rekey_bytes = 20000\n  rand_bytes = 0\n  life_bytes = 2000000")
    ready(rig)
    before = sas(rig)
    rig.ping("-c", "40", "-i", "0.01", "-s", "1000")
    wait_for("other SAs, because of volume", 10, lambda: sas(rig)["out"] and sas(rig)["out"] != before["out"])
    check(rig.ping().returncode == 0)


@test
def ciphers(rig):
    for esp in ("aes128-sha256", "aes256-sha512", "aes256-sha384", "aes128-sha1", "aes128gcm16"):
        rig.ours.ctl("--terminate", "--ike", "vpn", check=False)
        wait_for("no keys", 5, lambda: rig.link()["why"] == "no keys")
        rig.connect(esp=esp)
        try:
            ready(rig)
        except Exception as e:
            raise AssertionError(f"{esp}: {e}") from None


@test
def over_ipv6(rig):
    """The same with IPv6 outside, beside the other."""
    us, far = ike_rig.US6, ike_rig.FAR6
    rig.world.run("far", "ping", "-c", "1", "-W", "2", us, check=False)
    rig.far.load(ike_rig.connection("vpn6", far, us, ts="10.10.0.0/16", remote_ts=ike_rig.OURS))
    rig.ours.load(ike_rig.connection("vpn6", us, far, if_id=ike_rig.if_id("vpn6"), ts=ike_rig.OURS, remote_ts="10.10.0.0/16"))
    rig.ours.ctl("--initiate", "--child", "vpn6")
    wait_for("a ping passes", 10, lambda: rig.world.run("client", "ping", "-n", "-c", "1", "-W", "1", "10.10.1.1", check=False).returncode == 0)
    rig.ours.ctl("--terminate", "--ike", "vpn6")
    wait_for("no keys", 5, lambda: rig.link("vpn6")["why"] == "no keys")


@test
def refused_by_name(rig):
    """A child whose if_id is no link's: charon is refused, and the reason is in the events."""
    rig.ours.ctl("--terminate", "--ike", "vpn")
    rig.far.load(ike_rig.connection("vpn", ike_rig.FAR, ike_rig.US, ts=ike_rig.THEIRS, remote_ts=ike_rig.OURS))
    rig.ours.load(ike_rig.connection("vpn", ike_rig.US, ike_rig.FAR, if_id=0x80000001, ts=ike_rig.OURS, remote_ts=ike_rig.THEIRS))
    rig.ours.ctl("--initiate", "--child", "vpn", check=False)
    wait_for("the reason", 5, lambda: "no IPsec link of this VRF has this if_id" in events(rig))
    check(held(rig) == {"in": [], "out": []}, held(rig))


def one(name, function, rig):
    begin = time.monotonic()
    try:
        said = function(rig)
    except Skip as e:
        print(f"SKIP xfrm/{name}: {e}", flush=True)
        return True
    except Exception as e:  # whatever went wrong, the next test is tried
        print(f"FAIL xfrm/{name}: {reason(e)}", flush=True)
        return False
    print(f"PASS xfrm/{name}{f'  [{said}]' if said else ''}  {time.monotonic() - begin:.1f} s", flush=True)
    return True


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--build", default=os.path.join(ike_rig.TOP, "build"))
    p.add_argument("--only", default="")
    args = p.parse_args()
    # Each leans on the ones before it.
    last = max((i for i, t in enumerate(tests) if args.only in t.__name__ or args.only in "test_xfrm"), default=-1)
    todo = tests[:last + 1]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not todo:
        return 0
    if os.geteuid():
        print("SKIP xfrm: needs root, for network namespaces: sudo make test")
        return 0
    missing = [p for p in (ike_rig.CHARON, "/usr/sbin/swanctl", "/usr/bin/tcpdump") if not os.path.exists(p)]
    if missing:
        print(f"SKIP xfrm: no {', '.join(missing)}: apt-get install strongswan-charon strongswan-swanctl libcharon-extra-plugins tcpdump")
        return 0
    rig, failed = ike_rig.Rig(args.build), 0
    try:
        rig.up()
        failed = sum(not one(t.__name__, t, rig) for t in todo)
    except Exception as e:
        print(f"FAIL xfrm: {reason(e)}")
        failed += 1
    finally:
        if failed and rig.world.holder:
            print(rig.world.log_tail("lintasd", 40).replace(" | ", "\n"))
            for charon in (getattr(rig, "ours", None), getattr(rig, "far", None)):
                if charon and os.path.exists(charon.path("log")):
                    print(f"{charon.name}:\n{charon.log()[-3000:]}")
        rig.down()
    return 1 if failed else 0


sys.exit(main())
