/* SPDX-License-Identifier: BSD-3-Clause */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sched.h>
#include <sys/mman.h>
#include <thread>

#include "roles.hpp"

/*
 * dpdk-emudev-bench-limit: what two cores can do at all when the one hands the other copies of its
 * frames. A bare ring, one producer, one consumer: 32-byte descriptors, 1024 slots, indices
 * published once per burst, each slot's buffer recycled by its consumer. The producer copies the
 * payload once, the consumer reads one cache line of it. No DPDK, no device, no checks of a peer.
 */

namespace bench {
namespace {

struct descriptor {
	std::byte *buffer;
	uint32_t length;
	uint32_t flags;
	uint64_t reserved[2];
};
static_assert(sizeof(descriptor) == 32);

constexpr uint32_t slots = 1024;
constexpr size_t huge_page = size_t{2} << 20;

typedef long long line __attribute__((vector_size(64)));

/** Copies whole cache lines; both sides are aligned to them. */
__attribute__((target_clones("avx512f", "avx2", "default"))) void
copy_lines(std::byte *to, const std::byte *from, uint32_t length)
{
	for (uint32_t i = 0; i < length; i += sizeof(line))
		*static_cast<line *>(static_cast<void *>(to + i)) =
			*static_cast<const line *>(static_cast<const void *>(from + i));
}

uint32_t
round_to_lines(uint32_t length)
{
	return (length + sizeof(line) - 1) / sizeof(line) * sizeof(line);
}

/** Huge pages, as the peers have them; it says when there are none. */
std::byte *
allocate(size_t size)
{
	size = (size + huge_page - 1) / huge_page * huge_page;
	const int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE;
	void *at = mmap(nullptr, size, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB, -1, 0);
	if (at == MAP_FAILED) {
		std::fputs("limit: no huge pages, taking small ones\n", stderr);
		at = mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, -1, 0);
	}
	if (at == MAP_FAILED) {
		std::perror("limit: mmap");
		std::exit(EXIT_FAILURE);
	}
	return static_cast<std::byte *>(at);
}

class ring {
public:
	explicit ring(uint32_t max_frame)
	{
		const size_t stride = round_to_lines(max_frame);
		std::byte *memory = allocate(slots * (sizeof(descriptor) + stride));
		descriptors_ = static_cast<descriptor *>(static_cast<void *>(memory));
		for (uint32_t i = 0; i < slots; i++)
			descriptors_[i].buffer = memory + slots * sizeof(descriptor) + i * stride;
	}

	/** The producer: how many of count slots are free, which they are, and to pass them on. */
	uint16_t room(uint16_t count) { return available(producer_, consumer_, slots, count); }
	descriptor &free_slot(uint16_t i) { return descriptors_[(producer_.index + i) % slots]; }
	void publish(uint16_t count) { advance(producer_, count); }

	/** The consumer: how many of count slots are filled, which they are, and to give them back.
	 */
	uint16_t filled(uint16_t count) { return available(consumer_, producer_, 0, count); }
	descriptor &filled_slot(uint16_t i) { return descriptors_[(consumer_.index + i) % slots]; }
	void recycle(uint16_t count) { advance(consumer_, count); }

private:
	/** One side's index, which the other reads, and its copy of the other's. */
	struct alignas(128) side {
		std::atomic<uint32_t> published{0};
		alignas(64) uint32_t index = 0;
		uint32_t other = 0;
	};

	static uint16_t available(side &mine, const side &other, uint32_t ahead, uint16_t wanted)
	{
		uint32_t count = mine.other + ahead - mine.index;
		if (count < wanted) {
			/* acquire: the other's accesses to these slots come before ours */
			mine.other = other.published.load(std::memory_order_acquire);
			count = mine.other + ahead - mine.index;
		}
		return static_cast<uint16_t>(std::min<uint32_t>(count, wanted));
	}

	static void advance(side &mine, uint16_t count)
	{
		mine.index += count;
		/* release: our accesses to these slots come before the other's */
		mine.published.store(mine.index, std::memory_order_release);
	}

	descriptor *descriptors_;
	side producer_, consumer_;
};

/** A side of two rings, one for each direction, in the form that the roles want. */
class ring_port {
public:
	ring_port(ring &in, ring &out, const plan &p)
	    : in_(in), out_(out), frame_(p.frame), patient_(p.in_flight == 0)
	{
		const uint32_t stride = round_to_lines(frame_);
		std::byte *memory = allocate(size_t{burst} * stride);
		for (uint32_t i = 0; i < burst; i++) {
			sources_[i] = memory + i * stride;
			fill_frame(sources_[i], frame_, i, frame_kind::ether);
		}
	}

	static checker make_checker(const plan &p) { return checker(p); }

	uint16_t send(uint64_t sequence, uint16_t count)
	{
		const uint16_t room = out_.room(count);
		for (uint16_t i = 0; i < room; i++) {
			/* after the copy: a wide load of words just written would wait for them */
			put(i, sources_[(sequence + i) % burst], frame_);
			stamp_frame(out_.free_slot(i).buffer, sequence + i, frame_kind::ether);
		}
		out_.publish(room);
		return room;
	}

	template <class F> uint16_t receive(F &&each)
	{
		uint16_t count = in_.filled(burst);
		if (count < burst && patient_) {
			pause();
			count = in_.filled(burst);
		}
		for (uint16_t i = 0; i < count; i++) {
			const descriptor &d = in_.filled_slot(i);
			each(d.buffer, d.length);
		}
		in_.recycle(count);
		return count;
	}

	uint16_t echo(const stop_signal &)
	{
		const uint16_t count = std::min(in_.filled(burst), out_.room(burst));
		for (uint16_t i = 0; i < count; i++) {
			const descriptor &d = in_.filled_slot(i);
			put(i, d.buffer, d.length);
		}
		out_.publish(count);
		in_.recycle(count);
		return count;
	}

private:
	void put(uint16_t i, const std::byte *frame, uint32_t length)
	{
		descriptor &d = out_.free_slot(i);
		copy_lines(d.buffer, frame, length);
		d.length = length;
		d.flags = 1;
	}

	/* Looking at the producer's index too often only takes the line away from it. */
	static void pause()
	{
		for (int i = 0; i < 8; i++)
			__builtin_ia32_pause();
	}

	ring &in_, &out_;
	uint32_t frame_;
	bool patient_; /**< full bursts are worth more than the time of the first frame in them */
	std::byte *sources_[burst];
};

bool
pin(int core)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}

struct cores {
	int active, passive; /**< of the side that sends or measures, and of the other */
};

/** Runs both ends, each on its core, and prints what they found. */
template <class A, class P>
bool
run_both(cores on, const plan &p, A &&active, P &&passive)
{
	meeting_page page;
	outcome far;
	std::atomic<bool> pinned{true};
	std::thread other([&] {
		if (!pin(on.passive))
			pinned = false;
		far = measure_passively(page, p, passive);
	});
	if (!pin(on.active))
		pinned = false;
	const outcome here = measure_actively(page, p, active);
	other.join();
	here.print("active");
	far.print("passive");
	return pinned;
}

int
run(const char *role, cores on, const plan &p)
{
	ring there(p.frame), back(p.frame);
	ring_port here(back, there, p), far(there, back, p);
	bool pinned = false;
	ticks_per_second();
	if (std::strcmp(role, "oneway") == 0)
		pinned = run_both(
			on, p, [&] { return transmit(here, p); },
			[&](const stop_signal &stop) { return receive(far, p, stop); });
	else
		pinned = run_both(
			on, p, [&] { return round_trip(here, p); },
			[&](const stop_signal &stop) { return echo(far, p, stop); });
	if (!pinned) {
		std::perror("limit: cannot pin to the cores");
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

} // namespace
} // namespace bench

int
main(int argc, char **argv)
{
	bench::plan p;
	if (argc < 7 || (p.frame = std::strtoul(argv[4], nullptr, 0)) < bench::minimum_frame ||
	    p.frame % 4 != 0 || p.frame > 65536) {
		std::fputs(
			"usage: dpdk-emudev-bench-limit oneway|roundtrip ACTIVE_CORE PASSIVE_CORE "
			"FRAME WARMUP SECONDS [IN_FLIGHT]\n",
			stderr);
		return EXIT_FAILURE;
	}
	p.warmup = std::atof(argv[5]);
	p.seconds = std::atof(argv[6]);
	p.in_flight = argc > 7 ? std::strtoul(argv[7], nullptr, 0) : 0;
	return bench::run(argv[1], {std::atoi(argv[2]), std::atoi(argv[3])}, p);
}
