/* The frames of a pcap file in memory, in blocks of 64 bytes.
 *
 * Read once when the device is made, by the thread that makes it; workers read what is here and
 * nobody writes it. Each frame begins at a block and its last block is filled up with zeros, so
 * that a whole number of blocks can be copied. Huge pages are taken from EAL's heap, where there
 * are enough; else the kernel is asked for huge ones of its own. Only the classic format with
 * microseconds, written by a little-endian machine, is read: what our tools write. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <rte_malloc.h>
#include "source.h"

#define PCAP_MAGIC    0xa1b2c3d4
#define PCAP_ETHERNET 1
#define FRAME_MIN     14

struct pcap_header {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy, longest, link_type;
};

struct __rte_packed pcap_record {
	uint32_t seconds, micros, captured, length;
};

static void *memory_get(size_t bytes, bool *ret_mapped)
{
	void *p = rte_zmalloc("net_bench", bytes, SOURCE_BLOCK);

	*ret_mapped = !p;
	if (p)
		return p;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	madvise(p, bytes, MADV_HUGEPAGE);
	return p;
}

static void memory_put(void *p, size_t bytes, bool mapped)
{
	if (p && mapped)
		munmap(p, bytes);
	else
		rte_free(p);
}

void frames_free(struct frames *frames)
{
	memory_put(frames->frame, frames->frame_bytes, frames->frame_mapped);
	memory_put(frames->block, frames->block_bytes, frames->block_mapped);
	*frames = (struct frames){ 0 };
}

/* The record at `at`, or NULL at the file's end or when it is not whole. */
static const struct pcap_record *record_at(const uint8_t *file, size_t bytes, size_t at)
{
	const struct pcap_record *r = (const void *)(file + at);

	if (bytes - at < sizeof(*r) || bytes - at - sizeof(*r) < r->captured)
		return NULL;
	return r;
}

static size_t blocks_of(const struct pcap_record *r)
{
	return (r->captured + SOURCE_BLOCK - 1) / SOURCE_BLOCK;
}

/* Checks every record; how many there are and the blocks they need. */
static int frames_count(const uint8_t *file, size_t bytes, const char *path, struct frames *frames,
	size_t *ret_blocks)
{
	size_t at = sizeof(struct pcap_header), blocks = 0;

	while (at < bytes) {
		const struct pcap_record *r = record_at(file, bytes, at);

		if (!r || r->captured < FRAME_MIN || r->captured > SOURCE_FRAME_MAX ||
			r->captured != r->length || frames->n_frames == UINT32_MAX) {
			LOG(ERR, "%s: frame %" PRIu32 ": need a whole one of %d to %d bytes\n",
				path, frames->n_frames + 1, FRAME_MIN, SOURCE_FRAME_MAX);
			return -EINVAL;
		}
		frames->n_frames++;
		frames->longest = RTE_MAX(frames->longest, (unsigned)blocks_of(r));
		blocks += blocks_of(r);
		at += sizeof(*r) + r->captured;
	}
	if (!frames->n_frames || blocks > UINT32_MAX) {
		LOG(ERR, "%s: %s\n", path, blocks ? "more than 256 GB of frames" : "no frames");
		return -EINVAL;
	}
	*ret_blocks = blocks;
	return 0;
}

static void frames_copy(const uint8_t *file, struct frames *frames)
{
	size_t at = sizeof(struct pcap_header);
	uint32_t block = 0;

	for (uint32_t i = 0; i < frames->n_frames; i++) {
		const struct pcap_record *r = (const void *)(file + at);

		frames->frame[i] = (struct frame){ block, r->captured, blocks_of(r) };
		memcpy(frames->block + (size_t)block * SOURCE_BLOCK, r + 1, r->captured);
		block += blocks_of(r);
		at += sizeof(*r) + r->captured;
	}
}

static int frames_fill(struct frames *frames, const uint8_t *file, size_t bytes, const char *path)
{
	const struct pcap_header *h = (const void *)file;
	size_t blocks;
	int rc;

	if (h->magic != PCAP_MAGIC || h->link_type != PCAP_ETHERNET) {
		LOG(ERR, "%s: need a pcap file of Ethernet frames, microseconds, little-endian\n",
			path);
		return -EINVAL;
	}
	rc = frames_count(file, bytes, path, frames, &blocks);
	if (rc)
		return rc;
	frames->frame_bytes =
		(frames->n_frames + (size_t)FRAMES_AHEAD * SOURCE_QUEUES) * sizeof(struct frame);
	frames->block_bytes = blocks * SOURCE_BLOCK;
	frames->frame = memory_get(frames->frame_bytes, &frames->frame_mapped);
	frames->block = memory_get(frames->block_bytes, &frames->block_mapped);
	if (!frames->frame || !frames->block) {
		LOG(ERR, "%s: no memory for %zu bytes of frames\n", path, frames->block_bytes);
		return -ENOMEM;
	}
	if (frames->block_mapped && frames->block_bytes >= (2u << 20))
		LOG(NOTICE, "%s: %zu MB of frames outside of EAL's huge pages\n", path,
			frames->block_bytes >> 20);
	frames_copy(file, frames);
	return 0;
}

int frames_read(struct frames *frames, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	void *file = MAP_FAILED;
	struct stat st;

	*frames = (struct frames){ 0 };
	if (fd < 0 || fstat(fd, &st)) {
		rc = -errno;
		LOG(ERR, "%s: %s\n", path, strerror(-rc));
		goto out;
	}
	if ((size_t)st.st_size >= sizeof(struct pcap_header))
		file = mmap(NULL, st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (file == MAP_FAILED) {
		LOG(ERR, "%s: need a pcap file, have %jd bytes\n", path, (intmax_t)st.st_size);
		rc = -EINVAL;
		goto out;
	}
	rc = frames_fill(frames, file, st.st_size, path);
	munmap(file, st.st_size);
	if (rc)
		frames_free(frames);
out:
	if (fd >= 0)
		close(fd);
	return rc;
}
