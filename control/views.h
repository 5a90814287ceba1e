/* What the files views*.c share: arguments checked from one small table, rows collected for an
 * answer. A view reads the state of the daemon and makes JSON of it; how it looks is lintasctl's
 * business. */
#ifndef LINTAS_VIEWS_H
#define LINTAS_VIEWS_H

#include "api.h"
#include "mirror.h"

#define VIEW_STEP_NS 300000ull /* a step of a long answer stops here */

/* Started by api_open, stopped by api_close. */
int views_start(void);
void views_stop(void);

/* ---- views_args.c ---- */
enum view_type { VIEW_STRING, VIEW_INT, VIEW_BOOL, VIEW_ADDR, VIEW_PREFIX, VIEW_VRF, VIEW_LINK };

struct view_arg {
	const char *name;
	enum view_type type;
	void *out; /* of the type's C type; VIEW_VRF, VIEW_LINK: a pointer to the object */
	bool required;
	int64_t min, max; /* VIEW_INT */
};

/* Fills what is there, leaves the rest untouched. On anything wrong, unknown or missing the request
 * is failed with what to do, and false returned. */
bool view_args(
	struct api_request *request, const json_t *args, const struct view_arg *table, unsigned n);
#define VIEW_ARGS(request, args, table) \
	view_args(request, args, table, sizeof(table) / sizeof((table)[0]))

/* The VRFs (VIEW_VRF) or links there are, for an error: "prod, bank". Returns buf, or a text when
 * there is none. */
const char *view_names(enum view_type type, char *buf, size_t size);

/* ---- small makers of JSON, NULL when memory ran out ---- */
json_t *view_addr(const struct ip_addr *addr); /* "10.0.0.1", or null for af 0 */
json_t *view_prefix(const struct ip_prefix *prefix);
json_t *view_mac(const uint8_t mac[6]);
json_t *view_sas(const struct link *link);	     /* all its SAs, views_ipsec.c */
json_t *view_count(struct dp_count count);	     /* {"packets": n, "bytes": n} */
const char *view_link_name(uint16_t id);	     /* "-" for one that is not there */
const char *view_link_down(const struct link *link); /* why it does not carry; NULL: it does */

/* Until when a step may go on. */
static inline bool view_time_left(uint64_t start_ns)
{
	return now_ns() - start_ns < VIEW_STEP_NS;
}

/* ---- the handlers, by file ---- */
typedef void view_handler(struct api_request *request, const json_t *args);
view_handler view_status;						     /* views_status.c */
view_handler view_ipsec_show;						     /* views_ipsec.c */
view_handler view_vrrp_show;						     /* views_vrrp.c */
view_handler view_port_show, view_link_show, view_vrf_show;		     /* views_link.c */
view_handler view_link_effective;					     /* views_effective.c */
view_handler view_link_diagnose;					     /* diagnose.c */
view_handler view_lag_show;						     /* views_lag.c */
view_handler view_cloud_show, view_partner_show;			     /* views_cloud.c */
view_handler view_route_show;						     /* views_route.c */
view_handler view_route_get;						     /* views_get.c */
view_handler view_neighbor_show, view_nexthop_show;			     /* views_nexthop.c */
view_handler view_probe_show;						     /* views_probe.c */
view_handler view_bgp_show;						     /* views_bgp.c */
view_handler view_bgp_routes;						     /* views_routes.c */
view_handler view_bfd_show;						     /* views_bfd.c */
view_handler view_ike_show;						     /* views_ike.c */
view_handler view_stats, view_stats_drops, view_stages;			     /* views_stats.c */
view_handler view_stats_cycles;						     /* views_cycles.c */
view_handler view_config_show, view_config_errors, view_reload, view_resync; /* views_config.c */
view_handler view_events, view_monitor;					     /* views_events.c */

/* ---- views_route.c, views_get.c ---- */
json_t *view_route(const char *vrf, const struct mirror_route *route);
json_t *view_leg(const struct mirror_leg *leg);
/* views_header.c: its layers, outermost first. */
json_t *view_header(const uint8_t *header, unsigned len, enum cfg_encap encap);

/* ---- views_bgp.c ---- */
/* BGP sessions of the configuration joined with what FRR says: {"sessions": [...], "error": text or
 * null}. done is called once, from the event loop, within BGP_WAIT_S. Questions asked meanwhile
 * share one answer. */
#define BGP_WAIT_S 3
int view_bgp_collect(void (*done)(const json_t *bgp, void *arg), void *arg);
/* The link a peer is reached by: the one that configures it, else the one whose subnet holds it,
 * else NULL. */
const struct link *view_peer_link(const char *vrf, const struct ip_addr *peer);
/* Is there anything to ask FRR for? (views_status.c) */
bool view_bgp_wanted(void);
/* The last answer if it is less than a second old, else NULL. */
const json_t *view_bgp_recent(void);

/* ---- views_stats.c ---- */
struct view_rate {
	uint64_t total;	   /* since start, at most a second old */
	double per_second; /* over the last whole second */
};
int view_rates_start(void);
void view_rates_stop(void);
struct view_rate view_drop_rate(enum dp_drop reason);

/* ---- views_cycles.c ---- */
json_t *view_cycles(void); /* of all workers since start */
void view_cycles_stop(void);

/* ---- views_sessions.c: BGP and BFD sessions that come and go ---- */
int view_sessions_start(void);
/* Was the session up at the last look? */
bool view_session_up(const char *vrf, const struct ip_addr *peer);
void view_sessions_stop(void);

/* ---- diagnose.c ---- */
void view_diagnose_stop(void);

/* ---- views_events.c ---- */
void view_events_start(void);

#endif
