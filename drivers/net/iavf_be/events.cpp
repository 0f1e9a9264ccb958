/* SPDX-License-Identifier: BSD-3-Clause */

/* How the guest's rings come and go: events of the emulated device, and the gates they move. */

#include <cinttypes>
#include <utility>

#include <rte_alarm.h>

#include "log.hpp"
#include "port.hpp"

namespace iavf_be {

namespace {

/** Smallest buffer that a guest may post; a frame's header must fit the first. */
constexpr uint32_t min_buffer_size = 64;

constexpr uint16_t
descriptor_size(rte_emudev_dir direction)
{
	return direction == RTE_EMUDEV_FROM_GUEST ? sizeof(iavf::tx_descriptor)
						  : sizeof(iavf::rx_descriptor);
}

constexpr const char *
name_of(rte_emudev_dir direction)
{
	return direction == RTE_EMUDEV_FROM_GUEST ? "transmit" : "receive";
}

bool
same_ring(const rte_emudev_queue_info &a, const rte_emudev_queue_info &b)
{
	return a.enabled == b.enabled && a.size == b.size && a.ring_iova == b.ring_iova;
}

/** Whether nothing is different that a burst uses. Where to begin is for a ring that begins. */
bool
same_setup(const rte_emudev_queue_info &a, const rte_emudev_queue_info &b)
{
	return same_ring(a, b) && a.desc_size == b.desc_size && a.desc_format == b.desc_format &&
	       a.vector == b.vector && a.irq_timer == b.irq_timer &&
	       a.buffer_size == b.buffer_size && a.max_frame == b.max_frame;
}

/** Calls @p f with the queue as what it is. */
template <class function>
auto
as_direction(queue &q, function f)
{
	return q.direction == RTE_EMUDEV_FROM_GUEST ? f(static_cast<from_guest &>(q))
						    : f(static_cast<to_guest &>(q));
}

} // namespace

void
port::on_event(void *ctx, const rte_emudev_event_data *data)
{
	static_cast<port *>(ctx)->handle(*data);
}

void
port::on_stats_get(void *ctx, rte_emudev_stats *stats)
{
	static_cast<port *>(ctx)->guest_stats(*stats);
}

void
port::handle(const rte_emudev_event_data &data)
{
	switch (data.event) {
	case RTE_EMUDEV_EVENT_MEMORY_GONE:
		memory_gone(data.first, data.last);
		break;
	case RTE_EMUDEV_EVENT_MEMORY:
		/* The rings in use stay where they are, and bursts see the new table. */
		refresh_closed();
		break;
	case RTE_EMUDEV_EVENT_QUEUE:
		look_up(data.dir, data.queue);
		report_link();
		break;
	case RTE_EMUDEV_EVENT_IRQ:
		look_up_all();
		break;
	case RTE_EMUDEV_EVENT_STATE:
		look_up_all();
		leave_all();
		break;
	case RTE_EMUDEV_EVENT_LINK:
		look_up_all();
		report_link();
		break;
	case RTE_EMUDEV_EVENT_ATTR:
		/* The guest's addresses are not those of the host's port. */
		break;
	case RTE_EMUDEV_EVENT_REMOVE:
		remove();
		break;
	}
}

/**
 * Memory is no longer in the published table: a ring that was in it ends, or goes on where it is
 * now. The others are not even looked up; only a burst that began before is waited for, since it
 * may use buffers there. (A guest with a strict IOMMU unmaps once for each frame that it sends: a
 * pause would hold up all its traffic.)
 */
void
port::memory_gone(uint64_t first, uint64_t last)
{
	const std::lock_guard hold(control_);
	bool all_stay = true;
	each_queue([&, this](queue &q) {
		if (q.access.closed())
			return;
		if (!lies_in(q, first, last) || lies_as_bound(q)) {
			q.access.await_burst();
		} else {
			refresh(q);
			all_stay = false;
		}
	});
	if (!all_stay)
		assign_rings();
}

void
port::remove()
{
	removed_.store(true, std::memory_order_relaxed);
	{
		const std::lock_guard hold(control_);
		connected_ = false;
		each_queue([](queue &q) {
			q.access.close();
			q.info = {};
		});
	}
	report_link();
	rte_eth_dev_callback_process(eth_, RTE_ETH_EVENT_INTR_RMV, nullptr);
}

/** Asks the device about a ring. Control thread only, where the answer stays true. */
port::ring_view
port::view(const queue &q) const
{
	ring_view seen;

	if (rte_emudev_queue_info_get(dev_, q.index, q.direction, &seen.info) != 0 ||
	    rte_emudev_doorbell_info_get(dev_, q.index, q.direction, &seen.doorbell) != 0)
		return {};
	/* A driver may poll: a queue without a vector is served without interrupts. */
	if (rte_emudev_irq_info_get(dev_, seen.info.vector, &seen.irq) != 0)
		seen.irq = {};
	return seen;
}

/** Whether bursts may go on as they do with what is known of a ring now. With control_ held. */
bool
port::goes_on(const queue &q, const ring_view &seen) const
{
	if (!same_setup(q.info, seen.info))
		return false;
	if (q.access.closed())
		return !seen.info.enabled;
	return q.tail == seen.doorbell.tail && q.irq == irq_of(seen) && lies_as_bound(q);
}

/** Brings what is known of a ring up to date. With control_ held. */
void
port::look_up(queue &q)
{
	const ring_view seen = view(q);

	if (goes_on(q, seen))
		return;
	/* Either gate of a pair lets bursts poll the interrupts of both rings. */
	each_of_pair(q.index, [](queue &one) { one.access.pause(); });
	/* A ring that goes on keeps its head, so that the host's port may stop and start. */
	if (!seen.info.enabled || !same_ring(seen.info, q.info)) {
		as_direction(q, [](auto &one) { one.restart(); });
		q.head = seen.info.head;
		q.pending.store(seen.info.resumed, std::memory_order_relaxed);
	}
	q.info = seen.info;
	q.tail = seen.doorbell.tail;
	q.irq = irq_of(seen);
	each_of_pair(q.index, [this](queue &one) { refresh(one); });
	assign_rings();
}

void
port::look_up(rte_emudev_dir direction, uint16_t index)
{
	const std::lock_guard hold(control_);
	each_queue([&](queue &q) {
		if (q.direction == direction && q.index == index)
			look_up(q);
	});
}

void
port::look_up_all()
{
	const std::lock_guard hold(control_);
	each_queue([this](queue &q) { look_up(q); });
}

/** A port that has stopped may be followed by another one. */
void
port::leave_all()
{
	const std::lock_guard hold(control_);
	if (started_)
		return;
	each_queue([this](queue &q) {
		if (q.info.enabled)
			rte_emudev_queue_leave(dev_, q.index, q.direction, q.head);
	});
}

interrupt
port::irq_of(const ring_view &seen) const
{
	return {
		.dev = dev_,
		.control = seen.irq.control != nullptr ? seen.irq.control : &no_control,
		.enable_mask = seen.irq.enable_mask,
		.force_mask = seen.irq.force_mask,
		.vector = seen.info.vector,
		.timer = seen.info.irq_timer,
	};
}

/** Opens the gate of a queue if, and only if, all is there that a burst needs. With control_ held.
 */
void
port::refresh(queue &q)
{
	q.access.pause();
	if (started_ && q.host_ready && q.info.enabled && bind(q))
		q.access.open();
	else
		q.access.close();
}

/** Shares out the rings that are served now among the application's queues. With control_ held. */
void
port::assign_rings()
{
	link_rings();
	aim_tx_queues();
}

/**
 * Makes a circle of each Rx queue's own ring and the other rings that it serves. Those that the
 * guest does not use are left out, for each costs every burst. A ring counts as used also if only
 * its pair is: the interrupts of both are polled with it. Bursts may be under way: whoever is at a
 * ring that has left finds back to the circle. With control_ held.
 */
void
port::link_rings()
{
	const auto used = [this](uint16_t i) {
		return rx_[i] && (!rx_[i]->access.closed() || (tx_[i] && !tx_[i]->access.closed()));
	};

	for (uint16_t host = 0; host < rx_queues_; host++) {
		from_guest *first = rx_[host].get(), *last = first;
		for (size_t i = host + rx_queues_; i < rx_.size(); i += rx_queues_) {
			if (!rx_[i])
				continue;
			rx_[i]->sibling.store(first, std::memory_order_release);
			if (!used(static_cast<uint16_t>(i)))
				continue;
			last->sibling.store(rx_[i].get(), std::memory_order_release);
			last = rx_[i].get();
		}
		last->sibling.store(first, std::memory_order_release);
	}
}

/**
 * Lets the rings that the guest has take the frames of all Tx queues that the application has:
 * queue n without a ring of its own uses the served ring n modulo their number. Without this an
 * application with more queues than the guest would lose what it sends on the others. The gate of a
 * ring keeps its users apart. A queue feeds one ring only, even if the guest has more of them: the
 * frames of a flow must not overtake each other. With control_ held.
 */
void
port::aim_tx_queues()
{
	std::vector<to_guest *> served;

	for (const auto &q : tx_)
		if (q && !q->access.closed())
			served.push_back(q.get());
	for (uint16_t i = 0; i < tx_.size(); i++) {
		if (!tx_[i])
			continue;
		const bool own = served.empty() || !tx_[i]->access.closed();
		tx_[i]->target.store(own ? tx_[i].get() : served[i % served.size()],
				     std::memory_order_release);
	}
}

void
port::refresh_all()
{
	const std::lock_guard hold(control_);
	each_queue([this](queue &q) { refresh(q); });
	assign_rings();
}

void
port::refresh_closed()
{
	const std::lock_guard hold(control_);
	bool any_opened = false;
	each_queue([&, this](queue &q) {
		if (!q.access.closed() || !q.info.enabled)
			return;
		refresh(q);
		any_opened = any_opened || !q.access.closed();
	});
	if (any_opened)
		assign_rings();
}

/**
 * Says once for each queue of a client that its ring cannot be used: a guest that enables it again
 * and again must not fill the log.
 */
void
port::refuse(queue &q, const char *why)
{
	if (std::exchange(q.refused, true))
		return;
	IAVF_BE_LOG_LIMITED(log_, WARNING,
			    "%s: %s queue %u: ring of %u descriptors at 0x%" PRIx64
			    " %s; not served",
			    eth_->data->name, name_of(q.direction), q.index, q.info.size,
			    q.info.ring_iova, why);
}

/** The guest's memory now, or nullptr. */
const rte_guest_mem_table *
port::memory() const
{
	return memory_ == nullptr ? nullptr : rte_guest_mem_get(memory_);
}

/** Whether a ring that bursts use has an address in a range. */
bool
port::lies_in(const queue &q, uint64_t first, uint64_t last)
{
	const uint64_t bytes = uint64_t{q.size} * q.info.desc_size;

	return q.info.ring_iova <= last && q.info.ring_iova + (bytes - 1) >= first;
}

/** Whether a ring that bursts use is where it was when bind() looked it up. */
bool
port::lies_as_bound(const queue &q) const
{
	ring_memory now;

	return now.find(*memory(), q.info.ring_iova, q.size, q.info.desc_size) == nullptr &&
	       now == q.ring;
}

/** Prepares a ring for bursts; false if it cannot be used. The gate is closed or paused. */
bool
port::bind(queue &q)
{
	const rte_guest_mem_table *table = memory();
	const uint16_t each = descriptor_size(q.direction);

	/* Without any memory there is no client any more; its queues are about to be reset. */
	if (table == nullptr || table->nb_regions == 0 || q.tail == nullptr ||
	    q.info.desc_size != each || q.info.size < 2 ||
	    q.info.size > ring_memory::max_descriptors)
		return false;
	if (const char *why = q.ring.find(*table, q.info.ring_iova, q.info.size, each)) {
		refuse(q, why);
		return false;
	}
	q.size = q.info.size;
	q.memory = memory_;
	return as_direction(q, [this](auto &one) { return prepare(one); });
}

bool
port::prepare(from_guest &q)
{
	q.max_frame = std::min(mtu_ + frame_overhead, max_frame());
	q.plain_span = std::min(q.max_frame, q.room) - RTE_ETHER_HDR_LEN;
	q.mac = mac_;
	q.all_multicast = all_multicast_;
	q.loop = select_from_guest((q.offloads & RTE_ETH_RX_OFFLOAD_SCATTER) != 0, !promiscuous_);
	return true;
}

bool
port::prepare(to_guest &q)
{
	if (q.info.buffer_size < min_buffer_size || q.info.buffer_size > iavf::max_buffer_length ||
	    !find_format(q.info.desc_format, q.format))
		return false;
	q.buffer_size = q.info.buffer_size;
	q.max_frame = std::min(
		{q.info.max_frame, max_frame(), q.buffer_size * iavf::max_chained_rx_buffers});
	if (q.max_frame < RTE_ETHER_HDR_LEN)
		return false;
	q.plain_span = std::min(q.max_frame, q.buffer_size) - RTE_ETHER_HDR_LEN;
	return true;
}

/** Link is up while the host serves a guest whose driver has a queue enabled. */
bool
port::update_link()
{
	rte_emudev_info now{};
	if (!removed() && rte_emudev_info_get(dev_, &now) == 0) {
		link_speed_.store(now.link_speed, std::memory_order_relaxed);
		if (now.numa_node >= 0)
			eth_->data->numa_node = now.numa_node;
	}

	bool up = false;
	{
		const std::lock_guard hold(control_);
		if (now.connected != 0 && !connected_)
			each_queue([](queue &q) { q.refused = false; });
		connected_ = now.connected != 0;
		each_queue([&up](const queue &q) { up = up || q.info.enabled != 0; });
		up = up && connected_ && started_;
	}
	rte_eth_link link{};
	link.link_speed = up ? link_speed() : RTE_ETH_SPEED_NUM_NONE;
	link.link_duplex = RTE_ETH_LINK_FULL_DUPLEX;
	link.link_autoneg = RTE_ETH_LINK_FIXED;
	link.link_status = up ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN;
	return rte_eth_linkstatus_set(eth_, &link) == 0;
}

/**
 * Tells the application that the link has changed, as often as the limit allows. What is held back
 * is told a second later, whatever the link is by then: the last state is never missed.
 */
void
port::report_link()
{
	constexpr uint64_t second = 1000000; /* us */

	if (!update_link() || eth_->data->dev_conf.intr_conf.lsc == 0)
		return;
	{
		const std::lock_guard hold(control_);
		if (link_alarm_)
			return;
		link_alarm_ =
			!links_.passes() && rte_eal_alarm_set(second, on_link_alarm, this) == 0;
		if (link_alarm_)
			return;
	}
	rte_eth_dev_callback_process(eth_, RTE_ETH_EVENT_INTR_LSC, nullptr);
}

void
port::on_link_alarm(void *self)
{
	port &mine = *static_cast<port *>(self);
	{
		const std::lock_guard hold(mine.control_);
		mine.link_alarm_ = false;
	}
	rte_eth_dev_callback_process(mine.eth_, RTE_ETH_EVENT_INTR_LSC, nullptr);
}

} // namespace iavf_be
