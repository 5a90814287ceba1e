"""What is sent: random tables of prefixes, and frames of 64 bytes to their addresses, in a pcap file.

A table's prefixes have the lengths the Internet's have. A Traffic is one pcap file of several sets of frames; the
source hands out one set at a time (first, count), so one process can meet them in alternation. Every packet's
source address is 100.64.0.0 or fd10:0:0:ffff:: plus the number of its frame in the file: whoever finds it in the
output knows what it was."""
import array
import mmap
import random
import socket
import struct

# How many thousandths of the Internet's table have which length, roughly.
LENGTHS = {4: [(16, 14), (17, 8), (18, 14), (19, 25), (20, 45), (21, 50), (22, 109), (23, 106), (24, 620), (32, 9)],
           6: [(29, 30), (32, 130), (36, 30), (40, 80), (44, 70), (48, 600), (56, 20), (64, 40)]}
BITS = {4: 32, 6: 128}
RESERVED4 = (10, 100, 127, 169, 172, 192, 198)  # first octets of ours, and of addresses that are no one's
SOURCE4, SOURCE6 = 0x64400000, 0xFD10 << 112 | 0xFFFF << 64
SENDER = bytes.fromhex("02000000000a")
PORT_MAC = bytes.fromhex("02000000be00")  # of net_bench0


def text(family, address):
    if family == 4:
        return socket.inet_ntoa(address.to_bytes(4, "big"))
    return socket.inet_ntop(socket.AF_INET6, address.to_bytes(16, "big"))


class Table:
    """Prefixes with a number each: what the number means is the row's business."""

    def __init__(self, family):
        self.family, self.by_length = family, {}  # length -> {address without its last bits: number}

    def __len__(self):
        return sum(map(len, self.by_length.values()))

    def add_random(self, count, rng, numbers):
        """`count` new prefixes with a random one of `numbers` each; returns them as [(address, length)]."""
        bits, new = BITS[self.family], []
        lengths, weights = zip(*LENGTHS[self.family])
        numbers = list(numbers)
        while len(new) < count:
            for n in rng.choices(lengths, weights, k=count - len(new)):
                a = rng.randrange(0x0B000000, 0xDF000000) if self.family == 4 else (2 << 124) | rng.getrandbits(124)
                if self.family == 4 and a >> 24 in RESERVED4:
                    continue
                a >>= bits - n
                same = self.by_length.setdefault(n, {})
                if a not in same:
                    same[a] = numbers[int(rng.random() * len(numbers))]
                    new.append((a << (bits - n), n))
        return new

    def __iter__(self):
        """(address, length, number)"""
        bits = BITS[self.family]
        for n, same in self.by_length.items():
            for a, number in same.items():
                yield a << (bits - n), n, number

    def lookup(self, address):
        """The longest match's number, or None."""
        for n in sorted(self.by_length, reverse=True):
            number = self.by_length[n].get(address >> (BITS[self.family] - n))
            if number is not None:
                return number
        return None

    def write(self, path, index):
        """One "prefix index(number)" a line, for the bare loop."""
        with open(path, "w") as f:
            f.writelines(f"{text(self.family, a)}/{n} {index(number)}\n" for a, n, number in self)


def destinations(prefixes, family, count, rng):
    """`count` addresses, each within a random prefix."""
    bits, n_prefixes = BITS[family], len(prefixes)
    for _ in range(count):
        a, n = prefixes[int(rng.random() * n_prefixes)]
        yield a | (rng.getrandbits(bits - n) if n < bits else 0)


def checksum(header):
    s = sum(struct.unpack(f">{len(header) // 2}H", header))
    s = (s & 0xFFFF) + (s >> 16)
    return ~(s + (s >> 16)) & 0xFFFF


# ---- packets: (number of the frame, destination) -> bytes from the IP header on ----
PLAIN4 = struct.Struct(">BBHHHBBHIIHHHHI18x")
PLAIN4_SUM = 0x4500 + 50 + 0x4011  # version, length, TTL 64, UDP
PLAIN6 = struct.Struct(">IHBB16s16sHHHHH")


def packet4(number, dst):
    """IPv4, UDP, 50 bytes: 64 with Ethernet."""
    src = SOURCE4 + number
    s = PLAIN4_SUM + (src >> 16) + (src & 0xFFFF) + (dst >> 16) + (dst & 0xFFFF)
    s = (s & 0xFFFF) + (s >> 16)
    s = ~((s & 0xFFFF) + (s >> 16)) & 0xFFFF
    return PLAIN4.pack(0x45, 0, 50, 0, 0, 64, 17, s, src, dst, 1024 + number * 7919 % 60000, 9, 30, 0, number)


def packet6(number, dst):
    """IPv6, UDP, 50 bytes."""
    return PLAIN6.pack(0x60000000, 10, 17, 64, (SOURCE6 + number).to_bytes(16, "big"), dst.to_bytes(16, "big"),
                       1024 + number * 7919 % 60000, 9, 10, 0x1234, number & 0xFFFF)


def bfd4(number, dst):
    """What goes to the kernel: UDP to BFD's port, at an address of the router."""
    h = packet4(number, dst)
    return h[:22] + struct.pack(">H", 3784) + h[24:]


def sized4(number, dst, size):
    """packet4() with more behind it, `size` bytes in all."""
    h = packet4(number, dst)
    h = h[:2] + struct.pack(">H", size) + h[4:10] + b"\0\0" + h[12:24] + struct.pack(">H", size - 20) + h[26:] + bytes(size - len(h))
    return h[:10] + struct.pack(">H", checksum(h[:20])) + h[12:]


def with_tos(packet, tos):
    """An IPv4 packet with another DSCP and ECN."""
    h = packet[:1] + bytes([tos]) + packet[2:10] + b"\0\0" + packet[12:20]
    return h[:10] + struct.pack(">H", checksum(h)) + h[12:] + packet[20:]


# ---- frames around them ----
def untagged(packet, mac=PORT_MAC):
    return mac + SENDER + (b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd") + packet


def tagged(packet, vlan):
    return PORT_MAC + SENDER + struct.pack(">HH", 0x8100, vlan) + (b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd") + packet


def outer4(payload, protocol, src, dst, tos=0):
    h = struct.pack(">BBHHHBBHII", 0x45, tos, 20 + len(payload), 0, 0x4000, 64, protocol, 0, src, dst)
    return h[:10] + struct.pack(">H", checksum(h)) + h[12:] + payload


def in_udp(payload, src, dst, port, dport, tos):
    return untagged(outer4(struct.pack(">HHHH", port, dport, 8 + len(payload), 0) + payload, 17, src, dst, tos))


def in_vxlan(packet, vni, mac, src, dst, port):
    """An Ethernet frame to `mac` within VXLAN from src to dst (IPv4), untagged."""
    return in_udp(struct.pack(">II", 0x08 << 24, vni << 8) + untagged(packet, mac), src, dst, port, 4789, packet[1])


def in_geneve(packet, vni, mac, src, dst, port):
    return in_udp(struct.pack(">II", 0x6558, vni << 8) + untagged(packet, mac), src, dst, port, 6081, packet[1])


def in_gre(packet, src, dst):
    return untagged(outer4(b"\0\0\x08\0" + packet, 47, src, dst, packet[1]))


def in_ipip(packet, src, dst):
    return untagged(outer4(packet, 4, src, dst, packet[1]))


class Traffic:
    """A pcap file, written once, and the sets in it: name -> (first, count)."""

    def __init__(self, path):
        self.path, self.sets, self.at = path, {}, array.array("Q")
        self.file, self.map = open(path, "w+b"), None
        self.file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        self.position = self.file.tell()

    def add(self, name, makers):
        """A set of frames: each maker is called with its frame's number."""
        first, record = len(self.at), struct.Struct("<IIII")
        for maker in makers:
            data = maker(len(self.at))
            self.file.write(record.pack(0, 0, len(data), len(data)) + data)
            self.at.append(self.position)
            self.position += 16 + len(data)
        self.sets[name] = (first, len(self.at) - first)

    def frame(self, number):
        """As it was written."""
        if not self.map:
            self.file.flush()
            self.map = mmap.mmap(self.file.fileno(), 0, prot=mmap.PROT_READ)
        if number >= len(self.at):
            return None
        at = self.at[number]
        length = struct.unpack_from("<I", self.map, at + 8)[0]
        return self.map[at + 16:at + 16 + length]

    def done(self):
        self.file.flush()
        return self


def simple(path, table, prefixes, flows, rng=None):
    """One family, untagged; `flows`: name -> how many."""
    rng, packet = rng or random.Random(2), packet4 if table.family == 4 else packet6
    traffic = Traffic(path)
    for name, count in flows.items():
        traffic.add(name, ((lambda number, dst=dst: untagged(packet(number, dst)))
                           for dst in destinations(prefixes, table.family, count, rng)))
    return traffic.done()
