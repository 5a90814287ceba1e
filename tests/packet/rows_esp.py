"""ESP in tunnel mode, in and out, against scapy's ciphers and its SecurityAssociation: RFC 4303, 4106, 3602, 3948; P58."""
from scapy.all import IP, UDP, Ether, IPv6, Raw
from scapy.layers.ipsec import ESP, SecurityAssociation

from esp_peer import ALGORITHMS, IN, MARKER, OUT, Sa, esp, sealed
from tunnels import LOCAL, NET, REMOTE, packets
from world import Failure, equal, tx


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
