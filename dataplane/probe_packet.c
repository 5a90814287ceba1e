/* Probes on the wire: STAMP (RFC 8762), ICMP and ICMPv6 echo, TCP SYN; written by the stream's
 * owner, answers read by whichever worker they come in at.
 *
 * An answer is first told by our port or ICMP id, then by VRF and addresses; what fits a stream is
 * consumed here whatever it holds, so a forged one reaches nobody. Then come checksum, shape and,
 * for authenticated STAMP, the HMAC; whether the cookie is right only the owner knows. A SYN-ACK
 * counts as an answer and so does a reset. We answer the SYN-ACK with a reset ourselves, by the way
 * the probe took: punted, it would be the kernel's to answer, by another way perhaps and behind the
 * punt budget, and the far host's half-open connection would depend on that. */
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <time.h>
#include "csum.h"
#include "flow.h"
#include "parse.h"
#include "probe.h"
#include "stamp.h"

#define UDP_LEN	 8
#define ECHO_LEN 24 /* header, cookie, sequence number, four zeros */
#define TCP_LEN	 20
#define TCP_SYN	 0x02
#define TCP_RST	 0x04
#define TCP_ACK	 0x10
#define TTL	 64

/* ---- time ---- */

#define NTP_UNIX 2208988800ull /* 1970 in NTP's seconds */

static struct clock_base {
	uint64_t tsc, ntp;
} __rte_cache_aligned clocks[DP_WORKERS_MAX];

uint64_t probe_ntp(struct worker *w, uint64_t tsc)
{
	struct clock_base *c = &clocks[w->index];
	uint64_t hz = rte_get_tsc_hz();
	struct timespec now;

	if (!c->tsc || tsc - c->tsc > hz) { /* from the vDSO: no system call */
		clock_gettime(CLOCK_REALTIME, &now);
		c->tsc = rte_rdtsc();
		c->ntp = ((uint64_t)now.tv_sec + NTP_UNIX) << 32 |
			 ((uint64_t)now.tv_nsec << 32) / 1000000000u;
	}
	return tsc < c->tsc ? c->ntp - ((c->tsc - tsc) << 32) / hz
			    : c->ntp + (uint64_t)(((unsigned __int128)(tsc - c->tsc) << 32) / hz);
}

/* ---- writing ---- */

uint8_t *probe_ip(struct worker *w, uint8_t *ip, uint8_t af, const uint8_t *src, const uint8_t *dst,
	uint8_t proto, unsigned len, uint8_t ttl, uint8_t tos)
{
	uint16_t sum;

	if (af == AF_INET6) {
		probe_put32(ip, 6u << 28 | (uint32_t)tos << 20);
		probe_put16(ip + 4, len);
		ip[6] = proto;
		ip[7] = ttl;
		memcpy(ip + 8, src, 16);
		memcpy(ip + 24, dst, 16);
		return ip + IP6_LEN;
	}
	ip[0] = 0x45;
	ip[1] = tos;
	probe_put16(ip + 2, IP4_MIN + len);
	probe_put16(ip + 4, (unsigned)(worker_random(w) & 0xffff));
	probe_put16(ip + 6, IP4_DF);
	ip[8] = ttl;
	ip[9] = proto;
	probe_put16(ip + 10, 0);
	memcpy(ip + 12, src, 4);
	memcpy(ip + 16, dst, 4);
	sum = (uint16_t)~rte_raw_cksum(ip, IP4_MIN);
	memcpy(ip + 10, &sum, sizeof(sum));
	return ip + IP4_MIN;
}

void probe_checksum(
	const uint8_t *ip, uint8_t af, uint8_t *l4, unsigned len, uint8_t proto, unsigned at)
{
	uint16_t sum = (uint16_t)~csum_l4(ip, af, l4, len, proto);

	if (!sum && proto == IPPROTO_UDP) /* RFC 768: zero would say there is none */
		sum = 0xffff;
	memcpy(l4 + at, &sum, sizeof(sum));
}

static unsigned stamp_len(const struct probe *p)
{
	return p->auth ? STAMP_AUTH_LEN : STAMP_LEN;
}

static void write_stamp(const struct probe *p, const struct probe_slot *slot, uint8_t *s)
{
	uint8_t mac[32];

	probe_put32(s + STAMP_SEQ, slot->seq);
	if (!p->auth) {
		probe_put64(s + STAMP_TIME, slot->cookie);
		probe_put16(s + STAMP_ERR, STAMP_ERROR);
		probe_put16(s + STAMP_SSID, p->index + 1u);
		return;
	}
	probe_put64(s + STAMP_AUTH_TIME, slot->cookie);
	probe_put16(s + STAMP_AUTH_ERR, STAMP_ERROR);
	probe_put16(s + STAMP_AUTH_SSID, p->index + 1u);
	hmac_sign(&p->hmac, s, STAMP_AUTH_MAC, mac);
	memcpy(s + STAMP_AUTH_MAC, mac, STAMP_MAC_LEN);
}

static unsigned write_udp(
	const struct probe *p, const struct probe_slot *slot, const uint8_t *ip, uint8_t *l4)
{
	unsigned len = UDP_LEN + stamp_len(p);

	probe_put16(l4, p->base + slot->bucket);
	probe_put16(l4 + 2, p->conf.port);
	probe_put16(l4 + 4, len);
	write_stamp(p, slot, l4 + UDP_LEN);
	probe_checksum(ip, p->conf.dst.af, l4, len, IPPROTO_UDP, 6);
	return len;
}

static unsigned write_echo(
	const struct probe *p, const struct probe_slot *slot, const uint8_t *ip, uint8_t *l4)
{
	uint8_t af = p->conf.dst.af;
	uint16_t sum;

	l4[0] = af == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
	probe_put16(l4 + 4, p->base + slot->bucket);
	probe_put16(l4 + 6, slot->seq & 0xffff);
	probe_put64(l4 + 8, slot->cookie);
	probe_put32(l4 + 16, slot->seq);
	if (af == AF_INET6) {
		probe_checksum(ip, af, l4, ECHO_LEN, IPPROTO_ICMPV6, 2);
	} else {
		sum = (uint16_t)~rte_raw_cksum(l4, ECHO_LEN);
		memcpy(l4 + 2, &sum, sizeof(sum));
	}
	return ECHO_LEN;
}

/* The cookie is the initial sequence number; a reset is where the answer said it expects more. */
static unsigned write_tcp(const struct probe *p, const struct probe_slot *slot, const uint8_t *ip,
	uint8_t *l4, bool reset)
{
	probe_put16(l4, p->base + slot->bucket);
	probe_put16(l4 + 2, p->conf.port);
	probe_put32(l4 + 4, (uint32_t)slot->cookie + reset);
	l4[12] = TCP_LEN / 4 << 4;
	l4[13] = reset ? TCP_RST : TCP_SYN;
	probe_put16(l4 + 14, reset ? 0 : 1024);
	probe_checksum(ip, p->conf.dst.af, l4, TCP_LEN, IPPROTO_TCP, 16);
	return TCP_LEN;
}

static uint8_t proto_of(const struct probe *p)
{
	if (p->conf.type == DP_PROBE_ICMP)
		return p->conf.dst.af == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	return p->conf.type == DP_PROBE_STAMP ? IPPROTO_UDP : IPPROTO_TCP;
}

bool probe_emit(struct worker *w, const struct probe *p, const struct probe_slot *slot,
	const struct adj *a, bool reset)
{
	unsigned len = p->conf.type == DP_PROBE_STAMP  ? UDP_LEN + stamp_len(p)
		       : p->conf.type == DP_PROBE_ICMP ? ECHO_LEN
						       : TCP_LEN;
	unsigned head = p->conf.dst.af == AF_INET ? IP4_MIN : IP6_LEN;
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->scratch);
	uint8_t *ip = m ? (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(head + len)) : NULL, *l4;

	if (!ip || head + len > a->mtu) {
		rte_pktmbuf_free(m);
		return false;
	}
	mbuf_meta(m)->link = 0;
	l4 = probe_ip(w, ip, p->conf.dst.af, p->conf.src.bytes, p->conf.dst.bytes, proto_of(p), len,
		p->conf.type == DP_PROBE_STAMP ? STAMP_TTL : TTL, 0);
	memset(l4, 0, len);
	if (p->conf.type == DP_PROBE_STAMP)
		write_udp(p, slot, ip, l4);
	else if (p->conf.type == DP_PROBE_ICMP)
		write_echo(p, slot, ip, l4);
	else
		write_tcp(p, slot, ip, l4, reset);
	rewrite_own(w, m, ip, (uint16_t)(head + len), p->conf.dst.af, a);
	return true;
}

/* ---- reading ---- */

/* Port to port and address to address: is it between the two ends of this stream? */
static bool between(const struct probe *p, const struct packet *k, const struct link *l)
{
	unsigned size = ip_size(k->af), src = k->af == AF_INET ? 12 : 8;

	return p->conf.vrf == l->conf.vrf && p->conf.dst.af == k->af &&
	       !memcmp(p->conf.dst.bytes, k->ip + src, size) &&
	       !memcmp(p->conf.src.bytes, k->ip + src + size, size);
}

/* RFC 8762 4.3.1, 4.3.2: what the sender wrote, back again. */
static bool read_stamp(
	const struct probe *p, const uint8_t *s, unsigned len, struct probe_answer *answer)
{
	if (len < (p->auth ? STAMP_AUTH_LEN : STAMP_TWAMP_LEN))
		return false;
	answer->seq = flow_be32(s + (p->auth ? STAMP_AUTH_S_SEQ : STAMP_S_SEQ));
	answer->cookie = flow_be64(s + (p->auth ? STAMP_AUTH_S_TIME : STAMP_S_TIME));
	return !p->auth ||
	       hmac_right(&p->hmac, s, STAMP_AUTH_MAC, s + STAMP_AUTH_MAC, STAMP_MAC_LEN);
}

static bool read_echo(const uint8_t *l4, unsigned len, struct probe_answer *answer)
{
	if (len < ECHO_LEN || l4[1])
		return false;
	answer->cookie = flow_be64(l4 + 8);
	answer->seq = flow_be32(l4 + 16);
	return flow_be16(l4 + 6) == (answer->seq & 0xffff);
}

static bool read_tcp(const uint8_t *l4, struct probe_answer *answer)
{
	uint8_t flags = l4[13] & (TCP_SYN | TCP_ACK | TCP_RST);

	if (flags != (TCP_SYN | TCP_ACK) && flags != (TCP_RST | TCP_ACK))
		return false;
	answer->cookie = answer->seq = flow_be32(l4 + 8) - 1;
	answer->reset = !!(flags & TCP_SYN);
	return true;
}

static bool checksum_right(const struct packet *k, const uint8_t *l4, unsigned len, uint8_t proto)
{
	if (proto == IPPROTO_ICMP)
		return rte_raw_cksum(l4, len) == 0xffff;
	if (proto == IPPROTO_UDP && !flow_be16(l4 + 6))
		return k->af == AF_INET; /* RFC 8200 8.1 */
	return csum_l4(k->ip, k->af, l4, len, proto) == 0xffff;
}

static bool consume(struct worker *w, const struct packet *k, bool good)
{
	w->leisure++;
	if (!good) {
		drop(w, k->m, k->in, DP_DROP_probe_bad);
		return true;
	}
	meter_count(w, k->in, 0, 1, k->len);
	rte_pktmbuf_free(k->m);
	return true;
}

/* For one of our ports; len bytes from l4, at least a UDP, echo or TCP header. */
static bool take_answer(struct worker *w, const struct packet *k, const struct link *l,
	enum dp_probe_type type, uint16_t port, uint8_t proto, const uint8_t *l4, unsigned len)
{
	struct probe *p = probe_of_port(type, port);
	struct probe_answer answer = { .tsc = worker_now(w) };
	bool good;

	if (!p || !between(p, k, l))
		return false;
	if (type != DP_PROBE_ICMP && flow_be16(l4) != p->conf.port)
		return false;
	answer.probe = p->index;
	answer.bucket = (uint8_t)(port - p->base);
	good = answer.bucket < p->conf.buckets && checksum_right(k, l4, len, proto);
	if (good && type == DP_PROBE_STAMP)
		good = read_stamp(p, l4 + UDP_LEN, len - UDP_LEN, &answer);
	else if (good && type == DP_PROBE_ICMP)
		good = read_echo(l4, len, &answer);
	else if (good)
		good = read_tcp(l4, &answer);
	return consume(w, k, good && probe_answered(w, p, &answer));
}

static bool take_udp(struct worker *w, const struct packet *k, const struct link *l, unsigned off)
{
	uint8_t *l4 = k->ip + off;
	unsigned len = flow_be16(l4 + 4);
	uint16_t port = flow_be16(l4 + 2);

	if (port != STAMP_PORT && port < DP_PROBE_PORT_MIN)
		return false;
	if (len < UDP_LEN || off + len > k->len)
		return false; /* the kernel counts those */
	if (port == STAMP_PORT)
		return checksum_right(k, l4, len, IPPROTO_UDP) && reflector_take(w, k, l, off, len);
	return take_answer(w, k, l, DP_PROBE_STAMP, port, IPPROTO_UDP, l4, len);
}

bool probe_take(
	struct worker *w, const struct packet *k, const struct link *l, uint8_t proto, unsigned off)
{
	const uint8_t *l4 = k->ip + off;
	unsigned len = k->len > off ? k->len - off : 0;

	switch (proto) {
	case IPPROTO_UDP:
		return len >= UDP_LEN && take_udp(w, k, l, off);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		if (len < 8 || l4[0] != (proto == IPPROTO_ICMP ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY))
			return false;
		return take_answer(w, k, l, DP_PROBE_ICMP, flow_be16(l4 + 4), proto, l4, len);
	case IPPROTO_TCP:
		return len >= TCP_LEN &&
		       take_answer(w, k, l, DP_PROBE_TCP, flow_be16(l4 + 2), proto, l4, len);
	default:
		return false;
	}
}
