/* SPDX-License-Identifier: BSD-3-Clause */
#include "bar0.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace iavf {

namespace {

/**
 * Registers that a reset of the function leaves alone. Linux finds completed commands by the head,
 * and reads the event that announced a reset after it; both heads are written again before the
 * queues are used. Linux also writes the ring registers anew, so keeping them costs nothing.
 */
constexpr bool
survives_function_reset(uint32_t offset)
{
	return offset == reg::vf_atqh1 || offset == reg::vf_arqh1 || offset == reg::vf_atqt1 ||
	       offset == reg::vf_arqt1;
}

} // namespace

register_file::register_file(const char *name, guard::unique_fd fd, guard::mapping map)
    : name_(name), fd_(std::move(fd)), map_(std::move(map))
{
	reset();
}

guard::result<std::unique_ptr<register_file>>
register_file::make(const char *name)
{
	guard::unique_fd fd = TRY(guard::make_sealed_memfd(name, bar0_size));
	guard::mapping map = TRY(guard::mapping::make(nullptr, bar0_size, PROT_READ | PROT_WRITE,
						      MAP_SHARED, fd.get(), 0));

	return std::unique_ptr<register_file>(
		new register_file(name, std::move(fd), std::move(map)));
}

guard::status
register_file::renew()
{
	guard::unique_fd fresh = TRY(guard::make_sealed_memfd(name_.c_str(), bar0_size));

	TRY(map_.replace(PROT_READ | PROT_WRITE, MAP_SHARED, fresh.get(), 0));
	reset();
	/* The server and its next client know the file by the old number. */
	if (::dup3(fresh.get(), fd_.get(), O_CLOEXEC) < 0)
		return guard::last_error();
	return {};
}

uint32_t *
register_file::word(uint32_t offset) const
{
	const uint32_t *base = private_.data();

	if (offset < shared_size || mapped_)
		base = static_cast<const uint32_t *>(static_cast<const void *>(map_.data()));
	return const_cast<uint32_t *>(base + offset / 4);
}

void
register_file::zero(const reg::row &row)
{
	for (uint32_t offset = row.offset; offset < row.end(); offset += 4)
		store(offset, 0);
}

void
register_file::set_mapped(bool mapped)
{
	mapped_ = mapped;
	reset();
}

void
register_file::reset()
{
	for (const reg::row &row : reg::rows)
		zero(row);
	store(reg::vfgen_rstat, rstat::vf_active);
}

void
register_file::reset_function()
{
	for (const reg::row &row : reg::rows)
		if (!survives_function_reset(row.offset))
			zero(row);
	/* Linux waits for "active", not "completed", before it talks to us again. */
	store(reg::vfgen_rstat, rstat::vf_active);
}

} // namespace iavf
