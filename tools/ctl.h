/* What the files of lintasctl share. One command runs in a process: find it in the table, make the
 * request from its words, send it, print what comes back, part by part, so that a listing of a
 * million rows needs the memory of a few hundred. How things look lives here only; the daemon sends
 * data. */
#ifndef LINTAS_CTL_H
#define LINTAS_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CTL_OK	     0
#define CTL_ERROR    1
#define CTL_DIFFERS  2
#define CTL_ARGS_MAX 8
#define CTL_CONFIG   "/etc/lintas/lintas.conf" /* where commands without a daemon look */

/* ---- ctl_commands.c: the table that parsing, help, completion and the manual page agree with ----
 */
enum ctl_type {
	CTL_END,
	CTL_TEXT,
	CTL_NUMBER,
	CTL_FLAG,
	CTL_DURATION,
	CTL_LIST /* with a keyword: all words up to the next option; may be repeated */
};

struct ctl_arg {
	enum ctl_type type;
	const char *word;  /* "vrf": given as `vrf VRF`; NULL: by position */
	const char *key;   /* in the request */
	const char *shown; /* "VRF" */
	bool required;
	const char *names; /* what completion offers: an object whose names they are, or NULL */
};

struct ctl_print;

struct ctl_command {
	const char *object, *verb; /* "route", "show"; verb "" = none needed */
	const char *api;	   /* NULL: needs no daemon */
	struct ctl_arg args[CTL_ARGS_MAX];
	void (*item)(
		struct ctl_print *print, const json_t *item); /* each element, or the one object */
	/* --json, when it is not json_out_part */
	void (*json)(const json_t *data, bool more, void *json_out);
	const char *columns; /* of its table, NULL: none; see table_new */
	const char *empty;   /* said when there is nothing to show */
	const char *help;
	bool endless; /* goes on until interrupted */
	/* those without an API command; with one: when --config names a file to ask instead */
	int (*run)(const json_t *args, bool as_json);
};
extern const struct ctl_command ctl_commands[]; /* ends with object NULL */

/* Find the command that argv begins with; abbreviations are taken when they are unambiguous.
 * Returns how many words it used, or -1 with the error printed. */
int command_find(int argc, char **argv, const struct ctl_command **ret_command);
void command_usage(const struct ctl_command *command, FILE *out); /* one line */
/* What `--help` says after used words: the command, or, after an object alone, all it can do. */
void command_help(const struct ctl_command *command, int used, FILE *out);
void commands_list(FILE *out); /* --commands: for completion */
void commands_help(FILE *out);

/* ---- ctl_args.c ---- */
/* The request's arguments from the words after the command; NULL with the error printed. */
json_t *args_parse(const struct ctl_command *command, int argc, char **argv);

/* ---- ctl_client.c ---- */
/* Send one request, hand every part of the answer to part(data, last, arg). CTL_OK or CTL_ERROR,
 * the error printed. endless: wait for ever between parts. */
int client_call(const char *socket_path, const char *api, json_t *args, bool endless,
	void (*part)(const json_t *data, bool more, void *arg), void *arg);

/* ---- ctl_json.c: --json ---- */
struct json_out {
	FILE *out;
	bool in_array, any, failed;
	FILE *text; /* ctl_config.c: lines so far */
	char *bytes;
	size_t len;
};
void json_out_part(const json_t *data, bool more, void *json_out);
/* ctl_config.c: lines of libconfig's language as one JSON document. */
void config_json_part(const json_t *data, bool more, void *json_out);

/* ---- ctl_table.c ---- */
struct table;
/* columns: "PREFIX|VRF|>METRIC": '>' aligns to the right. Widths come from the first rows; a later
 * cell that is wider widens its column from there on. Cells are never cut. */
struct table *table_new(FILE *out, const char *columns);
void table_cell(struct table *table, const char *text);
void table_cellf(struct table *table, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void table_row(struct table *table);  /* ends a row; missing cells are empty */
void table_free(struct table *table); /* prints what is still held; accepts NULL */

/* ---- ctl_format.c: buf has FORMAT_LEN bytes and is returned ---- */
#define FORMAT_LEN 48
const char *format_count(uint64_t n, char *buf);	 /* 1360, 12.4k, 3.10M: powers of 1000 */
const char *format_rate(double n, char *buf);		 /* same, for things a second */
const char *format_bytes(uint64_t n, char *buf);	 /* 950 B, 1.25 GB: powers of 1000 */
const char *format_memory(uint64_t n, char *buf);	 /* 64.0 MiB: powers of 1024 */
const char *format_duration(int64_t seconds, char *buf); /* 45s, 12m03s, 3h12m, 5d04h */
int duration_parse(
	const char *text, int64_t *ret_seconds); /* "90", "30m", "1h30m", "2d"; -EINVAL */

/* ---- printing ---- */
struct ctl_print {
	FILE *out;
	struct table *table;
	unsigned items;
	bool named;  /* one was asked for by its name: more of it is told, in lines below the table
		      */
	FILE *below; /* made by who has such lines */
	char *below_text;
	size_t below_len;
};
const char *get_str(const json_t *object, const char *key, const char *otherwise);
int64_t get_int(const json_t *object, const char *key);
double get_real(const json_t *object, const char *key);
bool get_bool(const json_t *object, const char *key);

void print_port(struct ctl_print *print, const json_t *item);  /* ctl_show.c */
void print_ipsec(struct ctl_print *print, const json_t *item); /* ctl_ipsec.c */
void print_lag(struct ctl_print *print, const json_t *item);   /* ctl_lag.c */
void print_link(struct ctl_print *print, const json_t *item);
void print_effective(struct ctl_print *print, const json_t *item); /* ctl_effective.c */
void print_vrf(struct ctl_print *print, const json_t *item);
void print_route(struct ctl_print *print, const json_t *item);
void print_vrrp(struct ctl_print *print, const json_t *item);
void print_ike(struct ctl_print *print, const json_t *item); /* ctl_ike.c */
void print_neighbor(struct ctl_print *print, const json_t *item);
void print_nexthop(struct ctl_print *print, const json_t *item);
void print_probe(struct ctl_print *print, const json_t *item); /* ctl_probe.c */
void print_bgp(struct ctl_print *print, const json_t *item);
void print_bgp_route(struct ctl_print *print, const json_t *item);
void print_bfd(struct ctl_print *print, const json_t *item);
void print_status(struct ctl_print *print, const json_t *item);	  /* ctl_status.c */
void print_get(struct ctl_print *print, const json_t *item);	  /* ctl_get.c */
void print_diagnose(struct ctl_print *print, const json_t *item); /* ctl_diagnose.c */
void print_cloud(struct ctl_print *print, const json_t *item);	  /* ctl_zones.c */
void print_stats(struct ctl_print *print, const json_t *item);	  /* ctl_stats.c */
void print_cycles(struct ctl_print *print, const json_t *item);	  /* ctl_cycles.c */
void print_drop(struct ctl_print *print, const json_t *item);
void print_stage(struct ctl_print *print, const json_t *item);
void print_event(struct ctl_print *print, const json_t *item); /* ctl_log.c */
void print_line(struct ctl_print *print, const json_t *item);
void print_config_error(struct ctl_print *print, const json_t *item);
void print_reload(struct ctl_print *print, const json_t *item);
void print_resync(struct ctl_print *print, const json_t *item);
/* Prints one part of an answer with the command's printer; a ctl_output_part is what client_call
 * wants. */
struct ctl_output {
	const struct ctl_command *command;
	struct ctl_print print;
};
void output_part(const json_t *data, bool more, void *ctl_output);
void output_end(struct ctl_output *output);

/* ---- ctl_check.c ---- */
int run_check(const json_t *args, bool as_json);
/* A configuration for a command without a daemon. NULL with every error printed; warnings are not.
 */
struct config *config_for(const char *path);

/* ---- ctl_effective.c ---- */
#define CTL_EFFECTIVE_COLUMNS "KEY|FROM|VALUE"
int run_effective(const json_t *args, bool as_json);

/* ---- ctl_profile.c ---- */
int run_profile(const json_t *args, bool as_json);

/* ---- the cloud's half; see ctl_cloud.h ---- */
/* ctl_against_run.c: `check --against`; path is the configuration's */
int run_against(const json_t *args, const char *path, bool as_json);
int run_import(const json_t *args, bool as_json); /* ctl_import.c */
int run_sheet(const json_t *args, bool as_json);  /* ctl_sheet.c */

#endif
