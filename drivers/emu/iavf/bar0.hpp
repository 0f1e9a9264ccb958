/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include <owner.hpp>
#include <registers.hpp>

namespace iavf {

/**
 * The memory behind BAR0.
 *
 * The first 16 KiB are always the memory file that clients may map. The registers beyond are kept
 * in private memory, where only trapped accesses reach them; the client holds a descriptor of the
 * whole file and could write anything there, so the file's copy is not looked at. A client that
 * maps the whole BAR because it cannot trap ("mapped" mode) has them in the file, and the device
 * polls.
 */
class register_file {
public:
	static guard::result<std::unique_ptr<register_file>> make(const char *name);

	/** The memory file; the number stays the same, see renew(). */
	int fd() const { return fd_.get(); }
	/** The shared memory, bar0_size bytes. */
	void *shared_memory() const { return map_.data(); }

	bool mapped() const { return mapped_; }
	/** Chooses where registers beyond the shared ones live from now on, and resets all. */
	void set_mapped(bool mapped);

	/**
	 * Takes a new memory file at the same address and under the same descriptor, and resets
	 * all: a client that is gone may have kept its mapping of the old one. No burst may be
	 * under way.
	 */
	guard::status renew();

	/** Where the register at @p offset is, a multiple of 4 below bar0_size. */
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

	/** All registers as after power-on; VFGEN_RSTAT says that the function is ready. */
	void reset();
	/** As after a reset of the function by its driver: heads of the admin queues survive. */
	void reset_function();

private:
	register_file(const char *name, guard::unique_fd fd, guard::mapping map);

	void zero(const reg::row &row);

	std::string name_;
	guard::unique_fd fd_;
	guard::mapping map_;
	std::array<uint32_t, bar0_size / 4> private_{};
	bool mapped_ = false;
};

} // namespace iavf
