/* SPDX-License-Identifier: BSD-3-Clause */
#include "virtchnl_queues.hpp"

#include <bit>
#include <cstdint>

#include <descriptors.hpp>

#include "device.hpp"
#include "virtchnl_message.hpp"

namespace iavf {

namespace {

/** Timer indices 0 to 2, or 3 for none. */
constexpr uint16_t timer_max = dyn_ctl::no_itr;

/** What the driver was told it has; one that has not asked yet has none. */
uint16_t
queue_pairs(const device &dev)
{
	return dev.agreed().told_pairs;
}

/** The bits of messages that have one for each queue, where a driver has no such queue. */
uint32_t
bits_beyond(const device &dev)
{
	return ~0u << std::min(queue_pairs(dev), max_base_pairs);
}

/** Calls @p visit with the number of each bit that is set. */
template <class visitor>
void
each_bit(uint32_t set, visitor visit)
{
	for (; set != 0; set &= set - 1)
		visit(static_cast<uint16_t>(std::countr_zero(set)));
}

ring_setup
setup_of(const vc_txq_info &info)
{
	return {.iova = info.dma_ring_addr, .size = info.ring_len};
}

/** Of a length that fits. */
ring_setup
setup_of(const vc_rxq_info &info)
{
	return {.iova = info.dma_ring_addr,
		.buffer_size = info.databuffer_size,
		.max_frame = info.max_pkt_size,
		.size = static_cast<uint16_t>(info.ring_len),
		.format = info.rxdid};
}

/** A ring of length 0 stands for a half of a pair that the driver does not use. */
bool
is_valid(const device &dev, const vc_txq_info &info)
{
	return info.vsi_id == vsi_id && info.queue_id < queue_pairs(dev) &&
	       (info.ring_len == 0 ||
		(info.headwb_enabled == 0 && setup_of(info).is_valid(RTE_EMUDEV_FROM_GUEST)));
}

/** Without the capability 0 and 1 mean the legacy format, and drivers leave the field 0. */
bool
format_is_granted(const device &dev, uint8_t format)
{
	return format == rxdid::unset || format == rxdid::legacy_32b ||
	       (dev.session().granted() & vc_cap::offload_rx_flex_desc) != 0;
}

/** There are no CRCs to be kept, and no capability that would let a driver ask for them. */
bool
is_valid(const device &dev, const vc_rxq_info &info)
{
	return info.vsi_id == vsi_id && info.queue_id < queue_pairs(dev) &&
	       (info.ring_len == 0 ||
		(info.splithdr_enabled == 0 && info.crc_disable == 0 &&
		 format_is_granted(dev, info.rxdid) && info.ring_len <= UINT16_MAX &&
		 setup_of(info).is_valid(RTE_EMUDEV_TO_GUEST)));
}

bool
is_valid(const device &dev, const vc_queue_pair_info &info)
{
	return is_valid(dev, info.txq) && is_valid(dev, info.rxq) &&
	       info.txq.queue_id == info.rxq.queue_id;
}

/** @p Info is vc_txq_info or vc_rxq_info. */
template <class Info>
bool
can_serve(device &dev, const Info &info)
{
	return info.ring_len == 0 || dev.can_serve_at(info.dma_ring_addr);
}

void
configure(device &dev, const vc_txq_info &info)
{
	dev.session().rings().configure(RTE_EMUDEV_FROM_GUEST, info.queue_id, setup_of(info));
}

void
configure(device &dev, const vc_rxq_info &info)
{
	dev.session().rings().configure(RTE_EMUDEV_TO_GUEST, info.queue_id, setup_of(info));
}

/** Whether a map names only what the device has. Vector 0 may serve queues, if poorly. */
bool
is_valid(const device &dev, const vc_vector_map &map)
{
	return map.vsi_id == vsi_id && map.vector_id < dev.host().vectors_for(queue_pairs(dev)) &&
	       ((map.rxq_map | map.txq_map) & bits_beyond(dev)) == 0 &&
	       map.rxitr_idx <= timer_max && map.txitr_idx <= timer_max;
}

/** Direction of a type of queue, or nothing: there is no such type. */
std::optional<rte_emudev_dir>
direction_of(int32_t type)
{
	switch (type) {
	case vc_queue_type::tx:
		return RTE_EMUDEV_FROM_GUEST;
	case vc_queue_type::rx:
		return RTE_EMUDEV_TO_GUEST;
	}
	return {};
}

bool
is_valid(const device &dev, const vc_queue_vector &map)
{
	return direction_of(map.queue_type) && map.queue_id < queue_pairs(dev) &&
	       map.vector_id < dev.host().vectors_for(queue_pairs(dev)) && map.itr_idx >= 0 &&
	       map.itr_idx <= timer_max;
}

bool
is_valid(const device &dev, const vc_queue_chunk &chunk)
{
	return direction_of(chunk.type) && chunk.num_queues != 0 &&
	       guard::contains(0, queue_pairs(dev), chunk.start_queue_id, chunk.num_queues);
}

bool
is_valid(const device &dev, const vc_queue_select &select)
{
	uint32_t all = select.rx_queues | select.tx_queues;

	return select.vsi_id == vsi_id && all != 0 && (all & bits_beyond(dev)) == 0;
}

/** Whether the elements of a message that are counted in it are all valid. */
template <class Header, class Element>
bool
all_valid(const device &dev, guard::bytes body, uint16_t count)
{
	for (uint16_t i = 0; i < count; i++)
		if (!is_valid(dev, element<Header, Element>(body, i)))
			return false;
	return true;
}

/** Calls @p visit with direction and index of each queue that a message names. */
template <class visitor>
void
each_queue(const vc_queue_select &select, visitor visit)
{
	each_bit(select.tx_queues, [&](uint16_t i) { visit(RTE_EMUDEV_FROM_GUEST, i); });
	each_bit(select.rx_queues, [&](uint16_t i) { visit(RTE_EMUDEV_TO_GUEST, i); });
}

/** The same in chunks, which may name a queue more than once. */
template <class visitor>
void
each_queue(guard::bytes body, visitor visit)
{
	for (uint16_t n = 0; n < header<vc_queue_chunks>(body).num_chunks; n++) {
		auto chunk = element<vc_queue_chunks, vc_queue_chunk>(body, n);

		for (uint16_t i = 0; i < chunk.num_queues; i++)
			visit(*direction_of(chunk.type),
			      static_cast<uint16_t>(chunk.start_queue_id + i));
	}
}

bool
chunks_are_valid(const device &dev, guard::bytes body)
{
	auto info = header<vc_queue_chunks>(body);

	return info.vport_id == vsi_id &&
	       all_valid<vc_queue_chunks, vc_queue_chunk>(dev, body, info.num_chunks);
}

/** Enables all queues of a message or none: @p Message is a structure, or chunks. */
template <class Message>
vc_reply
enable(device &dev, const Message &message)
{
	bool configured = true;

	each_queue(message, [&](rte_emudev_dir dir, uint16_t i) {
		configured = configured && dev.session().rings().at(dir, i).configured();
	});
	if (!configured)
		return answer(vc_status::err_param);
	dev.session().rings().hold();
	each_queue(message, [&](rte_emudev_dir dir, uint16_t i) { dev.session().enable(dir, i); });
	dev.session().rings().settle();
	return {};
}

template <class Message>
vc_reply
disable(device &dev, const Message &message)
{
	queues &rings = dev.session().rings();

	rings.hold();
	each_queue(message, [&](rte_emudev_dir dir, uint16_t i) { rings.disable(dir, i); });
	rings.settle();
	return {};
}

/** @p Info is vc_txq_info or vc_rxq_info. */
template <class Info>
vc_reply
config_one(device &dev, guard::bytes body)
{
	const auto info = header<Info>(body);

	if (!is_valid(dev, info))
		return answer(vc_status::err_param);
	if (!can_serve(dev, info))
		return answer(vc_status::err_no_memory);
	configure(dev, info);
	return {};
}

} // namespace

vc_reply
config_tx_queue(device &dev, guard::bytes body)
{
	return config_one<vc_txq_info>(dev, body);
}

vc_reply
config_rx_queue(device &dev, guard::bytes body)
{
	return config_one<vc_rxq_info>(dev, body);
}

vc_reply
config_vsi_queues(device &dev, guard::bytes body)
{
	using head = vc_vsi_queue_config_info;
	head info = header<head>(body);

	if (info.vsi_id != vsi_id || info.num_queue_pairs > queue_pairs(dev) ||
	    !all_valid<head, vc_queue_pair_info>(dev, body, info.num_queue_pairs))
		return answer(vc_status::err_param);
	for (uint16_t i = 0; i < info.num_queue_pairs; i++) {
		vc_queue_pair_info pair = element<head, vc_queue_pair_info>(body, i);

		if (!can_serve(dev, pair.txq) || !can_serve(dev, pair.rxq))
			return answer(vc_status::err_no_memory);
	}
	for (uint16_t i = 0; i < info.num_queue_pairs; i++) {
		vc_queue_pair_info pair = element<head, vc_queue_pair_info>(body, i);

		configure(dev, pair.txq);
		configure(dev, pair.rxq);
	}
	return {};
}

vc_reply
config_irq_map(device &dev, guard::bytes body)
{
	using head = vc_irq_map_info;
	head info = header<head>(body);

	if (info.num_vectors > dev.host().vectors_for(queue_pairs(dev)) ||
	    !all_valid<head, vc_vector_map>(dev, body, info.num_vectors))
		return answer(vc_status::err_param);
	queues &rings = dev.session().rings();

	for (uint16_t i = 0; i < info.num_vectors; i++) {
		vc_vector_map map = element<head, vc_vector_map>(body, i);

		each_bit(map.rxq_map, [&](uint16_t queue) {
			rings.map(RTE_EMUDEV_TO_GUEST, queue, map.vector_id,
				  static_cast<uint8_t>(map.rxitr_idx));
		});
		each_bit(map.txq_map, [&](uint16_t queue) {
			rings.map(RTE_EMUDEV_FROM_GUEST, queue, map.vector_id,
				  static_cast<uint8_t>(map.txitr_idx));
		});
	}
	rings.mapped();
	return {};
}

vc_reply
map_queue_vector(device &dev, guard::bytes body)
{
	using head = vc_queue_vector_maps;
	head info = header<head>(body);

	if (info.vport_id != vsi_id ||
	    !all_valid<head, vc_queue_vector>(dev, body, info.num_qv_maps))
		return answer(vc_status::err_param);
	queues &rings = dev.session().rings();

	for (uint16_t i = 0; i < info.num_qv_maps; i++) {
		vc_queue_vector map = element<head, vc_queue_vector>(body, i);

		rings.map(*direction_of(map.queue_type), map.queue_id, map.vector_id,
			  static_cast<uint8_t>(map.itr_idx));
	}
	rings.mapped();
	return {};
}

vc_reply
enable_queues(device &dev, guard::bytes body)
{
	auto select = header<vc_queue_select>(body);

	return is_valid(dev, select) ? enable(dev, select) : answer(vc_status::err_param);
}

vc_reply
disable_queues(device &dev, guard::bytes body)
{
	auto select = header<vc_queue_select>(body);

	return is_valid(dev, select) ? disable(dev, select) : answer(vc_status::err_param);
}

vc_reply
enable_queues_v2(device &dev, guard::bytes body)
{
	return chunks_are_valid(dev, body) ? enable(dev, body) : answer(vc_status::err_param);
}

vc_reply
disable_queues_v2(device &dev, guard::bytes body)
{
	return chunks_are_valid(dev, body) ? disable(dev, body) : answer(vc_status::err_param);
}

/** Up to as many as the device has, however few the host offers to who does not ask. */
vc_reply
request_queues(device &dev, guard::bytes body)
{
	const bool large = (dev.session().granted() & vc_cap::large_num_qpairs) != 0;
	const uint16_t most =
		large ? dev.host().max_pairs : std::min(dev.host().max_pairs, max_base_pairs);
	const uint16_t wanted = header<vc_vf_res_request>(body).num_queue_pairs;

	if (wanted != 0 && wanted <= most) {
		dev.change_pairs(wanted);
		return no_answer();
	}
	/* Physical functions take too many for a question. */
	const vc_vf_res_request possible{most};
	guard::bytes reply = guard::as_bytes(possible);
	return {wanted == 0 ? vc_status::err_param : vc_status::success,
		{reply.begin(), reply.end()}};
}

vc_reply
get_max_rss_qregion(device &dev, guard::bytes)
{
	const vc_max_rss_qregion region{
		.vport_id = vsi_id,
		.qregion_width = static_cast<uint16_t>(std::bit_width(queue_pairs(dev) - 1u)),
		.pad = {},
	};
	guard::bytes reply = guard::as_bytes(region);
	return {vc_status::success, {reply.begin(), reply.end()}};
}

} // namespace iavf
