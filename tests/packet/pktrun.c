/* pktrun: the real pipeline with real workers, packets in and packets out, without NIC or huge pages.
 *
 * One JSON object a line on stdin, one JSON object a line on stdout in answer, until end of file. Ports are
 * net_ring devices whose rings this program fills and drains; kernel interfaces are SOCK_SEQPACKET pairs.
 * Only `start` needs EAL; everything else is a thin coat over dataplane.h, names and meanings are the same.
 * Addresses and prefixes are text ("10.0.0.1", "2001:db8::/64", "" = none), MACs "02:00:00:00:00:01", frames
 * hex. Every answer has "ok": true, or "ok": false and "error": text (a failed dp_ call adds "errno": "EINVAL").
 *
 *   {"cmd":"start", "ports":2, "workers":1}
 *        optional: "queues":1 (rx queues a port), "tx_queues":1 (below "workers": the port is owned by one
 *        worker, others hand over), "mtu":1500 (of every port), "adaptive":true, "buffers":0
 *        -> "ports":[{"name","device","mac","mtu","up","rx_queues","tx_queues","owner"}]; ports are up
 *   {"cmd":"publish", "links":[{"id":1, "name":"a", "vrf":0, "port":0, "mac":M, "mtu":1500, "tags":[[33024,100]],
 *        "up":true, "partner":false, "tap":true, "src4":"10.0.0.1", "src6":"2001:db8::1"},
 *        {"id":9, "encap":"vxlan", ..., "underlay_vrf":0, "vni":7, "local":A, "remote":A, "udp_port":4789,
 *        "underlay_adj":5}]}      the whole set; "tags" outermost first as [tpid, vid]; "tap" keeps its socket
 *        for as long as the id stays. Defaults: name "link<id>", vrf 0, port 0, mtu 1500, up, tap true
 *   {"cmd":"vrf_add", "vrf":0}    {"cmd":"vrf_del", "vrf":0}
 *   {"cmd":"fib_set", "vrf":0, "prefix":P, "group":1}     {"cmd":"fib_del", "vrf":0, "prefix":P}
 *   {"cmd":"fib_lookup", "vrf":0, "addr":A} -> "group"    {"cmd":"fib_info", "vrf":0}
 *   {"cmd":"adj_set", "adj":1, "kind":"forward", "link":2, "nexthop":A, "mac":M}
 *        kind: none local blackhole unreachable prohibit glean forward failed broadcast
 *   {"cmd":"adj_del", "adj":1}    {"cmd":"adj_info", "adj":1} -> "kind","link","port","mtu","header" (hex)
 *   {"cmd":"group_set", "group":1, "legs":[{"adj":1, "key":1, "weight":1, "tier":0, "alive":true}]}
 *   {"cmd":"group_del", "group":1}   {"cmd":"group_info", "group":1} -> "legs":[{...,"buckets"}], "n_buckets"
 *   {"cmd":"group_bucket", "group":1, "src":A, "dst":A, "proto":17, "sport":1, "dport":2} -> "bucket","adj"
 *   {"cmd":"batch", "cmds":[{...}, ...]}   any of the above, stopping at the first that fails ("index")
 *   {"cmd":"port", "port":0, "up":false}   loss or return of carrier; answers once the event has been seen
 *
 * These move packets; each answers when every packet has been dealt with (all rings empty, every thread idle
 * for two whole rounds), at the latest after "timeout_ms" (default 5000; then "ok": false, "error": "busy"):
 *   {"cmd":"send", "port":0, "frames":[hex, ...]}        optional "queue":0
 *        or "sends":[{"port":0,"frames":[...]}, ...] for several ports before waiting
 *   {"cmd":"from_kernel", "link":1, "frames":[hex, ...]} the kernel sends on the link's interface
 *   {"cmd":"hold_release", "link":2, "addr":A, "ok":true}
 *   {"cmd":"wait", "held":0}                              until so many packets are held (they expire after 3 s)
 *   {"cmd":"settle"}
 * and answers what has happened since the answer before it:
 *   "tx":    [{"port":1, "hex":H}, ...]     in order for each port
 *   "punt":  [{"link":1, "hex":H}, ...]     in order for each link
 *   "drops": {"ip4_csum":1}                 by reason, all links; "link_drops":[[link, "ip4_csum", 1], ...]
 *   "pairs": [[in, out, packets, bytes]]    the matrix, rows that changed
 *   "classes": {"icmp":{"to_kernel":1, "dropped":0, "from_kernel":0}}   punt classes that changed
 *   "events":[{"kind":"neigh_miss", "link":2, "addr":A}, {"kind":"port_down", "port":0}]
 *   "held":  packets waiting for a neighbour now
 *   "handed_over": packets that went to another worker by ring
 *   "leaked": buffers missing from the pools beyond those held: always 0 in a correct program
 *
 *   {"cmd":"flood", "port":0, "frame":hex, "count":1000}  the same frame so often; answers as send does, but
 *        "tx" and "punt" are counts: {"1": 1000}
 *   {"cmd":"stats"} -> "workers":[{...}], "ports":[{...}]
 *   {"cmd":"stop"}  -> "leaked", "ms" it took; the program ends at end of file */
