/* Counts what a path loses, and for how long: numbered, time-stamped UDP datagrams.
 *
 *   probe recv PORT                                    until SIGTERM, then a JSON report
 *   probe send SRC DST PORT PPS FLOWS BYTES SECONDS    SECONDS 0 = until SIGTERM, then a JSON
 * report
 *
 * Both ends read CLOCK_MONOTONIC of the same machine. The receiver remembers when each datagram was
 * *sent*, so a hole is measured between the sending times of its two neighbours: a sender or
 * receiver that was not scheduled does not count as an outage. FLOWS use one source port each, in
 * turn, so that ECMP spreads them. A report tells a run (by the sender's id) the datagrams
 * received, lost between the first and the last, doubled, reordered, the longest holes, and the
 * latency. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAGIC	  0x6c747073u
#define FLOWS_MAX 256
#define RUNS_MAX  64
#define SEQ_MAX	  (1u << 21) /* per flow: half an hour at 1,000 a second */
#define BYTES_MAX 9000
#define HOLES_MAX 8
#define NS_PER_S  1000000000ull

struct stamp {
	uint32_t magic, run;
	uint32_t flow, seq;
	uint64_t sent_ns;
};

struct flow {
	uint32_t n, size;  /* highest number seen + 1; room */
	uint64_t *sent_ns; /* by number; 0 = not received */
	uint64_t received, doubled, reordered;
};

struct run {
	uint32_t id;
	struct flow flows[FLOWS_MAX];
	uint64_t *latency_ns;
	size_t n_latency, latency_size;
};

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void die(const char *what)
{
	fprintf(stderr, "probe: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- receiver ---- */
static struct run *runs[RUNS_MAX];
static unsigned n_runs;

static struct run *run_get(uint32_t id)
{
	for (unsigned i = 0; i < n_runs; i++)
		if (runs[i]->id == id)
			return runs[i];
	if (n_runs == RUNS_MAX)
		return NULL;
	struct run *run = calloc(1, sizeof(*run));

	if (!run)
		die("memory");
	run->id = id;
	runs[n_runs++] = run;
	return run;
}

static void run_note(struct run *run, const struct stamp *stamp, uint64_t arrived_ns)
{
	struct flow *flow = &run->flows[stamp->flow];

	if (stamp->seq >= flow->size) {
		uint32_t size = flow->size ? flow->size : 1024;

		while (size <= stamp->seq)
			size *= 2;
		flow->sent_ns = realloc(flow->sent_ns, size * sizeof(*flow->sent_ns));
		if (!flow->sent_ns)
			die("memory");
		memset(flow->sent_ns + flow->size, 0, (size - flow->size) * sizeof(*flow->sent_ns));
		flow->size = size;
	}
	if (flow->sent_ns[stamp->seq]) {
		flow->doubled++;
		return;
	}
	flow->sent_ns[stamp->seq] = stamp->sent_ns;
	flow->received++;
	if (stamp->seq < flow->n)
		flow->reordered++;
	else
		flow->n = stamp->seq + 1;
	if (run->n_latency == run->latency_size) {
		run->latency_size = run->latency_size ? 2 * run->latency_size : 4096;
		run->latency_ns =
			realloc(run->latency_ns, run->latency_size * sizeof(*run->latency_ns));
		if (!run->latency_ns)
			die("memory");
	}
	run->latency_ns[run->n_latency++] = arrived_ns - stamp->sent_ns;
}

struct hole {
	uint64_t from_ns, to_ns;
	uint32_t lost, flow;
};

static uint64_t hole_ns(const struct hole *hole)
{
	return hole->to_ns - hole->from_ns;
}

/* The HOLES_MAX longest ones, longest first. */
static void hole_keep(struct hole *holes, unsigned *n, const struct hole *hole)
{
	if (*n == HOLES_MAX && hole_ns(&holes[HOLES_MAX - 1]) >= hole_ns(hole))
		return;
	unsigned i = *n < HOLES_MAX ? (*n)++ : HOLES_MAX - 1;

	for (; i > 0 && hole_ns(&holes[i - 1]) < hole_ns(hole); i--)
		holes[i] = holes[i - 1];
	holes[i] = *hole;
}

static uint32_t flow_holes(const struct flow *flow, uint32_t index, struct hole *holes, unsigned *n)
{
	uint32_t gap = 0, lost = 0;
	uint64_t last = 0;

	for (uint32_t seq = 0; seq < flow->n; seq++) {
		if (!flow->sent_ns[seq]) {
			gap++;
			continue;
		}
		if (gap) {
			/* Before the first one that arrived nothing is known but the number. */
			struct hole hole = { last ? last : flow->sent_ns[seq], flow->sent_ns[seq],
				gap, index };

			hole_keep(holes, n, &hole);
			lost += gap;
		}
		gap = 0;
		last = flow->sent_ns[seq];
	}
	return lost;
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void run_report(struct run *run, const char *comma)
{
	struct hole holes[HOLES_MAX] = { 0 };
	uint64_t received = 0, lost = 0, doubled = 0, reordered = 0, last_ns = 0;
	unsigned n_holes = 0, n_flows = 0;

	for (unsigned i = 0; i < FLOWS_MAX; i++) {
		struct flow *flow = &run->flows[i];

		if (!flow->n)
			continue;
		n_flows++;
		received += flow->received;
		doubled += flow->doubled;
		reordered += flow->reordered;
		lost += flow_holes(flow, i, holes, &n_holes);
		if (flow->sent_ns[flow->n - 1] > last_ns)
			last_ns = flow->sent_ns[flow->n - 1];
	}
	qsort(run->latency_ns, run->n_latency, sizeof(*run->latency_ns), compare_u64);
	size_t n = run->n_latency;

	printf("%s{\"run\":%u,\"flows\":%u,\"received\":%llu,\"lost\":%llu,\"doubled\":%llu,"
	       "\"reordered\":%llu,\"last_ns\":%llu,\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%."
	       "1f,\"holes\":[",
		comma, run->id, n_flows, (unsigned long long)received, (unsigned long long)lost,
		(unsigned long long)doubled, (unsigned long long)reordered,
		(unsigned long long)last_ns, n ? (double)run->latency_ns[n / 2] / 1e3 : 0.0,
		n ? (double)run->latency_ns[n * 99 / 100] / 1e3 : 0.0,
		n ? (double)run->latency_ns[n - 1] / 1e3 : 0.0);
	for (unsigned i = 0; i < n_holes; i++)
		printf("%s{\"flow\":%u,\"lost\":%u,\"at_ns\":%llu,\"ms\":%.3f}", i ? "," : "",
			holes[i].flow, holes[i].lost, (unsigned long long)holes[i].from_ns,
			(double)(holes[i].to_ns - holes[i].from_ns) / 1e6);
	printf("]}");
}

static int probe_recv(const char *port)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6,
		.sin6_port = htons((uint16_t)atoi(port)) };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), zero = 0, room = 4 << 20;

	if (fd < 0 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) ||
		bind(fd, (struct sockaddr *)&any, sizeof(any)))
		die("recv socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	puts("ready");
	fflush(stdout);
	while (!stop) {
		struct stamp stamp;
		struct pollfd pfd = { fd, POLLIN, 0 };

		if (poll(&pfd, 1, 100) <= 0)
			continue;
		for (;;) {
			ssize_t n = recv(fd, &stamp, sizeof(stamp), MSG_DONTWAIT | MSG_TRUNC);

			if (n < 0)
				break;
			if ((size_t)n < sizeof(stamp) || stamp.magic != MAGIC ||
				stamp.flow >= FLOWS_MAX || stamp.seq >= SEQ_MAX)
				continue;
			struct run *run = run_get(stamp.run);

			if (run)
				run_note(run, &stamp, now_ns());
		}
	}
	printf("[");
	for (unsigned i = 0; i < n_runs; i++)
		run_report(runs[i], i ? "," : "");
	printf("]\n");
	return 0;
}

/* ---- sender ---- */
static int flow_socket(const char *src, const char *dst, const char *port)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
		.ai_socktype = SOCK_DGRAM };
	struct addrinfo *from, *to;
	int room = 1 << 20;

	if (getaddrinfo(src, "0", &hints, &from) || getaddrinfo(dst, port, &hints, &to))
		die("address");
	int fd = socket(to->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, from->ai_addr, from->ai_addrlen) ||
		connect(fd, to->ai_addr, to->ai_addrlen))
		die("send socket");
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	freeaddrinfo(from);
	freeaddrinfo(to);
	return fd;
}

static int probe_send(char **argv)
{
	static char packet[BYTES_MAX];
	unsigned long pps = strtoul(argv[3], NULL, 10), flows = strtoul(argv[4], NULL, 10);
	size_t bytes = strtoul(argv[5], NULL, 10);
	double seconds = atof(argv[6]);
	uint64_t begin = now_ns(), end = begin + (uint64_t)(seconds * 1e9), sent = 0, refused = 0;
	uint32_t seq[FLOWS_MAX] = { 0 };
	int fds[FLOWS_MAX];

	if (!pps || pps > 1000000 || !flows || flows > FLOWS_MAX || bytes < sizeof(struct stamp) ||
		bytes > BYTES_MAX) {
		errno = EINVAL;
		die("send");
	}
	for (unsigned i = 0; i < flows; i++)
		fds[i] = flow_socket(argv[0], argv[1], argv[2]);
	uint32_t run = (uint32_t)getpid();

	puts("ready");
	fflush(stdout);

	for (uint64_t i = 0; !stop && seq[i % flows] < SEQ_MAX; i++) {
		uint64_t due = begin + i * (NS_PER_S / pps);
		struct timespec ts = { (time_t)(due / NS_PER_S), (long)(due % NS_PER_S) };

		if (seconds > 0 && due >= end)
			break;
		while (!stop && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
			;
		unsigned f = (unsigned)(i % flows);
		struct stamp stamp = { MAGIC, run, f, seq[f], now_ns() };

		memcpy(packet, &stamp, sizeof(stamp));
		/* An ICMP error from the path is told once by send(); the datagram still has to be
		 * sent. */
		ssize_t n = send(fds[f], packet, bytes, 0);

		for (int again = 0; n < 0 &&
				    (errno == ECONNREFUSED || errno == EHOSTUNREACH ||
					    errno == ENETUNREACH || errno == EACCES) &&
				    again < 2;
			again++)
			n = send(fds[f], packet, bytes, 0);
		if (n < 0)
			refused++;
		seq[f]++;
		sent++;
	}
	printf("{\"run\":%u,\"sent\":%llu,\"refused\":%llu,\"seconds\":%.3f,\"end_ns\":%llu}\n",
		run, (unsigned long long)sent, (unsigned long long)refused,
		(double)(now_ns() - begin) / 1e9, (unsigned long long)now_ns());
	return 0;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	if (argc == 3 && !strcmp(argv[1], "recv"))
		return probe_recv(argv[2]);
	if (argc == 9 && !strcmp(argv[1], "send"))
		return probe_send(argv + 2);
	fputs("usage: probe recv PORT | probe send SRC DST PORT PPS FLOWS BYTES SECONDS\n", stderr);
	return 2;
}
