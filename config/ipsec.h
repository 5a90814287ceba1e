/* The words of IPsec's proposals: what each is, what it costs. See ipsec.c. */
#ifndef LINTAS_CONFIG_IPSEC_H
#define LINTAS_CONFIG_IPSEC_H

#include "config.h"

enum ipsec_kind { IPSEC_AEAD, IPSEC_CBC, IPSEC_HASH, IPSEC_PRF, IPSEC_GROUP, IPSEC_ESN };

struct ipsec_word {
	const char *name;    /* strongSwan's */
	const char *profile; /* the profiles' */
	enum ipsec_kind kind;
	uint8_t iv, block, icv; /* octets in ESP */
	bool weak;		/* refused by ipsec.strict */
	bool esp;		/* ESP can be made with it too */
};

extern const struct ipsec_word ipsec_words[]; /* a NULL name ends them */

const struct ipsec_word *ipsec_word(const char *text, size_t len); /* NULL: unknown */
/* The word at or after this place of a proposal; NULL: there are no more. */
const char *ipsec_next(const char *at, size_t *ret_len);
const char *ipsec_static_proposal(enum cfg_sa_algorithm algorithm);
/* Hex digits that the file with its keys has. */
unsigned ipsec_static_digits(enum cfg_sa_algorithm algorithm);

#endif
