/* SPDX-License-Identifier: BSD-3-Clause */
#include "admin_ring.hpp"

#include <utility>

#include "log.hpp"

namespace iavf {

std::optional<admin_ring::ring_view>
admin_ring::look()
{
	uint32_t len = registers_.load(at_.len);
	ring_view out{
		.base = uint64_t{registers_.load(at_.bah)} << 32 | registers_.load(at_.bal),
		.size = aqlen::len::get(len),
		.head = aq_index::get(registers_.load(at_.head)),
		.tail = aq_index::get(registers_.load(at_.tail)),
	};

	if (!aqlen::enable::is_set(len) || aqlen::critical::is_set(len))
		return {};
	if (out.head >= out.size || out.tail >= out.size) {
		critical("head or tail beyond its length");
		return {};
	}
	return out;
}

void
admin_ring::critical(const char *what)
{
	stats_.errors++;
	registers_.set_bits(at_.len, aqlen::critical::mask);
	DRIVER_LOG_LIMITED(log_, INFO, "critical error of the %s: %s", at_.name.data(), what);
}

bool
admin_ring::begin()
{
	std::optional<ring_view> ring = look();

	if (!ring || ring->empty())
		return false;
	at_head_ = ring->at_head();
	next_ = ring->next();
	read(stage::descriptor, at_head_,
	     std::as_writable_bytes(std::span<adminq_desc, 1>(&desc_, 1)));
	return true;
}

bool
admin_ring::finish()
{
	stage_ = stage::nothing;
	if (error() != 0) {
		critical("the ring cannot be written");
		return false;
	}
	/* Released after all that it stands for: drivers go by the head. */
	registers_.store(at_.head, next_);
	return true;
}

void
admin_ring::start(stage next)
{
	stage_ = next;
	waiting_ = true;
	starting_ = true;
}

void
admin_ring::started(int error)
{
	if (error < 0)
		done(this, error);
	starting_ = false;
}

void
admin_ring::read(stage next, uint64_t iova, guard::mutable_bytes to)
{
	start(next);
	started(bus_.dma_read(iova, to.data(), static_cast<uint32_t>(to.size()), done, this));
}

void
admin_ring::write(stage next, uint64_t iova, guard::bytes from)
{
	start(next);
	started(bus_.dma_write(iova, from.data(), static_cast<uint32_t>(from.size()), done, this));
}

void
admin_ring::cancel()
{
	/* Our buffers are the access's until it is over. */
	if (waiting_)
		cancelled_ = true;
	else
		stage_ = stage::nothing;
}

void
admin_ring::done(void *ctx, int error)
{
	admin_ring &self = *static_cast<admin_ring *>(ctx);

	self.waiting_ = false;
	self.error_ = error;
	if (std::exchange(self.cancelled_, false))
		self.stage_ = stage::nothing;
	/* Who asked goes on itself, or else the device does in its next turn. */
	if (!self.starting_)
		self.bus_.defer();
}

} // namespace iavf
