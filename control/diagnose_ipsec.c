/* link diagnose: what an IPsec link stands on beside its underlay: IKE's association, then the
 * keys.
 *
 * IKE is judged by what charon said last: its state, looked at every few seconds (swan_care.c), and
 * its own words for why it does not come up (swan_log.c), each with whose turn it is. The keys are
 * the fast path's: the link sends by one of them and takes what comes by the others. A link without
 * keys fails here, not at its carrier, which is the way of its outer packets. Nothing is sent. */
#include <string.h>
#include "diagnose.h"
#include "mirror.h"
#include "sas.h"
#include "swan.h"

/* Whose turn a fault is. */
static enum diag_turn turn_of(enum swan_fault fault)
{
	switch (fault) {
	case SWAN_SILENT:
	case SWAN_DEAD:
	case SWAN_CLOSED:
		return DIAG_PROVIDER;
	default:
		return DIAG_OURS;
	}
}

static bool of_child(enum swan_fault fault)
{
	return fault == SWAN_NO_PROPOSAL_ESP || fault == SWAN_TS || fault == SWAN_INSTALL;
}

static void fault_say(const struct diag *d, struct diag_layer *layer, const struct swan_note *note)
{
	char ids[256];

	diag_say(layer, DIAG_FAIL, "%s, %u times: %.150s", swan_fault_names[note->fault],
		note->times, note->text);
	diag_turn(layer, turn_of(note->fault), "%s. %s", swan_fault_advice[note->fault],
		diag_ids(d, ids));
}

static void ike(struct diag *d, struct diag_layer *layer)
{
	const struct swan_sa *sa = swan_last(d->link);
	struct swan_note note = swan_note(d->link);
	const char *vrf = d->cfg->underlay->vrf->name;

	if (d->cfg->ipsec.algorithm) {
		diag_say(layer, DIAG_SKIPPED, "static SAs, no IKE");
	} else if (!mirror_underlay_adj(d->link)) {
		diag_say(layer, DIAG_SKIPPED, "there is no way to the far end");
	} else if (!swan_there(vrf)) {
		diag_say(layer, DIAG_FAIL, "no charon for VRF %s", vrf);
		diag_turn(layer, DIAG_OURS, "systemctl start lintas-charon@%s", vrf);
	} else if (sa && !strcmp(sa->state, "ESTABLISHED")) {
		diag_say(layer, DIAG_OK, "with %.40s: %.100s, new keys in %lld s", sa->remote_id,
			sa->ike, (long long)sa->rekey_s);
	} else if (note.fault && !of_child(note.fault)) {
		fault_say(d, layer, &note);
	} else {
		diag_say(layer, DIAG_UNKNOWN, "%s: no answer yet", sa ? sa->state : "not begun");
	}
}

/* Nothing leaves, never in clear. Without a way there or with a fault of IKE's that layer is to
 * blame. */
static void keys_none(struct diag *d, struct diag_layer *layer)
{
	const char *vrf = d->cfg->underlay->vrf->name;

	if (!mirror_underlay_adj(d->link)) {
		diag_say(layer, DIAG_SKIPPED, "there is no way to the far end");
		return;
	}
	diag_say(layer, DIAG_FAIL, "no keys to send by: %s", sas_link_why(d->link));
	if (!d->cfg->ipsec.algorithm && !swan_there(vrf))
		diag_turn(layer, DIAG_OURS, "systemctl start lintas-charon@%s", vrf);
	else if (d->cfg->ipsec.initiator == CFG_INITIATOR_THEM)
		diag_turn(layer, DIAG_PROVIDER,
			"initiator is \"them\": we wait for the far end to begin; see lintasctl "
			"ike "
			"show %s",
			d->name);
	else
		diag_turn(layer, DIAG_OURS, "See lintasctl ike show %s", d->name);
}

static void keys(struct diag *d, struct diag_layer *layer)
{
	struct swan_note note = swan_note(d->link);
	unsigned in = 0, out = 0;
	uint64_t packets = 0, bad = 0, age_s = 0;
	const char *name = "";
	struct dp_sa_info info;
	struct xfrm_use use;

	if (!sas_link_ready(d->link)) {
		if (note.fault && of_child(note.fault)) {
			fault_say(d, layer, &note);
			return;
		}
		keys_none(d, layer);
		return;
	}
	for (struct sas_sa *sa = sas_next(NULL); sa; sa = sas_next(sa)) {
		if (sa->link != d->link->id || sa->larval)
			continue;
		sas_use_of(sa, &use, &info);
		name = sa->name;
		age_s = (now_ns() - sa->added_ns) / 1000000000u;
		in += sa->conf.inbound;
		out += !sa->conf.inbound;
		packets += sa->conf.inbound ? use.packets : 0;
		bad += info.bad_icv + info.replayed + info.bad_pad;
	}
	diag_say(layer, DIAG_OK,
		"%u in, %u out, %.60s, the youngest %llu s old, %llu packets came%s", in, out, name,
		(unsigned long long)age_s, (unsigned long long)packets,
		bad ? ", some were refused: lintasctl ipsec show" : "");
}

void diag_ipsec(struct diag *d)
{
	if (d->cfg->encap != CFG_ENCAP_IPSEC) {
		diag_say(&d->common[DIAG_IKE], DIAG_SKIPPED, "not an IPsec link");
		diag_say(&d->common[DIAG_SA], DIAG_SKIPPED, "not an IPsec link");
	} else if (d->common[DIAG_LINK].state == DIAG_OK) {
		ike(d, &d->common[DIAG_IKE]);
		keys(d, &d->common[DIAG_SA]);
	}
}
