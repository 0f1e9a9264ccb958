/* SPDX-License-Identifier: BSD-3-Clause */

/* How the guest's rings come and go, and the gates that they move. */

#include <algorithm>
#include <cinttypes>
#include <utility>

#include "log.hpp"
#include "rings.hpp"

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
same_ring(const rte_emudev_queue &a, const rte_emudev_queue &b)
{
	return a.enabled == b.enabled && a.size == b.size && a.ring_iova == b.ring_iova;
}

bool
same_vector(const rte_emudev_vector &a, const rte_emudev_vector &b)
{
	return a.control == b.control && a.enable_mask == b.enable_mask &&
	       a.force_mask == b.force_mask && a.index == b.index && a.timer == b.timer;
}

/** Whether nothing is different that a burst uses. Where to begin is for a ring that begins. */
bool
same_setup(const rte_emudev_queue &a, const rte_emudev_queue &b)
{
	return same_ring(a, b) && a.desc_size == b.desc_size && a.desc_format == b.desc_format &&
	       a.tail == b.tail && same_vector(a.vector, b.vector) &&
	       a.buffer_size == b.buffer_size && a.max_frame == b.max_frame;
}

bool
same_vlans(const guest_vlans &known, const rte_emudev_net_vlan &now)
{
	const rte_emudev_net_vlan &old = known.setup;

	return old.strip_outer == now.strip_outer && old.strip_inner == now.strip_inner &&
	       old.insert_outer == now.insert_outer && old.outer_in_second == now.outer_in_second &&
	       (known.ids == nullptr) == (now.ids == nullptr) &&
	       (now.ids == nullptr || memcmp(known.ids.get(), now.ids, sizeof(*now.ids)) == 0);
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

/**
 * A queue is another one now. What it was is known, so that bursts go on undisturbed where nothing
 * changes for them.
 */
bool
rings::take_context(const rte_emudev_queue &now)
{
	if (now.index >= shared_.max_queues)
		return false;
	const std::lock_guard hold(control_);
	rte_emudev_queue &known = context(now.dir, now.index);
	const bool same = same_setup(known, now);
	const bool changes = known.enabled != now.enabled;
	/* A ring that goes on keeps its head, so that the host's port may stop and start. */
	const bool begins = !now.enabled || !same_ring(known, now);

	if (now.enabled)
		share_pair(now.index);
	queue *q = find(now.dir, now.index);
	if (q == nullptr || (same && !q->access.closed())) {
		known = now;
		if (there_.moved && !now.more)
			assign_rings();
		return changes;
	}
	/* Either gate of a pair lets bursts poll the interrupts of both rings. */
	const bool was_closed = q->access.closed();
	each_of_pair(now.index, [](queue &one) { one.access.pause(); });
	known = now;
	if (begins)
		begin(*q);
	adopt(*q);
	each_of_pair(now.index, [&, this](queue &one) {
		const bool before = &one == q ? was_closed : one.access.closed();
		refresh(one);
		there_.moved = there_.moved || before != one.access.closed();
	});
	/* Who has which rings does not depend on more: a guest may move all its vectors. Bursts
	 * find a ring closed that has gone, until the last of several has come. */
	if (there_.moved && !now.more)
		assign_rings();
	return changes;
}

/** What the device has told of a queue; of most of them it never tells anything. */
rte_emudev_queue &
rings::context(rte_emudev_dir direction, uint16_t index)
{
	auto &known = contexts_[direction][index];

	if (!known)
		known = std::make_unique<rte_emudev_queue>();
	return *known;
}

/** Whether the guest has a ring of an index, in any direction. */
bool
rings::is_enabled(uint16_t index) const
{
	return std::any_of(contexts_.begin(), contexts_.end(), [index](const auto &one_direction) {
		return one_direction[index] && one_direction[index]->enabled;
	});
}

/** A ring begins anew, or where another back-end has left it. */
void
rings::begin(queue &q)
{
	as_direction(q, [](auto &one) { one.restart(); });
	q.head = q.context->head;
	if (q.direction == RTE_EMUDEV_FROM_GUEST)
		if (loan_book *book = static_cast<from_guest &>(q).lending.book; book != nullptr)
			book->begin(q.head);
	q.owed.store(q.context->resumed ? owed_irq::prompt : owed_irq::none,
		     std::memory_order_relaxed);
}

/** What bursts use of a context besides its ring. */
void
rings::adopt(queue &q)
{
	const rte_emudev_vector &vector = q.context->vector;

	q.tail = q.context->tail;
	q.irq = {
		.dev = dev_,
		.control = vector.control != nullptr ? vector.control : &no_control,
		.enable_mask = vector.enable_mask,
		.force_mask = vector.force_mask,
		.vector = vector.index,
		.timer = vector.timer,
	};
}

/** A fresh queue: the guest may have enabled the ring long ago. */
void
rings::join(queue &q, rte_emudev_dir direction, uint16_t index)
{
	q.direction = direction;
	q.index = index;
	q.context = &context(direction, index);
	begin(q);
	adopt(q);
}

/**
 * The guest has set something up that is not a queue's, or the administrator has decided something.
 * Tags and that concern the loops of rings, the rest what chooses between them. A ring takes what
 * is new at its pause; after the last one nobody uses what was.
 */
bool
rings::take_config(const rte_emudev_net_config &now)
{
	host_policy policy(now);
	const std::lock_guard hold(control_);
	const bool steers = steering_.take(now);
	if (same_vlans(config_.vlans, now.vlan) && config_.policy.is_same(policy)) {
		if (steers)
			assign_rings();
		return false;
	}
	guest_vlans fresh{.setup = now.vlan, .ids = nullptr};
	if (now.vlan.ids != nullptr)
		fresh.ids = std::make_unique<rte_emudev_net_vlan_ids>(*now.vlan.ids);
	std::swap(config_.vlans, fresh);
	std::swap(config_.policy, policy);
	if (config_.policy.setup.max_rate != policy.setup.max_rate ||
	    config_.policy.setup.min_rate != policy.setup.min_rate)
		change_rate();
	each_queue([this](queue &q) { refresh(q); });
	assign_rings();
	return config_.policy.setup.link_down != policy.setup.link_down;
}

/** All bursts read it. With control_ held. */
void
rings::change_rate()
{
	each_queue([](queue &q) { q.access.pause(); });
	config_.rate.set(config_.policy.setup, std::max(shared_.max_frame, longest_handover));
}

/** The device has started or stopped, because this port has asked for it. */
void
rings::take_state(rte_emudev_state state)
{
	const std::lock_guard hold(control_);
	started_ = state == RTE_EMUDEV_STARTED;
	each_queue([this](queue &q) {
		q.refused = q.refused && !started_;
		refresh(q);
	});
	assign_rings();
	if (!started_)
		leave_all();
}

/** Where the next back-end of a ring begins: what is not completed the guest still counts on. */
static uint16_t
next_to_complete(queue &q)
{
	if (q.direction != RTE_EMUDEV_FROM_GUEST)
		return q.head;
	loan_book *book = static_cast<from_guest &>(q).lending.book;
	return book != nullptr && book->size() >= q.size && book->is_open(q.head) ? book->oldest()
										  : q.head;
}

/** A port that has stopped may be followed by another one. With control_ held. */
void
rings::leave_all()
{
	each_queue([this](queue &q) {
		if (q.context->enabled)
			rte_emudev_queue_leave(dev_, q.index, q.direction, next_to_complete(q));
	});
}

/**
 * Memory is no longer in the published table: a ring that was in it ends, or goes on where it is
 * now. The others are not even looked up; only a burst that began before is waited for, since it
 * may use buffers there. (A guest with a strict IOMMU unmaps once for each frame that it sends: a
 * pause would hold up all its traffic.)
 */
void
rings::memory_gone(uint64_t first, uint64_t last)
{
	const std::lock_guard hold(control_);
	bool all_stay = true;
	for (queue *q : there_.open) {
		if (q->access.closed())
			continue;
		if (!lies_in(*q, first, last) || lies_as_bound(*q)) {
			q->access.await_burst();
		} else {
			refresh(*q);
			all_stay = false;
		}
	}
	if (!all_stay)
		assign_rings();
	keep_loans(first, last);
}

/** Nobody lends what is in a range any more, but the application may have mbufs there: these are
 * not waited for. On the control thread of the device, with control_ held. */
void
rings::keep_loans(uint64_t first, uint64_t last)
{
	const auto is_lent = [=](const auto &q) {
		return q && q->lending.book != nullptr && q->lending.book->any_out_in(first, last);
	};

	if (first > last || std::none_of(rx_.begin(), rx_.end(), is_lent))
		return;
	auto *memory = new kept_memory(rte_emudev_mem_hold(dev_));
	for (const auto &q : rx_)
		if (q && q->lending.book != nullptr)
			q->lending.book->keep(first, last, *memory);
	memory->drop();
}

void
rings::keep_loans()
{
	auto *memory = new kept_memory(rte_emudev_mem_hold(dev_));
	{
		const std::lock_guard hold(control_);
		for (const auto &q : rx_)
			if (q && q->lending.book != nullptr)
				q->lending.book->keep(0, UINT64_MAX, *memory);
	}
	memory->drop();
}

/** Books stay with the mbufs that are out. */
void
rings::end_loans()
{
	for (const auto &q : rx_)
		if (q && q->lending.book != nullptr)
			std::exchange(q->lending.book, nullptr)->close();
}

host_settings
rings::settings()
{
	const std::lock_guard hold(control_);
	return host_;
}

void
rings::set(const host_settings &wanted)
{
	/* Stays to the end: until no burst looks at its filter. */
	host_settings other = wanted;
	other.make_filter();
	const std::lock_guard hold(control_);
	std::swap(host_, other);
	each_queue([this](queue &q) { refresh(q); });
	assign_rings();
}

void
rings::change_rx_offloads(uint16_t first, uint16_t end, uint64_t which, uint64_t value)
{
	const std::lock_guard hold(control_);
	for (auto &q : rx_) {
		if (!q)
			continue;
		const uint16_t host = serving(q->index, hosts_.rx);
		if (host < first || host >= end)
			continue;
		q->offloads = (q->offloads & ~which) | (value & which);
		refresh(*q);
	}
	assign_rings();
}

/** Memory was added: the rings in use stay where they are, and bursts see the new table. */
void
rings::memory_came()
{
	const std::lock_guard hold(control_);
	bool any_opened = false;
	each_queue([&, this](queue &q) {
		if (!q.access.closed() || !q.context->enabled)
			return;
		refresh(q);
		any_opened = any_opened || !q.access.closed();
	});
	if (any_opened)
		assign_rings();
}

/** Opens the gate of a queue if, and only if, all is there that a burst needs. With control_ held.
 */
void
rings::refresh(queue &q)
{
	q.access.pause();
	if (serves() && q.host_ready && q.running && q.context->enabled && bind(q))
		q.access.open();
	else
		q.access.close();
}

/** Shares out the rings that are served now among the application's queues. With control_ held. */
void
rings::assign_rings()
{
	there_.moved = false;
	there_.open.clear();
	each_queue([this](queue &q) {
		if (!q.access.closed())
			there_.open.push_back(&q);
	});
	link_rings();
	steering_.publish(hosts_.tx, host_.steering);
}

/**
 * Starts or stops a queue of the application while the port runs, and with it the rings that it
 * serves besides its own. Those of other queues go on. It may have been set up anew.
 */
int
rings::run(rte_emudev_dir direction, uint16_t index, bool yes)
{
	const bool is_rx = direction == RTE_EMUDEV_FROM_GUEST;
	const std::lock_guard hold(control_);
	if (yes && is_rx && !fits(*rx_[index], host_.mtu))
		return -EINVAL;
	const uint16_t queues = is_rx ? hosts_.rx : hosts_.tx;
	for (size_t i = index; i < there_.end && queues != 0; i += queues) {
		queue *q = find(direction, static_cast<uint16_t>(i));
		if (q == nullptr)
			continue;
		q->access.close();
		q->running = yes;
		if (is_rx)
			equip(*rx_[i], rx_[index]->pool, rx_[index]->offloads);
		else
			equip(*tx_[i], tx_[index]->offloads);
		refresh(*q);
	}
	assign_rings();
	return 0;
}

/**
 * Makes a circle of each Rx queue's own ring and the other rings that it serves. Those that the
 * guest does not use are left out, for each costs every burst. A ring counts as used also if only
 * its pair is: the interrupts of both are polled with it. Bursts may be under way: whoever is at a
 * ring that has left finds back to the circle. With control_ held.
 */
void
rings::link_rings()
{
	const auto used = [this](uint16_t i) {
		return rx_[i] && (!rx_[i]->access.closed() || (tx_[i] && !tx_[i]->access.closed()));
	};

	for (uint16_t host = 0; host < hosts_.rx; host++) {
		from_guest *first = rx_[host].get(), *last = first;
		for (size_t i = host + hosts_.rx; i < there_.end; i += hosts_.rx) {
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
 * Says once for each queue of a client that its ring cannot be used: a guest that enables it again
 * and again must not fill the log.
 */
void
rings::refuse(queue &q, const char *why)
{
	if (std::exchange(q.refused, true))
		return;
	IAVF_BE_LOG_LIMITED(log_, WARNING,
			    "%s: %s queue %u: ring of %u descriptors at 0x%" PRIx64
			    " %s; not served",
			    port_.name, name_of(q.direction), q.index, q.context->size,
			    q.context->ring_iova, why);
}

/** The guest's memory now, or nullptr. */
const rte_guest_mem_table *
rings::memory() const
{
	return memory_ == nullptr ? nullptr : rte_guest_mem_get(memory_);
}

/** Whether a ring that bursts use has an address in a range. */
bool
rings::lies_in(const queue &q, uint64_t first, uint64_t last)
{
	const uint64_t bytes = uint64_t{q.size} * q.context->desc_size;

	return q.context->ring_iova <= last && q.context->ring_iova + (bytes - 1) >= first;
}

/** Whether a ring that bursts use is where it was when bind() looked it up. */
bool
rings::lies_as_bound(const queue &q) const
{
	ring_memory now;

	return now.find(*memory(), q.context->ring_iova, q.size, q.context->desc_size) == nullptr &&
	       now == q.ring;
}

/** Prepares a ring for bursts; false if it cannot be used. The gate is closed or paused. */
bool
rings::bind(queue &q)
{
	const rte_guest_mem_table *table = memory();
	const uint16_t each = descriptor_size(q.direction);

	/* Without any memory there is no client any more; its queues are about to be reset. */
	if (table == nullptr || table->nb_regions == 0 || q.tail == nullptr ||
	    q.context->desc_size != each || q.context->size < 2 ||
	    q.context->size > ring_memory::max_descriptors)
		return false;
	if (const char *why = q.ring.find(*table, q.context->ring_iova, q.context->size, each)) {
		refuse(q, why);
		return false;
	}
	q.size = q.context->size;
	q.memory = memory_;
	return as_direction(q, [this](auto &one) { return prepare(one); });
}

/** Whether nothing is done with frames that changes them, or that a guest could undo by a change.
 */
bool
rings::may_lend(const from_guest &q) const
{
	constexpr uint64_t strips = RTE_ETH_RX_OFFLOAD_VLAN_STRIP | RTE_ETH_RX_OFFLOAD_QINQ_STRIP;
	const bool restrained = config_.policy.setup.port_vlan_type != 0 ||
				config_.policy.sources != nullptr ||
				config_.policy.vlans != nullptr;
	const bool pinned =
		(rte_pktmbuf_priv_flags(q.pool) & RTE_PKTMBUF_POOL_F_PINNED_EXT_BUF) != 0;

	return !restrained && !pinned && (q.offloads & strips) == 0;
}

/** Makes a book for a ring that lends, if there is none that is long enough; false: there cannot
 * be one. One that is too short may have to wait for its mbufs: then all is copied. */
bool
rings::equip_book(from_guest &q)
{
	loan_book *&book = q.lending.book;

	if (!host_.zero_copy)
		return false;
	if (book != nullptr && (book->size() >= q.size || book->any_out()))
		return true;
	if (book != nullptr)
		std::exchange(book, nullptr)->close();
	book = loan_book::make(q.size, port_.numa_node);
	if (book == nullptr) {
		IAVF_BE_LOG_LIMITED(log_, ERR, "%s: no memory to lend buffers of queue %u",
				    port_.name, q.index);
		return false;
	}
	book->begin(q.head);
	return true;
}

bool
rings::prepare(from_guest &q)
{
	const bool lends = equip_book(q);
	q.policy.port_vlan = {config_.policy.setup.port_vlan_type,
			      config_.policy.setup.port_vlan_tci};
	q.max_frame = std::min(host_.mtu + iavf::frame_overhead, shared_.max_frame);
	if (q.policy.port_vlan.type != 0) /* it comes on top */
		q.max_frame -= vlan_tag_length;
	q.plain_span = std::min(q.max_frame, q.room) - RTE_ETHER_HDR_LEN;
	q.lending.allowed = lends && may_lend(q);
	q.lending.seen_elsewhere = &shared_.seen_elsewhere;
	q.addresses = host_.filter.get();
	const bool scatter = (q.offloads & RTE_ETH_RX_OFFLOAD_SCATTER) != 0;
	const uint32_t largest = host_.largest_request();
	q.largest = scatter ? largest : std::min(largest, q.room);
	q.frame.outer_tag_type = config_.vlans.setup.insert_outer != 0
					 ? config_.vlans.setup.insert_outer
					 : RTE_ETHER_TYPE_VLAN;
	q.policy.unrestrained = select_from_guest({.scatter = scatter,
						   .filter = !host_.promiscuous,
						   .checks = (q.offloads & rx_checksums) != 0,
						   .large = largest != 0,
						   .lend = lends});
	q.policy.sources = config_.policy.sources.get();
	q.policy.vlans = config_.policy.vlans.get();
	q.policy.rate = config_.rate.is_set() ? &config_.rate : nullptr;
	q.vlans.untouched = select_policy(q.policy);
	q.vlans.ids = host_.vlan_ids;
	q.loop = select_host_vlans(q.offloads, q.vlans.untouched);
	return true;
}

bool
rings::prepare(to_guest &q)
{
	if (q.context->buffer_size < min_buffer_size ||
	    q.context->buffer_size > iavf::max_buffer_length ||
	    !find_format(q.context->desc_format, q.variant.format))
		return false;
	q.variant.check = host_.check_rx;
	q.vlans = {.strip_outer = config_.vlans.setup.strip_outer,
		   .strip_inner = config_.vlans.setup.strip_inner,
		   .outer_in_second = config_.vlans.setup.outer_in_second != 0,
		   .ids = config_.vlans.ids.get(),
		   .host_outer = host_.outer_vlan_type,
		   .port_type = config_.policy.setup.port_vlan_type,
		   .port_id = static_cast<uint16_t>(config_.policy.setup.port_vlan_tci &
						    RTE_VLAN_ID_MASK)};
	q.variant.tags = q.vlans.any() ? rx_tags::sorted : rx_tags::untouched;
	q.buffer_size = q.context->buffer_size;
	q.max_frame = std::min({q.context->max_frame, shared_.max_frame,
				q.buffer_size * iavf::max_chained_rx_buffers});
	if (q.max_frame < RTE_ETHER_HDR_LEN)
		return false;
	q.plain_span = std::min(q.max_frame, q.buffer_size) - RTE_ETHER_HDR_LEN;
	q.largest = host_.large_receives ? q.buffer_size * largest_receive : 0;
	return true;
}

/** Another guest may hear of what its predecessor's did wrong. */
void
rings::guest_came()
{
	const std::lock_guard hold(control_);
	each_queue([](queue &q) { q.refused = false; });
}

/** The device is gone. */
void
rings::forget()
{
	const std::lock_guard hold(control_);
	started_ = false;
	each_queue([](queue &q) { q.access.close(); });
	for (auto &one_direction : contexts_)
		for (auto &known : one_direction)
			if (known)
				known->enabled = false;
}

const char *
rings::why_idle()
{
	const std::lock_guard hold(control_);
	bool any = false;
	each_queue([&any](const queue &q) { any = any || q.context->enabled; });
	if (!started_)
		return "the port is stopped";
	if (config_.policy.setup.link_down != 0)
		return "it is set down";
	return any ? nullptr : "the guest's driver has enabled no queue";
}

} // namespace iavf_be
