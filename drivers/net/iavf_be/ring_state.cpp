/* SPDX-License-Identifier: BSD-3-Clause */

/* What an application asks of rings: how many descriptors wait, and where the guest rings. */

#include <cinttypes>

#include <rte_power_intrinsics.h>

#include "log.hpp"
#include "port.hpp"

namespace iavf_be {

namespace {

/** Rings that one call looks at, at most: a circle may be linked anew meanwhile. */
constexpr unsigned int max_rings = shared_port::most_queues;

/** A ring as it is now. */
struct fill {
	uint32_t size = 0; /**< 0: it is not served. */
	uint16_t head = 0;
	uint32_t waiting = 0; /**< Descriptors that the guest has handed over. */
};

fill
look_at(queue &ring, bool inside)
{
	burst_pass pass(ring.access, inside);
	if (!pass)
		return {};
	const uint32_t tail = ring.read_tail();
	return {ring.size, ring.head,
		tail < ring.size ? ring.available(static_cast<uint16_t>(tail)) : uint16_t{0}};
}

/** All rings that an ethdev Rx queue serves, one after the other. */
fill
look_at_all(from_guest &host)
{
	fill sum;
	from_guest *ring = &host;
	unsigned int most = max_rings;

	do {
		const fill one = look_at(*ring, ring->access.enter());
		sum.size += one.size;
		sum.waiting += one.waiting;
		ring = ring->sibling.load(std::memory_order_acquire);
	} while (ring != &host && --most != 0);
	return sum;
}

/** Whether an interrupt is due that the guest wants: only bursts fire it. */
bool
owes_irq(const queue &q)
{
	return q.owed.load(std::memory_order_relaxed) != owed_irq::none &&
	       (q.irq.read_control() & q.irq.enable_mask) != 0;
}

/** The guest receives on this index without transmitting. */
bool
owes_irq_alone(queue &q)
{
	burst_pass inside(q.access, q.access.enter());
	return inside && owes_irq(q);
}

/** For rte_power_monitor(): whether the tail is what it was when the queue was empty. */
int
abort_sleep(uint64_t tail, const uint64_t opaque[RTE_POWER_MONITOR_OPAQUE_SZ])
{
	return tail == opaque[0] ? 0 : -1;
}

} // namespace

std::invoke_result_t<eth_rx_queue_count_t, void *>
rx_queue_count(void *queue)
{
	return static_cast<std::invoke_result_t<eth_rx_queue_count_t, void *>>(
		look_at_all(*static_cast<from_guest *>(queue)).waiting);
}

/** Those of several rings count as one row: first all that is to be received. */
int
rx_descriptor_status(void *queue, uint16_t offset)
{
	const fill all = look_at_all(*static_cast<from_guest *>(queue));

	if (offset < all.waiting)
		return RTE_ETH_RX_DESC_DONE;
	if (offset < all.size)
		return RTE_ETH_RX_DESC_AVAIL;
	return all.size == 0 && offset < default_ring ? RTE_ETH_RX_DESC_UNAVAIL : -EINVAL;
}

/** A buffer that the guest has posted is a descriptor that is done: a frame can be sent there. */
int
tx_descriptor_status(void *queue, uint16_t offset)
{
	to_guest &ring = *static_cast<to_guest *>(queue)->target.load(std::memory_order_acquire);
	const fill now = look_at(ring, ring.access.enter_or_wait());

	if (offset < now.waiting)
		return RTE_ETH_TX_DESC_DONE;
	if (offset < now.size)
		return RTE_ETH_TX_DESC_FULL;
	return now.size == 0 && offset < default_ring ? RTE_ETH_TX_DESC_UNAVAIL : -EINVAL;
}

/**
 * The guest's doorbell, if there is one for the queue alone: it is memory, whether the guest has
 * its page mapped or the control thread writes there what it has trapped.
 */
int
get_monitor_addr(void *queue, rte_power_monitor_cond *wake)
{
	if (queue == nullptr)
		return -EINVAL;
	auto &q = *static_cast<from_guest *>(queue);
	/* Of a mbuf that comes back the doorbell knows nothing. */
	if (q.sibling.load(std::memory_order_acquire) != &q || q.lending.book != nullptr)
		return -ENOTSUP;
	const iavf_be::queue *pair = q.pair.load(std::memory_order_acquire);
	burst_pass inside(q.access, q.access.enter());
	if (!inside || owes_irq(q) || (pair != nullptr && owes_irq(*pair)))
		return -EAGAIN;
	*wake = {};
	wake->addr = const_cast<uint32_t *>(q.tail);
	wake->size = sizeof(*q.tail);
	wake->fn = abort_sleep;
	wake->opaque[0] = rte_cpu_to_le_32(q.head);
	return 0;
}

/** Whether a completion is due that only bursts write. */
bool
owes_completion(const from_guest &q)
{
	const loan_book *book = q.lending.book;

	return book != nullptr && book->size() >= q.size && book->oldest() != q.head &&
	       !book->awaits();
}

bool
has_work(from_guest &host)
{
	from_guest *ring = &host;
	unsigned int most = max_rings;

	do {
		queue *pair = ring->pair.load(std::memory_order_acquire);
		burst_pass inside(ring->access, ring->access.enter());
		if (inside && (ring->read_tail() != ring->head || owes_irq(*ring) ||
			       owes_completion(*ring) || (pair != nullptr && owes_irq(*pair))))
			return true;
		if (!inside && pair != nullptr && owes_irq_alone(*pair))
			return true;
		ring = ring->sibling.load(std::memory_order_acquire);
	} while (ring != &host && --most != 0);
	return false;
}

/** @p q may be none. With control_ held. */
static ring_view
view_of(queue *q)
{
	if (q == nullptr)
		return {};
	const rte_emudev_queue &guest = *q->context;
	/* A thread that polls all the time is mostly inside, and may lose its processor there. */
	const fill now = look_at(*q, q->access.enter_or_wait());

	return {.running = q->running,
		.enabled = guest.enabled != 0,
		.served = !q->access.closed(),
		.size = guest.size,
		.head = now.head,
		.waiting = now.waiting,
		.vector = guest.vector.control == nullptr ? -1 : guest.vector.index};
}

ring_view
look_at_ring(rings &of, rte_emudev_dir direction, uint16_t index)
{
	const std::lock_guard hold(of.control_);

	return index < of.there_.end ? view_of(of.find(direction, index)) : ring_view{};
}

/** What is known of each ring, for people. */
void
rings::dump(FILE *file)
{
	const std::lock_guard hold(control_);
	fprintf(file, "port %s, MTU %u%s%s\n", started_ ? "started" : "stopped", host_.mtu,
		host_.promiscuous ? ", promiscuous" : "",
		steering_.chooses() ? ", rings chosen for each frame" : "");
	each_queue([file](queue &q) {
		const bool is_rx = q.direction == RTE_EMUDEV_FROM_GUEST;
		const ring_view ring = view_of(&q);
		fprintf(file, "%s queue %u:%s%s", is_rx ? "Rx" : "Tx", q.index,
			ring.running ? "" : " stopped by the application,",
			ring.enabled ? "" : " no ring\n");
		if (!ring.enabled)
			return;
		fprintf(file,
			" ring of %u descriptors at 0x%" PRIx64
			"%s, head %u, %u waiting, vector %d\n",
			ring.size, q.context->ring_iova, ring.served ? "" : ", not served",
			ring.head, ring.waiting, ring.vector);
	});
}

} // namespace iavf_be
