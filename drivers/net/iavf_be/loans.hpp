/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <atomic>
#include <cstdint>

#include <rte_emudev.h>
#include <rte_mbuf.h>

/*
 * Buffers of the guest that the application has, in mbufs, without a copy.
 *
 * A mbuf is attached to the buffer and may come back at any time, on any thread, also after its
 * ring, its port, its guest and its device are gone. All that its return does is to mark it in the
 * book of its ring. Completions are written by who polls the ring, in the ring's order and inside
 * its gate: so nothing is written to a ring that is another one by now.
 */

namespace iavf_be {

class loan_book;

/** Memory that the guest has taken back while the application still reads there. Any thread. */
class kept_memory {
public:
	/** Takes over the hold; the maker is its first user. */
	explicit kept_memory(rte_emudev_memory_hold *hold) : hold_(hold) {}
	kept_memory(const kept_memory &) = delete;
	kept_memory &operator=(const kept_memory &) = delete;

	void add() { users_.fetch_add(1, std::memory_order_relaxed); }
	/** The last one ends it. */
	void drop();

private:
	~kept_memory() { rte_emudev_mem_release(hold_); }

	rte_emudev_memory_hold *const hold_;
	std::atomic<uint32_t> users_{1};
};

/** One buffer. */
struct alignas(RTE_CACHE_LINE_SIZE) loan {
	rte_mbuf_ext_shared_info shared;
	std::atomic<uint64_t> iova; /**< Where it begins. */
	std::atomic<kept_memory *> memory;
	loan_book *book;
};

/**
 * The descriptors of a ring that have been taken, and what has become of each.
 *
 * One thread lends and settles, any thread gives back, and the control plane keeps memory; it and
 * the data thread exclude each other as for all of a queue, but for keep().
 */
class loan_book {
public:
	/** nullptr: there is no memory. */
	static loan_book *make(uint16_t size, int node);
	loan_book(const loan_book &) = delete;
	loan_book &operator=(const loan_book &) = delete;

	uint16_t size() const { return size_; }

	/* Control plane. */
	/** The ring begins at a descriptor. If mbufs of an earlier one are out, nothing is lent
	 * until they are back: their places are taken, and memory of one guest at most is kept. */
	void begin(uint16_t head);
	bool any_out() const;
	/** Keeps memory for all mbufs that are out over a range. The data thread may go on, but a
	 * burst that knew the range is over. */
	void keep(uint64_t first, uint64_t last, kept_memory &memory);
	/** Whether there is something for keep() to do. */
	bool any_out_in(uint64_t first, uint64_t last) const;
	/** The queue is gone. The book stays until the last mbuf is back; all are kept. */
	void close() { drop(); }

	/* Data thread. */
	/** Whether the ring has the book for itself by now. */
	bool is_open(uint16_t head) { return likely(!stale_) || reopen(head); }
	/** The first descriptor whose completion is not written. */
	uint16_t oldest() const { return oldest_; }
	/** Whether the application still has that. */
	bool awaits() const { return is_out(state_[oldest_].load(std::memory_order_relaxed)); }
	/** Whether a descriptor that is not settled was lent once. */
	bool was_lent(uint16_t at) const
	{
		return (state_[at].load(std::memory_order_relaxed) & lent) != 0;
	}
	/** Attaches a mbuf that is fresh. @p report Whether a completion is wanted. */
	void lend(uint16_t at, rte_mbuf &to, uint8_t *data, uint16_t length, uint64_t iova,
		  bool report)
	{
		loan &one = loans_[at];
		const rte_iova_t address =
			has_addresses_ ? reinterpret_cast<uintptr_t>(data) : RTE_BAD_IOVA;

		one.iova.store(iova, std::memory_order_relaxed);
		rte_mbuf_ext_refcnt_set(&one.shared, 1);
		state_[at].store(out | lent | (report ? wanted : 0), std::memory_order_relaxed);
		rte_pktmbuf_attach_extbuf(&to, data, address, length, &one.shared);
		to.data_len = length;
	}
	/** A descriptor is done, but for its completion. */
	void finish(uint16_t at, bool report)
	{
		if (!was_lent(at))
			state_[at].store(report ? wanted : 0, std::memory_order_relaxed);
	}
	/** Calls @p complete for all that want it, in order, from the oldest up to the head or the
	 * first that the application has. */
	template <class next, class function>
	void settle(uint16_t head, next next_of, function complete)
	{
		uint16_t at = oldest_;

		for (; at != head; at = next_of(at)) {
			/* Orders the reads of the buffer, by whoever had it, before the completion.
			 */
			const uint8_t state = state_[at].load(std::memory_order_acquire);
			if (is_out(state))
				break;
			if ((state & wanted) != 0)
				complete(at);
			state_[at].store(0, std::memory_order_relaxed);
		}
		oldest_ = at;
	}

private:
	/** Of a descriptor; kept: somebody has called keep() for it. */
	static constexpr uint8_t wanted = 1, out = 2, kept = 4, lent = 8;
	/** The longest buffer; more than that is never kept in vain. */
	static constexpr uint64_t longest = 16383;

	loan_book(uint16_t size, loan *loans, std::atomic<uint8_t> *state);
	static bool is_out(uint8_t state) { return (state & out) != 0; }
	static void give_back(void *data, void *one);
	bool is_in(uint16_t at, uint64_t first, uint64_t last) const;
	bool mark(uint16_t at, kept_memory &memory);
	bool reopen(uint16_t head);
	void clear();
	void drop();

	const uint16_t size_;
	const bool has_addresses_; /**< Of devices: those of this process. */
	uint16_t oldest_ = 0;
	bool stale_ = false; /**< Mbufs of an earlier ring are out. */
	loan *const loans_;
	std::atomic<uint8_t> *const state_;
	/** The queue, and loans that are kept. */
	std::atomic<uint32_t> users_{1};
};

/** Whether a port of this process lends: then no port can free mbufs in the fast way. */
bool any_lender();
/** One comes (1) or goes (-1). */
void count_lender(int change);

} // namespace iavf_be
