"""Vectors: what a packet meets must not depend on who travels with it. The fast path takes plain frames four at a time
and the others one by one; the reference is each frame alone, which never goes by fours."""
import random

from scapy.all import IP, TCP, UDP, IPv6

from world import Failure, equal, tx


def plain(world, n):
    """Frame n of link a: IPv4 mostly, of every kind that is forwarded, to all the links beyond."""
    dst = ("10.2.1.1", "10.3.1.1", "10.4.1.1", "10.5.1.1", "10.6.1.1", "10.2.3.3")[n % 6]
    layer = UDP(sport=1000 + n, dport=9) if n % 3 else TCP(sport=1000 + n, dport=9)
    if n % 11 == 10:
        return bytes(world.eth("a", 0x86DD) / (IPv6(src="2001:db8:1::10", dst="2001:db8:2::10", hlim=9) / layer))
    return bytes(world.eth("a", 0x0800) / (IP(src=f"10.1.2.{n % 250 + 1}", dst=dst, id=n, ttl=3 + n % 60) / layer / bytes(n % 7)))


def checksum(frame):
    """Make an IPv4 header of five words right again."""
    head = bytearray(frame[14:34])
    head[10:12] = b"\0\0"
    s = sum(int.from_bytes(head[i:i + 2], "big") for i in range(0, 20, 2))
    s = (s & 0xFFFF) + (s >> 16)
    return frame[:24] + (~(s + (s >> 16)) & 0xFFFF).to_bytes(2, "big") + frame[26:]


def broken(frame, rng):
    """Something else than it was: bytes changed, cut or padded, its checksum often right again. Never the end of a
    destination: an unknown neighbour is another matter."""
    data = bytearray(frame)
    places = [i for i in range(54) if i < len(data) and not (31 <= i < 34 if data[13] == 0 else 40 <= i)]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data[rng.choice(places)] = rng.choice((0, 1, 2, 20, 69, 127, 224, 255, rng.randrange(256)))
    if rng.random() < .2:
        data = data[:rng.randrange(14, len(data))]
    if rng.random() < .2:
        data += bytes(rng.randrange(1, 40))
    return checksum(bytes(data)) if len(data) >= 34 and rng.random() < .6 else bytes(data)


def outcome(answer):
    """What came of a vector, as sorted lists that can be added up. Fragments and errors count as frames sent."""
    for what in ("events", "held"):
        if answer.get(what):
            raise Failure(f"{what}: {answer[what]}")
    return {"tx": sorted(tx(answer)), "punt": sorted((p["link"], p["hex"]) for p in answer["punt"]),
            "drops": answer["drops"], "pairs": {(i, o): (p, b) for i, o, p, b in answer["pairs"]}}


def summed(outcomes):
    total = {"tx": [], "punt": [], "drops": {}, "pairs": {}}
    for one in outcomes:
        total["tx"] += one["tx"]
        total["punt"] += one["punt"]
        for reason, n in one["drops"].items():
            total["drops"][reason] = total["drops"].get(reason, 0) + n
        for pair, (packets, octets) in one["pairs"].items():
            have = total["pairs"].get(pair, (0, 0))
            total["pairs"][pair] = (have[0] + packets, have[1] + octets)
    return total | {"tx": sorted(total["tx"]), "punt": sorted(total["punt"])}


def send(world, frames):
    return outcome(world.run("send", port=0, frames=[f.hex() for f in frames]))


def compare(world, frames, alone):
    together = send(world, frames)
    for what, want in summed(alone).items():
        equal(together[what], want, f"{what} of a vector of {len(frames)}, against each frame alone")


def row_sizes(world):
    """Plain frames in vectors of every size: each leaves as it would alone."""
    frames = [plain(world, n) for n in range(64)]
    alone = [send(world, [f]) for f in frames]
    for n in (1, 2, 3, 4, 5, 7, 8, 9, 31, 61, 62, 63, 64):
        compare(world, frames[:n], alone[:n])


def row_order(world):
    """A vector of one flow leaves in its order, also around a frame that does not go by fours."""
    tagged = bytes(world.eth("a", 0x86DD) / (IPv6(src="2001:db8:1::10", dst="2001:db8:2::10") / UDP(sport=5, dport=6)))
    for at in range(9):
        frames = [bytes(world.eth("a", 0x0800) / (IP(src="10.1.1.1", dst="10.2.1.1", id=i) / UDP(sport=5, dport=6))) for i in range(23)]
        answer = world.run("send", port=0, frames=[f.hex() for f in frames[:at] + [tagged] + frames[at:]])
        order = [int.from_bytes(data[18:20], "big") for _, data in tx(answer) if data[12:14] == b"\x08\0"]
        equal(order, list(range(23)), f"order around a frame at place {at}")


def row_one_broken(world):
    """One broken frame at each place of a vector: it alone meets its fate, named as if it were alone."""
    rng = random.Random(3)
    good = [plain(world, n) for n in range(11)]
    fate = [send(world, [f]) for f in good]
    for at in range(12):
        for _ in range(12):
            bad = broken(rng.choice(good), rng)
            its = send(world, [bad])
            if any(reason.startswith("icmp_") for reason in its["drops"]) or len(its["tx"]) > 1 or its["punt"]:
                continue
            if its["drops"] and its["tx"]:  # answered with an error, which has a budget and an identification of its own
                continue
            compare(world, good[:at] + [bad] + good[at:], fate[:at] + [its] + fate[at:])
