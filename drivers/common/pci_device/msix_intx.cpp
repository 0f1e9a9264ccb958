/* SPDX-License-Identifier: BSD-3-Clause */
#include "msix_intx.hpp"

#include <algorithm>
#include <cstring>

#include <linux/pci_regs.h>

namespace pci_device {

namespace {

constexpr uint32_t bits_of_word = 64;

/** The part of [offset, offset + size) that is inside [start, end). */
struct overlap {
	uint64_t from, to;

	overlap(uint64_t offset, uint64_t size, uint64_t start, uint64_t end)
	    : from(std::max(offset, start)), to(std::min(offset + size, end))
	{
	}
	bool empty() const { return from >= to; }
	size_t size() const { return to - from; }
};

} // namespace

msix_bar::msix_bar(const bar_facts &facts, const msix_place &place, bus &machine)
    : bar(facts), place_(place), bus_(machine), table_(table_size()),
      pending_((place.vectors + bits_of_word - 1) / bits_of_word)
{
	reset();
}

uint32_t
msix_bar::table_size() const
{
	return uint32_t{place_.vectors} * PCI_MSIX_ENTRY_SIZE;
}

bool
msix_bar::valid() const
{
	uint64_t table = place_.table_offset, pba = place_.pba_offset;
	uint64_t table_end = table + table_size();
	uint64_t pba_end = pba + pending_.size() * sizeof(uint64_t);

	return place_.vectors != 0 && place_.vectors <= PCI_MSIX_FLAGS_QSIZE + 1 &&
	       place_.bar == facts().index && table % 8 == 0 && pba % 8 == 0 &&
	       std::max(table_end, pba_end) <= facts().size &&
	       (table_end <= pba || pba_end <= table);
}

void
msix_bar::raise(uint16_t vector)
{
	if (bus_.irq_trigger(RTE_VFIO_USER_IRQ_MSIX, vector) >= 0)
		return;
	pending_[vector / bits_of_word].fetch_or(uint64_t{1} << vector % bits_of_word);
	/* It may have been wired in between, and rewired() have found nothing. */
	if (bus_.irq_wired(RTE_VFIO_USER_IRQ_MSIX, vector))
		rewired();
}

void
msix_bar::rewired()
{
	for (uint16_t vector = 0; vector < place_.vectors; vector++) {
		std::atomic<uint64_t> &word = pending_[vector / bits_of_word];
		uint64_t bit = uint64_t{1} << vector % bits_of_word;

		if ((word.load() & bit) != 0 && bus_.irq_wired(RTE_VFIO_USER_IRQ_MSIX, vector) &&
		    (word.fetch_and(~bit) & bit) != 0 &&
		    bus_.irq_trigger(RTE_VFIO_USER_IRQ_MSIX, vector) < 0)
			word.fetch_or(bit); /* unwired since */
	}
}

void
msix_bar::read(uint32_t offset, guard::mutable_bytes to)
{
	overlap table(offset, to.size(), place_.table_offset, place_.table_offset + table_size());
	uint64_t pba_end = place_.pba_offset + pending_.size() * sizeof(uint64_t);
	overlap pba(offset, to.size(), place_.pba_offset, pba_end);

	std::ranges::fill(to, std::byte{});
	if (!table.empty())
		std::memcpy(&to[table.from - offset], &table_[table.from - place_.table_offset],
			    table.size());
	for (uint64_t at = pba.from; at < pba.to; at++) {
		uint64_t byte = at - place_.pba_offset;

		to[at - offset] = static_cast<std::byte>(pending_[byte / 8] >> 8 * (byte % 8));
	}
}

/** The pending bits are read-only. */
void
msix_bar::write(uint32_t offset, guard::bytes from)
{
	overlap table(offset, from.size(), place_.table_offset, place_.table_offset + table_size());

	if (!table.empty())
		std::memcpy(&table_[table.from - place_.table_offset], &from[table.from - offset],
			    table.size());
}

void
msix_bar::reset()
{
	std::ranges::fill(table_, std::byte{});
	for (uint32_t entry = 0; entry < table_size(); entry += PCI_MSIX_ENTRY_SIZE)
		table_[entry + PCI_MSIX_ENTRY_VECTOR_CTRL] = std::byte{PCI_MSIX_ENTRY_CTRL_MASKBIT};
	for (std::atomic<uint64_t> &word : pending_)
		word.store(0);
}

void
msix_bar::each_state(state_walk &walk)
{
	walk.raw(table_);
	for (std::atomic<uint64_t> &word : pending_) {
		uint64_t bits = word.load();

		walk(bits);
		word.store(bits);
	}
}

void
intx_pin::assert_level(bool level)
{
	level_ = level;
	config_.assign(PCI_STATUS, PCI_STATUS_INTERRUPT, level);
	update();
}

void
intx_pin::each_state(state_walk &walk)
{
	walk(level_);
	config_.assign(PCI_STATUS, PCI_STATUS_INTERRUPT, level_);
}

void
intx_pin::update()
{
	if (level_ && (config_.load(PCI_COMMAND) & PCI_COMMAND_INTX_DISABLE) == 0)
		bus_.irq_trigger(RTE_VFIO_USER_IRQ_INTX, 0);
}

} // namespace pci_device
