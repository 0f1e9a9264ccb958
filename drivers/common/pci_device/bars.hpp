/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <bytes.hpp>
#include <owner.hpp>
#include <rte_vfio_user.h>

#include "config_layout.hpp"
#include "state_walk.hpp"

namespace pci_device {

/** What is behind a base address register. Each kind is a class. */
class bar {
public:
	explicit bar(const bar_facts &facts) : facts_(facts) {}
	virtual ~bar() = default;
	bar(const bar &) = delete;
	bar &operator=(const bar &) = delete;

	const bar_facts &facts() const { return facts_; }

	/** Accesses of the client. The range is inside the BAR. */
	virtual void read(uint32_t offset, guard::mutable_bytes to) = 0;
	virtual void write(uint32_t offset, guard::bytes from) = 0;
	/** A reset of the function. */
	virtual void reset() = 0;
	virtual void each_state(state_walk &walk) = 0;
	/** Fills in what is more than size and read and write. What it points to stays. */
	virtual void describe(rte_vfio_user_region &) const {}

private:
	bar_facts facts_;
};

/** Parts of a BAR that the client may map. At most 8; with none of them all or nothing. */
using areas = std::span<const rte_vfio_user_area>;

/** Memory that is shared with the client. */
class bar_memory {
public:
	static guard::result<bar_memory> make(const char *name, size_t size);

	/** The memory file; the number stays the same. */
	int fd() const { return fd_.get(); }
	guard::mutable_bytes bytes() const { return map_.bytes(); }
	/**
	 * Takes a new memory file at the same address and under the same descriptor, all zeros: a
	 * client that is gone may have kept its mapping of the old one. No other thread may be
	 * using the memory.
	 */
	guard::status renew();

private:
	bar_memory(const char *name, guard::unique_fd fd, guard::mapping map);

	std::string name_;
	guard::unique_fd fd_;
	guard::mapping map_;
};

/** A BAR of memory, all of it shared, of which the client may map @p mappable or everything. */
class memory_bar final : public bar {
public:
	static guard::result<std::unique_ptr<memory_bar>>
	make(const char *name, const bar_facts &facts, areas mappable = {});

	bar_memory &memory() { return memory_; }
	void read(uint32_t offset, guard::mutable_bytes to) override;
	void write(uint32_t offset, guard::bytes from) override;
	void reset() override;
	void each_state(state_walk &walk) override { walk.raw(memory_.bytes()); }
	void describe(rte_vfio_user_region &region) const override;

private:
	memory_bar(const bar_facts &facts, bar_memory memory, areas mappable)
	    : bar(facts), memory_(std::move(memory)), mappable_(mappable)
	{
	}

	bar_memory memory_;
	areas mappable_;
};

/** How the driver may access a register. */
enum class access : uint8_t {
	read_write,
	read_only,
	read_clear, /**< A read clears it, a write does nothing. */
};

/** A register that makes nothing happen. */
constexpr uint8_t no_effect = UINT8_MAX;

/** A register of 32 bits, or an array of @p count of them, four bytes apart. */
struct register_row {
	std::string_view name;
	uint32_t offset;
	uint32_t count = 1;
	enum access access = access::read_write;
	uint32_t reset = 0;
	/** Number by which the device knows what a trapped access brings about. */
	uint8_t effect = no_effect;

	constexpr uint32_t end() const { return offset + count * 4; }
};

/** Whether rows are aligned, sorted, and inside a BAR of @p size bytes. For static_assert. */
constexpr bool
are_valid(std::span<const register_row> rows, uint32_t size)
{
	uint32_t end = 0;

	for (const register_row &row : rows) {
		if (row.offset % 4 != 0 || row.offset < end || row.count == 0)
			return false;
		end = row.end();
	}
	return end <= size;
}

/** What trapped accesses bring about. @p index counts in the row's array. */
class register_effects {
public:
	/** A register with an effect was written, and has its value. */
	virtual void register_written(uint8_t effect, uint32_t index) = 0;
	/** One of read_clear was read, and is 0 now. @return What the driver sees. */
	virtual uint32_t register_read(uint8_t, uint32_t, uint32_t value) { return value; }

protected:
	~register_effects() = default;
};

/** Accesses that are less than a register. */
enum class partial_writes : uint8_t {
	ignored, /**< As by hardware that has no byte enables. */
	merged,
};

/** All about a BAR of registers. What it points to must stay. */
struct register_bar_facts {
	const char *name; /**< Of its memory file. */
	bar_facts bar;
	std::span<const register_row> rows;
	areas shared = {}; /**< These pages are memory that the client may map. */
	/** A client that cannot trap may map all of it. */
	bool whole_on_request = false;
	partial_writes partial = partial_writes::ignored;
};

/**
 * A BAR of registers, in memory or in I/O ports.
 *
 * Shared areas are always the memory file that clients may map. The other registers are kept in
 * private memory, where only trapped accesses reach them; the client holds a descriptor of the
 * whole file and could write anything there, so the file's copy is not looked at. A client that
 * maps the whole BAR because it cannot trap ("mapped" mode) has them in the file, and the device
 * has to poll.
 */
class register_bar final : public bar {
public:
	/** @param memory As large as the BAR, or none if nothing is shared. */
	register_bar(const register_bar_facts &facts, register_effects &effects,
		     std::unique_ptr<bar_memory> memory);
	/** The same, with memory if it needs some; EINVAL: the rows are not valid. */
	static guard::result<std::unique_ptr<register_bar>> make(const register_bar_facts &facts,
								 register_effects &effects);

	/** The shared memory, as large as the BAR; empty if nothing is shared. */
	guard::mutable_bytes shared_memory() const;
	bool mapped() const { return mapped_; }
	/** Chooses where registers that are not shared live from now on, and resets all. */
	void set_mapped(bool mapped);
	/** See bar_memory::renew(); resets all. */
	guard::status renew();

	/** Where the register at @p offset is, a multiple of 4 inside the BAR. */
	uint32_t *word(uint32_t offset) const;

	/* A store releases what was written to guest memory before, a load acquires. */
	uint32_t load(uint32_t offset) const
	{
		return std::atomic_ref(*word(offset)).load(std::memory_order_acquire);
	}
	void store(uint32_t offset, uint32_t value)
	{
		std::atomic_ref(*word(offset)).store(value, std::memory_order_release);
	}
	void set_bits(uint32_t offset, uint32_t bits)
	{
		std::atomic_ref(*word(offset)).fetch_or(bits);
	}
	void clear_bits(uint32_t offset, uint32_t bits)
	{
		std::atomic_ref(*word(offset)).fetch_and(~bits);
	}
	/** Reads and zeroes. */
	uint32_t take(uint32_t offset) { return std::atomic_ref(*word(offset)).exchange(0); }

	/** Resets all registers but those for which @p spared is true. */
	void reset_but(bool (*spared)(uint32_t offset));
	void reset() override;
	/** The registers of the rows, wherever they live. */
	void each_state(state_walk &walk) override;
	void read(uint32_t offset, guard::mutable_bytes to) override;
	void write(uint32_t offset, guard::bytes from) override;
	void describe(rte_vfio_user_region &region) const override;

private:
	const register_row *find(uint32_t offset) const;
	uint32_t read_register(uint32_t offset);
	void write_register(uint32_t offset, uint32_t value);
	void write_part(uint32_t offset, guard::bytes from);

	register_bar_facts facts_;
	register_effects &effects_;
	std::unique_ptr<bar_memory> memory_; /* none if nothing is shared */
	std::vector<uint32_t> private_;
	bool mapped_ = false;
};

} // namespace pci_device
