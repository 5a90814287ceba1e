/* What charon says of each connection, read from its log, because VICI's answers do not hold it.
 *
 * charon writes to a file beside its socket, with the connection's name in every line
 * ("<vpn-a|3>"). It is read as it grows, a bounded part at a time, and emptied when it is large:
 * charon appends. A line that tells why a connection does not come up, or that it did, becomes a
 * note of that link and an event; everything else is passed over. The sentences are
 * strongSwan 5.9's; one that a later version words otherwise is missed, and then `ike show` has the
 * state without its reason. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "swan.h"

#define CHUNK	   65536
#define EMPTIED_AT (1 << 20)
#define LOGS_MAX   DP_VRFS_MAX

const char *const swan_fault_names[SWAN_FAULTS] = { "none", "NO_ANSWER", "NO_PROPOSAL_CHOSEN",
	"NO_PROPOSAL_CHOSEN (ESP)", "AUTHENTICATION_FAILED",
	"AUTHENTICATION_FAILED (of the far end)", "NO_SUCH_PEER", "TS_UNACCEPTABLE",
	"NOT_INSTALLED", "DEAD_PEER", "CLOSED" };

const char *const swan_fault_advice[SWAN_FAULTS] = {
	"",
	"no answer on UDP 500 and 4500: the far end is down, has another address, or something "
	"between drops them; ask the provider whether our packets arrive",
	"the far end takes none of our IKE proposals: compare ipsec.ike with what is set there",
	"the far end takes none of our ESP proposals: compare ipsec.esp, and the group of PFS, "
	"with "
	"what is set there",
	"the far end refuses our pre-shared key or who we say we are: compare the key, and "
	"ipsec.local_id with the address it was told",
	"its pre-shared key is not ours: compare the key on both ends",
	"the far end says it is somebody else, or we are asked by somebody unknown: set "
	"ipsec.remote_id to what it says",
	"the far end wants other networks inside: set it to route based, 0.0.0.0/0 on both sides",
	"keys were agreed on but could not be installed here: see lintasctl events, and whether "
	"lintasd runs",
	"it was up and answers no more: asked again and again (DPD), it counts as dead; its turn",
	"the far end ended it: its turn, ask why",
};

static const struct {
	const char *text;
	enum swan_fault fault;
	bool up;
} sentences[] = {
	{ "received NO_PROPOSAL_CHOSEN notify error", SWAN_NO_PROPOSAL, false },
	{ "received NO_PROPOSAL_CHOSEN notify, no CHILD_SA", SWAN_NO_PROPOSAL_ESP, false },
	{ "no acceptable proposal found", SWAN_NO_PROPOSAL_ESP, false },
	{ "received proposals unacceptable", SWAN_NO_PROPOSAL, false },
	{ "received proposals inacceptable", SWAN_NO_PROPOSAL, false },
	{ "received AUTHENTICATION_FAILED notify", SWAN_AUTH, false },
	{ "MAC mismatched", SWAN_AUTH_PEER, false },
	{ "no shared key found for", SWAN_IDENTITY, false },
	{ "constraint check failed", SWAN_IDENTITY, false },
	{ "received TS_UNACCEPTABLE notify", SWAN_TS, false },
	{ "unable to install", SWAN_INSTALL, false },
	{ "giving up after", SWAN_SILENT, false },
	{ "retransmit 2 of request", SWAN_SILENT, false },
	{ "received DELETE for IKE_SA", SWAN_CLOSED, false },
	{ "] established between", SWAN_FINE, true },
	{ "} established with SPIs", SWAN_FINE, true },
};

static struct {
	struct swan_note note;
	char name[CFG_NAME_MAX];
	bool up; /* IKE came up, and has not ended since */
} notes[DP_LINKS_MAX];

static struct log {
	char vrf[CFG_NAME_MAX];
	off_t at;
	ino_t file;
} logs[LOGS_MAX];

enum swan_fault swan_log_line(const char *line, char ret_name[CFG_NAME_MAX], bool *ret_up)
{
	const char *begin = strchr(line, '<'), *bar = begin ? strchr(begin, '|') : NULL;
	const char *end = bar ? strchr(bar, '>') : NULL;
	size_t n = end ? (size_t)(bar - begin - 1) : 0;

	*ret_up = false;
	if (!n || n >= CFG_NAME_MAX)
		return SWAN_FAULTS;
	memcpy(ret_name, begin + 1, n);
	ret_name[n] = '\0';
	for (unsigned i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++) {
		if (!strstr(end, sentences[i].text))
			continue;
		*ret_up = sentences[i].up;
		return sentences[i].fault;
	}
	return SWAN_FAULTS;
}

struct swan_note swan_note(const struct link *link)
{
	static const struct swan_note none;

	return strcmp(notes[link->id].name, link->name) ? none : notes[link->id].note;
}

/* The sentence alone, for people. */
static const char *words_of(const char *line)
{
	const char *end = strstr(line, "> ");

	return end ? end + 2 : line;
}

static void came_up(const struct link *link, const char *line)
{
	struct swan_note *note = &notes[link->id].note;
	bool child = strstr(line, "CHILD_SA");

	if (child || note->fault == SWAN_SILENT || note->fault == SWAN_DEAD ||
		note->fault == SWAN_CLOSED || note->fault == SWAN_AUTH ||
		note->fault == SWAN_NO_PROPOSAL)
		memset(note, 0, sizeof(*note));
	if (child && !notes[link->id].up)
		log_event(LOG_LVL_NOTICE, link->name, "IKE: up: %.150s", words_of(line));
	notes[link->id].up |= child;
}

static void went_wrong(const struct link *link, enum swan_fault fault, const char *line)
{
	struct swan_note *note = &notes[link->id].note;

	if (fault == SWAN_SILENT && notes[link->id].up)
		fault = SWAN_DEAD;
	if (fault == SWAN_DEAD && !strstr(line, "giving up"))
		return; /* one packet may be lost */
	if (note->fault != fault)
		log_event(LOG_LVL_WARN, link->name, "IKE: %s: %s", swan_fault_names[fault],
			swan_fault_advice[fault]);
	note->times = note->fault == fault ? note->times + 1 : 1;
	note->fault = fault;
	note->wall_s = time(NULL);
	snprintf(note->text, sizeof(note->text), "%s", words_of(line));
	notes[link->id].up = false;
}

static void line_read(const char *line)
{
	char name[CFG_NAME_MAX];
	bool up;
	enum swan_fault fault = swan_log_line(line, name, &up);
	const struct link *link = fault == SWAN_FAULTS ? NULL : link_by_name(name);

	if (!link)
		return;
	if (strcmp(notes[link->id].name, link->name)) {
		memset(&notes[link->id], 0, sizeof(notes[link->id]));
		snprintf(notes[link->id].name, sizeof(notes[link->id].name), "%s", link->name);
	}
	if (up)
		came_up(link, line);
	else
		went_wrong(link, fault, line);
}

static struct log *log_of(const char *vrf)
{
	struct log *empty = NULL;

	for (unsigned i = 0; i < LOGS_MAX; i++) {
		if (!strcmp(logs[i].vrf, vrf))
			return &logs[i];
		if (!empty && !*logs[i].vrf)
			empty = &logs[i];
	}
	if (empty)
		snprintf(empty->vrf, sizeof(empty->vrf), "%s", vrf);
	return empty;
}

void swan_log_drop(const char *vrf)
{
	for (unsigned i = 0; i < LOGS_MAX; i++)
		if (!strcmp(logs[i].vrf, vrf))
			memset(&logs[i], 0, sizeof(logs[i]));
}

void swan_log_watch(const char *vrf)
{
	static char bytes[CHUNK + 1];
	struct log *log = log_of(vrf);
	char folder[300], path[320], *line, *at, *end;
	struct stat st;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/log", swan_folder(vrf, folder, sizeof(folder)));
	fd = log ? open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) : -1;
	if (fd < 0)
		return;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		goto out;
	if (st.st_ino != log->file || st.st_size < log->at)
		log->at = 0;
	log->file = st.st_ino;
	n = pread(fd, bytes, CHUNK, log->at);
	bytes[n > 0 ? n : 0] = '\0';
	end = n > 0 ? memrchr(bytes, '\n', (size_t)n) : NULL;
	if (end) {
		log->at += end + 1 - bytes;
		*end = '\0';
		for (at = bytes; (line = strsep(&at, "\n"));)
			line_read(line);
	} else if (n == CHUNK) {
		log->at += n; /* no line is so long */
	}
	if (log->at > EMPTIED_AT && log->at == st.st_size && !ftruncate(fd, 0))
		log->at = 0;
out:
	close(fd);
}

void swan_log_forget(void)
{
	memset(notes, 0, sizeof(notes));
	memset(logs, 0, sizeof(logs));
}
