/* SPDX-License-Identifier: BSD-3-Clause */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sched.h>
#include <sys/mman.h>
#include <thread>
#include <vector>

#include "roles.hpp"

/*
 * dpdk-emudev-bench-limit: what two cores can do at all when the one hands frames to the other, and
 * each is copied once. Cache lines lie side by side in a ring without descriptors, of which the
 * sender tells by an index, a batch at a time. The sender copies frames into the ring and the
 * receiver reads a line of each, or the sender changes a line of each and the receiver copies it
 * out: which of them is better, with a ring of which size and in batches of how many, depends on
 * the frame and on how far apart the cores are; so does whether it pays to fetch ahead what is
 * behind a frame's first line, and of long frames which copy is the faster one. All are tried for
 * some milliseconds, the best ones several times, and the best of these is measured. No DPDK, no
 * device, no checks of a peer.
 *
 * With a number of frames in flight that is limited (round-trip times) it is an ordinary ring, and
 * no bound.
 */

namespace bench {
namespace {

/** How frames are handed over. */
struct way {
	bool pulled;          /**< the receiver copies, not the sender */
	uint32_t slots;       /**< of the ring, a power of 2 */
	uint16_t batch;       /**< frames of which the other side is told at once; a divisor */
	bool fetched = false; /**< by who copies: lines behind the first, two frames ahead */
	bool library = false; /**< the C library copies */
};

constexpr way ways[] = {
	{false, 64, 16},     {false, 128, 32},   {false, 256, 32},   {false, 256, 64},
	{false, 512, 128},   {false, 1024, 32},  {false, 1024, 256}, {false, 4096, 256},
	{false, 4096, 1024}, {true, 64, 16},     {true, 128, 32},    {true, 256, 32},
	{true, 256, 64},     {true, 512, 128},   {true, 1024, 32},   {true, 1024, 256},
	{true, 4096, 256},   {true, 4096, 1024},
};
constexpr way ordinary = {false, 1024, burst};

/** Longer rings are tried with frames that leave them in a cache. */
constexpr size_t largest_ring = size_t{4} << 20;
/** Slots that are fetched ahead, and those of which it is all. */
constexpr uint32_t ahead = 16, wholly_ahead = 2;
/** From so many bytes on the C library's copy may be ahead. */
constexpr uint32_t long_frame = 1024;

constexpr size_t huge_page = size_t{2} << 20;

constexpr uint32_t line = 64;

/** As wide as the widest of those below: what is wider than they are goes by the stack. */
typedef long long vector __attribute__((vector_size(32), may_alias));

/** Copies whole cache lines; both sides are aligned to them. */
__attribute__((target_clones("avx2", "default"))) void
copy_lines(std::byte *to, const std::byte *from, uint32_t length)
{
	for (uint32_t i = 0; i < length; i += sizeof(vector))
		*reinterpret_cast<vector *>(to + i) = *reinterpret_cast<const vector *>(from + i);
}

uint32_t
round_to_lines(uint32_t length)
{
	return (length + line - 1) / line * line;
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

/** Takes a line from the other core that is about to be written. */
void
prefetch_for_writing(std::byte *at)
{
	asm volatile("prefetchw %0" : : "m"(*at));
}

class ring {
public:
	/** @p memory has room for the ring, which is filled with frames. */
	ring(std::byte *memory, const way &how, uint32_t frame)
	    : memory_(memory), stride_(round_to_lines(frame)), mask_(how.slots - 1)
	{
		for (uint32_t i = 0; i < how.slots; i++)
			fill_frame(slot(i), frame, i, frame_kind::ether);
	}

	/** The producer: how many of count slots are free, which they are, and to pass them on. */
	uint16_t room(uint16_t count) { return available(producer_, consumer_, mask_ + 1, count); }
	std::byte *free_slot(uint32_t i) { return slot(producer_.index + i); }
	void publish(uint16_t count) { advance(producer_, count); }

	/** The consumer: how many of count slots are filled, which they are, and to give them back.
	 */
	uint16_t filled(uint16_t count) { return available(consumer_, producer_, 0, count); }
	std::byte *filled_slot(uint32_t i) { return slot(consumer_.index + i); }
	void recycle(uint16_t count) { advance(consumer_, count); }

private:
	/** One side's index, which the other reads, and its copy of the other's. */
	struct alignas(128) side {
		std::atomic<uint32_t> published{0};
		alignas(64) uint32_t index = 0;
		uint32_t other = 0;
	};

	std::byte *slot(uint32_t index) const { return memory_ + (index & mask_) * stride_; }

	static uint16_t available(side &mine, const side &other, uint32_t more, uint16_t wanted)
	{
		uint32_t count = mine.other + more - mine.index;
		if (count < wanted) {
			/* acquire: the other's accesses to these slots come before ours */
			mine.other = other.published.load(std::memory_order_acquire);
			count = mine.other + more - mine.index;
		}
		return static_cast<uint16_t>(std::min<uint32_t>(count, wanted));
	}

	static void advance(side &mine, uint16_t count)
	{
		mine.index += count;
		/* release: our accesses to these slots come before the other's */
		mine.published.store(mine.index, std::memory_order_release);
	}

	std::byte *memory_;
	size_t stride_;
	uint32_t mask_;
	side producer_, consumer_;
};

/** A side of two rings, one for each direction, in the form that the roles want. */
class ring_port {
public:
	/** @p spare has room for a burst of frames. */
	ring_port(ring &in, ring &out, std::byte *spare, const way &how, const plan &p)
	    : in_(in), out_(out), frame_(p.frame), how_(how), patient_(p.in_flight == 0)
	{
		for (uint32_t i = 0; i < burst; i++) {
			own_[i] = spare + i * round_to_lines(frame_);
			fill_frame(own_[i], frame_, i, frame_kind::ether);
		}
	}

	static checker make_checker(const plan &p) { return checker(p); }

	uint16_t send(uint64_t sequence, uint16_t count)
	{
		const uint16_t room = out_.room(patient_ ? how_.batch : count);
		for (uint16_t i = 0; i < room; i++) {
			std::byte *to = out_.free_slot(i);
			claim(i, room);
			/* after the copy: a wide load of words just written would wait for them */
			if (!how_.pulled)
				copy(to, own_[(sequence + i) % burst]);
			stamp_frame(to, sequence + i, frame_kind::ether);
		}
		if (room != 0)
			out_.publish(room);
		return room;
	}

	template <class F> uint16_t receive(F &&each)
	{
		const uint16_t count = await_batch();
		for (uint16_t i = 0; i < count; i++) {
			__builtin_prefetch(in_.filled_slot(i + ahead));
			each(in_.filled_slot(i), frame_);
		}
		return done(count);
	}

	/** The same, copying them out. */
	template <class F> uint16_t pull(F &&each)
	{
		const uint16_t count = await_batch();
		for (uint16_t i = 0; i < count; i++) {
			fetch(i);
			copy(own_[i % burst], in_.filled_slot(i));
			each(own_[i % burst], frame_);
		}
		return done(count);
	}

	uint16_t echo(const stop_signal &)
	{
		const uint16_t count = std::min(in_.filled(how_.batch), out_.room(how_.batch));
		for (uint16_t i = 0; i < count; i++) {
			claim(i, count);
			fetch(i);
			copy(out_.free_slot(i), in_.filled_slot(i));
		}
		if (count != 0) {
			out_.publish(count);
			in_.recycle(count);
		}
		return count;
	}

private:
	void copy(std::byte *to, const std::byte *from) const
	{
		if (how_.library)
			std::memcpy(to, from, frame_);
		else
			copy_lines(to, from, frame_);
	}

	/** Before slot i is read. */
	void fetch(uint32_t i)
	{
		constexpr int reading = 0, second_cache = 2;

		__builtin_prefetch(in_.filled_slot(i + ahead));
		if (!how_.fetched)
			return;
		const std::byte *next = in_.filled_slot(i + wholly_ahead);
		for (uint32_t at = line; at < frame_; at += line)
			__builtin_prefetch(next + at, reading, second_cache);
	}

	/** Before slot i of count free ones is written. */
	void claim(uint32_t i, uint32_t count)
	{
		if (i + ahead < count)
			prefetch_for_writing(out_.free_slot(i + ahead));
		if (!how_.fetched || how_.pulled || i + wholly_ahead >= count)
			return;
		std::byte *next = out_.free_slot(i + wholly_ahead);
		for (uint32_t at = line; at < frame_; at += line)
			prefetch_for_writing(next + at);
	}

	/* Looking at the producer's index too often only takes the line away from it. */
	uint16_t await_batch()
	{
		const uint16_t count = in_.filled(how_.batch);
		if (count == how_.batch || !patient_)
			return count;
		for (int i = 0; i < 8; i++)
			__builtin_ia32_pause();
		return in_.filled(how_.batch);
	}

	uint16_t done(uint16_t count)
	{
		if (count != 0)
			in_.recycle(count);
		return count;
	}

	ring &in_, &out_;
	uint32_t frame_;
	way how_;
	bool patient_; /**< full batches are worth more than the time of the first frame in them */
	std::byte *own_[burst];
};

/** The receiving end of frames that it copies. */
struct pulling_port : ring_port {
	using ring_port::ring_port;
	template <class F> uint16_t receive(F &&each) { return pull(each); }
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

/** What both ends found. */
struct findings {
	outcome active, passive;
	bool pinned = true;
};

/** Runs both ends, each on its core. */
template <class A, class P>
findings
run_both(cores on, const plan &p, A &&active, P &&passive)
{
	meeting_page page;
	findings found;
	std::atomic<bool> pinned{true};
	std::thread other([&] {
		if (!pin(on.passive))
			pinned = false;
		found.passive = measure_passively(page, p, passive);
	});
	if (!pin(on.active))
		pinned = false;
	found.active = measure_actively(page, p, active);
	other.join();
	found.pinned = pinned;
	return found;
}

/** Of both directions, touched once: what is tried should not wait for the kernel. */
struct room {
	explicit room(uint32_t frame)
	    : there(allocate(ring_size(frame))), back(allocate(ring_size(frame))),
	      active(allocate(size_t{burst} * round_to_lines(frame))),
	      passive(allocate(size_t{burst} * round_to_lines(frame)))
	{
	}

	static bool has(const way &how, uint32_t frame)
	{
		return how.slots * size_t{round_to_lines(frame)} <= largest_ring;
	}

	std::byte *there, *back, *active, *passive;

private:
	/** An ordinary one has to fit. */
	static size_t ring_size(uint32_t frame)
	{
		return std::max(largest_ring, ordinary.slots * size_t{round_to_lines(frame)});
	}
};

template <class Far>
findings
hand_over(const room &memory, bool oneway, const way &how, cores on, const plan &p)
{
	ring there(memory.there, how, p.frame), back(memory.back, how, p.frame);
	ring_port here(back, there, memory.active, how, p);
	Far far(there, back, memory.passive, how, p);

	if (oneway)
		return run_both(
			on, p, [&] { return transmit(here, p); },
			[&](const stop_signal &stop) { return receive(far, p, stop); });
	return run_both(
		on, p, [&] { return round_trip(here, p); },
		[&](const stop_signal &stop) { return echo(far, p, stop); });
}

findings
measure(const room &memory, bool oneway, const way &how, cores on, const plan &p)
{
	return how.pulled ? hand_over<pulling_port>(memory, oneway, how, on, p)
			  : hand_over<ring_port>(memory, oneway, how, on, p);
}

/** All that make a difference for a frame. */
std::vector<way>
find_ways(uint32_t frame)
{
	std::vector<way> found;

	for (way how : ways) {
		if (!room::has(how, frame))
			continue;
		for (const bool fetched : {false, true})
			for (const bool library : {false, true}) {
				how.fetched = fetched;
				how.library = library;
				if ((!fetched || frame > line) && (!library || frame >= long_frame))
					found.push_back(how);
			}
	}
	return found;
}

/** A way and the rates that it has had, in frames a second. */
struct candidate {
	way how;
	std::vector<double> rates;

	double median() const
	{
		std::vector<double> sorted = rates;
		std::sort(sorted.begin(), sorted.end());
		return sorted[sorted.size() / 2];
	}
};

/** Tries all for a short time, and what was good then for a longer one, by turns: a core is not
 * left alone for long here and there, and of many short tries the best one is a lucky one. */
way
find_best(const room &memory, bool oneway, cores on, plan p)
{
	constexpr size_t finalists = 6;
	constexpr int rounds = 3;
	std::vector<candidate> field;
	const auto attempt = [&](candidate &one) {
		const findings found = measure(memory, oneway, one.how, on, p);
		const outcome &receiver = oneway ? found.passive : found.active;
		const auto packets = static_cast<double>(receiver.packets);
		one.rates.push_back(receiver.seconds > 0 ? packets / receiver.seconds : 0);
	};
	const auto rank = [&] {
		std::sort(field.begin(), field.end(), [](const candidate &a, const candidate &b) {
			return a.median() > b.median();
		});
	};

	for (const way &how : find_ways(p.frame))
		field.push_back({how, {}});
	p.warmup = p.overtime = p.silence = 0.001;
	p.seconds = 0.004;
	for (candidate &one : field)
		attempt(one);
	rank();
	field.resize(std::min(field.size(), finalists));
	for (candidate &one : field)
		one.rates.clear();
	p.seconds = 0.01;
	for (int i = 0; i < rounds; i++)
		for (candidate &one : field)
			attempt(one);
	rank();

	const way &best = field.front().how;
	std::fprintf(stderr, "limit: the %s copies%s%s, %u slots, batches of %u\n",
		     best.pulled ? "receiver" : "sender", best.library ? " by the C library" : "",
		     best.fetched ? " what is fetched ahead" : "", best.slots, best.batch);
	return best;
}

int
run(const char *role, cores on, const plan &p)
{
	const room memory(p.frame);
	const bool oneway = std::strcmp(role, "oneway") == 0;

	ticks_per_second();
	const way how = p.in_flight == 0 ? find_best(memory, oneway, on, p) : ordinary;
	const findings found = measure(memory, oneway, how, on, p);
	found.active.print("active");
	found.passive.print("passive");
	if (!found.pinned) {
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
