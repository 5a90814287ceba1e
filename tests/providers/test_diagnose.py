#!/usr/bin/python3
"""link diagnose: each layer broken in turn, for real, and diagnose must name that one and whose turn it is."""
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "netns"))
from harness import LabError, check, run, test, wait_for  # noqa: E402
import peers  # noqa: E402
import topo  # noqa: E402

LONGEST = [0.0]


def diagnose(lab, link):
    got = lab.gateway.json("link", "diagnose", link)
    LONGEST[0] = max(LONGEST[0], got["seconds"])
    check(got["seconds"] < 15, "it took", got["seconds"])
    return got


def states(got):
    return {(layer["layer"], layer["family"]): layer["state"] for layer in got["layers"]}


def first(lab, link, layer, family, turn, seconds=30):
    """Wait until the first failing layer is this one; what a fault does takes the daemons a moment. The verdict."""
    seen = {}

    def same():
        try:
            seen["got"] = diagnose(lab, link)
        except LabError as e:
            check("reloaded meanwhile" in str(e), e)  # a reload ends it; it is asked again
            return None
        verdict = seen["got"]["verdict"] or {}
        return verdict if (verdict.get("layer"), verdict.get("family")) == (layer, family) else None
    try:
        verdict = wait_for("", seconds, same)
    except Exception:
        raise AssertionError(f"{link}: expected {layer}/{family}, have {seen['got']['verdict']}; {states(seen['got'])}") from None
    check(verdict["turn"] == turn, f"turn {verdict['turn']}, expected {turn}:", verdict)
    before = [k for k in states(seen["got"])]
    for key in before[:before.index((layer, family))]:
        check(states(seen["got"])[key] != "FAIL", key, "fails before", layer)
    return verdict


def sound(lab, link, seconds=60):
    def fine():
        try:
            return diagnose(lab, link)["verdict"] is None
        except LabError as e:
            check("reloaded meanwhile" in str(e), e)  # a reload ends it; it is asked again
            return False
    return wait_for(f"{link}: nothing fails", seconds, fine)


@test
def all_fine(lab):
    sound(lab, "aws-dx1")
    got = diagnose(lab, "aws-dx1")
    for key, state in states(got).items():
        check(state == "ok" or key[0] in ("light", "probe") or (state, key[0]) in (("skipped", "ike"), ("skipped", "sa")), key, state)
    text = lab.gateway.ctl("link", "diagnose", "aws-dx1").stdout
    for word in ("nothing fails", "dxcon-fg31ab2c", "1500 passes", "VLAN 101", "AS 64512", "300x3"):
        check(word in text, f"{word!r} is not in", text)
    for link in ("gcp-vpc", "bank-ll", "inet"):
        check(diagnose(lab, link)["verdict"] is None, link, diagnose(lab, link)["verdict"])


@test
def several_ask_at_once(lab):
    """One diagnosis answers all who ask meanwhile; a link that is not there is said to be not there."""
    argv = [f"{lab.gateway.build}/lintasctl", "--socket", lab.gateway.api_socket, "--json", "link", "diagnose", "az-er"]
    children = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = [c.communicate(timeout=20)[0] for c in children]
    check(all('"layers"' in a for a in answers), answers)
    check(len(set(answers)) < 4, "each had a diagnosis of its own")
    check("no link" in lab.gateway.ctl("link", "diagnose", "nowhere", check=False).stderr, "an unknown link")


def cloud(lab, name):
    return lab.gateway.json("cloud", "show", name)[0]


@test
def clouds_on_one_screen(lab):
    """A line a cloud, and what is wrong with it: nothing now."""
    wait_for("every cloud is good", 30, lambda: all(z["state"] == "good" for z in lab.gateway.json("cloud", "show")))
    rows = {z["name"]: z for z in lab.gateway.json("cloud", "show")}
    check(set(rows) == {"aws", "azure", "gcp", "media"}, sorted(rows))
    real4, _ = topo.real_prefixes()
    aws, media = rows["aws"], rows["media"]
    check(aws["in"]["prefixes"] >= len(real4) and aws["out"]["prefixes"] >= 3, aws)
    check(aws["bgp"] == {"up": 2, "all": 2} and aws["links"] == {"up": 1, "all": 1}, aws)
    check(aws["circuits"] == ["dxcon-fg31ab2c"] and aws["capacity_bps"] == 10_000_000_000 and not aws["troubles"], aws)
    check(media["tier"] == 1 and media["tiers"] == 2 and media["links"]["all"] == 2, media)
    check(rows["gcp"]["circuits"] == ["isp-220"] and rows["gcp"]["links"]["all"] == 2, rows["gcp"])
    partner = lab.gateway.json("partner", "show")
    check([z["name"] for z in partner] == ["bank"] and partner[0]["noc"] == "LL-0417" and partner[0]["state"] == "good", partner)
    text = lab.gateway.ctl("cloud", "show").stdout
    check("dxcon-fg31ab2c" in text and "1/2" in text and "bank" not in text, text)
    check("no cloud" in lab.gateway.ctl("cloud", "show", "mars", check=False).stderr, "an unknown cloud")


@test
def cloud_rate(lab):
    """What flows now is measured when it is asked for."""
    ping = lab.world.spawn("flood", "cloud-a", ["ping", "-q", "-i", "0.002", "-s", "1000", "-w", "8", "-I", "10.40.0.10", "10.60.0.10"])
    try:
        aws = wait_for("a megabit from aws", 10, lambda: (z := cloud(lab, "aws"))["rx_bps"] > 1e6 and z)
    finally:
        ping.terminate()
        ping.wait(10)
    check(aws["tx_bps"] > 1e6 and aws["rx_bps"] < 3e7, aws["rx_bps"], aws["tx_bps"])
    return f"{aws['rx_bps'] / 1e6:.1f} Mbit/s"


@test
def carrier_cut(lab):
    topo.cut(lab.world, "cloud-a")
    try:
        verdict = first(lab, "aws-dx1", "carrier", None, "colo")
        aws = wait_for("aws is down", 15, lambda: (z := cloud(lab, "aws"))["state"] == "DOWN" and z)
        check(any("no carrier" in t for t in aws["troubles"]) and aws["links"]["up"] == 0, aws)
    finally:
        topo.cut(lab.world, "cloud-a", on=False)
    check("dxcon-fg31ab2c" in verdict["todo"] and "colo0" in verdict["todo"], verdict)


@test
def silent(lab):
    """The light stays and not one frame arrives: the tag's layer fails, not the addresses above it; probes say so too."""
    wait_for("sessions are up", 40, lambda: lab.gateway.bgp_up(["169.254.10.1", "2001:db8:f:10::1"]))
    topo.silence(lab.world, "cloud-a")
    try:
        verdict = first(lab, "aws-dx1", "tag", None, "provider")
    finally:
        topo.silence(lab.world, "cloud-a", on=False)
    check("no frame arrived for" in verdict["text"] and " 0 sent" not in verdict["text"] and "VLAN 101" in verdict["text"], verdict)
    check("dxcon-fg31ab2c" in verdict["todo"] and "lintas.conf:" in verdict["todo"], verdict)
    return verdict["text"]


@test
def probes_are_a_layer(lab):
    """cloud-d is probed: good at first, and grey when frames are lost that nothing below sees."""
    def answered():
        have = states(diagnose(lab, "md-dx1"))
        return all(have.get(("probe", f)) == "ok" for f in ("ipv4", "ipv6"))
    wait_for("probes answer", 40, answered)
    topo.lose(lab.world, "md1", 10)
    try:
        verdict = first(lab, "md-dx1", "probe", "ipv4", "provider", 60)
    finally:
        topo.lose(lab.world, "md1", 10, on=False)
    check("grey" in verdict["text"] and "loss" in verdict["text"], verdict)
    return verdict["text"]


@test
def wrong_vlan(lab):
    """cloud-c sends with another inner VLAN: the tag that came is named."""
    right = next(a for a in topo.ATTACHMENTS if a.dev == "er")
    wrong = topo.Attachment("cloud-c", "er", 41, right.address, right.stag)
    tc = ("tc", "filter", "replace", "dev", "erw", "ingress", "prio", str(right.vlan + 100), "handle", "1", "protocol", "all",
          "bpf", "direct-action", "object-file")
    obj = topo.compile_tag(lab.world, wrong, name="tag-wrong.o")
    good = topo.compile_tag(lab.world, right)
    lab.world.run("cloud-c", *tc, obj, "section", "push")
    try:
        verdict = first(lab, "az-er", "tag", None, "provider")
    finally:
        lab.world.run("cloud-c", *tc, good, "section", "push")
    check("300.41" in verdict["text"] and "300.40" in verdict["todo"] and "lintas.conf:" in verdict["todo"], verdict)


@test
def peer_address_wrong(lab):
    lab.world.ip("cloud-a", "addr del 169.254.10.1/30 dev dx1")
    try:
        verdict = first(lab, "aws-dx1", "arp", "ipv4", "provider")
    finally:
        lab.world.ip("cloud-a", "addr add 169.254.10.1/30 dev dx1")
    check("169.254.10.1" in verdict["text"] and "169.254.10.2" in verdict["todo"], verdict)


@test
def peer_address_wrong_ipv6(lab):
    wait_for("the IPv4 session is back", 40, lambda: lab.gateway.bgp_up(["169.254.10.1"]))
    lab.world.ip("cloud-a", "addr del 2001:db8:f:10::1/125 dev dx1")
    try:
        first(lab, "aws-dx1", "nd", "ipv6", "provider")
    finally:
        lab.world.ip("cloud-a", "addr add 2001:db8:f:10::1/125 dev dx1 nodad")


@test
def duplicate_address(lab):
    """Another machine on the wire has the peer's address: both MAC addresses are named."""
    lab.world.ip("cloud-a", f"link add twin link dx1 address {topo.mac('twin')} type macvlan mode bridge\n"
                            "link set twin up\naddr add 169.254.10.1/30 dev twin")
    try:
        verdict = first(lab, "aws-dx1", "arp", "ipv4", "provider")
        check(topo.mac("twin") in verdict["text"], verdict)
    finally:
        lab.world.ip("cloud-a", "link del twin")


@test
def small_mtu(lab):
    """The peer takes no more than 1400 bytes: found to the byte, and the layers above are looked at all the same."""
    wait_for("sessions are up", 40, lambda: lab.gateway.bgp_up(["169.254.10.1", "2001:db8:f:10::1"]))
    lab.world.ip("cloud-a", "link set dx1 mtu 1400")
    try:
        verdict = first(lab, "aws-dx1", "mtu", "ipv4", "provider")
        after = states(diagnose(lab, "aws-dx1"))
    finally:
        lab.world.ip("cloud-a", "link set dx1 mtu 1500")
    largest = int(verdict["text"].split("FAIL, ")[1].split()[0])
    check(1400 <= largest <= 1404 and verdict["text"].startswith("1500 FAIL"), verdict)
    check(after["tcp179", "ipv4"] == "ok" and after["bgp", "ipv4"] == "ok", after)
    return verdict["text"]


@test
def md5_key_wrong(lab):
    conf = ["configure terminal", f"router bgp {peers.A_AS}"]
    peers.vtysh(lab.world, "cloud-a", *conf, "neighbor 169.254.10.2 password wrong")
    peers.vtysh(lab.world, "cloud-a", "clear bgp 169.254.10.2")
    try:
        verdict = first(lab, "aws-dx1", "md5", "ipv4", "ours")
        check('"dx1"' in verdict["todo"] and "lintas.conf:" in verdict["todo"], verdict)
        peers.vtysh(lab.world, "cloud-a", *conf, "no neighbor 169.254.10.2 password")
        peers.vtysh(lab.world, "cloud-a", "clear bgp 169.254.10.2")
        first(lab, "aws-dx1", "md5", "ipv4", "provider")
    finally:
        peers.vtysh(lab.world, "cloud-a", *conf, f"neighbor 169.254.10.2 password {peers.KEYS['dx1']}")
    for key in peers.KEYS.values():
        check(key not in str(verdict), "a key is shown")
    return verdict["text"]


@test
def bgpd_stopped(lab):
    """Nobody listens on port 179."""
    child = lab.world.children["cloud-b-bgpd"]
    child.send_signal(signal.SIGTERM)
    child.wait(20)
    try:
        verdict = first(lab, "gcp-vpc", "tcp179", "ipv4", "provider")
    finally:
        peers.run_daemon(lab.world, "cloud-b", "cloud-b", "bgpd")
    check("refused" in verdict["text"], verdict)


@test
def as_number_wrong(lab):
    conf = ["configure terminal", f"router bgp {peers.C_AS}"]
    wait_for("cloud-c is back", 60, lambda: lab.gateway.bgp_up(["169.254.20.2", "2001:db8:f:20::2"]))
    peers.vtysh(lab.world, "cloud-c", *conf, "neighbor 169.254.20.1 local-as 64999 no-prepend replace-as")
    try:
        verdict = first(lab, "az-er", "bgp", "ipv4", "provider")
        verdict = wait_for("the notification is known", 20, lambda: "2/2" in (v := first(lab, "az-er", "bgp", "ipv4", "provider"))["text"] and v)
    finally:
        peers.vtysh(lab.world, "cloud-c", *conf, "no neighbor 169.254.20.1 local-as")
    check("wrong AS number" in verdict["text"] and str(peers.C_AS) in verdict["todo"] and str(peers.GATEWAY_AS) in verdict["todo"], verdict)
    return verdict["text"]


@test
def bfd_disabled(lab):
    conf = ["configure terminal", f"router bgp {peers.C_AS}"]
    wait_for("cloud-c is back", 60, lambda: lab.gateway.bgp_up(["169.254.20.2", "2001:db8:f:20::2"]))
    peers.vtysh(lab.world, "cloud-c", *conf, "no neighbor 169.254.20.1 bfd")
    try:
        verdict = first(lab, "az-er", "bfd", "ipv4", "provider", 45)
    finally:
        peers.vtysh(lab.world, "cloud-c", *conf, "neighbor 169.254.20.1 bfd profile lab")
    check("300" in verdict["todo"], verdict)
    return verdict["text"]


@test
def filtered_at_the_peer(lab):
    conf = ["configure terminal", f"router bgp {peers.C_AS}", "address-family ipv4 unicast"]
    wait_for("cloud-c is back", 60, lambda: lab.gateway.bgp_up(["169.254.20.2", "2001:db8:f:20::2"]))
    peers.vtysh(lab.world, "cloud-c", "configure terminal", "ip prefix-list NONE deny any")
    peers.vtysh(lab.world, "cloud-c", *conf, "neighbor 169.254.20.1 prefix-list NONE out")
    peers.vtysh(lab.world, "cloud-c", "clear bgp ipv4 unicast 169.254.20.1 soft out")
    try:
        verdict = first(lab, "az-er", "prefixes", "ipv4", "provider")
    finally:
        peers.vtysh(lab.world, "cloud-c", *conf, "no neighbor 169.254.20.1 prefix-list NONE out")
        peers.vtysh(lab.world, "cloud-c", "clear bgp ipv4 unicast 169.254.20.1 soft out")
    return verdict["text"]


@test
def filtered_by_ourselves(lab):
    """The same from the other side: they announce, our accept list refuses."""
    good = lab.gateway.settings.render(lab.world)
    at = good.index("az-er    =")
    bad = good[:at] + good[at:].replace('accept = [ "0.0.0.0/0 ge 8 le 24", "::/0 ge 16 le 56" ]', 'accept = [ "192.0.2.0/24", "::/0 ge 16 le 56" ]', 1)
    check(bad != good, "the configuration has no such list any more")
    lab.gateway.write(bad)
    lab.gateway.hup()
    try:
        verdict = first(lab, "az-er", "prefixes", "ipv4", "ours", 45)
    finally:
        lab.gateway.write(good)
        lab.gateway.hup()
    check("accept" in verdict["todo"] and "lintas.conf:" in verdict["todo"], verdict)
    return verdict["todo"][:60]


@test
def shut_by_ourselves(lab):
    lab.gateway.settings.shut.add("bank-ll")
    lab.gateway.write()
    lab.gateway.hup()
    try:
        verdict = first(lab, "bank-ll", "link", None, "ours")
        bank = lab.gateway.json("partner", "show", "bank")[0]
        check(bank["state"] == "DOWN" and "shut" in bank["troubles"][0], bank)
    finally:
        lab.gateway.settings.shut.remove("bank-ll")
        lab.gateway.write()
        lab.gateway.hup()
    check("bank-ll" in verdict["todo"] and "lintas.conf:" in verdict["todo"], verdict)


@test
def all_fine_again(lab):
    begin = time.monotonic()
    for link in ("aws-dx1", "az-er", "gcp-vpc", "bank-ll"):
        sound(lab, link)
    return f"after {time.monotonic() - begin:.1f} s; the longest diagnosis took {LONGEST[0]:.1f} s"


sys.exit(run())
