#!/usr/bin/python3
"""Is each check of the pipeline noticed when it is gone? Removes one at a time in a copy of the tree, builds
pktrun there and runs the row that guards it: the row must fail. Prints PASS when it did, FAIL when the broken
pipeline was accepted. Most faults are told from good packets up to three times, by fours, by the straight line and by
the check that names them: where several would have to go, a mutant removes them."""
import os
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# name: (row, [(file, text, instead), ...])
MUTANTS = {
    "ihl": ("ip4.ihl", [("parse4.c", "if (hlen < IP4_MIN) /* (4)", "if (0) /* (4)")]),
    "version": ("ip4.version", [("parse4.c", "if (ip[0] >> 4 != 4)", "if (0)")]),
    "checksum": ("ip4.checksum", [("parse4.c", "if (rte_raw_cksum(ip, hlen) !=\n\t\t0xffff)", "if (0)")]),
    "total length": ("ip4.total_length", [("parse4.c", "if (total < hlen)", "if (0)")]),
    "truncated": ("ip4.truncated", [("parse4.c", "if (total > room) {", "if (0) {")]),
    "martian source": ("ip4.martian_source", [("parse4.c", "return net == 0 || net == 127 || net >= 224;", "return net == 0;")]),
    "own source": ("ip4.own_source", [("parse4.c", "if (src == dst ||", "if (")]),
    "source route": ("ip4.source_route", [("parse4.c", "*ret_source_route = true;", "*ret_source_route = false;")]),
    "link-layer broadcast": ("l2.broadcast_unicast_ip", [("parse4.c", "if (a->kind != DP_ADJ_BROADCAST || a->link != l->conf.id)", "if (0)")]),
    "other MAC": ("l2.other_mac", [("parse.c", "} else if (dst != own) {", "} else if (0) {")]),
    "VLAN 4095": ("l2.vlan_4095", [("parse.c", "if (vid == VLAN_IDS - 1 ||", "if (vid == VLAN_IDS - 1) vid = 0;\n\t\tif (")]),
    "TTL": ("ip4.ttl", [("rewrite.c", "if ((k->af == AF_INET ? k->ip[8] : k->ip[7]) < 2) {", "if (0) {"),
                             ("rewrite.c", "likely(ttl >= 2) && ", ""),
                             ("parse_four.c", "_mm_set1_epi32(2), _mm_and_si128(word[2]", "_mm_set1_epi32(0), _mm_and_si128(word[2]")]),
    "IPv6 hop limit of ND": ("ip6.nd_hop_limit", [("neigh.c", "ip[7] != 255", "0")]),
    "ND option length": ("ip6.nd_option_zero", [("neigh.c", "if (len < fixed || !options_valid(", "if (len < fixed || 0 && !options_valid(")]),
    "error about error": ("icmp.no_error_about_error", [("icmp.c", "(hlen < k->len && is_query4(k->ip[hlen]))", "1")]),
    "limit by source": ("icmp.limit_by_source", [("icmp.c", "hz / SOURCE_PPS * SOURCE_BURST))\n\t\treturn false;", "hz / SOURCE_PPS * SOURCE_BURST))\n\t\t;")]),
    "VXLAN flag": ("tunnel.flag", [("encap.c", "if (!len || !(h[0] & VXLAN_VNI_VALID))", "if (!len)")]),
    "GRE flags": ("gre.gre_flags", [("encap.c", "if (flags & GRE_REFUSED)", "if (0)")]),
    "GRE checksum": ("gre.gre_checksum", [("encap.c", "((flags & GRE_CHECKSUM) && rte_raw_cksum(h, room) != 0xffff)", "0")]),
    "GENEVE critical option": ("geneve.option_critical", [("encap.c", "if (o[2] & GENEVE_CRITICAL) {", "if (0) {")]),
    "GENEVE option length": ("geneve.option_cut", [("encap.c", "if (size > len)", "if (0)")]),
    "MSS option length": ("outer.mss_left", [("mss.c", "i + tcp[i + 1] > head", "0")]),
    "PMTU quote's header": ("outer.pmtu_forged", [("pmtu.c", "&& header_matches(l, q);", ";")]),
    "PMTU least": ("outer.pmtu_forged", [("pmtu.c", "if (mtu < (v4 ? LEAST4 : LEAST6) || ", "if (")]),
    "four: checksum": ("ip4.checksum", [("parse_four.c", "bad_sum(word, dst)", "_mm_setzero_si128()")]),
    "four: fragment": ("frag.too_long", [("parse_four.c", "_mm_and_si128(word[1], fragment)", "_mm_setzero_si128()")]),
    "four: addresses": ("ip4.martian_source", [("parse_four.c", "bad_address(word[3], dst)", "_mm_setzero_si128()")]),
    "four: own source": ("ip4.own_source", [("parse_four.c", " || unlikely(may_own(vrf, word[3]))", "")]),
    "four: source MAC": ("l2.", [("parse_four.c", "_mm_cmpeq_epi32(tail, _mm_setzero_si128())", "_mm_setzero_si128()")]),
    "four: the last of an odd vector": ("vector.sizes", [("parse_four.c", "RTE_MIN(n - i, 4u)", "4")]),
    "ESP: ICV": ("esp.icv", [("esp_in.c", "if (unlikely(crypto_batch[w->index].status[i])) {", "if (0) {")]),
    "ESP: replay": ("esp.replay", [("esp_in.c", "if (unlikely(!sa_fresh(sa, seq))) {", "if (0) {"),
                                   ("esp_in.c", "if (unlikely(!sa_seen(o->sa, o->seq[i]))) {", "sa_seen(o->sa, o->seq[i]);\n\tif (0) {")]),
    "ESP: twice in a vector": ("esp.replay_vector", [("esp_in.c", "if (unlikely(!sa_seen(o->sa, o->seq[i]))) {", "sa_seen(o->sa, o->seq[i]);\n\tif (0) {")]),
    "ESP: window is cleared": ("esp.replay", [("sa.c", "run->window[(top + i) & sa->window_mask] = 0;", ";")]),
    "ESP: padding": ("esp.trailer", [("esp_in.c", "return bad & 0xff ? -1 :", "return")]),
    "ESP: dummy": ("esp.trailer", [("esp_in.c", "else if (next == ESP_NEXT_NONE)", "else if (0)")]),
    "ESP: sequence's end": ("esp.sequence_ends", [("esp_out.c", "sa->run->seq >= sa->seq_last", "0")]),
    "ESP: hard limit": ("esp.limits", [("sa.h", "return sa->run->packets >= sa->hard_packets || sa->run->bytes >= sa->hard_bytes;", "return false;")]),
    "ESP: encapsulation": ("esp.nat_t_mixed", [("esp_in.c", " || udp != !!a.sa->udp_local", "")]),
    "ESP: owner": ("esp.two_workers", [("esp_in.c", "if (a.sa->worker != w->index)", "if (0)"), ("esp_out.c", "y.sa->worker != w->index", "0")]),
    "ESP: clear": ("esp.", [("esp_out.c", "crypto_run(w, &y->sa->crypto, n);", "memset(b->status, 0, sizeof(b->status));")]),
    "zones": ("path.zones", [("policy.c", "if (!s->zones || !in)", "if (1 || !in)")]),
}


def build(folder):
    subprocess.run(["make", "-s", "-C", folder, f"-j{os.cpu_count()}", "B=build", "WARN=-w", "build/pktrun"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def main():
    only = sys.argv[sys.argv.index("--only") + 1] if "--only" in sys.argv else ""
    folder, failed = tempfile.mkdtemp(prefix="lintas-mutants-"), 0
    try:
        for part in ("Makefile", "config", "dataplane", "control", "tests", "tools"):
            copy = shutil.copytree if os.path.isdir(f"{TOP}/{part}") else shutil.copy
            copy(f"{TOP}/{part}", f"{folder}/{part}")
        build(folder)
        for name, (row, edits) in MUTANTS.items():
            if only not in name:
                continue
            for file, text, instead in edits:
                path = f"{folder}/dataplane/{file}"
                with open(path) as f:
                    source = f.read()
                if source.count(text) != 1:
                    sys.exit(f"mutants: '{text}' stands {source.count(text)} times in {file}: adapt the list")
                with open(path, "w") as f:
                    f.write(source.replace(text, instead))
            try:
                build(folder)
                out = subprocess.run(["/usr/bin/python3", f"{folder}/tests/packet/packet.py", "--build", f"{folder}/build", "--only", row],
                                     capture_output=True, text=True, timeout=120).stdout
                noticed = "FAIL" in out
            except subprocess.CalledProcessError as e:
                out, noticed = e.stderr.decode(), False
            failed += not noticed
            print(f"{'PASS' if noticed else 'FAIL'} without '{name}' row {row} "
                  f"{'fails' if noticed else 'still passes: ' + out[-300:]}", flush=True)
            for file, _, _ in edits:
                shutil.copy(f"{TOP}/dataplane/{file}", f"{folder}/dataplane/{file}")
    finally:
        shutil.rmtree(folder)
    return 1 if failed else 0


sys.exit(main())
