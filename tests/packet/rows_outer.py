"""What tunnels of all kinds have in common: outer TTL, DSCP, DF; ECN both ways; TCP's MSS; the path's MTU.
RFC 6040, 2983, 2003, 4213, 1191, 8201, 4459."""
from scapy.all import IP, TCP, UDP, ICMPv6PacketTooBig, IPv6, IPv6ExtHdrFragment, IPv6ExtHdrDestOpt, ICMP, Raw, PadN

from esp_peer import esp
from judge import checksum
from tunnels import packets, tunnel, underlay
from world import equal, tx

KINDS = ("gre", "ipip", "geneve", "vxlan")
OUTER = (False, True)


def each(world):
    for kind in KINDS:
        for v6 in OUTER:
            yield kind, v6


def row_ttl(world):
    """The outer TTL is the link's own."""
    for kind, v6 in each(world):
        with tunnel(world, kind, v6, ttl=255) as t:
            for p in packets(back=True):
                t.leaves(p, ttl=255)


def row_dscp(world):
    """Outer DSCP copied or fixed; ECN copied in any case (RFC 6040 4.1, normal mode)."""
    for kind, v6 in each(world):
        for dscp in (0xFF, 0, 46):
            with tunnel(world, kind, v6, dscp=dscp) as t:
                for ecn in range(4):
                    want = (10 << 2 if dscp == 0xFF else dscp << 2) | ecn
                    for p in packets(back=True, tos=10 << 2 | ecn):
                        t.leaves(p, tos=want)


def row_ecn_decap(world):
    """RFC 6040 figure 4, all sixteen; DSCP inside stays."""
    NOT, ECT1, ECT0, CE = range(4)
    merged = {(NOT, o): NOT for o in range(4)} | {(CE, o): CE for o in range(4)} | \
        {(ECT0, NOT): ECT0, (ECT0, ECT0): ECT0, (ECT0, ECT1): ECT1, (ECT0, CE): CE,
         (ECT1, NOT): ECT1, (ECT1, ECT0): ECT1, (ECT1, ECT1): ECT1, (ECT1, CE): CE, (NOT, CE): None}
    for kind, v6 in each(world):
        with tunnel(world, kind, v6) as t:
            for (inside, outside), mark in merged.items():
                for p in packets(tos=0xB8 | inside):
                    frame = t.outer(p, tos=outside)
                    if mark is None:
                        t.bad(frame)
                        continue
                    want = p.copy()
                    setattr(want, "tc" if isinstance(p, IPv6) else "tos", 0xB8 | mark)
                    t.arrives(want, frame)


def row_df(world):
    """Outer DF: set, copied from IPv4 inside (IPv6 may not be cut), clear; who may be cut is numbered."""
    for kind in KINDS:
        for df, want in (("set", (True, True, True)), ("copy", (False, True, True)), ("clear", (False, False, False))):
            with tunnel(world, kind, df=("set", "copy", "clear").index(df)) as t:
                p4, p6 = packets(back=True)
                seen = set()
                for p, bit in zip((p4, packets(back=True, flags="DF")[0], p6), want):
                    data = t.leaves(p, df=bit)
                    seen.add(data[18:20])
                if df == "clear":
                    equal(len(seen), 3, "different identifications")


def big(n, v6=False, flags=0):
    """A packet of n bytes from link a into the tunnel."""
    if v6:
        return IPv6(src="2001:db8:1::5", dst="2001:db8:66::5") / UDP(sport=7, dport=8) / Raw(b"\x5a" * (n - 48))
    return IP(src="10.1.1.1", dst="10.66.1.1", flags=flags, id=9) / UDP(sport=7, dport=8) / Raw(b"\x5a" * (n - 28))


def together(frames):
    """The IPv4 packet whose pieces these are: any order, none missing, none twice."""
    parts = sorted((IP(data[14:]) for _, data in frames), key=lambda p: p.frag)
    at, payload = 0, b""
    for i, p in enumerate(parts):
        equal((p.frag * 8, bool(p.flags.MF), checksum(bytes(p)[:20]), p.id), (at, i + 1 < len(parts), 0, parts[0].id), f"piece {i}")
        body = bytes(p)[20:p.len]
        payload += body
        at += len(body)
    whole = parts[0].copy()
    whole.remove_payload()
    whole.flags, whole.frag, whole.len = 0, 0, None
    del whole.chksum
    return bytes(whole / Raw(payload))


def row_cut(world):
    """DF clear: an outer packet larger than the underlay's MTU is cut; what is larger than the link's is not sent."""
    for kind in KINDS:
        with tunnel(world, kind, underlay_mtu=1300, df=2, mtu=1450) as t:
            for v6 in OUTER:
                p = big(1450, v6)
                answer = world.send("a", world.eth("a", 0x86DD if v6 else 0x0800) / p)
                equal((answer["drops"], len(answer["tx"])), ({}, 2), "pieces")
                whole = tx(answer)[0][1][:14] + together(tx(answer))
                equal(whole, t.expected(p, whole, df=False), "put together")
                n = len(whole) - 14
                equal(sorted(answer["pairs"]), sorted([[1, t.id, 1, 1450], [0, 7, 1, n]]), "matrix")
            answer = world.send("a", world.eth("a", 0x86DD) / big(1451, True))
            equal(answer["drops"], {"ip6_too_big": 1}, "larger than the link's MTU")


def row_cut_from_kernel(world):
    """The same for what the kernel sends."""
    with tunnel(world, "gre", underlay_mtu=1300, df=2, mtu=1450) as t:
        p = IP(src="10.66.0.1", dst="10.66.0.2") / UDP() / Raw(b"\x5a" * 1300)
        answer = world.run("from_kernel", link=t.id, frames=[bytes(p).hex()])
        equal((answer["drops"], len(answer["tx"])), ({}, 2), "pieces")
        p.ttl += 1
        whole = tx(answer)[0][1][:14] + together(tx(answer))
        equal(whole, t.expected(p, whole, df=False), "put together")


def row_least6(world):
    """RFC 4213 3.2.2: 1,280 bytes of IPv6 go through where the underlay takes less; more is answered with 1,280."""
    with tunnel(world, "ipip", underlay_mtu=1000, mtu=1400) as t:
        p = big(1280, True)
        answer = world.send("a", world.eth("a", 0x86DD) / p)
        equal((answer["drops"], len(answer["tx"])), ({}, 2), "pieces")
        whole = tx(answer)[0][1][:14] + together(tx(answer))
        equal(whole, t.expected(p, whole, df=False), "put together")
        answer = world.send("a", world.eth("a", 0x86DD) / big(1281, True))
        equal((answer["drops"], int.from_bytes(tx(answer)[0][1][58:62], "big")), ({"ip6_too_big": 1}, 1280), "told")


def row_inner_cut(world):
    """IPv4 inside that may be cut is cut before the tunnel, DF set outside or copied."""
    for df in (0, 1):
        with tunnel(world, "gre", df=df) as t:
            answer = world.send("a", world.eth("a", 0x0800) / big(1500))
            equal((answer["drops"], len(answer["tx"])), ({}, 2), "pieces")
            for _, data in tx(answer):
                equal(IP(data[14:]).flags.DF, df == 0, "outer DF")
                equal(len(data) <= 14 + 24 + 1400, True, "within the tunnel's MTU")


def row_too_big(world):
    """Too big from inside: the tunnel's MTU, that is the underlay's less what this kind adds."""
    more = {"gre": 4, "ipip": 0, "geneve": 16, "vxlan": 30}
    for kind, v6 in each(world):
        mtu = 1400 - (40 if v6 else 20) - more[kind]
        with tunnel(world, kind, v6, underlay_mtu=1400, mtu=1500):
            for p, at in ((big(mtu + 1, flags="DF"), 40), (big(mtu + 1, True), 60)):
                (_, data), = tx(world.send("a", world.eth("a", 0x86DD if isinstance(p, IPv6) else 0x0800) / p))
                equal(int.from_bytes(data[at:at + 2], "big"), mtu, f"MTU told for {kind}")
            for p in (big(mtu, flags="DF"), big(mtu, True)):
                answer = world.send("a", world.eth("a", 0x86DD if isinstance(p, IPv6) else 0x0800) / p)
                equal((answer["drops"], [len(d) for _, d in tx(answer)]), ({}, [14 + 1400]), "it fits exactly")


# ---- TCP's MSS ----
def syn(back, flags="S", options=None, v6=False, **over):
    a, b = (("2001:db8:66::5", "2001:db8:1::5") if v6 else ("10.66.1.1", "10.1.1.1"))[::-1 if back else 1]
    ip = IPv6(src=a, dst=b) if v6 else IP(**({"src": a, "dst": b} | over))
    return ip / TCP(sport=1, dport=2, flags=flags, options=options if options is not None else [("MSS", 1460)])


def settled(p):
    """Every field as it is on the wire."""
    return p.__class__(bytes(p))


def lowered(p, mss):
    """The same with another MSS and its checksum from scratch."""
    q = settled(p)
    q[TCP].options = [(k, mss if k == "MSS" and v > mss else v) for k, v in q[TCP].options]
    del q[TCP].chksum
    return settled(q)


def row_mss(world):
    """SYN and SYN/ACK, both directions, both families: lowered when larger, at an odd offset too; the checksum is right."""
    cases = ([("MSS", 1460)], [("NOP", None), ("MSS", 9000)], [("WScale", 7), ("NOP", None), ("MSS", 65535), ("SAckOK", b"")],
             [("MSS", 1301)], [("MSS", 1300)], [("MSS", 500)], [("WScale", 7)], [], [("MSS", 1460), ("NOP", None), ("NOP", None), ("NOP", None), ("MSS", 1459)])
    for kind in KINDS:
        with tunnel(world, kind, mss4=1300, mss6=1280) as t:
            for v6 in OUTER:
                for flags in ("S", "SA"):
                    for options in cases:
                        p = settled(syn(False, flags, options, v6))
                        t.arrives(lowered(p, 1280 if v6 else 1300), t.outer(p))
                        p = settled(syn(True, flags, options, v6))
                        rest = tx(world.send("a", world.eth("a", 0x86DD if v6 else 0x0800) / p))
                        equal([d for _, d in rest], [t.expected(lowered(p, 1280 if v6 else 1300), rest[0][1])], "into the tunnel")


def row_mss_left(world):
    """Left alone: no SYN, a later fragment, options that are cut or lie, a link that does not clamp, other protocols."""
    with tunnel(world, "gre", mss4=1000, mss6=1000) as t:
        for p in (syn(False, "A"), syn(False, "R"), syn(False, frag=2), syn(False, v6=True, flags="A")):
            t.arrives(settled(p))
        for raw in (b"\x01\x02\x04\x05", b"\x02\x03\x05\xb4", b"\x03\x00\x02\x04\x05\xb4\x00\x00", b"\x03\xff\x02\x04\x05\xb4\x01\x01", b"\x00\x02\x04\x05\xb4\x01\x01\x01", b"\x01\x01\x01\x02"):
            p = syn(False, options=[])
            p[TCP].dataofs = 5 + (len(raw) + 3) // 4
            t.arrives(settled(p / Raw(raw + b"\0" * (-len(raw) % 4))))
        p = syn(False, options=[])
        p[TCP].dataofs = 15  # past the packet's end
        t.arrives(settled(p / Raw(b"\x02\x04\x05\xb4")))
        p = syn(False, options=[])
        p[TCP].dataofs = 4
        t.arrives(settled(p / Raw(b"\x02\x04\x05\xb4")))
        t.arrives(settled(IP(src="10.66.1.1", dst="10.1.1.1", proto=6) / Raw(b"\0" * 13 + b"\x02")))
        t.arrives(settled(IP(src="10.66.1.1", dst="10.1.1.1", proto=6) / Raw(b"")))
        p = bytes(syn(False))
        t.arrives(settled(IP(src="10.66.1.1", dst="10.1.1.1", proto=17) / Raw(p[20:])))
    with tunnel(world, "gre") as t:
        t.arrives(settled(syn(False)))


def row_mss_chain(world):
    """IPv6 extension headers before TCP are walked past; a first fragment that shows the header is clamped."""
    tcp = syn(False, v6=True)[TCP]
    for head in (IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0\0")]), IPv6ExtHdrFragment(m=1, id=5)):
        with tunnel(world, "gre", mss6=1280) as t:
            ip = IPv6(src="2001:db8:66::5", dst="2001:db8:1::5")
            body = bytes(ip / tcp)[40:]
            want = bytes(lowered(ip / tcp, 1280))[40:]
            head.nh = 6
            t.arrives(ip / head / Raw(want + b"\0" * 4), t.outer(ip / head / Raw(body + b"\0" * 4)))


def row_mss_csum(world):
    """With GRE's own checksum and UDP's over IPv6: they cover what is sent."""
    for kind, v6 in (("gre", False), ("vxlan", True), ("geneve", True)):
        with tunnel(world, kind, v6, mss4=1300, checksum=True) as t:
            p = settled(syn(True))
            (_, data), = tx(world.send("a", world.eth("a", 0x0800) / p))
            equal(data, t.expected(lowered(p, 1300), data), "into the tunnel")


# ---- the path's MTU ----
def outer_of(world, n=1350, v6=False):
    """An outer packet as we send it, from its IP header on."""
    (_, data), = tx(world.send("a", world.eth("a", 0x86DD if v6 else 0x0800) / big(n, v6, 0 if v6 else "DF")))
    return data[14:]


def too_big(world, t, quote, mtu, src=None, link="u", **over):
    """A router of the underlay says so."""
    if t.v == 6:
        p = IPv6(src=src or "2001:db8:ff::9", dst="2001:db8:ff::1") / ICMPv6PacketTooBig(mtu=mtu, **over) / Raw(quote[:1200])
        return world.eth(link, 0x86DD) / p
    p = IP(src=src or "198.51.100.9", dst="198.51.100.1") / ICMP(type=3, code=over.pop("code", 4), nexthopmtu=mtu, **over) / Raw(quote)
    return world.eth(link, 0x0800) / p


def heard(world, t, frame, link="u"):
    """The events that the message made."""
    answer = world.send(link, frame)
    equal(answer["tx"], [], "answered")
    return [e for e in answer["events"] if e["kind"] == "mtu"]


def mtu_of(world, t):
    return world.run("tunnel_mtu", link=t.id)["mtu"]


def row_pmtu(world):
    """Believed: news for control, and the inner source is told the right MTU from then on."""
    more = {"gre": 4, "ipip": 0, "geneve": 16, "vxlan": 30}
    for kind, v6 in each(world):
        with tunnel(world, kind, v6) as t:
            equal(mtu_of(world, t), 1400, "before")
            whole = outer_of(world)
            for quoted in (None, 28 if t.v == 4 else 48):
                quote = whole[:quoted]
                outer = 1320 if quoted else 1340
                equal(heard(world, t, too_big(world, t, quote, outer)), [{"kind": "mtu", "link": t.id}], "news")
                mtu = outer - (40 if v6 else 20) - more[kind]
                equal(mtu_of(world, t), mtu, "dp_tunnel_mtu")
                for p, at in ((big(mtu + 1, flags="DF"), 40), (big(mtu + 1, True), 60)):
                    answer = world.send("a", world.eth("a", 0x86DD if isinstance(p, IPv6) else 0x0800) / p)
                    told = max(mtu, 1280) if isinstance(p, IPv6) else mtu
                    if isinstance(p, IPv6) and mtu + 1 <= 1280 and not v6:
                        equal(answer["drops"], {}, "IPv6's least MTU goes through")
                    else:
                        equal([int.from_bytes(d[at:at + 2], "big") for _, d in tx(answer)], [told], f"told, {kind}")
                answer = world.send("a", world.eth("a", 0x0800) / big(mtu, flags="DF"))
                equal((answer["drops"], len(answer["tx"])), ({}, 1), "it fits")
                answer = world.send("a", world.eth("a", 0x0800) / big(mtu + 1))
                equal((answer["drops"], len(answer["tx"])), ({}, 2), "cut to what fits")


def row_pmtu_esp(world):
    """The same of ESP, plain and in UDP: by SPI, and less what its cipher adds."""
    for natt in (False, True):
        for v6 in OUTER:
            with esp(world, natt=natt, v6=v6) as e:
                t = e.t
                quote = outer_of(world)
                at = (40 if v6 else 20) + (8 if natt else 0)
                wrong = bytearray(quote)
                wrong[at] ^= 1
                equal((heard(world, t, too_big(world, t, bytes(wrong), 1340)), mtu_of(world, t)), ([], 1400), "another SPI")
                equal(heard(world, t, too_big(world, t, quote, 1340)), [{"kind": "mtu", "link": t.id}], "news")
                room = 1340 - at - 8 - 8 - 16  # SPI and number, IV, ICV
                mtu = room // 4 * 4 - 2
                equal(mtu_of(world, t), mtu, "dp_tunnel_mtu")
                (_, data), = tx(world.send("a", world.eth("a", 0x0800) / big(mtu + 1, flags="DF")))
                equal(int.from_bytes(data[40:42], "big"), mtu, "told")
                (_, data), = tx(world.send("a", world.eth("a", 0x0800) / big(mtu, flags="DF")))
                equal(len(data) - 14 <= 1340 and len(data) - 14 > 1336, True, "it fits, and no more would")
                answer = world.send("a", world.eth("a", 0x0800) / big(mtu + 1))
                equal((answer["drops"], [len(d) - 14 <= 1340 for _, d in tx(answer)]), ({}, [True, True]), "cut to what fits")


def row_pmtu_forged(world):
    """Not believed: every field of the quote wrong in turn, MTUs that no path has, and what would raise it."""
    for kind in KINDS:
        with tunnel(world, kind, **({"keyed": True, "vni": 9} if kind == "gre" else {})) as t:
            good = outer_of(world)[:36]

            def refused(what, quote=good, mtu=1300, **over):
                equal((heard(world, t, too_big(world, t, quote, mtu, **over)), mtu_of(world, t)), ([], 1400), f"{kind}: {what}")

            for at, what in ((0, "version"), (6, "allowed to be cut"), (7, "a fragment"), (9, "protocol"), (15, "source"), (19, "destination"), (20, "first word")):
                if kind == "ipip" and at == 20 or kind != "ipip" and kind != "gre" and at == 20:
                    continue
                q = bytearray(good)
                q[at] ^= 0x40 if at in (0, 6) else 1
                refused(what, bytes(q))
            if kind in ("geneve", "vxlan"):
                for at, what in ((20, "source port"), (23, "port"), (34, "VNI")):
                    q = bytearray(good)
                    q[at] ^= 0x80
                    refused(what, bytes(q))
            if kind == "gre":
                q = bytearray(good)
                q[27] ^= 1
                refused("key", bytes(q))
            if kind == "ipip":
                q = bytearray(good)
                q[20] ^= 0x20
                refused("inner version", bytes(q))
            refused("cut quote", good[:27])
            refused("no quote", b"")
            refused("below 576", mtu=575)
            refused("no MTU", mtu=0)
            refused("the packet was not larger", mtu=int.from_bytes(good[2:4], "big"))
            refused("larger than known", mtu=1600)
            refused("another code", code=3)
            refused("checksum", chksum=0x1234)
            equal(len(heard(world, t, too_big(world, t, good, 1300))), 1, "the same unchanged")
            equal((heard(world, t, too_big(world, t, good, 1310)), heard(world, t, too_big(world, t, good, 1300))), ([], []), "never raised, and told once")
            equal(len(heard(world, t, too_big(world, t, good, 576))), 1, "lower again")


def row_pmtu_forged6(world):
    """The same over IPv6: below 1,280, another VRF, another tunnel."""
    with tunnel(world, "gre", True) as t:
        quote = outer_of(world)
        for frame, link in ((too_big(world, t, quote, 1279), "u"), (too_big(world, t, quote[:47], 1300), "u"), (too_big(world, t, quote, 1300, cksum=1), "u")):
            equal((heard(world, t, frame, link), mtu_of(world, t)), ([], 1400), "not believed")
        world.run("fib_set", vrf=1, prefix="2001:db8:ff::1/128", group=1)
        f = world.eth("part", 0x86DD) / too_big(world, t, quote, 1300)[IPv6]
        equal((heard(world, t, f, "part"), mtu_of(world, t)), ([], 1400), "from another VRF")
        world.run("fib_del", vrf=1, prefix="2001:db8:ff::1/128")
        equal(len(heard(world, t, too_big(world, t, quote, 1280))), 1, "believed")
        equal(mtu_of(world, t), 1280 - 44, "dp_tunnel_mtu")


def row_pmtu_flood(world):
    """Forged by the thousand, each lower: news are few; the tunnel still carries what every path does."""
    with tunnel(world, "ipip", mtu=1500, underlay_mtu=1600) as t:
        quote = outer_of(world, 1500)[:40]
        frames = [bytes(too_big(world, t, quote, 1500 - i)).hex() for i in range(300)]
        answer = world.run("send", port=2, frames=frames)
        events = [e for e in answer["events"] if e["kind"] == "mtu"]
        equal(0 < len(events) <= 60, True, f"{len(events)} events")
        equal(mtu_of(world, t) > 1300, True, "how low it got")
row_pmtu_flood.own_world = {}


def row_pmtu_forgotten(world):
    """Another tunnel under the same id knows nothing of it; the same one, published again, still does."""
    with tunnel(world, "gre") as t:
        heard(world, t, too_big(world, t, outer_of(world), 1300))
        underlay(world, 1600, [t.link])
        equal(mtu_of(world, t), 1276, "the same tunnel")
        underlay(world, 1600, [t.link | {"remote": "198.51.100.81"}])
        equal(mtu_of(world, t), 1400, "another")


def row_pmtu_kernel(world):
    """What the kernel sends is held to it as well."""
    with tunnel(world, "gre") as t:
        heard(world, t, too_big(world, t, outer_of(world), 1300))
        p = IP(src="10.66.0.1", dst="10.66.0.2", flags="DF") / UDP() / Raw(b"x" * 1300)
        answer = world.run("from_kernel", link=t.id, frames=[bytes(p).hex()])
        equal((answer["drops"], answer["tx"]), ({"ip4_too_big": 1}, []), "fate")
