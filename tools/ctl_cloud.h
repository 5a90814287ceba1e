/* The cloud's half of a link, as its provider's documents have it. See ctl_cloud.c.
 *
 * Every provider's reader fills one struct, the comparer (ctl_against.c) and the importer
 * (ctl_import.c) know only that. Each value carries the JSON path it was read at; a path of NULL
 * means that the document does not say. Nothing here ever holds a secret: of a key only whether
 * there is one. */
#ifndef LINTAS_CTL_CLOUD_H
#define LINTAS_CTL_CLOUD_H

#include <jansson.h>
#include "config/config.h"
#include "config/pool.h"

#define CLOUD_FILE_MAX	   (16u << 20) /* bytes of one document */
#define CLOUD_FILES_MAX	   64
#define CLOUD_DEPTH_MAX	   64	/* braces within braces */
#define CLOUD_VIEWS_MAX	   4096 /* objects of all documents together */
#define CLOUD_PREFIXES_MAX 10000
#define CLOUD_ERRORS_MAX   50
#define CLOUD_TEXT_MAX	   200 /* of what is shown of a text */

enum cloud_provider { CLOUD_AWS, CLOUD_GCP, CLOUD_AZURE, CLOUD_OCI, CLOUD_ALIBABA, CLOUD_COUNT };

struct cloud_num {
	const char *at;
	uint32_t n;
};
struct cloud_flag {
	const char *at;
	bool on;
};
struct cloud_text { /* printable ASCII, at most CLOUD_TEXT_MAX bytes */
	const char *at, *s;
};
struct cloud_addr {
	const char *at;
	struct ip_prefix p; /* host bits meant */
	bool bare;	    /* no length was given; p.len says nothing */
};
struct cloud_prefixes {
	const char *at;
	struct ip_prefix *items;
	unsigned n;
};

/* What the provider says about its end. */
enum cloud_state { CLOUD_UNSAID, CLOUD_UP, CLOUD_PENDING, CLOUD_DOWN, CLOUD_GONE };

struct cloud_session { /* BGP of one family */
	const char *at;
	struct cloud_addr ours, theirs;
	struct cloud_num our_asn, their_asn;
	struct cloud_flag key; /* TCP-MD5: there is a secret */
	struct cloud_flag bfd, bfd_waits;
	struct cloud_num bfd_ms, bfd_multiplier, keepalive_s;
	struct cloud_prefixes announced; /* all that they tell us, where the document has all */
	struct cloud_text state;
	enum cloud_state is;
};

struct cloud_view {
	const char *file, *at; /* of the object */
	enum cloud_provider provider;
	bool tunnel;
	const char *what;		/* "virtual interface": the provider's word */
	const char *profile;		/* of ours that fits it best */
	const char *id, *name, *parent; /* NULL: not said; parent: connection, circuit */
	const char *side;		/* "primary": which of several of one id, or NULL */
	struct cloud_num vlan, stag, mtu;
	struct cloud_flag jumbo;       /* frames above 1500 can be carried */
	struct cloud_flag enabled;     /* by its owner */
	struct cloud_flag bgp;	       /* false: static routes */
	struct cloud_addr outside;     /* of a tunnel: the provider's address */
	struct cloud_prefixes allowed; /* all that they take from us, where the document has all */
	struct cloud_text state;
	enum cloud_state is;
	struct cloud_session s[2]; /* IPv4, IPv6 */
	/* A part of a view that another object, or another document, has the rest of. */
	const char *part_of;	  /* id or name of its view */
	const char *part_of_each; /* id or name of the parent of all its views */
	unsigned rank;		  /* parts of parts go first: from high to low */
	bool used;		  /* has found its view */
};

struct cloud_moved;

struct cloud {
	struct cfg_pool *pool;
	struct cloud_moved *moved; /* values that came from a document other than their view's */
	struct cloud_view *views;  /* CLOUD_VIEWS_MAX */
	unsigned n;
	struct {
		const char *file, *at, *text;
	} errors[CLOUD_ERRORS_MAX];
	unsigned n_errors; /* may be more than are kept */
	const char *file;  /* being read */
};

/* ---- ctl_cloud.c ---- */
struct cloud *cloud_new(void); /* NULL: no memory. pool->oom is the caller's to set */
void cloud_free(struct cloud *cloud);
/* Adds what is in a file; errors are in cloud->errors. */
void cloud_read(struct cloud *cloud, const char *path);
void cloud_parse(struct cloud *cloud, const char *name, const char *text, size_t len);
/* When all is read: parts join their views. */
void cloud_join(struct cloud *cloud);
/* The document that a value of the view was read in; at: the value's. */
const char *cloud_file_of(const struct cloud *cloud, const struct cloud_view *view, const char *at);
void cloud_errors_print(const struct cloud *cloud, FILE *out);
const char *cloud_provider_name(enum cloud_provider provider); /* "AWS" */
int cloud_provider_find(const char *name); /* of "aws", -1 when it is none of them */

/* ---- ctl_import.c ---- */
/* Writes an entry for each view that no link of config is already (*ret_there: how many are);
 * config may be NULL, as may name and id. How many were written. */
unsigned import_views(struct cloud *cloud, struct config *config, const char *name, const char *id,
	FILE *out, unsigned *ret_there);

/* ---- ctl_cloud_doc.c: one object of a document, looked at with care ---- */
struct node {
	struct cloud *cloud;
	const json_t *json; /* NULL: absent, or null */
	const char *at;
};
/* names: "vlanTag8021q|vlan": the first that is there; case, '_' and '-' do not count. */
struct node node_get(struct node node, const char *names);
struct node node_item(struct node node, size_t i);
size_t node_count(struct node node);	 /* of a list; 0 when it is none */
struct node node_only(struct node node); /* an object, or the first of a list of them */
bool node_is_object(struct node node);
struct cloud_num node_num(struct node node, const char *names, uint32_t max);
struct cloud_flag node_flag(struct node node, const char *names);
struct cloud_text node_text(struct node node, const char *names);
struct cloud_addr node_addr(struct node node, const char *names);   /* of either family */
struct cloud_flag node_secret(struct node node, const char *names); /* is there one? */
struct cloud_num node_asn(struct node node, const char *names);
struct cloud_num node_vlan(struct node node, const char *names);
/* Prefixes: texts, or objects that have them under one of names. */
struct cloud_prefixes node_prefixes(struct node list, const char *names);
const char *node_string(struct node node, const char *names); /* node_text's s */
const char *node_last(struct node node, const char *names); /* after the last '/' of a URL or id */
void node_error(struct node node, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "available" among "available=up down=down"; what is not listed is unsaid */
enum cloud_state node_state(const struct cloud_text *text, const char *words);
struct cloud_view *view_new(struct node node, enum cloud_provider provider, const char *what);
/* A session of the family of addr, which is there from now on. */
struct cloud_session *view_session(struct cloud_view *view, const struct cloud_addr *addr);
/* The session of two ends of which one may not be said; NULL: neither is. */
struct cloud_session *view_between(
	struct cloud_view *view, const struct cloud_addr *ours, const struct cloud_addr *theirs);
/* Host number n (1: the first) of the network that addr lies in. */
struct cloud_addr addr_host(const struct cloud_addr *addr, unsigned n);

/* ---- the readers: false when the object is of a kind they do not know ---- */
bool cloud_aws(struct node node);
bool cloud_gcp(struct node node);
bool cloud_azure(struct node node);
bool cloud_oci(struct node node);
bool cloud_alibaba(struct node node);
bool cloud_terraform(struct node node);
/* One resource of a terraform state; false: not of interest. */
bool cloud_aws_resource(struct node values, const char *type);
bool cloud_gcp_resource(struct node values, const char *type);
bool cloud_azure_resource(struct node values, const char *type);
bool cloud_oci_resource(struct node values, const char *type);
bool cloud_alibaba_resource(struct node values, const char *type);

#endif
