/* SPDX-License-Identifier: BSD-3-Clause */
#include "queues.hpp"

#include <algorithm>
#include <utility>

#include <descriptors.hpp>
#include <frame.hpp>

#include "trace.h"

namespace iavf {

namespace {

constexpr rte_emudev_dir directions[] = {RTE_EMUDEV_FROM_GUEST, RTE_EMUDEV_TO_GUEST};

/** Bytes of a descriptor: transmit, and receive (32 bytes are fixed by the drivers' build). */
constexpr uint16_t desc_size[] = {16, 32};

/* Limits of a ring [AVF HAS, receive and transmit queue contexts]. */
constexpr uint16_t ring_min = 64;
constexpr uint16_t ring_max = 4096;
constexpr uint16_t ring_multiple = 32;
constexpr uint64_t ring_alignment = 128;
/* Physical functions refuse less than 1024, but Linux posts 128 when the MTU is small. */
constexpr uint32_t buffer_min = 128;
constexpr uint32_t buffer_max = 16 * 1024 - 128;
constexpr uint32_t frame_min = 64;
/* Linux repeats what it was told. Longer frames than max_frame come from nowhere. */
constexpr uint32_t frame_max = max_frame + crc_length;

/** Formats in which receive descriptors can be written back; what is unset is the legacy one. */
bool
is_supported(uint8_t format)
{
	return format == rxdid::unset || (format < 64 && (rxdid::supported >> format & 1) != 0);
}

} // namespace

bool
ring_setup::is_valid(rte_emudev_dir dir) const
{
	if (size == 0)
		return true;
	if (size < ring_min || size > ring_max || size % ring_multiple != 0 ||
	    iova % ring_alignment != 0 || iova + uint64_t{size} * desc_size[dir] <= iova)
		return false;
	return dir == RTE_EMUDEV_FROM_GUEST ||
	       (buffer_size >= buffer_min && buffer_size <= buffer_max && max_frame >= frame_min &&
		max_frame <= frame_max && is_supported(format));
}

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
	end_from(0);
}

void
queues::end_from(uint16_t first)
{
	hold();
	for (rte_emudev_dir dir : directions)
		for (uint16_t i = first; i < count(dir); i++)
			disable(dir, i);
	settle();
	for (auto &one_direction : all_)
		one_direction.resize(std::min<size_t>(first, one_direction.size()));
}

uint16_t
queues::enabled_pairs() const
{
	uint16_t last = pairs();

	while (last != 0 && !std::ranges::any_of(directions, [&](rte_emudev_dir dir) {
		       return at(dir, static_cast<uint16_t>(last - 1)).enabled;
	       }))
		last--;
	return last;
}

/** A queue that the driver says something of. */
queue &
queues::grow(rte_emudev_dir dir, uint16_t index)
{
	if (index >= count(dir))
		all_[dir].resize(index + 1u);
	return all_[dir][index];
}

void
queues::configure(rte_emudev_dir dir, uint16_t index, const ring_setup &ring)
{
	disable(dir, index);
	if (ring.size != 0 || index < count(dir))
		grow(dir, index).ring = ring;
	/* Linux goes on transmitting until it finds out about a reset: hardware drops the tails of
	 * queues that are not there, but our register is memory. The new ring begins at 0. The
	 * tail of a receive ring stays: drivers write it before this message. */
	if (dir == RTE_EMUDEV_FROM_GUEST)
		registers_.store(reg::qtx_tail(index), 0);
}

void
queues::map(rte_emudev_dir dir, uint16_t index, uint16_t vector, uint8_t timer)
{
	queue &q = grow(dir, index);

	q.remapped = q.remapped || q.vector != vector || q.timer != timer;
	q.vector = vector;
	q.timer = timer;
}

void
queues::mapped()
{
	for (rte_emudev_dir dir : directions)
		for (uint16_t i = 0; i < count(dir); i++)
			if (std::exchange(all_[dir][i].remapped, false) && all_[dir][i].enabled)
				push(dir, i);
}

void
queues::enable(rte_emudev_dir dir, uint16_t index)
{
	queue &q = grow(dir, index);

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
	if (!at(dir, index).enabled)
		return;
	all_[dir][index].enabled = false;
	push(dir, index);
}

/** The last one that is held is told with the word that none follows. */
void
queues::settle()
{
	held_ = false;
	if (std::optional<named> last = std::exchange(last_, {}))
		send(last->dir, last->index, false);
}

void
queues::push(rte_emudev_dir dir, uint16_t index)
{
	if (!held_)
		return send(dir, index, false);
	if (std::optional<named> before = std::exchange(last_, named{dir, index}))
		send(before->dir, before->index, true);
}

/** The whole context of a queue goes to the back-end, which keeps it. */
void
queues::send(rte_emudev_dir dir, uint16_t index, bool more)
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
	out.more = more;
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
	emu_iavf_trace_queue(dir == RTE_EMUDEV_TO_GUEST, index, q.enabled, q.ring.iova, q.ring.size,
			     q.vector == no_vector ? -1 : q.vector);
	path_.push(out);
	/* Linux never writes the tail of a transmit ring that begins anew, but may post frames
	 * before the queue is enabled, so that would be too late to clear it. */
	if (!q.enabled && dir == RTE_EMUDEV_FROM_GUEST)
		registers_.store(reg::qtx_tail(index), 0);
}

/** To begin with. */
void
queues::push_enabled()
{
	for (rte_emudev_dir dir : directions)
		for (uint16_t i = 0; i < count(dir); i++)
			if (all_[dir][i].enabled)
				push(dir, i);
}

bool
queues::leave(rte_emudev_dir dir, uint16_t index, uint16_t head)
{
	if (!at(dir, index).enabled || head >= at(dir, index).ring.size)
		return false;
	queue &q = all_[dir][index];

	q.resumed = true;
	q.head = head;
	return true;
}

void
queues::each_state(pci_device::state_walk &walk)
{
	for (rte_emudev_dir dir : directions) {
		walk(all_[dir]);
		if (!walk.expect(all_[dir].size() <= max_queue_pairs &&
				 std::ranges::all_of(all_[dir], [dir](const queue &one) {
					 return one.ring.is_valid(dir);
				 })))
			all_[dir].clear();
	}
}

} // namespace iavf
