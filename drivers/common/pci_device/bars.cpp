/* SPDX-License-Identifier: BSD-3-Clause */
#include "bars.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace pci_device {

namespace {

/** The region is memory of @p fd, of which @p mappable may be mapped, or all. */
void
offer(rte_vfio_user_region &region, int fd, areas mappable, bool whole_on_request)
{
	region.flags |= RTE_VFIO_USER_REGION_MMAP;
	region.fd = fd;
	region.areas = mappable.data();
	region.nb_areas = static_cast<uint32_t>(mappable.size());
	region.map_whole_on_request = whole_on_request ? 1 : 0;
}

} // namespace

bar_memory::bar_memory(const char *name, guard::unique_fd fd, guard::mapping map)
    : name_(name), fd_(std::move(fd)), map_(std::move(map))
{
}

guard::result<bar_memory>
bar_memory::make(const char *name, size_t size)
{
	guard::unique_fd fd = TRY(guard::make_sealed_memfd(name, size));
	guard::mapping map = TRY(guard::mapping::make(nullptr, size, PROT_READ | PROT_WRITE,
						      MAP_SHARED, fd.get(), 0));

	return bar_memory(name, std::move(fd), std::move(map));
}

guard::status
bar_memory::renew()
{
	guard::unique_fd fresh = TRY(guard::make_sealed_memfd(name_.c_str(), map_.size()));

	TRY(map_.replace(PROT_READ | PROT_WRITE, MAP_SHARED, fresh.get(), 0));
	/* The server and its next client know the file by the old number. */
	if (::dup3(fresh.get(), fd_.get(), O_CLOEXEC) < 0)
		return guard::last_error();
	return {};
}

guard::result<std::unique_ptr<memory_bar>>
memory_bar::make(const char *name, const bar_facts &facts, areas mappable)
{
	bar_memory memory = TRY(bar_memory::make(name, facts.size));

	return std::unique_ptr<memory_bar>(new memory_bar(facts, std::move(memory), mappable));
}

void
memory_bar::read(uint32_t offset, guard::mutable_bytes to)
{
	std::memcpy(to.data(), &memory_.bytes()[offset], to.size());
}

void
memory_bar::write(uint32_t offset, guard::bytes from)
{
	std::memcpy(&memory_.bytes()[offset], from.data(), from.size());
}

void
memory_bar::reset()
{
	std::ranges::fill(memory_.bytes(), std::byte{});
}

void
memory_bar::describe(rte_vfio_user_region &region) const
{
	offer(region, memory_.fd(), mappable_, false);
}

register_bar::register_bar(const register_bar_facts &facts, register_effects &effects,
			   std::unique_ptr<bar_memory> memory)
    : bar(facts.bar), facts_(facts), effects_(effects), memory_(std::move(memory)),
      private_(facts.bar.size / 4)
{
	reset();
}

guard::result<std::unique_ptr<register_bar>>
register_bar::make(const register_bar_facts &facts, register_effects &effects)
{
	std::unique_ptr<bar_memory> memory;

	if (!are_valid(facts.rows, facts.bar.size))
		return guard::failure{EINVAL};
	if (!facts.shared.empty() || facts.whole_on_request)
		memory = std::make_unique<bar_memory>(
			TRY(bar_memory::make(facts.name, facts.bar.size)));
	return std::unique_ptr<register_bar>(new register_bar(facts, effects, std::move(memory)));
}

guard::mutable_bytes
register_bar::shared_memory() const
{
	return memory_ == nullptr ? guard::mutable_bytes{} : memory_->bytes();
}

guard::status
register_bar::renew()
{
	if (memory_ == nullptr)
		return {};
	guard::status renewed = memory_->renew();

	reset();
	return renewed;
}

uint32_t *
register_bar::word(uint32_t offset) const
{
	bool shared = mapped_ || std::ranges::any_of(facts_.shared, [&](const auto &area) {
			      return offset >= area.offset && offset - area.offset < area.size;
		      });
	const uint32_t *base = private_.data();

	if (shared && memory_ != nullptr)
		base = static_cast<const uint32_t *>(
			static_cast<const void *>(memory_->bytes().data()));
	return const_cast<uint32_t *>(base + offset / 4);
}

void
register_bar::set_mapped(bool mapped)
{
	mapped_ = mapped;
	reset();
}

void
register_bar::reset()
{
	reset_but([](uint32_t) { return false; });
}

void
register_bar::each_state(state_walk &walk)
{
	for (const register_row &row : facts_.rows) {
		for (uint32_t offset = row.offset; offset < row.end(); offset += 4) {
			uint32_t value = load(offset);

			walk(value);
			store(offset, value);
		}
	}
}

void
register_bar::reset_but(bool (*spared)(uint32_t offset))
{
	for (const register_row &row : facts_.rows)
		for (uint32_t offset = row.offset; offset < row.end(); offset += 4)
			if (!spared(offset))
				store(offset, row.reset);
}

/** The row of the register at @p offset, if there is one. */
const register_row *
register_bar::find(uint32_t offset) const
{
	auto after = std::ranges::upper_bound(facts_.rows, offset, {}, &register_row::offset);

	if (after == facts_.rows.begin() || offset >= std::prev(after)->end())
		return nullptr;
	return &*std::prev(after);
}

uint32_t
register_bar::read_register(uint32_t offset)
{
	const register_row *row = find(offset);

	if (row == nullptr)
		return 0;
	if (row->access != access::read_clear)
		return load(offset);
	uint32_t value = take(offset);

	if (row->effect == no_effect)
		return value;
	return effects_.register_read(row->effect, (offset - row->offset) / 4, value);
}

void
register_bar::write_register(uint32_t offset, uint32_t value)
{
	const register_row *row = find(offset);

	if (row == nullptr || row->access != access::read_write)
		return;
	store(offset, value);
	if (row->effect != no_effect)
		effects_.register_written(row->effect, (offset - row->offset) / 4);
}

/** Writes less than a register. */
void
register_bar::write_part(uint32_t offset, guard::bytes from)
{
	const register_row *row = find(offset - offset % 4);

	/* The rest of the register is not read as the driver would: that may clear it. */
	if (facts_.partial == partial_writes::ignored || row == nullptr)
		return;
	uint32_t value = load(offset - offset % 4);

	auto bytes = std::as_writable_bytes(std::span<uint32_t, 1>(&value, 1));

	std::ranges::copy(from, bytes.begin() + offset % 4);
	write_register(offset - offset % 4, value);
}

/** Accesses of any size and place are cut into those of registers. */
void
register_bar::read(uint32_t offset, guard::mutable_bytes to)
{
	while (!to.empty()) {
		uint32_t skip = offset % 4;
		uint32_t value = read_register(offset - skip) >> (8 * skip);
		size_t n = std::min<size_t>(4 - skip, to.size());

		std::memcpy(to.data(), &value, n);
		to = to.subspan(n);
		offset += static_cast<uint32_t>(n);
	}
}

void
register_bar::write(uint32_t offset, guard::bytes from)
{
	while (!from.empty()) {
		size_t n = std::min<size_t>(4 - offset % 4, from.size());

		if (n == 4)
			write_register(offset, guard::load<uint32_t>(from, 0).value());
		else
			write_part(offset, from.first(n));
		from = from.subspan(n);
		offset += static_cast<uint32_t>(n);
	}
}

void
register_bar::describe(rte_vfio_user_region &region) const
{
	if (memory_ != nullptr)
		offer(region, memory_->fd(), facts_.shared, facts_.whole_on_request);
}

} // namespace pci_device
