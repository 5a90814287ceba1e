"""A net_bench device as the bench sees it: its argument string, its mapped counters and control, its samples.

source.h describes both files. Control is changed while the program that has the device is stopped or runs,
whichever; the source looks at it before each burst."""
import mmap
import os
import struct

TX, CONTROL, FACTS, AGES = 1024, 2048, 2112, 4096
QUEUES, LINE, AGES_N = 16, 64, 1024
STATS_BYTES = AGES + QUEUES * AGES_N * 8
MAGIC = 0x3168636E65626C
SLOT, SLOTS, EVERY = 2048, 1024, 8192
BURST = 64


class Device:
    """Number `index` of a program; files named after `tag` in the bench's folder."""

    def __init__(self, folder, tag, index, frames=None, fifo=0, every=EVERY):
        self.stats_path, self.sample_path = f"{folder}/{tag}.{index}", f"{folder}/{tag}.{index}s"
        self.text = f"net_bench{index},stats={self.stats_path},hold=1"
        self.stats, self.sampled, self.seen = self.map(self.stats_path, STATS_BYTES), None, 0
        if frames:
            self.text += f",frames={frames}" + (f",fifo={fifo}" if fifo else "")
        if every:
            self.sampled = self.map(self.sample_path, SLOT * SLOTS)
            self.text += f",sample={self.sample_path},slots={SLOTS},every={every}"

    @staticmethod
    def map(path, size):
        """The file is made here, so that it can be looked at before and after whoever has the device."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(fd, size)
            return mmap.mmap(fd, size)
        finally:
            os.close(fd)

    def forget(self):
        """Before another process opens it: nobody has it."""
        struct.pack_into("<Q", self.stats, FACTS, 0)
        self.seen = 0

    def opened(self):
        return struct.unpack_from("<Q", self.stats, FACTS)[0] == MAGIC

    # ---- control ----
    def control(self, hold=0, limit=0, burst=BURST, first=0, count=0, pace=0, stamp=0):
        struct.pack_into("<7Q", self.stats, CONTROL + 8, hold, limit, burst, first, count, pace, stamp)
        generation = struct.unpack_from("<Q", self.stats, CONTROL)[0]
        struct.pack_into("<Q", self.stats, CONTROL, generation + 1)

    # ---- counters ----
    def sum(self, base, word):
        return sum(struct.unpack_from("<Q", self.stats, base + LINE * q + 8 * word)[0] for q in range(QUEUES))

    def rx(self):
        """(packets, bursts, failed allocations)"""
        return self.sum(0, 0), self.sum(0, 2), self.sum(0, 3)

    def tx(self):
        return self.sum(TX, 0)

    def missed(self):
        """Paced frames that came due while 1,024 waited."""
        return self.sum(0, 4)

    def ages(self):
        """How many stamped frames of tx queue 0 had which age: see age()."""
        return struct.unpack_from(f"<{AGES_N}Q", self.stats, AGES)

    @staticmethod
    def age(word):
        """The middle of a word's ages, in cycles of the TSC."""
        if word < 32:
            return word
        e = word // 16 + 3
        return (1 << e) + (word % 16 + .5) * (1 << (e - 4))

    # ---- samples ----
    def samples(self):
        """Frames sampled since last asked, as far as they are still there. The program is at rest."""
        newest, frames = self.sum(TX, 3), []
        for n in range(max(self.seen, newest - SLOTS) + 1, newest + 1):
            at = (n - 1) % SLOTS * SLOT
            sequence, length = struct.unpack_from("<QI", self.sampled, at)
            if sequence == n:
                frames.append(self.sampled[at + 16:at + 16 + min(length, SLOT - 16)])
        self.seen = newest
        return frames
