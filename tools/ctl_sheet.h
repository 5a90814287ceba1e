/* A sheet: sections of rows about one link, as JSON; text is printed from the same. See
 * ctl_sheet.c. */
#ifndef LINTAS_CTL_SHEET_H
#define LINTAS_CTL_SHEET_H

#include "ctl_against.h"

/* Who reads the sheet: each has words of its own. */
enum sheet_reader {
	SHEET_AWS,
	SHEET_GCP,
	SHEET_AZURE,
	SHEET_AZURE_VPN,
	SHEET_OCI,
	SHEET_ALIBABA,
	SHEET_FABRIC,  /* Megaport, Equinix */
	SHEET_PARTNER, /* a letter */
	SHEET_OTHER,
	SHEET_READERS
};

enum sheet_word {
	WORD_OBJECT, /* title of the first section */
	WORD_ID,
	WORD_CIRCUIT,
	WORD_VLAN,
	WORD_STAG,
	WORD_MTU,
	WORD_OUTSIDE,
	WORD_OURS,
	WORD_THEIRS,
	WORD_OUR_ASN,
	WORD_THEIR_ASN,
	WORD_KEY,
	WORD_TIMERS,
	WORD_BFD,
	WORD_ANNOUNCE,
	WORD_EXPECT,
	WORD_COUNT
};
/* ctl_sheet_words.c */
const char *sheet_word(enum sheet_reader reader, enum sheet_word word);

/* ctl_sheet_link.c: what is on it; NULL: no memory. */
json_t *sheet_of(const struct config *config, const struct cfg_link *link);

/* ctl_sheet.c */
void sheet_print(const json_t *sheet, FILE *out);

#endif
