"""The rows of IPsec: ESP in tunnel mode, AES-256-GCM, in the same process as plain forwarding and beside the bare cipher.

    esp-out, esp-in          IPv4 packets of 1,420 bytes into and out of one SA        (row - plain) / raw
    esp-out-64, esp-in-64    the same of 64 bytes
    sas-1k-out, sas-1k-in    64 bytes by 1,000 SAs in random order against one         all / one

plain is the same packets forwarded without a tunnel; raw is cryptoloop on as many octets as are encrypted, packet and
trailer, in windows between the others. What ESP costs beyond plain may be raw / 0.85, of small packets raw / 0.6."""
import os
import struct

import judge
from device import Device
from gateway import PORT_MAC
from layers import Tunnel
from measure import Books, Side, warm
from own import FLOWS, PREFIXES, WINDOW_S
from programs import Crypto
from rows import Result
from traffic import destinations, outer4, sized4, text, untagged, with_tos
from tunnels import OURS, THOUSAND, Ends, Thousand, Tunnels
from xfrm import Xfrm

SIZES = {"": 1420, "-64": 64}
SPI_IN, SPI_OUT, TRAILER, BLOCK = 0x10000, 0x20000, 2, 4
ENCRYPT, DECRYPT = 1, 2
ORDER = ("base", "row", "raw", "raw", "row", "base")


def text_len(size):
    """Octets that are encrypted of a packet: RFC 4303 2.4."""
    return (size + TRAILER + BLOCK - 1) // BLOCK * BLOCK


class EspEnds(Ends):
    """An IPsec link and its two SAs."""

    def __init__(self, i):
        super().__init__("esp", i)
        self.keys = {way: os.urandom(36) for way in ("in", "out")}
        self.spis = {"in": SPI_IN + i, "out": SPI_OUT + i}

    def encap(self):
        return f'encap = {{ type = "ipsec"; remote = "{text(4, self.remote)}"; }}; ' \
               'ipsec = { key = "psk"; esp = [ "aes256gcm16-ecp384" ]; initiator = "them"; };'

    def leg(self):
        return judge.Leg(self.far_mac, PORT_MAC, tunnel=Tunnel("esp", self.spis["out"], OURS, self.remote))

    def add_to(self, xfrm):
        xfrm.add(self.remote, OURS, self.spis["in"], self.keys["in"], self.name)
        xfrm.add(OURS, self.remote, self.spis["out"], self.keys["out"], self.name)

    def frame(self, data, number):
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        pad = text_len(len(data)) - len(data) - TRAILER
        head, iv, key = struct.pack(">II", self.spis["in"], number + 1), struct.pack(">Q", number + 1), self.keys["in"]
        sealed = AESGCM(key[:-4]).encrypt(key[-4:] + iv, data + bytes(range(1, pad + 1)) + bytes([pad, 4]), head)
        return untagged(outer4(head + iv + sealed, 50, self.remote, OURS, data[1]))


class Keyed:
    """A gateway's part of IPsec: a folder of secrets, SAs for each lintasd, keys for the judge."""

    def shape(self, place):
        folder = f"{place.folder}/keys"
        os.makedirs(folder, mode=0o700, exist_ok=True)
        with open(os.open(f"{folder}/psk", os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            f.write("nobody-negotiates\n")
        return super().shape(place) | {"defaults": f'defaults = {{ keys = "{folder}"; }};', "began": self.keys_to}

    def keys_to(self, program):
        """A new lintasd has none."""
        path = f"{os.path.dirname(program.socket)}/xfrm-prod.sock"
        program.wait("listens for SAs", lambda: os.path.exists(path))
        self.xfrm = Xfrm(path)  # open for as long as its SAs shall live
        for e in self.ends:
            e.add_to(self.xfrm)

    def judge(self):
        keys = {e.spis[way]: e.keys[way] for e in self.ends for way in e.keys}
        return judge.Judge(self.frames, {(4, False): self.table, (4, True): self.table}, self.legs, keys)


class Esp(Keyed, Tunnels):
    """One SA each way."""

    rows = {"esp-out": 1 / .85, "esp-in": 1 / .85, "esp-out-64": 1 / .6, "esp-in-64": 1 / .6}
    ends = [EspEnds(1)]

    def result(self, name):
        return Result(name, self.rows[name], of="beyond_plain", to="raw")

    def size(self, name):
        return SIZES["-64" if name.endswith("-64") else ""]

    def sets(self, rng):
        plain = self.table.add_random(PREFIXES, rng, range(1, PREFIXES + 1))
        behind = self.table.add_random(PREFIXES, rng, [e.number for e in self.ends])
        for tail, size in SIZES.items():
            def make(number, dst, size=size):
                return with_tos(sized4(number, dst, size), number % 64 << 2 | number % 3)
            self.add(f"plain{tail}", destinations(plain, 4, FLOWS, rng), make=make)
            self.add(f"esp-out{tail}", destinations(behind, 4, FLOWS, rng), make=make)
            self.add(f"esp-in{tail}", destinations(plain, 4, FLOWS, rng), self.ends * FLOWS, make=make)

    def base(self, name):
        return "plain-64" if name.endswith("-64") else "plain"

    def one(self, gateway, results):
        place = gateway.place
        raw = Crypto(place, Device(place.folder, "c", 0, every=0))
        raw.start()
        self.raw = raw
        try:
            super().one(gateway, results)
        finally:
            raw.end()

    def measure(self, program, results):
        sets, sides = self.frames.sets, {}
        for name in results:
            work = (text_len(self.size(name)), ENCRYPT if "out" in name else DECRYPT)
            sides[name] = {"base": Side(f"plain beside {name}", program, span=sets[self.base(name)]),
                           "row": Side(name, program, span=sets[name]), "raw": Side(f"raw {name}", self.raw, span=work)}
        order = [three[which] for three in sides.values() for which in ORDER]
        books = Books(program, self.judge())
        warm(set(order))
        books.open()
        for side in order + order[::-1]:
            side.window(WINDOW_S)
        books.close()
        for name, result in results.items():
            row, base, raw = (sides[name][which].cost.cycles for which in ("row", "base", "raw"))
            result.add((row - base) / raw, row - base, raw, sides[name]["row"].cost.vector)
            result.notes = [f"plain={base:.1f}, raw / beyond plain = {raw / (row - base):.2f}"]


class ThousandSas(Keyed, Thousand):
    """Links and SAs by the thousand against one of them."""

    rows = {"sas-1k-in": 1.10, "sas-1k-out": 1.10}
    ends = [EspEnds(i) for i in range(1, THOUSAND + 1)]
    kind = "sas"

