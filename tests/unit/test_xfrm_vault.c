/* What charon's process keeps for lintasd: an SA whose numbers could not be handed over is not used
 * beyond those that were, and a library that was away is told what it missed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "control/xfrm_policy.h"
#include "control/xfrm_server.h"
#include "control/xfrm_wire.h"
#include "sas_rig.h"
#include "unit.h"

#define LEASE (1u << 22)

static struct {
	uint8_t bytes[XFRM_WIRE_MAX] __attribute__((aligned(8)));
	size_t len;
} heard;
static int ends[2];
static unsigned told_charon;

static void on_expired(const struct sas_from *from, const struct nlmsghdr *expire, size_t len)
{
	(void)from, (void)expire, (void)len;
	told_charon++;
}

static void lost(const struct nlmsghdr *expire, size_t len, void *arg)
{
	(void)expire, (void)len, (void)arg;
	told_charon++;
}

static void vault_begin(struct stream *s)
{
	sas_rig_begin();
	sas_rig_load(s);
	sas_rig.charon.owner = (uint32_t)getpid(); /* it lives */
	told_charon = 0;
	xfrm_vault_start(on_expired);
	socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends);
	CU_ASSERT_EQUAL(xfrm_vault_set(&sas_rig.charon, ends[0]), 0);
}

static void vault_end(struct stream *s)
{
	xfrm_policy_stop();
	xfrm_vault_stop();
	close(ends[0]);
	close(ends[1]);
	sas_rig_end();
	stream_free(s);
}

/* The next thing the library hears; 0: nothing. */
static uint16_t hear(void)
{
	ssize_t n = recv(ends[1], heard.bytes, sizeof(heard.bytes), 0);

	heard.len = n > 0 ? (size_t)n : 0;
	return n > 0 ? ((struct nlmsghdr *)heard.bytes)->nlmsg_type : 0;
}

static void stuff(void)
{
	char filler[512] = { 0 };

	while (send(ends[0], filler, sizeof(filler), 0) > 0)
		;
}

static void drain(void)
{
	while (hear() || heard.len)
		;
}

/* Nobody keeps it: nothing is acknowledged, nothing stays. */
static void nobody(void)
{
	struct stream s;

	vault_begin(&s);
	CU_ASSERT_EQUAL(xfrm_vault_set(&sas_rig.charon, -1), 0);
	CU_ASSERT_NOT_EQUAL(sas_rig_ask(stream_find(&s, XFRM_MSG_NEWSA, 0)), 0);
	CU_ASSERT_NOT_EQUAL(sas_rig_ask(stream_find(&s, XFRM_MSG_ALLOCSPI, 0)), 0);
	CU_ASSERT_NOT_EQUAL(sas_rig_ask(stream_find(&s, XFRM_MSG_NEWPOLICY, 0)), 0);
	CU_ASSERT_PTR_NULL(sas_next(NULL));
	CU_ASSERT_EQUAL(xfrm_vault_set(&sas_rig.charon, ends[0]), 0);
	CU_ASSERT_EQUAL(sas_rig_ask(stream_find(&s, XFRM_MSG_NEWPOLICY, 0)), 0);
	/* as many as there are VRFs, and one more */
	for (unsigned i = 1; i <= DP_VRFS_MAX; i++) {
		struct sas_from from = sas_rig.charon;

		from.owner += i;
		CU_ASSERT_EQUAL(xfrm_vault_set(&from, ends[0]), i < DP_VRFS_MAX ? 0 : -ENOSPC);
	}
	vault_end(&s);
}

static void full(void)
{
	struct xfrm_wire_head *head = (struct xfrm_wire_head *)heard.bytes;
	struct stream s;
	unsigned index;

	vault_begin(&s);
	CU_ASSERT_EQUAL(sas_rig_ask(stream_find(&s, XFRM_MSG_NEWSA, 0)), 0);
	CU_ASSERT_EQUAL(hear(), XFRM_WIRE_KEEP);
	CU_ASSERT_EQUAL(head->seq, LEASE);
	index = (unsigned)sas_rig_out()->index;
	stuff();
	sas_rig.fake.info[index].seq = LEASE / 2 + 5;
	sas_event(index);
	CU_ASSERT_TRUE(sas_link_ready(sas_rig.vpn));
	drain();
	sas_event(index);
	CU_ASSERT_EQUAL(hear(), XFRM_WIRE_SEQ);
	CU_ASSERT_EQUAL(head->seq, LEASE + LEASE / 2 + 5);
	/* the end of what was told comes near, and still nobody listens */
	stuff();
	sas_rig.fake.info[index].seq = LEASE + LEASE / 2 - 1000;
	sas_event(index);
	CU_ASSERT_FALSE(sas_link_ready(sas_rig.vpn));
	CU_ASSERT_EQUAL(told_charon, 1);
	CU_ASSERT_PTR_NULL(sas_next(NULL));
	vault_end(&s);
}

/* The library was away and says again what it has. */
static void back(void)
{
	static uint8_t entry[XFRM_WIRE_MAX] __attribute__((aligned(8)));
	struct xfrm_wire_head *head = (struct xfrm_wire_head *)heard.bytes;
	struct stream s;
	size_t len;
	uint64_t id;

	vault_begin(&s);
	CU_ASSERT_EQUAL(sas_rig_ask(stream_find(&s, XFRM_MSG_NEWSA, 0)), 0);
	CU_ASSERT_EQUAL(hear(), XFRM_WIRE_KEEP);
	memcpy(entry, heard.bytes, len = heard.len);
	id = head->id;
	sas_rig.fake.info[sas_rig_out()->index].seq = LEASE / 2 + 5;
	sas_event((unsigned)sas_rig_out()->index);
	CU_ASSERT_EQUAL(hear(), XFRM_WIRE_SEQ); /* and it does not get it */
	xfrm_vault_set(&sas_rig.charon, -1);
	sas_owner_gone(&sas_rig.charon);
	CU_ASSERT_EQUAL(sas_stats.orphans, 1);
	CU_ASSERT_EQUAL(xfrm_vault_set(&sas_rig.charon, ends[0]), 0);
	CU_ASSERT_EQUAL(xfrm_vault_message(&sas_rig.charon, entry, len, lost, NULL), 0);
	CU_ASSERT_EQUAL(sas_stats.orphans, 0);
	CU_ASSERT_EQUAL(hear(), XFRM_WIRE_SEQ);
	CU_ASSERT(head->id == id && head->seq == LEASE + LEASE / 2 + 5);
	/* deleted, and the library did not hear of it: it does not come back */
	sas_del(sas_rig_out());
	CU_ASSERT_EQUAL(hear(), XFRM_WIRE_DROP);
	CU_ASSERT_EQUAL(xfrm_vault_message(&sas_rig.charon, entry, len, lost, NULL), 0);
	CU_ASSERT_PTR_NULL(sas_next(NULL));
	CU_ASSERT_EQUAL(hear(), XFRM_WIRE_DROP);
	CU_ASSERT_EQUAL(head->id, id);
	/* one of a former lintasd does */
	((struct xfrm_wire_head *)entry)->id = 5;
	CU_ASSERT_EQUAL(xfrm_vault_message(&sas_rig.charon, entry, len, lost, NULL), 0);
	CU_ASSERT_TRUE(sas_link_ready(sas_rig.vpn));
	CU_ASSERT_EQUAL(hear(), XFRM_WIRE_SEQ);
	/* but not when its new numbers cannot be handed over */
	sas_del(sas_rig_out());
	stuff();
	CU_ASSERT_EQUAL(xfrm_vault_message(&sas_rig.charon, entry, len, lost, NULL), 0);
	CU_ASSERT_PTR_NULL(sas_next(NULL));
	CU_ASSERT_EQUAL(told_charon, 1);
	vault_end(&s);
}

void unit_xfrm_vault(void)
{
	static const struct unit_test tests[] = { { "nobody", nobody }, { "full", full },
		{ "back", back } };

	UNIT_SUITE("xfrm_vault", tests);
}
