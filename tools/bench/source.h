/* net_bench: what its files share, and the two files that other programs read.
 *
 * STATS, little-endian u64 words. Lines of 64 bytes, each with one writer:
 *   byte   64 * q         rx queue q (0..15): packets, bytes, bursts that were not empty, failed
 *                         allocations, missed (pace: came due while 1,024 waited)
 *   byte 1024 + 64 * q    tx queue q (0..15): packets, bytes, bursts, sampled frames
 *   byte 2048             control: generation, hold, limit, burst, first, count, pace, stamp
 *   byte 2112             facts, written before the device is there: magic, frames in the file
 *   byte 4096 + 8192 * q  tx queue q: 1,024 words, how many stamped frames had which age in TSC
 *                         cycles: age a < 16 in word a, else with 2^e <= a < 2^(e+1) in word
 *                         16 * (e - 3) + (a >> (e - 4)) % 16
 * Bytes are of frames without FCS (rx: up to 63 frames ahead when burst < 64). The driver fills
 * control from its arguments and afterwards only reads it: whoever maps the file may write the
 * words and then add one to generation, which each rx queue looks at before a burst. hold != 0:
 * nothing is handed out. limit: frames to hand out from this change on, 0 = endless. burst: packets
 * a receive at most, 0 = 64. first, count: the frames of the file that are handed out in turn from
 * now on, beginning with the first of them; count 0 = all that follow. So one process can be
 * measured with this traffic and that in alternation. pace: 256ths of a TSC cycle between two
 * frames; 0 = as many as are asked for; with bit 63 by the clock of the worker's own CPU time, so
 * that what the machine takes away from it does not pass. stamp != 0: the source writes the TSC of
 * the moment when a frame was due (without pace: was taken) over its last 8 bytes, the sink (in
 * whose own file the word has to be set too, generation or not) counts ages.
 *
 * SAMPLE, `slots` slots of 2,048 bytes: u64 sequence, u32 length, u32 tx queue, 2,032 bytes of
 * frame (zero behind it). The n-th sample of the device, counted from 1, lies in slot
 * (n - 1) % slots; sequence is n, and 0 while the slot is written: read it before and after. */
#ifndef LINTAS_BENCH_SOURCE_H
#define LINTAS_BENCH_SOURCE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#define SOURCE_QUEUES	 16
#define SOURCE_BURST	 64
#define SOURCE_FRAME_MAX (9600 + 14 + 2 * 4)
#define SOURCE_BLOCK	 64
#define SOURCE_AGES	 1024
#define SOURCE_WAITING	 1024			    /* paced frames that wait, as in a NIC's ring */
#define SOURCE_OWN_TIME	 (UINT64_C(1) << 63)	    /* in pace */
#define SOURCE_MAGIC	 UINT64_C(0x3168636e65626c) /* "lbench1" */

extern int source_log;
#define LOG(level, ...) rte_log(RTE_LOG_##level, source_log, "net_bench: " __VA_ARGS__)

struct rx_line {
	uint64_t packets, bytes, bursts, no_mbufs, missed, spare[3];
};

struct tx_line {
	uint64_t packets, bytes, bursts, sampled, spare[4];
};

struct control_line {
	_Atomic uint64_t generation;
	uint64_t hold, limit, burst, first, count, pace, stamp;
};

struct stats_file {
	struct rx_line rx[SOURCE_QUEUES];
	struct tx_line tx[SOURCE_QUEUES];
	struct control_line control;
	uint64_t magic, frames, spare[6];
	uint8_t rest[4096 - 2176];
	uint64_t ages[SOURCE_QUEUES][SOURCE_AGES];
};
_Static_assert(offsetof(struct stats_file, ages) == 4096, "as described above");

struct sample {
	_Atomic uint64_t sequence;
	uint32_t length, queue;
	uint8_t data[2032];
};
_Static_assert(sizeof(struct sample) == 2048, "as described above");

/* source_frames.c: the frames of a pcap in memory, constant once read */
struct frame {
	uint32_t at; /* its first block */
	uint16_t len;
	uint16_t blocks; /* of 64 bytes, the last filled up with zeros */
};

struct frames {
	struct frame *frame; /* n_frames of them, and zeros that a look ahead may read */
	uint8_t *block;
	uint32_t n_frames;
	unsigned longest; /* blocks of the longest */
	size_t frame_bytes, block_bytes;
	bool frame_mapped, block_mapped; /* not from EAL's heap */
};

#define FRAMES_AHEAD \
	16 /* frames that a queue prefetches; times queues is what a look ahead reads */

int frames_read(struct frames *frames, const char *path);
void frames_free(struct frames *frames);

/* source_fifo.c: mbufs that come back only after all others */
struct fifo {
	struct rte_mempool *pool;
	struct rte_ring *ring;
	unsigned size;
};

int fifo_open(struct rte_mempool *pool, unsigned size, const char *name, struct fifo **ret_fifo);
void fifo_close(struct fifo *fifo);
/* The FIFO of a pool's mbufs, or NULL. */
struct fifo *fifo_of(const struct rte_mempool *pool);
unsigned fifo_get(struct fifo *fifo, struct rte_mbuf **pkts, unsigned n);
void fifo_put(struct fifo *fifo, struct rte_mbuf **pkts, unsigned n);

/* A worker's queues; the functions are in source_burst.c. */
struct rx_queue {
	const struct frames *frames;
	struct rte_mempool *pool;
	struct fifo *fifo;
	const struct control_line *control;
	struct rx_line *line;
	uint64_t generation; /* of control, as far as it was read */
	uint64_t left;	     /* frames to hand out */
	uint64_t bytes;	     /* of frames taken so far */
	uint64_t rearm;	     /* data_off, refcnt, nb_segs, port of a fresh mbuf */
	uint32_t first, end; /* this queue's frames: first, first + stride, ... below end */
	uint32_t next;
	uint16_t stride, index;
	uint16_t burst;		  /* 0: on hold */
	uint64_t pace;		  /* of this queue, in 256ths of a cycle; 0: none */
	uint64_t due;		  /* when the next frame is due, in 256ths of a cycle */
	bool own_time;		  /* paced by the worker's CPU time: the last look at it, */
	uint64_t own_tsc, own_ns; /* and at the TSC */
	bool stamp;
	uint16_t staged, staged_at; /* packets in stage, the next one to hand out */
	struct rte_mbuf *stage[SOURCE_BURST];
} __rte_cache_aligned;

struct tx_queue {
	struct tx_line *line;
	const struct control_line *control;
	uint64_t *ages;
	struct sample *samples; /* or NULL */
	_Atomic uint64_t *sequence;
	uint32_t slots, every;
	uint64_t until; /* frames until one is sampled */
	uint64_t random;
	uint16_t index;
} __rte_cache_aligned;

/* source_time.c: pace and stamps. How many of n frames are due; the frames are filled. */
unsigned time_due(struct rx_queue *queue, unsigned n);
void time_stamp(struct rx_queue *queue, struct rte_mbuf **pkts, unsigned n);
void time_ages(struct tx_queue *queue, struct rte_mbuf **pkts, unsigned n);

/* Before a stop: lets packets go that were not handed out. */
void burst_forget(struct rx_queue *queue);
/* Reads control again. */
void burst_control(struct rx_queue *queue);
/* The functions for this machine. */
eth_rx_burst_t burst_rx(const struct frames *frames);
eth_tx_burst_t burst_tx(void);

#endif
