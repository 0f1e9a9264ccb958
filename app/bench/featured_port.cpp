/* SPDX-License-Identifier: BSD-3-Clause */
#include "featured_port.hpp"

#include <algorithm>
#include <cstring>

#include <rte_ether.h>
#include <rte_flow.h>
#include <rte_ip.h>
#include <rte_tcp.h>

namespace bench {

namespace {

constexpr uint16_t vlan = 100;
/** Between the headers of TCP and the sequence number, so that words of the body are aligned. */
constexpr uint32_t padding = 2;

/** Those of frames are this one and its successors, the first being that of all frames. */
rte_ether_addr
address(uint16_t number)
{
	return {{0x02, 0, 0, 0, static_cast<uint8_t>(number), 1}};
}

struct [[gnu::packed]] alignas(rte_ether_addr) request_headers {
	rte_ether_hdr ether;
	rte_ipv4_hdr ip;
	rte_tcp_hdr tcp;
};
static_assert(sizeof(request_headers) == 54);

void
fill_body(std::byte *body, uint32_t length, uint32_t seed)
{
	uint32_t word = seed * 2654435761u + 1;
	for (uint32_t i = 0; i < length / sizeof(word); i++) {
		word = word * 1664525u + 1013904223u;
		std::memcpy(body + sizeof(word) * i, &word, sizeof(word));
	}
}

uint64_t
offloads_to_receive(const feature_options &features)
{
	return features.tag == tag_place::mbuf ? RTE_ETH_RX_OFFLOAD_VLAN_STRIP : 0;
}

uint64_t
offloads_to_send(const feature_options &features)
{
	constexpr uint64_t requests = RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
				      RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
	return (features.tag == tag_place::mbuf ? RTE_ETH_TX_OFFLOAD_VLAN_INSERT : 0) |
	       (features.make_checksums
			? RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM
			: 0) |
	       (features.segments > 1 ? requests : 0);
}

/** The sum of the pseudo header is there already. */
uint64_t
flags_of(const feature_options &features)
{
	constexpr uint64_t ipv4 = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM;
	return (features.tag == tag_place::mbuf ? RTE_MBUF_F_TX_VLAN : 0) |
	       (features.make_checksums ? ipv4 | RTE_MBUF_F_TX_UDP_CKSUM : 0) |
	       (features.segments > 1 ? ipv4 | RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM : 0);
}

/** Puts a tag into a frame that begins behind room for it. */
void
insert_tag(std::byte *frame)
{
	constexpr uint16_t tag[] = {big_endian(RTE_ETHER_TYPE_VLAN), big_endian(vlan)};
	std::memmove(frame, frame + sizeof(tag), 2 * RTE_ETHER_ADDR_LEN);
	std::memcpy(frame + 2 * RTE_ETHER_ADDR_LEN, tag, sizeof(tag));
}

} // namespace

frame_layout
frame_layout::of(const feature_options &features)
{
	frame_layout layout;
	layout.shift = features.tag == tag_place::frame ? RTE_VLAN_HLEN : 0;
	layout.is_sealed_only = features.segments > 1;
	layout.sequence = layout.is_sealed_only ? sizeof(request_headers) + padding
						: offsetof(frame_header, sequence);
	return layout;
}

void
queue_checker::check(const std::byte *frame, uint32_t length)
{
	checked_++;
	if (length != plan_.frame) {
		damaged_++;
		return;
	}
	if (!layout_.is_sealed_only) {
		damaged_ += !is_intact(frame, length);
		return;
	}
	uint64_t words[2]; /* sequence and seal */
	const uint32_t body = layout_.sequence + sizeof(words);
	std::memcpy(words, frame + layout_.sequence, sizeof(words));
	damaged_ += words[1] != body_sum(frame + body, length - body) + words[0] * sequence_factor;
}

int
featured_port::open(uint16_t first, const port_options &options, const feature_options &features)
{
	features_ = features;
	layout_ = frame_layout::of(features);
	flags_ = flags_of(features);
	port_options all = options;
	kind_ = options.kind;
	all.rx_offloads = offloads_to_receive(features);
	all.tx_offloads = offloads_to_send(features);
	all.merged = features.merged;
	all.addressed = features.addresses != 0;
	return open_ports(first, all);
}

int
featured_port::open_ports(uint16_t first, port_options options)
{
	uint16_t count = 0, id;
	RTE_ETH_FOREACH_DEV(id)
		count += id == first || features_.every_port;
	options.mbufs += uint32_t{count} * options.queues * options.descriptors;
	pools_ = port_pools::make(options);
	ports_.reserve(count);
	RTE_ETH_FOREACH_DEV(id) {
		if (id != first && !features_.every_port)
			continue;
		int error = ports_.emplace_back().open(id, options, pools_);
		if (error == 0)
			error = set_addresses(id);
		if (error == 0)
			error = set_rules(id, options.queues);
		if (error == 0 && features_.undone)
			error = undo(id);
		if (error != 0)
			return error;
		for (uint16_t queue = 0; queue < options.queues; queue++)
			lanes_.push_back({id, queue});
	}
	return 0;
}

int
featured_port::set_addresses(uint16_t port) const
{
	if (features_.addresses == 0)
		return 0;
	rte_ether_addr own = address(0);
	if (int error = rte_eth_dev_default_mac_addr_set(port, &own); error != 0)
		return complain("cannot set the address", error);
	for (uint16_t i = 1; i < features_.addresses; i++) {
		rte_ether_addr other = address(i);
		if (int error = rte_eth_dev_mac_addr_add(port, &other, 0); error != 0)
			return complain("cannot add an address", error);
	}
	return 0;
}

/** UDP of a source port goes to a queue. */
int
featured_port::set_rules(uint16_t port, uint16_t queues) const
{
	for (uint16_t i = 0; i < features_.rules; i++) {
		rte_flow_attr ingress = {};
		ingress.ingress = 1;
		rte_flow_item_udp wanted = {}, mask = {};
		wanted.hdr.src_port = big_endian(first_port + i);
		mask.hdr.src_port = UINT16_MAX;
		rte_flow_item pattern[4] = {};
		pattern[0].type = RTE_FLOW_ITEM_TYPE_ETH;
		pattern[1].type = RTE_FLOW_ITEM_TYPE_IPV4;
		pattern[2] = {RTE_FLOW_ITEM_TYPE_UDP, &wanted, nullptr, &mask};
		pattern[3].type = RTE_FLOW_ITEM_TYPE_END;
		rte_flow_action_queue to = {static_cast<uint16_t>(i % queues)};
		rte_flow_action actions[2] = {};
		actions[0] = {RTE_FLOW_ACTION_TYPE_QUEUE, &to};
		actions[1].type = RTE_FLOW_ACTION_TYPE_END;
		rte_flow_error why = {};
		if (rte_flow_create(port, &ingress, pattern, actions, &why) == nullptr)
			return complain(why.message != nullptr ? why.message
							       : "cannot create a rule",
					-rte_errno);
	}
	return 0;
}

int
featured_port::undo(uint16_t port) const
{
	rte_flow_error why = {};
	if (features_.rules != 0)
		if (int error = rte_flow_flush(port, &why); error != 0)
			return complain("cannot remove the rules", error);
	if (features_.addresses != 0)
		if (int error = rte_eth_promiscuous_enable(port); error != 0)
			return complain("cannot become promiscuous", error);
	return 0;
}

void
featured_port::close()
{
	drop_pending();
	for (ethdev_port &port : ports_)
		port.close();
}

bool
featured_port::wait_for_link(double seconds) const
{
	const double end = seconds_of(CLOCK_MONOTONIC) + seconds;
	return std::all_of(ports_.begin(), ports_.end(), [end](const ethdev_port &port) {
		return port.wait_for_link(end - seconds_of(CLOCK_MONOTONIC));
	});
}

void
featured_port::prepare(uint32_t frame)
{
	drop_pending();
	frame_ = frame;
	lengths_ = 0;
	if (flags_ != 0) {
		rte_mbuf form = {};
		form.l2_len = RTE_ETHER_HDR_LEN + layout_.shift;
		form.l3_len = sizeof(rte_ipv4_hdr);
		if (features_.segments > 1) {
			form.l4_len = sizeof(rte_tcp_hdr);
			form.tso_segsz = static_cast<uint16_t>(block());
		}
		lengths_ = form.tx_offload;
	}
	rte_mempool_obj_iter(
		pools_.to_wire,
		[](rte_mempool *, void *port, void *object, unsigned int index) {
			static_cast<const featured_port *>(port)->fill(
				static_cast<rte_mbuf *>(object), index);
		},
		this);
}

void
featured_port::fill(rte_mbuf *m, uint32_t index) const
{
	std::byte *begin = static_cast<std::byte *>(m->buf_addr) + RTE_PKTMBUF_HEADROOM;
	std::byte *frame = begin + layout_.shift;

	if (layout_.is_sealed_only)
		fill_request(frame, index);
	else
		fill_frame(frame, frame_, index, kind_,
			   static_cast<uint16_t>(first_port + index % features_.flows));
	const rte_ether_addr to = address(static_cast<uint16_t>(index % features_.to));
	std::memcpy(frame, &to, sizeof(to));
	if (features_.make_checksums) {
		auto *ip = reinterpret_cast<rte_ipv4_hdr *>(frame + RTE_ETHER_HDR_LEN);
		ip->hdr_checksum = 0;
		const uint16_t sum = rte_ipv4_phdr_cksum(ip, 0);
		std::memcpy(frame + offsetof(frame_header, udp_checksum), &sum, sizeof(sum));
	}
	if (layout_.shift != 0)
		insert_tag(begin);
}

/** Frames in one, each of a block behind the headers of all. */
void
featured_port::fill_request(std::byte *frame, uint32_t index) const
{
	const uint32_t payload = features_.segments * block();
	request_headers headers = {};

	headers.ether.src_addr = address(UINT8_MAX);
	headers.ether.ether_type = big_endian(RTE_ETHER_TYPE_IPV4);
	headers.ip.version_ihl = RTE_IPV4_VHL_DEF;
	headers.ip.total_length = big_endian(sizeof(headers.ip) + sizeof(headers.tcp) + payload);
	headers.ip.time_to_live = 64;
	headers.ip.next_proto_id = IPPROTO_TCP;
	headers.ip.src_addr = RTE_BE32(RTE_IPV4(198, 18, 0, 1));
	headers.ip.dst_addr = RTE_BE32(RTE_IPV4(198, 18, 0, 2));
	headers.tcp.src_port = big_endian(first_port);
	headers.tcp.dst_port = big_endian(first_port + 1);
	headers.tcp.data_off = sizeof(headers.tcp) / 4 << 4;
	headers.tcp.tcp_flags = RTE_TCP_ACK_FLAG;
	headers.tcp.rx_win = UINT16_MAX;
	headers.tcp.cksum = rte_ipv4_phdr_cksum(&headers.ip, RTE_MBUF_F_TX_TCP_SEG);
	std::memcpy(frame, &headers, sizeof(headers));
	for (uint16_t i = 0; i < features_.segments; i++) {
		std::byte *at = frame + layout_.sequence + i * block();
		uint64_t words[2] = {}; /* sequence and seal */
		const uint32_t length = frame_ - layout_.sequence - sizeof(words);
		fill_body(at + sizeof(words), length, index + i);
		words[1] = body_sum(at + sizeof(words), length);
		std::memcpy(at, words, sizeof(words));
	}
}

const std::byte *
featured_port::whole_of(const rte_mbuf &frame)
{
	whole_.resize(frame.pkt_len);
	/* What is in several segments is copied. */
	return static_cast<const std::byte *>(
		rte_pktmbuf_read(&frame, 0, frame.pkt_len, whole_.data()));
}

void
featured_port::stamp(std::byte *frame, uint64_t sequence) const
{
	/* The port, or the other one, makes all checksums. */
	if (!layout_.is_sealed_only)
		return stamp_frame(frame, sequence,
				   features_.make_checksums ? frame_kind::ether : kind_);
	for (uint16_t i = 0; i < features_.segments; i++)
		restamp(frame + layout_.sequence + i * block(), sequence + i);
}

bool
featured_port::refill(uint64_t sequence)
{
	const uint32_t length =
		(features_.segments > 1 ? tcp_headers + features_.segments * block() : frame_) +
		layout_.shift;
	if (rte_pktmbuf_alloc_bulk(pools_.to_wire, pending_, burst) != 0)
		return false;
	for (uint16_t i = 0; i < burst; i++) {
		rte_mbuf &m = *pending_[i];
		m.data_len = static_cast<uint16_t>(length);
		m.pkt_len = length;
		m.ol_flags = flags_;
		m.tx_offload = lengths_;
		m.vlan_tci = vlan;
		stamp(data_of(&m) + layout_.shift, sequence + i * features_.segments);
	}
	next_ = 0;
	last_ = burst;
	return true;
}

/** Sends the next frames, whose sequence numbers must continue those of the last call. */
uint16_t
featured_port::send(uint64_t sequence, uint16_t)
{
	if (next_ == last_ && !refill(sequence))
		return 0;
	const lane &to = next_lane();
	const uint16_t sent = rte_eth_tx_burst(to.port, to.queue, &pending_[next_], last_ - next_);
	next_ += sent;
	return static_cast<uint16_t>(sent * features_.segments);
}

uint16_t
featured_port::finish()
{
	constexpr double patience = 0.1; /* seconds */
	uint16_t frames = 0;

	for (const uint64_t end = ticks() + to_ticks(patience); next_ != last_ && ticks() < end;)
		frames += send(0, burst);
	return frames;
}

/** To read the time takes longer than to find a queue empty: each burst is measured only while
 * there is something to receive, and else all of them together. */
uint64_t
featured_port::poll(poll_cost &cost)
{
	const uint64_t begin = ticks();
	const uint64_t total = receiving_ ? poll_each(cost) : poll_all();

	if (!receiving_ && total == 0) {
		cost.idle_ticks += ticks() - begin;
		cost.idle_polls += lanes_.size();
	}
	receiving_ = total != 0;
	return total;
}

uint64_t
featured_port::poll_all()
{
	rte_mbuf *mbufs[burst];
	uint64_t total = 0;

	for (const lane &from : lanes_) {
		const uint16_t count = rte_eth_rx_burst(from.port, from.queue, mbufs, burst);
		if (unlikely(count != 0))
			rte_pktmbuf_free_bulk(mbufs, count);
		total += count;
	}
	return total;
}

uint64_t
featured_port::poll_each(poll_cost &cost)
{
	rte_mbuf *mbufs[burst];
	uint64_t total = 0;

	for (const lane &from : lanes_) {
		const uint64_t begin = ticks();
		const uint16_t count = rte_eth_rx_burst(from.port, from.queue, mbufs, burst);
		if (count == 0)
			continue;
		cost.busy_ticks += ticks() - begin;
		cost.busy_polls++;
		cost.packets += count;
		total += count;
		rte_pktmbuf_free_bulk(mbufs, count);
	}
	return total;
}

void
featured_port::drop_pending()
{
	rte_pktmbuf_free_bulk(pending_ + next_, last_ - next_);
	next_ = last_ = 0;
}

} // namespace bench
