"""ESP in tunnel mode, in and out, against scapy's ciphers and its SecurityAssociation: RFC 4303, 4106, 3602, 3948; P58."""
from scapy.all import ICMP, IP, TCP, UDP, Ether, ICMPv6PacketTooBig, IPv6, Raw
from scapy.layers.ipsec import ESP, SecurityAssociation

from esp_peer import ALGORITHMS, IN, MARKER, OUT, Sa, esp, sealed
from tunnels import LOCAL, REMOTE, packets, world_links
from world import equal, tx


def some(back=False, **over):
    return packets(tail=MARKER, back=back, **over)


def row_gcm_both_ways(world):
    """AES-256-GCM, in and out, as scapy's SecurityAssociation itself makes and opens it."""
    with esp(world) as t:
        (p4, p6) = some()
        far = SecurityAssociation(ESP, spi=t.theirs.spi, crypt_algo="AES-GCM", crypt_key=t.theirs.key, tunnel_header=IP(src=REMOTE[4], dst=LOCAL[4]))
        for p in (p4, p6):
            t.arrives(p, frames=[world.eth("u", 0x0800) / far.encrypt(p)])
        near = SecurityAssociation(ESP, spi=t.ours.spi, crypt_algo="AES-GCM", crypt_key=t.ours.key, tunnel_header=IP(src=LOCAL[4], dst=REMOTE[4]))
        for p in some(back=True):
            answer = world.send("a", world.eth("a", 0x86DD if isinstance(p, IPv6) else 0x0800) / p)
            (port, data), = tx(answer)
            equal(bytes(near.decrypt(IP(data[14:]))), world.forwarded(p, "b")[14:], "what scapy opens")
            sealed(answer)


def row_algorithms(world):
    """Every cipher with every authentication, both ways, both families inside, over IPv4 and IPv6 by turns."""
    for i, alg in enumerate(ALGORITHMS):
        with esp(world, alg, v6=i % 2 == 1) as t:
            t.arrives(*some())
            t.leaves_as_routed(*some(back=True))
            info = t.info(IN)
            equal((info["packets"], info["bytes"], info["seq"], info["used"]), (2, sum(map(len, some())), 2, True), f"{alg}: what came in")
            equal(t.info(OUT)["packets"], 2, f"{alg}: what left")


def row_lengths(world):
    """Every length modulo a block, so every length of padding; more than a vector of them."""
    for alg in ("gcm128", "cbc128-sha256", "null-sha256"):
        with esp(world, alg) as t:
            ps = [IP(src="10.66.1.1", dst="10.1.1.1", id=i) / UDP(sport=7, dport=8) / (MARKER + bytes(i)) for i in range(80)]
            t.arrives(*ps)
            t.leaves_as_routed(*[IP(src="10.1.1.1", dst="10.66.1.1", id=i) / UDP(sport=7, dport=8) / (MARKER + bytes(i)) for i in range(80)])


def row_full_size(world):
    """As large as the link allows, into and out of a buffer's last octets."""
    for alg in ("gcm256", "cbc256-sha512"):
        with esp(world, alg, v6=True) as t:
            t.arrives(IP(src="10.66.1.1", dst="10.1.1.1") / Raw(bytes(1380)))
            t.leaves_as_routed(IP(src="10.1.1.1", dst="10.66.1.1") / Raw(bytes(1380)))


def row_nat_t(world):
    """RFC 3948: in UDP, both families outside; what stands behind the datagram is not ours."""
    for v6 in (False, True):
        for alg in ("gcm256", "cbc256-sha256"):
            with esp(world, alg, v6=v6, natt=True) as t:
                t.arrives(*some())
                t.leaves_as_routed(*some(back=True))
                p = some()[0]
                t.seq += 1
                body = t.theirs.seal(p, t.seq)
                t.arrives(p, frames=[t.carry(body + b"trailing", udp_len=8 + len(body))])


def row_nat_t_checksum(world):
    """UDP over IPv6 with `checksum`: a right one (RFC 8200 8.1)."""
    with esp(world, natt=True, v6=True, checksum=True) as t:
        p = some(back=True)[1]
        (_, data), = tx(world.send("a", world.eth("a", 0x86DD) / p))
        again = IPv6(data[14:])
        del again[UDP].chksum
        equal(bytes(again)[46:48], data[14 + 46:14 + 48], "checksum")


def row_nat_t_mixed(world):
    """An SA in UDP does not take plain ESP, nor the other way round."""
    with esp(world, natt=True) as t:
        t.bad(t.carry(t.theirs.seal(some()[0], 1), natt=False), "esp_spi")
    with esp(world) as t:
        t.bad(t.carry(t.theirs.seal(some()[0], 1), natt=True), "esp_spi")


def row_ike(world):
    """IKE is the kernel's: port 500, port 4500 with zero SPI, keepalives; with and without an IPsec link; in pieces too."""
    def check(up):  # frames that go up when it comes in two pieces: between the ends of a tunnel it is put together
        for dport, payload in ((500, b"\0" * 28), (4500, b"\0" * 32), (4500, b"\xff")):
            f = world.eth("u", 0x0800) / IP(src=REMOTE[4], dst=LOCAL[4]) / UDP(sport=4500, dport=dport) / Raw(payload)
            answer = world.send("u", f)
            equal((answer["drops"], list(answer["classes"]), bytes.fromhex(answer["punt"][0]["hex"])), ({}, ["ike"], bytes(f)), "IKE")
        first = world.eth("u", 0x0800) / IP(src=REMOTE[4], dst=LOCAL[4], flags="MF", proto=17) / Raw(bytes(UDP(sport=4500, dport=4500, len=100)) + bytes(32))
        later = world.eth("u", 0x0800) / IP(src=REMOTE[4], dst=LOCAL[4], frag=5, proto=17) / Raw(bytes(52))
        answer = world.send("u", first, later)
        equal((answer["drops"], len(answer["punt"])), ({}, up), "IKE in pieces")
    check(2)
    with esp(world, natt=True):
        check(1)
    with esp(world):
        check(1)


def row_not_ours(world):
    """ESP to an address where no IPsec link ends is the kernel's."""
    f = world.eth("a", 0x0800) / IP(src="10.1.1.1", dst="10.1.0.1", proto=50) / Raw(bytes(64))
    equal(len(world.send("a", f)["punt"]), 1, "punted without an IPsec link")
    with esp(world):
        equal(len(world.send("a", f)["punt"]), 1, "punted with one elsewhere")


def row_spi(world):
    """P58: unknown SPI; reserved ones, 0 to 255, cannot even be set."""
    with esp(world) as t:
        for spi in (0, 1, 255, t.theirs.spi + 7):
            t.bad(t.carry(spi.to_bytes(4, "big") + t.theirs.seal(some()[0], 1)[4:]), "esp_spi")
        t.bad(world.eth("u", 0x0800) / IP(src=REMOTE[4], dst="198.51.100.1", proto=50) / Raw(t.ours.seal(some()[0], 1)), "esp_spi")
        for spi in (0, 255):
            answer = world.run("sa_set", may_fail=True, sa=50, link=t.t.id, inbound=True, **t.theirs.conf() | {"spi": spi})
            equal((answer["ok"], answer.get("errno")), (False, "EINVAL"), f"SPI {spi}")


def row_cut(world):
    """P58: cut anywhere: no answer, no leak, one name."""
    for alg in ("gcm128", "cbc128-sha1", "null-sha256"):
        with esp(world, alg) as t:
            whole = t.theirs.seal(some()[0], 1)
            for n in list(range(0, 60)) + [len(whole) - 1, len(whole) - 4, len(whole) - 16]:
                answer = t.send(t.carry(whole[:n]))
                equal((sum(answer["drops"].values()), answer["tx"], answer["punt"]), (1, [], []), f"{alg} cut at {n}")
                equal(set(answer["drops"]) <= {"esp_short", "esp_icv"}, True, f"{alg} cut at {n}: {answer['drops']}")
            t.arrives(some()[0])  # and none of them has moved the window
    with esp(world, natt=True) as t:
        whole = t.theirs.seal(some()[0], 1)
        for n in range(4, 12):
            t.bad(t.carry(whole[:n]), "esp_short")
        t.bad(t.carry(whole, udp_len=len(whole) + 9), "esp_short")
        t.bad(t.carry(whole, udp_len=7), "esp_short")


def row_icv(world):
    """P58: a changed octet anywhere behind the SPI; the window does not move for it."""
    for alg in ("gcm256", "cbc256-sha256", "cbc128-sha1", "null-sha256"):
        for esn in (False, True):
            with esp(world, alg, esn=esn) as t:
                good = t.theirs.seal(some()[0], 1)
                for at in (7, 8, 15, 20, len(good) - 17, len(good) - 1):
                    bad = bytearray(good)
                    bad[at] ^= 0x10
                    t.bad(t.carry(bytes(bad)), "esp_icv")
                equal(t.info(IN)["bad_icv"], 6, "counted")
                t.arrives(some()[0])


def row_trailer(world):
    """P58: pad longer than the packet, padding that is not 1, 2, 3; neither IPv4 nor IPv6; dummy packets."""
    for alg in ("gcm128", "cbc128-sha256"):
        with esp(world, alg) as t:
            p = IP(src="10.66.1.1", dst="10.1.1.1") / UDP(sport=7, dport=8) / Raw(bytes(16))
            n = -(len(p) + 2) % t.theirs.block
            t.bad(t.frame(p, padlen=255), "esp_pad")
            t.bad(t.frame(p, padlen=len(p) + n + 1), "esp_pad")
            t.bad(t.frame(p, padding=b"\x05" * n), "esp_pad")
            for nh in (0, 17, 50, 255):
                t.bad(t.frame(p, nh=nh), "esp_next")
            t.bad(t.frame(p, nh=59), "esp_dummy")
            t.bad(t.frame(p, nh=41), "ip6_version")
            t.bad(t.frame(b"", nh=4), "ip4_short")
            equal(t.info(IN)["bad_pad"], 3, "counted")
            t.arrives(p)


def row_replay(world):
    """RFC 4303 3.4.3: the window's edges, for its least and its largest size."""
    for size in (64, 100, 1024, 4096):
        with esp(world, replay=size) as t:
            p = some()[0]
            t.bad(t.frame(p, seq=0), "esp_replay")
            top = 3 * 2 ** (size + 63).bit_length() + 8  # top - 7 has the place that 1 had in the ring
            t.arrives(p, frames=[t.frame(p, seq=1)])
            t.arrives(p, frames=[t.frame(p, seq=top)])
            t.bad(t.frame(p, seq=top), "esp_replay")
            t.bad(t.frame(p, seq=1), "esp_replay")
            t.bad(t.frame(p, seq=top - size), "esp_replay")
            for seq in {top - size + 1, top - 1, top - 7, top - 62}:
                t.arrives(p, frames=[t.frame(p, seq=seq)])
                t.bad(t.frame(p, seq=seq), "esp_replay")
            t.arrives(p, frames=[t.frame(p, seq=top + size // 2)])
            t.bad(t.frame(p, seq=top), "esp_replay")
            t.bad(t.frame(p, seq=top - size // 2), "esp_replay")
            t.arrives(p, frames=[t.frame(p, seq=top - size // 2 + 2)])
            equal(t.info(IN)["seq"], top + size // 2, "top")


def row_replay_vector(world):
    """The same packet twice in one vector: once."""
    with esp(world) as t:
        p = some()[0]
        f = t.frame(p)
        answer = t.send(f, f, f)
        equal((answer["drops"], len(answer["tx"])), ({"esp_replay": 2}, 1), "three times the same")
        equal(t.info(IN)["replayed"], 2, "counted")


def row_no_replay(world):
    """Window 0: nothing is checked."""
    with esp(world, replay=0) as t:
        p = some()[0]
        f = t.frame(p)
        equal(len(t.send(f, f, f)["tx"]), 3, "three times the same")


def row_esn(world):
    """RFC 4303 A2: 64 bits of sequence number, both ways, across 2^32; what is behind the window belongs to the next turn."""
    for alg in ("gcm256", "cbc128-sha256", "cbc256-sha512"):
        with esp(world, alg, esn=True, seq=(1 << 32) - 3) as t:
            t.arrives(*[some()[0]] * 6)
            equal(t.info(IN)["seq"], (1 << 32) + 3, "top")
            t.leaves_as_routed(*[some(back=True)[0]] * 6)
            equal(t.info(OUT)["seq"], (1 << 32) + 3, "last sent")
            t.bad(t.frame(some()[0], seq=(1 << 32) - 2), "esp_replay")
            t.bad(t.frame(some()[0], seq=5), "esp_icv")  # 5 of this turn, sealed as 5 of the turn before
            t.arrives(some()[0], frames=[t.frame(some()[0], seq=(1 << 32) + 5)])
        with esp(world, alg, esn=True, seq=(7 << 32) + 9) as t:
            t.arrives(*some())
            t.arrives(some()[0], frames=[t.frame(some()[0], seq=(7 << 32) + 1000000)])


def row_sequence_ends(world):
    """RFC 4303 3.3.3: a sequence number is never used twice: the SA ends, and says so in time."""
    with esp(world, seq=0xFFFFFFFF - 2) as t:
        (_, answer) = t.leaves(*[some(back=True)[0]] * 2)
        equal(({"kind": "sa", "sa": OUT} in answer["events"], t.info(OUT)["state"]), (True, "hard"), "told, and its state")
        answer = world.send("a", world.eth("a", 0x0800) / some(back=True)[0])
        equal((answer["drops"], answer["tx"], t.info(OUT)["wrapped"], t.info(OUT)["seq"]), ({"esp_seq": 1}, [], 1, 0xFFFFFFFF), "after the last")
    with esp(world, seq=0xE0000000) as t:
        (_, answer) = t.leaves(some(back=True)[0])
        equal(({"kind": "sa", "sa": OUT} in answer["events"], t.info(OUT)["state"]), (True, "soft"), "an eighth is left")


def row_limits(world):
    """RFC 4301 4.4.2.1: soft limits are told, at hard ones nothing goes any more; limits can be replaced."""
    with esp(world) as t:
        p = some(back=True)[0]
        t.set(OUT, t.ours, soft_packets=2, hard_packets=3)
        equal(t.info(OUT)["state"], "live", "fresh")
        (_, answer) = t.leaves(p)
        equal(answer["events"], [], "nothing to tell")
        (_, answer) = t.leaves(p)
        equal((answer["events"], t.info(OUT)["state"]), ([{"kind": "sa", "sa": OUT}], "soft"), "soft")
        (_, answer) = t.leaves(p)
        equal((answer["events"], t.info(OUT)["state"]), ([{"kind": "sa", "sa": OUT}], "hard"), "hard")
        answer = world.send("a", world.eth("a", 0x0800) / p)
        equal((answer["drops"], answer["tx"]), ({"esp_limit": 1}, []), "at its end")
        t.set(OUT, t.ours, hard_bytes=4 * len(p) + 1)
        t.leaves(p)
        equal(t.info(OUT)["state"], "live", "with new limits")
        t.leaves(p)
        equal((world.send("a", world.eth("a", 0x0800) / p)["drops"], t.info(OUT)["seq"]), ({"esp_limit": 1}, 5), "bytes")
        q = some()[0]
        t.set(IN, t.theirs, inbound=True, hard_packets=2)
        t.arrives(q, q)
        t.bad(t.frame(q), "esp_limit")


def row_fail_closed(world):
    """No SA, a deleted one, no underlay, a link that is shut: nothing leaves, least of all in clear."""
    p4, p6 = some(back=True)
    with esp(world) as t:
        def closed(reason):
            for p, kind in ((p4, 0x0800), (p6, 0x86DD)):
                answer = world.send("a", world.eth("a", kind) / p)
                sealed(answer)
                equal((answer["drops"], answer["tx"]), ({reason: 1}, []), "with a way closed")
        world.run("sa_use", link=t.t.id, sa=-1)
        closed("tun_no_sa")
        world.run("sa_use", link=t.t.id, sa=OUT)
        t.leaves_as_routed(p4)
        equal(world.run("sa_use", may_fail=True, link=t.t.id, sa=IN)["ok"], False, "an inbound SA sends nothing")
        equal(world.run("sa_use", may_fail=True, link=8, sa=OUT)["ok"], False, "another link's SA")
        links = world_links(world)
        world.run("publish", links=links + [t.t.link | {"underlay_adj": 0}])
        closed("tun_down")
        world.run("adj_set", adj=80, kind="forward", link=t.t.id, nexthop="10.66.0.2")
        closed("tun_down")
        world.run("publish", links=links + [t.t.link])
        world.run("adj_set", adj=80, kind="forward", link=t.t.id, nexthop="10.66.0.2")
        t.leaves_as_routed(p4, p6)
        world.run("sa_del", sa=OUT)
        closed("tun_no_sa")


def row_sa_set(world):
    """What is refused: another SA at an index, a second one of the same (VRF, end, SPI), algorithms and lengths that do not exist."""
    def refused(errno, **conf):
        answer = world.run("sa_set", may_fail=True, **conf)
        equal((answer["ok"], answer.get("errno")), (False, errno), str(conf))
    with esp(world) as t:
        c = {"link": t.t.id, "inbound": True} | t.theirs.conf()
        refused("EBUSY", sa=IN, **c | {"key": "00" * 36})
        refused("EEXIST", sa=50, **c)
        refused("ENOENT", sa=50, **c | {"link": 1})
        refused("ENOENT", sa=50, **c | {"link": 999})
        refused("EINVAL", sa=4096, **c)
        refused("EINVAL", sa=50, **c | {"replay": 32})
        refused("EINVAL", sa=50, **c | {"replay": 4097})
        refused("EOPNOTSUPP", sa=50, **c | {"spi": 9999, "key": "00" * 32})
        refused("EOPNOTSUPP", sa=50, **c | {"spi": 9999, "auth": "sha1", "auth_key": "00" * 20})
        refused("EOPNOTSUPP", sa=50, **c | {"spi": 9999, "cipher": "cbc", "key": "00" * 16})
        refused("EOPNOTSUPP", sa=50, **c | {"spi": 9999, "cipher": "cbc", "key": "00" * 16, "auth": "sha256", "auth_key": "00" * 16})
        equal(world.run("sa_info", may_fail=True, sa=50)["ok"], False, "nothing is there")


def row_outer_header(world):
    """RFC 6040, RFC 4301 5.1.2: DSCP copied or fixed, ECN copied, TTL and DF as the tunnel says."""
    for conf, tos, want in (({}, 0xB8 | 1, (0xB8 | 1, 64, 2)), ({"dscp": 0x12}, 0xB8 | 2, (0x48 | 2, 64, 2)),
                            ({"ttl": 9, "df": 2}, 0, (0, 9, 0)), ({"df": 1}, 0, (0, 64, 0))):
        with esp(world, **conf) as t:
            (ip,), _ = t.leaves_as_routed(some(back=True, tos=tos)[0])
            equal((ip.tos, ip.ttl, int(ip.flags)), want, f"outer header with {conf}")
    with esp(world, df=1) as t:
        (ip,), _ = t.leaves_as_routed(IP(src="10.1.1.1", dst="10.66.1.1", flags="DF") / UDP() / MARKER)
        equal(int(ip.flags), 2, "DF copied")
    with esp(world, v6=True) as t:
        ips, _ = t.leaves_as_routed(*[p for p in some(back=True, tos=0xB8 | 1)], *some(back=True, tos=0xB8 | 1))
        equal([(ip.tc, ip.hlim) for ip in ips], [(0xB8 | 1, 64)] * 4, "traffic class and hop limit")
        equal(len({ip.fl for ip in ips}), 1, "flow labels of one SA")


def row_ecn(world):
    """RFC 6040 4.2: CE outside marks what is capable inside; what is not is dropped."""
    with esp(world) as t:
        p = IP(src="10.66.1.1", dst="10.1.1.1", tos=0xB8 | 2) / UDP(sport=7, dport=8) / b"x"
        (_, data), = tx(t.send(t.frame(p, tos=3)))
        equal(data[15], 0xB8 | 3, "inner TOS after CE outside")
        t.bad(t.frame(IP(src="10.66.1.1", dst="10.1.1.1") / UDP() / b"x", tos=3), "tun_bad")


def row_too_big(world):
    """Larger than the link: the source hears the link's MTU; without DF it is cut before it is encrypted."""
    with esp(world) as t:
        p = IP(src=world.fresh(), dst="10.66.1.1", flags="DF") / UDP() / Raw(bytes(1400))
        (port, data), = tx(world.send("a", world.eth("a", 0x0800) / p))
        equal((port, data[34], data[35], int.from_bytes(data[40:42], "big")), (0, 3, 4, 1400), "ICMP too big")
        p = IPv6(src=world.fresh(family=6), dst="2001:db8:66::5") / UDP() / Raw(bytes(1400))
        (port, data), = tx(world.send("a", world.eth("a", 0x86DD) / p))
        equal((port, data[54], int.from_bytes(data[58:62], "big")), (0, 2, 1400), "ICMPv6 too big")
        p = IP(src="10.1.1.1", dst="10.66.1.1", id=77) / UDP(sport=7, dport=8) / Raw(MARKER * 60)
        answer = world.send("a", world.eth("a", 0x0800) / p)
        sealed(answer)
        inner = [IP(t.opened(data)[1]) for _, data in tx(answer)]
        equal([(x.id, int(x.flags), x.frag) for x in inner], [(77, 1, 0), (77, 0, 172)], "pieces")
        equal(b"".join(bytes(x.payload) for x in inner), bytes(world.forwarded(p, "b"))[34:], "put together")


def row_too_big_here(world):
    """What this SA adds does not fit the underlay, whatever the link's MTU says: the source hears what does."""
    for alg, most in (("gcm256", (1600 - 20 - 8 - 8 - 16) // 4 * 4 - 2), ("cbc256-sha512", (1600 - 20 - 8 - 16 - 32) // 16 * 16 - 2)):
        with esp(world, alg, mtu=1600) as t:
            t.leaves_as_routed(IP(src="10.1.1.1", dst="10.66.1.1", flags="DF") / Raw(bytes(most - 20)))
            p = IP(src=world.fresh(), dst="10.66.1.1", flags="DF") / Raw(bytes(most - 19))
            answer = world.send("a", world.eth("a", 0x0800) / p)
            (port, data), = tx(answer)
            equal((port, data[34], data[35], int.from_bytes(data[40:42], "big")), (0, 3, 4, most), f"ICMP too big, {alg}")
            p = IP(src="10.1.1.1", dst="10.66.1.1", id=78) / UDP(sport=7, dport=8) / Raw(bytes(most))
            answer = world.send("a", world.eth("a", 0x0800) / p)
            equal((answer["drops"], [len(t.opened(data)[1]) <= most for _, data in tx(answer)]), ({}, [True, True]), "pieces")


def row_from_kernel(world):
    """What the kernel sends on the link's TUN is encrypted; what is for this router inside comes up there."""
    with esp(world) as t:
        for p in (IP(src="10.66.0.1", dst="10.66.0.2") / UDP(sport=179, dport=179) / MARKER,
                  IPv6(src="2001:db8:66::1", dst="2001:db8:66::2") / UDP(sport=179, dport=179) / MARKER):
            answer = world.run("from_kernel", link=t.t.id, frames=[bytes(p).hex()])
            sealed(answer)
            equal(answer["drops"], {}, "drops")
            (_, data), = tx(answer)
            equal(t.opened(data)[1], bytes(p), "inside")
        world.run("sa_use", link=t.t.id, sa=-1)
        answer = world.run("from_kernel", link=t.t.id, frames=[bytes(p).hex()])
        equal((answer["drops"], answer["tx"]), ({"tun_no_sa": 1}, []), "without an SA")
        up = IP(src="10.66.1.1", dst="10.66.0.1") / UDP(sport=7, dport=8) / MARKER
        answer = t.send(t.frame(up))
        equal([(x["link"], bytes.fromhex(x["hex"])) for x in answer["punt"]], [(t.t.id, bytes(up))], "to the kernel")


def row_own_errors(world):
    """Our own ICMP errors go back encrypted."""
    with esp(world) as t:
        p = IP(src="10.66.1.1", dst="10.1.1.1", ttl=1) / UDP(sport=7, dport=8) / MARKER
        answer = t.send(t.frame(p))
        sealed(answer)
        equal(answer["drops"], {"ip4_ttl": 1}, "drops")
        (_, data), = tx(answer)
        e = IP(t.opened(data)[1])
        equal((e.src, e.dst, bytes(e)[20], bytes(e)[21]), ("10.66.0.1", "10.66.1.1", 11, 0), "the error inside")


def row_matrix(world):
    """The link is where packets come from and go to, its underlay is counted too."""
    with esp(world) as t:
        p, q = some()[0], some(back=True)[0]
        answer = t.arrives(p)
        equal(sorted(answer["pairs"]), sorted([[7, 0, 1, answer_len(t, p)], [t.t.id, 1, 1, len(p)]]), "matrix of what comes")
        _, answer = t.leaves(q)
        (_, data), = tx(answer)
        equal(sorted(answer["pairs"]), sorted([[1, t.t.id, 1, len(q)], [0, 7, 1, len(data) - 14]]), "matrix of what goes")


def answer_len(t, p):
    return 20 + len(t.theirs.seal(p, 1))


def row_rekey(world):
    """Make before break: 100 rekeys under load, not a packet lost, none by an SA that is gone."""
    with esp(world) as t:
        ins, outs = [(IN, t.theirs)], [(OUT, t.ours)]
        free = [i for i in range(100, 400)]
        for n in range(100):
            new_in, new_out = Sa("gcm256"), Sa("gcm256")
            i, o = free.pop(), free.pop()
            t.set(i, new_in, inbound=True)
            old_in, old_out = ins[-1], outs[-1]
            ins.append((i, new_in))
            p = [IP(src="10.66.1.1", dst="10.1.1.1", id=k) / UDP(sport=n, dport=8) / MARKER for k in range(4)]
            seq = 1000 + 10 * n
            # old and new at the same time
            t.arrives(*p, frames=[t.carry((old_in if k % 2 else ins[-1])[1].seal(x, seq + k)) for k, x in enumerate(p)])
            t.set(o, new_out)
            outs.append((o, new_out))
            q = [world.eth("a", 0x0800) / IP(src="10.1.1.1", dst="10.66.1.1", id=k) / UDP(sport=n, dport=8) / MARKER for k in range(3)]
            before = world.send("a", *q)
            world.run("batch", cmds=[{"cmd": "sa_use", "link": t.t.id, "sa": o}, {"cmd": "sa_del", "sa": old_out[0]}, {"cmd": "sa_del", "sa": old_in[0]}])
            after = world.send("a", *q)
            for answer, sa in ((before, old_out[1]), (after, new_out)):
                sealed(answer)
                equal((answer["drops"], len(tx(answer))), ({}, 3), "none is lost")
                equal({int.from_bytes(d[34:38], "big") for _, d in tx(answer)}, {sa.spi}, "by which SA")
        t.bad(t.carry(ins[0][1].seal(p[0], 5000)), "esp_spi")
        for i, _ in ins[-1:] + outs[-1:]:
            world.run("sa_del", sa=i)


def stream(world, count, during, every):
    q = world.eth("a", 0x0800) / IP(src="10.1.1.1", dst="10.66.1.1") / UDP(sport=9, dport=8) / Raw(MARKER * 4)
    return world.run("stream", flows=[{"port": 0, "queue": 0, "frame": bytes(q).hex()}], count=count, during=during, every=every, timeout_ms=30000)


def row_rekey_under_load(world):
    """100 rekeys of the outbound SA while a stream runs: every packet leaves by one of them."""
    with esp(world) as t:
        cmds, olds = [], OUT
        for n in range(100):
            sa = Sa("gcm256")
            cmds.append({"cmd": "batch", "cmds": [{"cmd": "sa_set", "sa": 200 + n, "link": t.t.id} | sa.conf(), {"cmd": "sa_use", "link": t.t.id, "sa": 200 + n},
                                                  {"cmd": "sa_del", "sa": olds}]})
            olds = 200 + n
        answer = stream(world, 20000, cmds, 199)
        sent = sum(p for i, o, p, _ in answer["pairs"] if o == t.t.id)
        equal((answer["drops"], answer["leaked"], sent), ({}, 0, 20000), "lost, leaked, encrypted")
        equal(world.run("sa_info", sa=299)["packets"] > 0, True, "the last is in use")
        world.run("sa_del", sa=299)


def row_two_workers(world):
    """Two workers: an SA is worked on by its owner alone, whoever received the packet; order is kept."""
    for index, owner in ((20, 0), (21, 1)):
        with esp(world) as t:
            sa_in, sa_out = Sa("gcm256"), Sa("gcm256")
            t.set(index, sa_in, inbound=True)
            t.set(index + 2, sa_out)
            world.run("sa_use", link=t.t.id, sa=index + 2)
            frames = [[], []]
            for k in range(40):
                p = IP(src="10.66.1.1", dst="10.1.1.1", id=k) / UDP(sport=1, dport=8) / MARKER
                frames[k % 2].append(bytes(t.carry(sa_in.seal(p, k + 1))).hex())
            answer = world.run("send", sends=[{"port": 2, "queue": x, "frames": frames[x]} for x in (0, 1)])
            equal((answer["drops"], len(tx(answer)), answer["handed_over"] > 0), ({}, 40, True), "out of ESP")
            q = [bytes(world.eth("a", 0x0800) / IP(src="10.1.1.1", dst="10.66.1.1", id=k) / UDP(sport=1, dport=8) / MARKER).hex() for k in range(40)]
            answer = world.run("send", sends=[{"port": 0, "queue": x, "frames": q[20 * x:20 * x + 20]} for x in (0, 1)])
            sealed(answer)
            equal((answer["drops"], len(tx(answer)), answer["handed_over"] > 0, answer["leaked"]), ({}, 40, True, 0), "into ESP")
            seqs = [int.from_bytes(d[38:42], "big") for _, d in tx(answer)]
            equal(sorted(seqs), list(range(1, 41)), "sequence numbers")
            ids = {}
            for _, d in tx(answer):
                x = IP(sa_out.open(d[34:], int.from_bytes(d[38:42], "big"))[0])
                ids.setdefault(x.id // 20, []).append(x.id)
            equal(sorted(sum(ids.values(), [])), list(range(40)), "packets")
            equal(all(v == sorted(v) for v in ids.values()), True, "order of what one queue received")
            equal((world.run("sa_info", sa=index)["worker"], world.run("sa_info", sa=index + 2)["worker"]), (owner, owner), "owner")
            for x in (index, index + 2):
                world.run("sa_del", sa=x)
row_two_workers.own_world = {"workers": 2, "queues": 2, "tx_queues": 2}


def row_mss(world):
    """TCP's MSS is lowered before the packet is encrypted, and behind the cipher coming in."""
    with esp(world, mss4=1300, mss6=1280) as t:
        for ip, back, most in ((IP, "10.66.1.1 10.1.1.1", 1300), (IPv6, "2001:db8:66::5 2001:db8:1::5", 1280)):
            far, near = back.split()
            syn = TCP(sport=7, dport=8, flags="S", options=[("MSS", 1460)])
            (_, data), = tx(t.send(t.frame(ip(src=far, dst=near) / syn)))
            equal(Ether(data)[TCP].options, [("MSS", most)], "coming in")
            got, _ = t.leaves(ip(src=near, dst=far) / syn)
            equal(ip(got[0][1])[TCP].options, [("MSS", most)], "going out")


def row_pmtu(world):
    """RFC 1191, 8201: a router of the underlay says what fits: inner sources hear it, less what the SA adds; forgers do not know the SPI."""
    for v6 in (False, True):
        for natt in (False, True):
            with esp(world, v6=v6, natt=natt) as t:
                p = IP(src="10.1.1.1", dst="10.66.1.1", flags="DF") / UDP(sport=7, dport=8) / Raw(bytes(1372))
                (_, data), = tx(world.send("a", world.eth("a", 0x0800) / p))
                t.sent += 1
                quote = data[14:14 + 48 if not v6 else 14 + 80]

                def said(q):
                    e = IPv6(src=REMOTE[6], dst=LOCAL[6]) / ICMPv6PacketTooBig(mtu=1300) / Raw(q) if v6 else \
                        IP(src=REMOTE[4], dst=LOCAL[4]) / ICMP(type=3, code=4, nexthopmtu=1300) / Raw(q)
                    return world.send("u", world.eth("u", 0x86DD if v6 else 0x0800) / e)
                at = (40 if v6 else 20) + (8 if natt else 0)
                equal([e for e in said(quote[:at] + b"\0\0\1\1" + quote[at + 4:])["events"] if e["kind"] == "mtu"], [], "another SPI")
                equal([e for e in said(quote)["events"] if e["kind"] == "mtu"], [{"kind": "mtu", "link": t.t.id}], "told")
                most = (1300 - at - 8 - 8 - 16) // 4 * 4 - 2
                q = IP(src=world.fresh(), dst="10.66.1.1", flags="DF") / UDP(sport=7, dport=8) / Raw(bytes(most - 27))
                (port, data), = tx(world.send("a", world.eth("a", 0x0800) / q))
                equal((port, data[34], data[35], int.from_bytes(data[40:42], "big")), (0, 3, 4, most), "ICMP too big")
                t.leaves_as_routed(IP(src="10.1.1.1", dst="10.66.1.1", flags="DF") / UDP(sport=7, dport=8) / Raw(bytes(most - 28)))


def row_least6(world):
    """RFC 8200 5: 1,280 octets of IPv6 go through an underlay that is smaller: outer pieces, DF clear."""
    with esp(world, underlay_mtu=1280) as t:
        p = IPv6(src="2001:db8:1::5", dst="2001:db8:66::5") / UDP(sport=7, dport=8) / Raw(bytes(1280 - 48))
        answer = world.send("a", world.eth("a", 0x86DD) / p)
        pieces = [IP(data[14:]) for _, data in tx(answer)]
        equal((answer["drops"], [int(x.flags) for x in pieces]), ({}, [1, 0]), "pieces")
        t.sent += 1
        body = b"".join(bytes(x.payload) for x in pieces)
        equal(t.ours.open(body, t.sent)[0], world.forwarded(p, "b")[14:], "put together")
