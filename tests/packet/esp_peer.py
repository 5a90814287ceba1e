"""The far end of an IPsec tunnel, played by scapy: its ciphers, and its whole SecurityAssociation where nothing is odd.

    with esp(world, alg="gcm256", v6=False, natt=False, esn=False) as t:
        t.arrives(packet)    sealed by scapy, must leave by link a as a plain router sends it
        t.leaves(packet)     sent by link a's peer, must leave on the underlay so that scapy can open it
"""
import hmac
import os
from contextlib import contextmanager

from scapy.all import IP, UDP, IPv6, Raw
from scapy.layers.ipsec import ESP, AUTH_ALGOS, CRYPT_ALGOS, SecurityAssociation, _ESPPlain

from tunnels import LOCAL, REMOTE, family, tunnel
from world import PEER, Failure, equal, tx

MARKER = b"in clear nobody may see this"
# name: (scapy's cipher, octets of key, scapy's authentication, octets of key, our cipher, our authentication)
ALGORITHMS = {f"gcm{n * 8}": ("AES-GCM", n + 4, "NULL", 0, "gcm", "none") for n in (16, 24, 32)}
for n in (16, 24, 32):
    ALGORITHMS |= {f"cbc{n * 8}-sha1": ("AES-CBC", n, "HMAC-SHA1-96", 20, "cbc", "sha1"),
                   f"cbc{n * 8}-sha256": ("AES-CBC", n, "SHA2-256-128", 32, "cbc", "sha256"),
                   f"cbc{n * 8}-sha384": ("AES-CBC", n, "SHA2-384-192", 48, "cbc", "sha384"),
                   f"cbc{n * 8}-sha512": ("AES-CBC", n, "SHA2-512-256", 64, "cbc", "sha512")}
ALGORITHMS["null-sha256"] = ("NULL", 0, "SHA2-256-128", 32, "null", "sha256")
NEXT = {4: 4, 6: 41}
IN, OUT = 10, 11  # indexes of the SAs; of one owner each where there are two workers


class Sa:
    """One direction: keys, and what scapy makes of them."""
    spis = 0x10000

    def __init__(self, alg, esn=False, spi=None):
        crypt, key, auth, auth_key, self.cipher, self.auth = ALGORITHMS[alg]
        Sa.spis += 1
        self.spi, self.esn = spi or Sa.spis, esn
        self.key, self.auth_key = os.urandom(key), os.urandom(auth_key)
        self.crypt_algo, self.auth_algo = CRYPT_ALGOS[crypt], AUTH_ALGOS[auth]
        self.scapy = SecurityAssociation(ESP, spi=self.spi, crypt_algo=crypt, crypt_key=self.key or None, auth_algo=auth,
                                         auth_key=self.auth_key or None)
        self.icv = self.crypt_algo.icv_size or self.auth_algo.icv_size
        self.block = max(self.crypt_algo.block_size, 4)

    def conf(self, **more):
        return {"spi": self.spi, "cipher": self.cipher, "auth": self.auth, "key": self.key.hex(), "auth_key": self.auth_key.hex(),
                "esn": self.esn} | more

    def sign(self, data, seq):
        return hmac.new(self.auth_key, data + (seq >> 32).to_bytes(4, "big") * self.esn,
                        self.auth_algo.digestmod.name).digest()[:self.icv]

    def seal(self, inner, seq, nh=None, padlen=None, padding=None, spi=None):
        """An ESP packet; nh, padlen, padding: to be wrong."""
        data = bytes(inner)
        plain = _ESPPlain(spi=spi or self.spi, seq=seq & 0xFFFFFFFF, iv=self.crypt_algo.generate_iv(), data=data,
                          nh=nh if nh is not None else NEXT[family(inner)])
        pad = -(len(data) + 2) % self.block
        plain.padlen = pad if padlen is None else padlen
        plain.padding = bytes(range(1, pad + 1)) if padding is None else padding
        e = bytes(self.crypt_algo.encrypt(self.scapy, plain, self.scapy.crypt_key, esn_en=self.esn, esn=seq >> 32))
        return e + self.sign(e, seq) if self.auth_key else e

    def open(self, data, seq):
        """(inner packet, next header) of an ESP packet; raises what scapy raises when it is not right."""
        equal((int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")), (self.spi, seq & 0xFFFFFFFF), "SPI and sequence number")
        if self.auth_key:
            equal(data[-self.icv:], self.sign(data[:-self.icv], seq), "ICV")
        plain = self.crypt_algo.decrypt(self.scapy, ESP(data), self.scapy.crypt_key, self.icv, esn_en=self.esn, esn=seq >> 32)
        text = self.plaintext(data, seq)
        pad = text[-2]
        equal((pad < self.block, text[-2 - pad:-2]), (True, bytes(range(1, pad + 1))), "padding")
        return bytes(plain.data), plain.nh

    def plaintext(self, data, seq):
        """With its trailer."""
        n = self.crypt_algo.iv_size
        iv, body, icv = data[8:8 + n], data[8 + n:len(data) - self.icv], data[len(data) - self.icv:]
        if self.cipher == "null":
            return body
        algo = self.crypt_algo
        nonce = algo._format_mode_iv(sa=self.scapy, iv=iv)
        if algo.is_aead:
            hi = (seq >> 32).to_bytes(4, "big") if self.esn else b""
            return algo.cipher(self.scapy.crypt_key).decrypt(nonce, body + icv, data[:4] + hi + data[4:8])
        c = algo.new_cipher(self.scapy.crypt_key, nonce).decryptor()
        return c.update(body) + c.finalize()


class Esp:
    def __init__(self, world, t, alg, natt, esn, replay, seq):
        self.world, self.t, self.alg, self.natt, self.esn, self.replay = world, t, alg, natt, esn, replay
        self.ports = {"udp_local": 4500, "udp_remote": 34500} if natt else {}
        self.theirs, self.ours = Sa(alg, esn), Sa(alg, esn)
        self.seq = self.sent = seq  # last of theirs, last of ours
        self.set(IN, self.theirs, inbound=True, seq=seq)
        self.set(OUT, self.ours, seq=seq)
        world.run("sa_use", link=t.id, sa=OUT)

    def set(self, index, sa, **over):
        return self.world.run("sa_set", **({"sa": index, "link": self.t.id, "replay": self.replay} | sa.conf(**self.ports) | over))

    def info(self, index):
        return self.world.run("sa_info", sa=index)

    # ---- theirs ----
    def carry(self, esp, **over):
        """A frame on the underlay with this ESP packet."""
        v = self.t.v
        src, dst = over.get("src", REMOTE[v]), over.get("dst", LOCAL[v])
        udp = over.get("natt", self.natt)
        head = {"tos": over.get("tos", 0), "proto": 17 if udp else 50} if v == 4 else {"tc": over.get("tos", 0), "nh": 17 if udp else 50}
        ip = IP(src=src, dst=dst, flags="DF", **head) if v == 4 else IPv6(src=src, dst=dst, **head)
        if udp:
            ip = ip / UDP(sport=over.get("sport", 34500), dport=4500, chksum=0, len=over.get("udp_len", 8 + len(esp)))
        return self.world.eth("u", 0x0800 if v == 4 else 0x86DD) / ip / Raw(esp)

    def frame(self, inner, seq=None, tos=0, **how):
        if seq is None:
            self.seq += 1
            seq = self.seq
        return self.carry(self.theirs.seal(inner, seq, **how), tos=tos)

    def send(self, *frames):
        return self.world.send("u", *frames)

    def arrives(self, *inner, frames=None):
        answer = self.send(*(frames or [self.frame(p) for p in inner]))
        equal(answer["drops"], {}, "drops")
        want = [(0, self.world.forwarded(p, "a")) for p in inner]
        got = tx(answer)
        equal(sorted(got), sorted(want), f"sent out of {self.alg} over IPv{self.t.v}")
        return answer

    def bad(self, frame, reason):
        answer = self.send(frame)
        equal((answer["drops"], answer["tx"], answer["punt"]), ({reason: 1}, [], []), "a bad packet's fate")

    # ---- ours ----
    def opened(self, data, sa=None, seq=None):
        """(outer header, inner octets) of a frame on the underlay."""
        sa = sa or self.ours
        if seq is None:
            self.sent += 1
            seq = self.sent
        v = self.t.v
        equal(data[:14], bytes(self.world.eth("u", 0x0800 if v == 4 else 0x86DD, src=self.world.mac[2], dst=PEER["u"])), "outer frame")
        ip = IP(data[14:]) if v == 4 else IPv6(data[14:])
        body = data[14 + (20 if v == 4 else 40):]
        equal((ip.src, ip.dst, ip.proto if v == 4 else ip.nh), (LOCAL[v], REMOTE[v], 17 if self.natt else 50), "outer header")
        equal((ip.len if v == 4 else ip.plen + 40), len(data) - 14, "outer length")
        if v == 4:
            again = IP(data[14:34])
            del again.chksum
            equal(bytes(again), data[14:34], "outer header's checksum")
        if self.natt:
            equal((int.from_bytes(body[0:2], "big"), int.from_bytes(body[2:4], "big"), int.from_bytes(body[4:6], "big"), body[6:8]),
                  (4500, 34500, len(body), b"\0\0"), "UDP header")
            body = body[8:]
        inner, nh = sa.open(body, seq)
        equal(nh, 41 if inner[0] >> 4 == 6 else 4, "next header")
        return ip, inner

    def leaves(self, *packets, sa=None):
        kinds = [0x86DD if family(p) == 6 else 0x0800 for p in packets]
        answer = self.world.send("a", *[self.world.eth("a", k) / p for k, p in zip(kinds, packets)])
        equal(answer["drops"], {}, "drops")
        if self.ours.cipher != "null":
            sealed(answer)
        got = [data for port, data in tx(answer) if port == 2]
        equal(len(got), len(packets), "packets sent")
        return [self.opened(data, sa) for data in got], answer

    def leaves_as_routed(self, *packets):
        opened, answer = self.leaves(*packets)
        equal(sorted(inner for _, inner in opened), sorted(self.world.forwarded(p, "b")[14:] for p in packets), f"inside {self.alg}")
        return [ip for ip, _ in opened], answer


def sealed(answer):
    """Nothing of what is inside shows on the underlay."""
    for port, data in tx(answer):
        if port == 2 and MARKER in data:
            raise Failure(f"in clear on the underlay: {data.hex()}")


@contextmanager
def esp(world, alg="gcm256", v6=False, natt=False, esn=False, replay=64, seq=0, **link):
    with tunnel(world, "esp", v6, **link) as t:
        e = Esp(world, t, alg, natt, esn, replay, seq)
        try:
            yield e
        finally:
            world.run("sa_use", link=t.id, sa=-1)
            for index in (IN, OUT):
                world.run("sa_del", sa=index, may_fail=True)
