/* SPDX-License-Identifier: BSD-3-Clause */

#include "loans.hpp"

#include <algorithm>
#include <new>

#include <rte_eal.h>
#include <rte_malloc.h>

namespace iavf_be {

namespace {

std::atomic<int> lenders{0};

} // namespace

bool
any_lender()
{
	return lenders.load(std::memory_order_relaxed) != 0;
}

void
count_lender(int change)
{
	lenders.fetch_add(change, std::memory_order_relaxed);
}

void
kept_memory::drop()
{
	if (users_.fetch_sub(1, std::memory_order_acq_rel) == 1)
		delete this;
}

loan_book *
loan_book::make(uint16_t size, int node)
{
	const size_t head = RTE_CACHE_LINE_ROUNDUP(sizeof(loan_book));
	const size_t loans = size * sizeof(loan);
	auto *at = static_cast<uint8_t *>(rte_zmalloc_socket("iavf_be_loans", head + loans + size,
							     RTE_CACHE_LINE_SIZE, node));

	if (at == nullptr)
		return nullptr;
	return new (at) loan_book(size, new (at + head) loan[size],
				  new (at + head + loans) std::atomic<uint8_t>[size]);
}

loan_book::loan_book(uint16_t size, loan *loans, std::atomic<uint8_t> *state)
    : size_(size), has_addresses_(rte_eal_iova_mode() == RTE_IOVA_VA), loans_(loans), state_(state)
{
	for (uint16_t i = 0; i < size; i++) {
		loans[i].shared.free_cb = give_back;
		loans[i].shared.fcb_opaque = &loans[i];
		loans[i].book = this;
	}
	clear();
}

void
loan_book::clear()
{
	for (uint16_t i = 0; i < size_; i++)
		state_[i].store(0, std::memory_order_relaxed);
}

bool
loan_book::any_out() const
{
	return std::any_of(state_, state_ + size_, [](const auto &one) {
		/* Orders the reads of who had it before what comes next. */
		return is_out(one.load(std::memory_order_acquire));
	});
}

void
loan_book::begin(uint16_t head)
{
	stale_ = true;
	reopen(head);
}

bool
loan_book::reopen(uint16_t head)
{
	if (any_out())
		return false;
	clear();
	oldest_ = head;
	stale_ = false;
	return true;
}

/** The loan is over when its state says so: from then on another one may be in its place. */
void
loan_book::give_back(void *, void *which)
{
	loan &one = *static_cast<loan *>(which);
	loan_book &book = *one.book;
	std::atomic<uint8_t> &state = book.state_[&one - book.loans_];
	uint8_t seen = state.load(std::memory_order_acquire);
	kept_memory *memory;

	do {
		/* Once it is there it does not change. */
		memory = (seen & kept) != 0 ? one.memory.load(std::memory_order_relaxed) : nullptr;
	} while (!state.compare_exchange_weak(seen, seen & ~out, std::memory_order_acq_rel,
					      std::memory_order_acquire));
	/* Without it the book may be gone by now. */
	if (memory == nullptr)
		return;
	memory->drop();
	book.drop();
}

bool
loan_book::is_in(uint16_t at, uint64_t first, uint64_t last) const
{
	if (!is_out(state_[at].load(std::memory_order_acquire)))
		return false;
	const uint64_t iova = loans_[at].iova.load(std::memory_order_relaxed);
	return iova <= last && (iova >= first || first - iova < longest);
}

bool
loan_book::any_out_in(uint64_t first, uint64_t last) const
{
	for (uint16_t i = 0; i < size_; i++)
		if (is_in(i, first, last))
			return true;
	return false;
}

/** The mbuf may come back meanwhile. */
bool
loan_book::mark(uint16_t at, kept_memory &memory)
{
	uint8_t seen = state_[at].load(std::memory_order_acquire);

	while (is_out(seen) && (seen & kept) == 0) {
		loans_[at].memory.store(&memory, std::memory_order_relaxed);
		if (state_[at].compare_exchange_weak(seen, seen | kept, std::memory_order_acq_rel,
						     std::memory_order_acquire))
			return true;
	}
	return false;
}

void
loan_book::keep(uint64_t first, uint64_t last, kept_memory &memory)
{
	for (uint16_t i = 0; i < size_; i++) {
		if (!is_in(i, first, last))
			continue;
		memory.add();
		users_.fetch_add(1, std::memory_order_relaxed);
		if (mark(i, memory))
			continue;
		memory.drop();
		drop();
	}
}

void
loan_book::drop()
{
	if (users_.fetch_sub(1, std::memory_order_acq_rel) == 1)
		rte_free(this);
}

} // namespace iavf_be
