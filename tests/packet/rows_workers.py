"""More than one worker: hand-over to the worker that owns a port, order, and counters exact to the packet."""
from scapy.all import IP, UDP

from world import equal, tx


def frames(world, flow, n):
    return [world.eth("a", 0x0800) / (IP(src="10.1.1.1", dst="10.2.1.1", id=i) / UDP(sport=flow, dport=9)) for i in range(n)]


def check(world, queues):
    sends = [{"port": 0, "queue": q, "frames": [bytes(f).hex() for f in frames(world, 1000 + q, 500)]} for q in range(queues)]
    answer = world.run("send", sends=sends)
    equal((answer["drops"], answer["leaked"]), ({}, 0), "drops and leaks")
    by_flow = {}
    for _, data in tx(answer):
        by_flow.setdefault(data[34:36], []).append(int.from_bytes(data[18:20], "big"))
    equal({k: v for k, v in by_flow.items()}, {(1000 + q).to_bytes(2, "big"): list(range(500)) for q in range(queues)}, "order in each flow")
    total = [0, 0]
    for i, o, packets, octets in answer["pairs"]:
        equal((i, o), (1, 2), "pair")
        total = [total[0] + packets, total[1] + octets]
    equal(total, [500 * queues, 500 * queues * 28], "matrix")
    return answer


def row_two(world):
    """Two workers, two queues, each with a transmit queue of its own."""
    check(world, 2)
row_two.own_world = {"workers": 2, "queues": 2, "tx_queues": 2, "adaptive": True}


def row_owned(world):
    """Two workers, one transmit queue a port: one owns it, the other hands over by ring."""
    equal(check(world, 2)["handed_over"] > 0, True, "packets handed over")
row_owned.own_world = {"workers": 2, "queues": 2, "tx_queues": 1, "adaptive": True}


def row_four(world):
    """Four workers on one CPU or more."""
    check(world, 4)
row_four.own_world = {"workers": 4, "queues": 4, "tx_queues": 1, "adaptive": True}
