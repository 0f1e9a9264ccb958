/* SPDX-License-Identifier: BSD-3-Clause */
#include "admin_ring.hpp"

#include <rte_vfio_user.h>

#include "log.hpp"

namespace iavf {

void
admin_ring::run()
{
	if (running_)
		return; /* from within a step, which is followed by the next one anyway */
	running_ = true;
	bool go_on = true;
	while (go_on && may_step())
		go_on = !waiting_ && step();
	running_ = false;
	if (go_on)
		rte_vfio_user_server_defer(server_);
}

bool
admin_ring::has_turn() const
{
	return rte_vfio_user_server_has_turn(server_) > 0;
}

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

bool
admin_ring::critical(const char *what)
{
	stats_.errors++;
	registers_.set_bits(at_.len, aqlen::critical::mask);
	DRIVER_LOG_LIMITED(log_, INFO, "critical error of the %s: %s", at_.name.data(), what);
	return false;
}

void
admin_ring::read(uint64_t iova, guard::mutable_bytes to)
{
	waiting_ = true;
	int ret = rte_vfio_user_server_dma_read(server_, iova, to.data(),
						static_cast<uint32_t>(to.size()), done, this);
	if (ret < 0)
		done(this, ret);
}

void
admin_ring::write(uint64_t iova, guard::bytes from)
{
	waiting_ = true;
	int ret = rte_vfio_user_server_dma_write(server_, iova, from.data(),
						 static_cast<uint32_t>(from.size()), done, this);
	if (ret < 0)
		done(this, ret);
}

void
admin_ring::cancel()
{
	/* Our buffers are the access's until it is over. */
	if (waiting_)
		cancelled_ = true;
	else
		restart();
}

void
admin_ring::done(void *ctx, int error)
{
	admin_ring &self = *static_cast<admin_ring *>(ctx);

	self.waiting_ = false;
	self.error_ = error;
	if (self.cancelled_)
		self.restart();
	self.cancelled_ = false;
	self.run();
}

} // namespace iavf
