/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The control thread against data threads, under ThreadSanitizer: whatever both touch, in the order
 * that a device has. Nothing of DPDK runs here, which is not instrumented; nothing is suppressed.
 *
 *   unmap       regions come and go while bursts read and write there
 *   late_frees  a client goes while others still read its memory, and let go of it any time later
 *   interrupts  vectors are rewired, reset and unwired while they fire
 *   loans       buffers that are lent come back while their ring begins anew and their memory goes
 *   gates       a queue is closed, set up anew and opened while bursts come
 *   closers     many threads give descriptors away
 *   removal     a device is removed, and plugged in anew, while bursts come to it, signals are
 * passed on, and what it has lent is freed
 *
 * "races [NAME...]": the exit status is 66 if ThreadSanitizer has found something.
 */

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <thread>
#include <vector>

#include <rte_malloc.h>

#include "../../drivers/net/iavf_be/gate.hpp"
#include "../../drivers/net/iavf_be/loans.hpp"
#include "memory/dma_map.hpp"
#include "rte_guest_mem.h"
#include "server/irq_table.hpp"

int vfio_user_logtype = RTE_LOGTYPE_USER1;

namespace {

using namespace vfio_user;
using namespace std::chrono_literals;

constexpr uint64_t page = wire::page_size;
constexpr int rounds = 3000;

#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			std::fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__,      \
				     #condition);                                                  \
			std::abort();                                                              \
		}                                                                                  \
	} while (0)

/** Threads that do the same again and again, until the control thread is done. */
class data_threads {
public:
	template <class function> explicit data_threads(int count, function burst)
	{
		for (int i = 0; i < count; i++)
			threads_.emplace_back([this, burst, i] {
				while (!over_.load(std::memory_order_relaxed))
					burst(i);
			});
	}
	~data_threads()
	{
		over_ = true;
		for (std::thread &t : threads_)
			t.join();
	}

private:
	std::atomic<bool> over_{false};
	std::vector<std::thread> threads_;
};

guard::unique_fd
make_file(uint64_t pages)
{
	guard::unique_fd fd(::memfd_create("races", MFD_CLOEXEC));

	MUST(fd && ::ftruncate(fd.get(), static_cast<off_t>(pages * page)) == 0);
	return fd;
}

wire::dma_map
region(uint64_t number, uint64_t offset = 0)
{
	return {.argsz = sizeof(wire::dma_map),
		.flags = RTE_GUEST_MEM_READ | RTE_GUEST_MEM_WRITE,
		.offset = offset * page,
		.address = number * page,
		.size = page};
}

/** What a burst does with a page, if it is there. */
void
touch(const rte_guest_mem_table *const *table, uint64_t number, int thread)
{
	const rte_guest_mem_table *now = __atomic_load_n(table, __ATOMIC_ACQUIRE);
	const rte_guest_mem_region *found = rte_guest_mem_find(now, number * page);

	if (found != nullptr)
		static_cast<uint8_t *>(found->addr)[thread] ^= 1;
}

void
unmap()
{
	constexpr uint64_t regions = 40, changes = 500;
	dma_map memory(std::make_shared<closer>(), 0);
	std::array<iavf_be::gate, 2> gates;
	guard::unique_fd shared = make_file(regions);
	std::atomic<uint64_t> bursts{0};

	MUST(memory.open(-1));
	for (iavf_be::gate &gate : gates)
		gate.open();
	data_threads threads(2, [&](int i) {
		static thread_local uint64_t number;
		iavf_be::burst_pass pass(gates[i], gates[i].enter());

		if (!pass)
			return std::this_thread::yield();
		for (int n = 0; n < 32; n++)
			touch(memory.table(), number++ % regions, i);
		bursts++;
	});
	for (uint64_t i = 0; i < changes || bursts == 0; i++) {
		/* Every third is a file of its own, which goes with its region. */
		const uint64_t number = i % regions;
		if (i % 3 == 0)
			MUST(memory.map(region(number), make_file(1).get()));
		else
			MUST(memory.map(region(number, number), shared.get()));
		if (i < regions / 2)
			continue;
		MUST(memory.unmap((i - regions / 2) % regions * page, page).value() == 1);
		for (const iavf_be::gate &gate : gates)
			gate.await_burst();
		memory.reclaim();
	}
	for (iavf_be::gate &gate : gates)
		gate.close();
	memory.clear();
	memory.close();
}

void
late_frees()
{
	struct loan {
		std::shared_ptr<memory_hold> hold;
		const uint8_t *at;
	};
	constexpr uint64_t pages = 8;
	dma_map memory(std::make_shared<closer>(), 0);
	std::array<std::atomic<loan *>, 4> places{};
	std::atomic<uint64_t> read{0};
	auto give_back = [&](int i) {
		std::unique_ptr<loan> mine(places[i].exchange(nullptr, std::memory_order_acq_rel));
		if (mine != nullptr)
			read += 1u + *mine->at;
	};
	{
		data_threads threads(4, give_back);
		for (int i = 0; i < rounds / 10; i++) {
			MUST(memory.open(-1));
			guard::unique_fd file = make_file(pages);
			for (uint64_t n = 0; n < pages; n++)
				MUST(memory.map(region(n, n), file.get()));
			auto hold = memory.hold();
			for (size_t n = 0; n < places.size(); n++) {
				const auto *found = rte_guest_mem_find(&memory.current(), n * page);
				auto *fresh =
					new loan{hold, static_cast<const uint8_t *>(found->addr)};
				std::unique_ptr<loan> late(
					places[n].exchange(fresh, std::memory_order_acq_rel));
			}
			hold.reset();
			memory.clear();
			memory.reclaim();
			memory.close();
		}
	}
	for (int i = 0; i < 4; i++)
		give_back(i);
	MUST(read > 0);
}

/** A guest's memory, of which each byte stands for a buffer; or what keeps that of a device. */
struct lendable {
	std::array<uint8_t, 64> buffers{};
	std::shared_ptr<memory_hold> hold;
};

/** For all that is out: the memory goes when the last of it is back. */
void
keep_lent(iavf_be::loan_book &book, lendable *memory)
{
	auto *kept = new iavf_be::kept_memory(reinterpret_cast<rte_emudev_memory_hold *>(memory));
	book.keep(0, UINT64_MAX, *kept);
	kept->drop();
}

/** An application's: reads a frame of one byte, and frees it. */
uint64_t
read_and_free(rte_mbuf *frame)
{
	if (frame == nullptr)
		return 0;
	const uint64_t read = 1u + *static_cast<const uint8_t *>(frame->buf_addr);
	rte_mbuf_ext_shared_info *shared = frame->shinfo;
	if (rte_mbuf_ext_refcnt_update(shared, -1) == 0)
		shared->free_cb(frame->buf_addr, shared->fcb_opaque);
	delete frame;
	return read;
}

/** A queue that lends. Descriptor, buffer and mbuf of a frame have the same number. */
struct lender {
	static constexpr uint16_t size = 16;

	static uint16_t next(uint16_t at) { return (at + 1) % size; }

	/** Lends the next buffer, if the ring has a place, to the first application that comes. */
	void burst()
	{
		iavf_be::burst_pass pass(access, access.enter());

		if (!pass || !book->is_open(head))
			return std::this_thread::yield();
		/* The guest writes its next frame there. */
		book->settle(head, next, [&](uint16_t at) { memory->buffers[at]++; });
		if (next(head) == book->oldest())
			return std::this_thread::yield();
		auto *frame = new rte_mbuf{};
		book->lend(head, *frame, &memory->buffers[head], 1, head, true);
		book->finish(head, true);
		give_back(out[head].exchange(frame, std::memory_order_acq_rel));
		head = next(head);
	}

	void give_back(rte_mbuf *frame) { read += read_and_free(frame); }

	/** The guest is another one from now on. */
	void replace_memory()
	{
		access.close();
		keep_lent(*book, memory);
		memory = new lendable;
		book->begin(head = 0);
		access.open();
	}

	iavf_be::gate access;
	iavf_be::loan_book *book = iavf_be::loan_book::make(size, 0);
	lendable *memory = new lendable;
	uint16_t head = 0;
	std::array<std::atomic<rte_mbuf *>, size> out{};
	std::atomic<uint64_t> read{0};
};

void
loans()
{
	lender queue;

	queue.access.open();
	{
		std::atomic<uint16_t> turn{0};
		data_threads applications(2, [&](int) {
			queue.give_back(queue.out[turn++ % lender::size].exchange(
				nullptr, std::memory_order_acq_rel));
		});
		data_threads poller(1, [&](int) { queue.burst(); });
		for (int i = 0; i < rounds / 2 || queue.read == 0; i++) {
			queue.replace_memory();
			std::this_thread::sleep_for(10us);
		}
	}
	queue.access.close();
	for (auto &each : queue.out)
		queue.give_back(each.exchange(nullptr));
	MUST(!queue.book->any_out());
	queue.book->close();
	delete queue.memory;
}

/** @p in_place Data threads signal, as for a client that is trusted. */
void
rewire_under_fire(bool in_place)
{
	constexpr uint32_t vectors = 4;
	constexpr rte_vfio_user_irq type{.count = vectors, .flags = RTE_VFIO_USER_IRQ_EVENTFD};
	namespace flags = wire::irq_set_flags;
	auto by = std::make_shared<closer>();
	irq_table irqs(std::span(&type, 1), in_place);
	std::atomic<uint64_t> told{0};

	data_threads threads(2, [&](int i) {
		told += irqs.trigger(0, static_cast<uint32_t>(i)) == 1;
		std::this_thread::yield();
	});
	for (int i = 0; i < rounds || told == 0; i++) {
		const uint32_t vector = static_cast<uint32_t>(i) % vectors;
		const bool wires = i % 5 != 0;
		wire::irq_set request{.argsz = sizeof(request),
				      .flags = flags::data_eventfd | flags::action_trigger,
				      .index = 0,
				      .start = vector,
				      .count = 1};
		std::vector<foreign_fd> fds;
		if (wires)
			fds.emplace_back(guard::make_eventfd().value(), by);
		MUST(irqs.set(request, {}, fds));
		if (i % 100 == 99)
			irqs.reset();
	}
}

void
interrupts()
{
	rewire_under_fire(false);
	rewire_under_fire(true);
}

void
gates()
{
	struct ring {
		iavf_be::gate access;
		uint32_t size = 0, next = 0;
	};
	std::array<ring, 2> rings;
	std::atomic<uint64_t> bursts{0};

	data_threads threads(2, [&](int i) {
		ring &mine = rings[i];
		iavf_be::burst_pass pass(mine.access, mine.access.enter_or_wait());

		if (!pass)
			return std::this_thread::yield();
		mine.next = (mine.next + 1) % mine.size;
		bursts++;
	});
	for (uint32_t i = 0; i < rounds; i++)
		for (ring &each : rings) {
			if (i % 3 == 0)
				each.access.pause();
			else
				each.access.close();
			each.size = 32 + i % 64;
			each.next = 0;
			each.access.open();
			std::this_thread::yield();
		}
	while (bursts == 0)
		std::this_thread::yield();
	for (ring &each : rings)
		each.access.close();
}

void
closers()
{
	auto by = closer::of(closer::peer::client, "races");
	std::atomic<uint64_t> given{0};

	data_threads threads(3, [&](int) {
		by->close(guard::make_eventfd().value());
		given++;
		while (by->is_full())
			std::this_thread::yield();
	});
	while (given < rounds) {
		auto same = closer::of(closer::peer::client, "races");
		MUST(same == by);
		same->drop(std::make_shared<std::vector<int>>(100), 1);
		std::this_thread::sleep_for(10us);
	}
}

/** A device with one queue that lends, and the client behind it. */
class device {
public:
	static constexpr uint16_t size = 16;

	explicit device(bool in_place) : irqs_(std::span(&type, 1), in_place)
	{
		namespace flags = wire::irq_set_flags;
		const wire::irq_set wiring{.argsz = sizeof(wiring),
					   .flags = flags::data_eventfd | flags::action_trigger,
					   .index = 0,
					   .start = 0,
					   .count = 1};
		std::vector<foreign_fd> fds;

		MUST(memory_.open(-1) && memory_.map(region(0), make_file(1).get()));
		fds.emplace_back(guard::make_eventfd().value(), closer_);
		MUST(irqs_.set(wiring, {}, fds));
		book_->begin(0);
	}

	/** Inside the gate: lends the next buffer, if the ring has a place, and signals. */
	rte_mbuf *burst()
	{
		const rte_guest_mem_table *now = __atomic_load_n(memory_.table(), __ATOMIC_ACQUIRE);
		const rte_guest_mem_region *found = rte_guest_mem_find(now, 0);
		auto *buffers = static_cast<uint8_t *>(found->addr);

		/* The guest writes its next frame there. */
		book_->settle(head_, lender::next, [&](uint16_t at) { buffers[at]++; });
		if (lender::next(head_) == book_->oldest())
			return nullptr;
		auto *frame = new rte_mbuf{};
		book_->lend(head_, *frame, buffers + head_, 1, head_, true);
		book_->finish(head_, true);
		head_ = lender::next(head_);
		irqs_.trigger(0, 0);
		return frame;
	}

	/** Control thread, with the gate closed for good: all goes but what is lent. */
	~device()
	{
		auto *kept = new lendable;

		kept->hold = memory_.hold();
		keep_lent(*book_, kept);
		book_->close();
		memory_.clear();
		memory_.reclaim();
		memory_.close();
	}

private:
	static constexpr rte_vfio_user_irq type{.count = 1, .flags = RTE_VFIO_USER_IRQ_EVENTFD};

	std::shared_ptr<closer> closer_ = std::make_shared<closer>();
	dma_map memory_{closer_, 0};
	irq_table irqs_;
	iavf_be::loan_book *book_ = iavf_be::loan_book::make(size, 0);
	uint16_t head_ = 0;
};

size_t
threads_of_process()
{
	const std::filesystem::directory_iterator all("/proc/self/task");

	return static_cast<size_t>(std::distance(begin(all), end(all)));
}

void
removal()
{
	const size_t threads = threads_of_process();
	iavf_be::gate access;
	std::unique_ptr<device> plugged;
	std::array<std::atomic<rte_mbuf *>, device::size> out{};
	std::atomic<uint64_t> read{0}, turn{0};
	auto exchange = [&](rte_mbuf *frame) {
		read += read_and_free(
			out[turn++ % out.size()].exchange(frame, std::memory_order_acq_rel));
	};
	{
		data_threads applications(2, [&](int) { exchange(nullptr); });
		data_threads pollers(2, [&](int) {
			rte_mbuf *frame = nullptr;
			if (iavf_be::burst_pass pass(access, access.enter()); pass)
				frame = plugged->burst();
			if (frame == nullptr)
				return std::this_thread::yield();
			exchange(frame);
		});
		for (int i = 0; i < rounds / 10 || read == 0; i++) {
			plugged = std::make_unique<device>(i % 2 == 0);
			access.open();
			std::this_thread::sleep_for(50us);
			access.close();
			plugged.reset();
		}
	}
	for (size_t i = 0; i < out.size(); i++)
		exchange(nullptr);
	MUST(read > 0);
	/* Those of the devices end by themselves. */
	for (int i = 0; i < 1000 && threads_of_process() > threads; i++)
		std::this_thread::sleep_for(10ms);
	MUST(threads_of_process() <= threads);
}

constexpr struct {
	const char *name;
	void (*run)();
} cases[] = {
	{"unmap", unmap}, {"late_frees", late_frees}, {"interrupts", interrupts}, {"loans", loans},
	{"gates", gates}, {"closers", closers},       {"removal", removal},
};

} // namespace

/* What loans have from DPDK: memory, which ThreadSanitizer is to know of, and its end. */

void *
rte_zmalloc_socket(const char *, size_t size, unsigned int align, int)
{
	return std::memset(std::aligned_alloc(align, RTE_ALIGN_CEIL(size, align)), 0, size);
}

void
rte_free(void *memory)
{
	std::free(memory);
}

void
rte_emudev_mem_release(rte_emudev_memory_hold *hold)
{
	delete reinterpret_cast<lendable *>(hold);
}

int
main(int argc, char **argv)
{
	for (const auto &one : cases) {
		bool wanted = argc == 1;

		for (int i = 1; i < argc; i++)
			wanted |= std::strcmp(argv[i], one.name) == 0;
		if (!wanted)
			continue;
		one.run();
		std::printf("%s: done\n", one.name);
	}
	return EXIT_SUCCESS;
}
