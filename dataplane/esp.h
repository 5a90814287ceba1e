/* ESP in tunnel mode: esp_out.c, esp_in.c. */
#ifndef LINTAS_ESP_H
#define LINTAS_ESP_H

#include "pipeline.h"
#include "sa.h"
#include "snapshot.h"

#define ESP_LEN	    8 /* SPI, sequence number */
#define ESP_UDP_LEN 8
/* Most that follows a packet: padding, its length, next header, the high half of a sequence number
 * that is authenticated but not sent, ICV. */
#define ESP_TRAILER (16 + 2 + 4 + CRYPTO_ICV_MAX)

enum { ESP_NEXT_IP4 = 4, ESP_NEXT_IP6 = 41, ESP_NEXT_NONE = 59 };

/* An IP packet that is to leave by an ESP link, its time already taken off. */
struct esp_packet {
	struct rte_mbuf *m;
	uint8_t *ip;
	uint16_t len, in, link;
	uint8_t af, note;
};

/* What is handed over to an SA's owner, in mbuf_meta's class. */
enum esp_way { ESP_OUT, ESP_IN };

/* Gathered, and gone with the next esp_flush. Consumes k->m. */
void esp_send(struct worker *w, const struct esp_packet *k);
void esp_flush(struct worker *w);
/* Is k, for this router, the business of ESP? */
static inline bool esp_is(const struct snapshot *s, const struct packet *k)
{
	if (k->proto != IPPROTO_UDP)
		return k->proto == IPPROTO_ESP;
	return tunnel_port(s, flow_be16(k->ip + k->l4 * 4 + 2)) == TUNNEL_ESP;
}

/* What arrived for an end of ours, IP protocol 50 or to UDP port 4500: to p->esp, or consumed. */
void esp_take(struct worker *w, struct pass *p, const struct packet *k);
/* Those in p->esp are opened, and on as if received on their links. */
void esp_open(struct worker *w, struct pass *p);
/* To the owner's ring. m's data is the packet from its IP header on. */
void esp_hand_over(struct worker *w, unsigned worker, struct rte_mbuf *m);

/* Stable order by key: of n items those of equal keys one behind the other. */
struct esp_groups {
	unsigned n;		     /* groups */
	uint8_t order[VECTOR_MAX];   /* items */
	uint8_t end[VECTOR_MAX + 1]; /* behind group i's last, in `order` */
};
void esp_group(struct esp_groups *g, const uint16_t *keys, unsigned n);

static inline void esp_put_be16(uint8_t *p, unsigned x)
{
	p[0] = (uint8_t)(x >> 8);
	p[1] = (uint8_t)x;
}

static inline void esp_put_be32(uint8_t *p, uint32_t x)
{
	x = rte_cpu_to_be_32(x);
	memcpy(p, &x, sizeof(x));
}

/* AAD and IV of packet i, for AEAD (RFC 4106 4, 5); iv: the eight octets on the wire. */
static inline void esp_aead(
	struct crypto_batch *b, unsigned i, const struct sa *sa, const uint8_t *iv, uint64_t seq)
{
	memcpy(b->iv[i], sa->salt, 4);
	memcpy(b->iv[i] + 4, iv, 8);
	memcpy(b->aad[i], &sa->spi, 4);
	if (sa->esn) {
		esp_put_be32(b->aad[i] + 4, (uint32_t)(seq >> 32));
		esp_put_be32(b->aad[i] + 8, (uint32_t)seq);
	} else {
		esp_put_be32(b->aad[i] + 4, (uint32_t)seq);
	}
}

#endif
