/* SPDX-License-Identifier: BSD-3-Clause */
#include "queues.hpp"

#include <algorithm>

namespace iavf {

namespace {

constexpr rte_emudev_dir directions[] = {RTE_EMUDEV_FROM_GUEST, RTE_EMUDEV_TO_GUEST};

/** Bytes of a descriptor: transmit, and receive (32 bytes are fixed by the drivers' build). */
constexpr uint16_t desc_size[] = {16, 32};

} // namespace

void
queue::each_state(pci_device::state_walk &walk)
{
	walk(ring, enabled, resumed, head, timer, vector);
	if (!walk.expect((vector == no_vector || vector < max_vectors) &&
			 timer <= dyn_ctl::no_itr &&
			 (configured() ? head < ring.size : !enabled && head == 0)))
		*this = {};
}

queues::~queues()
{
	for (rte_emudev_dir dir : directions)
		for (uint16_t i = 0; i < max_queue_pairs; i++)
			disable(dir, i);
}

uint16_t
queues::enabled_pairs() const
{
	uint16_t pairs = 0;

	for (rte_emudev_dir dir : directions)
		for (uint16_t i = 0; i < max_queue_pairs; i++)
			if (all_[dir][i].enabled)
				pairs = std::max<uint16_t>(pairs, static_cast<uint16_t>(i + 1));
	return pairs;
}

void
queues::configure(rte_emudev_dir dir, uint16_t index, const ring_setup &ring)
{
	disable(dir, index);
	all_[dir][index].ring = ring;
	/* Linux goes on transmitting until it finds out about a reset: hardware drops the tails of
	 * queues that are not there, but our register is memory. The new ring begins at 0. The
	 * tail of a receive ring stays: drivers write it before this message. */
	if (dir == RTE_EMUDEV_FROM_GUEST)
		registers_.store(reg::qtx_tail(index), 0);
}

void
queues::map(rte_emudev_dir dir, uint32_t set, uint16_t vector, uint8_t timer)
{
	for (uint16_t i = 0; i < max_queue_pairs; i++) {
		if ((set >> i & 1) == 0)
			continue;
		all_[dir][i].vector = vector;
		all_[dir][i].timer = timer;
	}
}

void
queues::enable(rte_emudev_dir dir, uint16_t index)
{
	queue &q = all_[dir][index];

	if (q.enabled)
		return;
	q.enabled = true;
	q.resumed = false;
	q.head = 0;
	push(dir, index);
}

void
queues::disable(rte_emudev_dir dir, uint16_t index)
{
	queue &q = all_[dir][index];

	if (!q.enabled)
		return;
	q.enabled = false;
	push(dir, index);
	/* Linux never writes the tail of a transmit ring that begins anew, but may post frames
	 * before the queue is enabled, so that would be too late to clear it. */
	if (dir == RTE_EMUDEV_FROM_GUEST)
		registers_.store(reg::qtx_tail(index), 0);
}

/** The whole context of a queue goes to the back-end, which keeps it. */
void
queues::push(rte_emudev_dir dir, uint16_t index)
{
	const queue &q = all_[dir][index];
	rte_emudev_queue out{};

	out.struct_size = sizeof(out);
	out.index = index;
	out.dir = dir;
	out.enabled = q.enabled;
	out.resumed = q.resumed;
	out.head = q.head;
	out.size = q.ring.size;
	out.desc_size = desc_size[dir];
	out.desc_format = q.ring.format;
	out.ring_iova = q.ring.iova;
	out.buffer_size = q.ring.buffer_size;
	out.max_frame = q.ring.max_frame;
	out.tail = registers_.word(dir == RTE_EMUDEV_FROM_GUEST ? reg::qtx_tail(index)
								: reg::qrx_tail(index));
	if (q.vector != no_vector)
		out.vector = {
			.control = registers_.word(reg::dyn_ctl(q.vector)),
			.enable_mask = dyn_ctl::intena::mask,
			.force_mask = dyn_ctl::swint_trig::mask,
			.index = q.vector,
			.timer = q.timer,
		};
	path_.push(out);
}

/** To begin with, and whenever more than one may be another one now. */
void
queues::push_enabled()
{
	for (rte_emudev_dir dir : directions)
		for (uint16_t i = 0; i < max_queue_pairs; i++)
			if (all_[dir][i].enabled)
				push(dir, i);
}

bool
queues::leave(rte_emudev_dir dir, uint16_t index, uint16_t head)
{
	queue &q = all_[dir][index];

	if (!q.enabled || head >= q.ring.size)
		return false;
	q.resumed = true;
	q.head = head;
	return true;
}

void
queues::each_state(pci_device::state_walk &walk)
{
	for (auto &one_direction : all_)
		for (queue &q : one_direction)
			walk(q);
}

} // namespace iavf
