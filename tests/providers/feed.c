/* Frames onto a wire at a rate, for test_bfd_many.py.
 *
 *   feed INTERFACE FILE PER-SECOND SECONDS
 *
 * FILE holds frames, each behind its length in two bytes, big end first; they are sent in turn, in
 * bursts of at most 32 every so often that the rate comes out, past the queueing discipline. The
 * last line says "sent N seconds S": what the wire took, and how long that lasted. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#define FRAMES_MAX 4096
#define BURST	   32

static struct iovec frames[FRAMES_MAX];
static uint8_t room[1 << 20];

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static unsigned load(const char *file)
{
	FILE *f = fopen(file, "rb");
	size_t len = f ? fread(room, 1, sizeof(room), f) : 0, at = 0;
	unsigned n = 0;

	while (at + 2 <= len && n < FRAMES_MAX) {
		size_t size = (size_t)(room[at] << 8 | room[at + 1]);

		if (at + 2 + size > len)
			break;
		frames[n++] = (struct iovec){ room + at + 2, size };
		at += 2 + size;
	}
	if (f)
		fclose(f);
	return n;
}

static void until(double when)
{
	double left = when - now_s();

	if (left > 0) {
		struct timespec t = { .tv_sec = (time_t)left,
			.tv_nsec = (long)((left - (double)(time_t)left) * 1e9) };
		nanosleep(&t, NULL);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = 0 };
	int one = 1, s = socket(AF_PACKET, SOCK_RAW, 0);
	unsigned n = argc == 5 ? load(argv[2]) : 0, next = 0;
	double rate, begin, end;
	uint64_t sent = 0, due = 0;

	if (!n)
		return 2;
	to.sll_ifindex = (int)if_nametoindex(argv[1]);
	if (s < 0 || bind(s, (void *)&to, sizeof(to)) ||
		setsockopt(s, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one))) {
		perror("feed");
		return 1;
	}
	rate = atof(argv[3]);
	begin = now_s();
	end = begin + atof(argv[4]);
	for (double now = begin; now < end; now = now_s()) {
		struct mmsghdr m[BURST] = { 0 };
		unsigned k = 0;

		/* Who was not scheduled for long does not make up for it. */
		if ((now - begin) * rate > (double)due + rate / 50)
			due = (uint64_t)((now - begin) * rate);
		for (; k < BURST && (double)due <= (now - begin) * rate; k++, due++) {
			m[k].msg_hdr.msg_iov = &frames[next];
			m[k].msg_hdr.msg_iovlen = 1;
			next = (next + 1) % n;
		}
		if (k) {
			int done = sendmmsg(s, m, k, 0);

			sent += done > 0 ? (unsigned)done : 0;
		}
		if ((double)due > (now_s() - begin) * rate)
			until(begin + ((double)due + BURST / 2) / rate);
	}
	printf("sent %llu seconds %.3f\n", (unsigned long long)sent, now_s() - begin);
	return 0;
}
