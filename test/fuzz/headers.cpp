/* SPDX-License-Identifier: BSD-3-Clause */
#include <algorithm>
#include <array>

/* In DPDK 22.11 it is not ready for C++. */
extern "C" {
#include <rte_vect.h>
}

#include "../../drivers/net/iavf_be/address_filter.hpp"
#include "../../drivers/net/iavf_be/checksum.hpp"
#include "../../drivers/net/iavf_be/copy_sum.hpp"
#include "../../drivers/net/iavf_be/flow_rules.hpp"
#include "../../drivers/net/iavf_be/headers.hpp"
#include "../../drivers/net/iavf_be/host_request.hpp"
#include "../../drivers/net/iavf_be/offload.hpp"
#include "../../drivers/net/iavf_be/packet_places.hpp"
#include "../../drivers/net/iavf_be/rss.hpp"
#include "../../drivers/net/iavf_be/rx_check.hpp"
#include "../../drivers/net/iavf_be/vlan.hpp"
#include "frames.hpp"

/*
 * What parses packets: an input is a frame, where it is cut into segments, and what is looked for.
 * All that there are several ways to must come out the same: in one piece or in segments, by a
 * glance or by a close look, by tables or instructions, by hash tables or one after the other.
 */

namespace {

using namespace fuzz;
using namespace iavf_be;

bool
same(const ip_part &a, const ip_part &b)
{
	return a.version == b.version && a.malformed == b.malformed && a.fragment == b.fragment &&
	       a.extensions == b.extensions && a.other_addresses == b.other_addresses &&
	       a.protocol == b.protocol && a.l3 == b.l3 && a.l4 == b.l4 &&
	       a.l4_length == b.l4_length;
}

bool
same(const rx_finding &a, const rx_finding &b)
{
	return a.ptype == b.ptype && a.checked == b.checked && a.bad_ip == b.bad_ip &&
	       a.bad_l4 == b.bad_l4 && a.bad_outer_ip == b.bad_outer_ip &&
	       a.bad_outer_l4 == b.bad_outer_l4 && a.extensions == b.extensions &&
	       a.tunnel == b.tunnel;
}

void
check_part(const ip_part &part, uint32_t length)
{
	if (part.version == 0)
		return;
	MUST(part.l3 <= length);
	MUST(part.malformed || (part.l4 <= length && part.l4_length <= length - part.l4));
}

void
check_headers(const rte_mbuf &whole, const rte_mbuf &cut)
{
	const frame_headers a = parse_headers(whole), b = parse_headers(cut);

	MUST(a.type == b.type && a.tunnel == b.tunnel && a.gre_checksum == b.gre_checksum);
	MUST(same(a.outer, b.outer) && same(a.inner, b.inner) && a.ptype() == b.ptype());
	check_part(a.outer, whole.pkt_len);
	check_part(a.inner, whole.pkt_len);
}

/** What is behind the outer IP header must be found where it was put. */
void
check_known(const rte_mbuf &whole, const layered &known)
{
	const ip_part found = parse_headers(whole).outer;

	if (known.behind_ip.version == 0)
		return;
	MUST(found.version == known.behind_ip.version);
	if (found.malformed)
		return;
	MUST(found.protocol == known.behind_ip.protocol);
	MUST(found.l4 == whole.pkt_len - known.behind_ip.length);
}

/** The words as they stand in memory, an odd byte for one with a zero behind it. */
uint64_t
sum_of(std::span<const uint8_t> bytes)
{
	uint64_t out = 0;

	for (size_t i = 0; i < bytes.size(); i++)
		out += uint64_t{bytes[i]} << (i % 2 * 8);
	return out;
}

/** Of ones' complement; both zeroes are one number. */
uint64_t
folded(uint64_t sum)
{
	return sum % 0xffff;
}

/** A copy that sums up, in one piece and in segments. */
uint64_t
check_copies(copy_sum_fn copy_sum, const rte_mbuf &whole, const rte_mbuf &cut)
{
	const auto *begin = rte_pktmbuf_mtod(&whole, const uint8_t *);
	std::vector<uint8_t> copy(whole.pkt_len), other(whole.pkt_len);
	const uint64_t sum = copy_sum(copy.data(), begin, whole.pkt_len);
	summing_copy by_segments(copy_sum);
	uint8_t *to = other.data();

	MUST(std::equal(copy.begin(), copy.end(), begin));
	MUST(folded(sum) == folded(sum_of(copy)));
	for (const rte_mbuf *part = &cut; part != nullptr;
	     to += part->data_len, part = part->next) {
		const auto *from = rte_pktmbuf_mtod(part, const uint8_t *);
		by_segments.copy(to, from, part->data_len, from);
	}
	MUST(other == copy);
	MUST(folded(by_segments.sum()) == folded(sum));
	return sum;
}

void
check_findings(const rte_mbuf &whole, const rte_mbuf &cut)
{
	static const copy_sum_fn copy_sum = select_copy_sum();
	const rx_finding found = examine(whole);
	quick::bytes bytes{rte_pktmbuf_mtod(&whole, const uint8_t *), whole.pkt_len};
	const bool sums = copy_sum != nullptr && whole.pkt_len >= copy_sum_pays;

	MUST(same(found, examine(cut)));
	for (int pass = 0; pass < (sums ? 2 : 1); pass++) {
		bytes.summed = pass == 1;
		if (bytes.summed)
			bytes.sum = check_copies(copy_sum, whole, cut);
		const quick::glance seen = quick::look_at(bytes);
		if (seen.ptype == 0)
			continue;
		MUST(seen.ptype == found.ptype);
		MUST(!seen.checked || (found.checked && !found.bad()));
		MUST(quick::is_telling(bytes.begin) || seen.ptype == iavf::ptype::mac);
	}
}

void
check_sums(const rte_mbuf &whole, const rte_mbuf &cut, input &in)
{
	const auto *begin = rte_pktmbuf_mtod(&whole, const uint8_t *);
	const uint32_t at = in.below(whole.pkt_len), length = in.below(whole.pkt_len - at + 1);
	const test::layers::bytes piece(begin + at, begin + at + length);
	/* As it stands in memory. */
	const auto expected =
		rte_cpu_to_be_16(static_cast<uint16_t>(~test::layers::checksum(piece)));

	/* Both zeroes of ones' complement are one number. */
	const auto number = [](uint16_t sum) { return sum == 0xffff ? 0 : sum; };
	MUST(number(ones_sum(whole, at, length)) == number(expected));
	MUST(number(ones_sum(cut, at, length)) == number(expected));
	MUST(~crc32c(whole, at, length, ~0u) == test::layers::crc32c(piece));
	MUST(~crc32c(cut, at, length, ~0u) == test::layers::crc32c(piece));
}

/* --- rules --- */

std::vector<rte_emudev_net_flow>
take_flows(input &in, const flow_input &frame)
{
	std::vector<rte_emudev_net_flow> flows(in.u8() % 16);

	for (rte_emudev_net_flow &flow : flows) {
		flow = {};
		flow.needs = in.u8() & 31;
		flow.rank = in.u8() & 3;
		flow.protocol = in.u8() & 1 ? frame.protocol : in.u8();
		flow.queue = in.u8();
		flow.has_mark = 1;
		flow.mark = static_cast<uint32_t>(&flow - flows.data());
		auto *mask = reinterpret_cast<uint8_t *>(&flow.mask);
		for (unsigned int n = in.u8() % 4; n != 0; n--)
			mask[in.u8() % sizeof(flow.mask)] = in.u8();
		std::array<uint64_t, flow_input::words> spec = frame.bytes, masks;
		std::memcpy(masks.data(), mask, sizeof(masks));
		for (size_t i = 0; i < spec.size(); i++)
			spec[i] &= masks[i];
		if (in.u8() & 1)
			spec[in.u8() % spec.size()] ^= masks[in.u8() % masks.size()] & in.u64();
		for (size_t i = 0; i < spec.size(); i++)
			spec[i] &= masks[i];
		std::memcpy(&flow.spec, spec.data(), sizeof(flow.spec));
	}
	return flows;
}

bool
matches(const rte_emudev_net_flow &flow, const flow_input &frame)
{
	std::array<uint64_t, flow_input::words> spec, mask;
	uint16_t l4_end = 0;

	std::memcpy(spec.data(), &flow.spec, sizeof(spec));
	std::memcpy(mask.data(), &flow.mask, sizeof(mask));
	for (uint16_t i = 0; i < sizeof(flow.mask.l4); i++)
		l4_end = flow.mask.l4[i] != 0 ? i + 1 : l4_end;
	for (size_t i = 0; i < spec.size(); i++)
		if ((frame.bytes[i] & mask[i]) != spec[i])
			return false;
	return (flow.needs & ~frame.has) == 0 && l4_end <= frame.l4_length &&
	       ((flow.needs & RTE_EMUDEV_NET_FLOW_PROTOCOL) == 0 ||
		flow.protocol == frame.protocol);
}

void
check_rules(const rte_mbuf &whole, const rte_mbuf &cut, input &in)
{
	const flow_input frame = find_flow_input(whole, packet_places(whole)),
			 other = find_flow_input(cut, packet_places(cut));
	const std::vector<rte_emudev_net_flow> flows = take_flows(in, frame);
	const flow_rules rules(flows);
	const flow_rules::action *found = rules.find(frame);
	int best = -1;

	MUST(frame.bytes == other.bytes && frame.has == other.has &&
	     frame.l4_length == other.l4_length && frame.protocol == other.protocol);
	MUST(frame.hash() == other.hash());
	for (const rte_emudev_net_flow &flow : flows)
		if (matches(flow, frame))
			best = std::max<int>(best, flow.rank);
	MUST((found != nullptr) == (best >= 0));
	if (found != nullptr)
		MUST(flows[found->mark].rank == best && matches(flows[found->mark], frame));
}

void
check_rss(const rte_mbuf &whole, const rte_mbuf &cut, input &in)
{
	rte_emudev_net_rss how{};
	frame_label a, b;

	how.function = in.u8() & 1 ? RTE_EMUDEV_NET_RSS_XOR : RTE_EMUDEV_NET_RSS_TOEPLITZ;
	how.lut_size = static_cast<uint16_t>(1 << in.u8() % 10);
	const uint16_t fields = in.u16();
	std::ranges::fill(how.fields, fields);
	in.fill(how.key);
	for (uint16_t i = 0; i < how.lut_size; i++)
		how.lut[i] = i % 7;
	const rss chooser(how, {0, 1, 2, 5});
	const uint16_t queue = chooser.choose(packet_places(whole), a);
	MUST(queue == chooser.choose(packet_places(cut), b));
	MUST(a.hash == b.hash && a.hashed == b.hashed);
	MUST(queue <= 2 || queue == 5);
	const toeplitz key(how.key);
	std::array<uint8_t, toeplitz::longest> bytes;
	const size_t length = 1 + in.u8() % bytes.size();
	in.fill({bytes.data(), length});
	/* Nothing behind the end is read. */
	const std::vector<uint8_t> exact(bytes.begin(), bytes.begin() + static_cast<long>(length));
	MUST(key.hash(exact.data(), length) == key.hash_by_tables(exact.data(), length));
}

void
check_filter(const rte_mbuf &whole, input &in)
{
	wanted_addresses wanted;
	const auto *begin = rte_pktmbuf_mtod(&whole, const uint8_t *);
	rte_ether_addr to;

	std::memcpy(&to, begin, sizeof(to));
	wanted.promiscuous = in.u8() & 3;
	wanted.own = in.take<rte_ether_addr>();
	wanted.others.resize(in.u8() % 24);
	for (rte_ether_addr &one : wanted.others)
		one = in.u8() & 1 ? to : in.take<rte_ether_addr>();
	const bool group = rte_is_multicast_ether_addr(&to);
	const uint32_t mode =
		group ? RTE_EMUDEV_NET_PROMISCUOUS_MULTICAST : RTE_EMUDEV_NET_PROMISCUOUS_UNICAST;
	const bool admitted = rte_is_broadcast_ether_addr(&to) ||
			      (wanted.promiscuous & mode) != 0 ||
			      rte_is_same_ether_addr(&to, &wanted.own) ||
			      std::ranges::any_of(wanted.others, [&](const rte_ether_addr &one) {
				      return rte_is_same_ether_addr(&to, &one);
			      });
	MUST(address_filter(wanted).admits(begin) == admitted);
}

/* --- requests --- */

/** What a guest's descriptors ask for: what matches a frame is carried out inside it. */
void
check_guest_request(std::span<const uint8_t> bytes, input &in)
{
	static chain descriptors;
	offload request;

	const uint8_t wish = in.u8();
	loose_frame frame(bytes, {});
	descriptors.clear();
	if (wish & 1) {
		const guest_request plausible(frame.mbuf(), wish, in.u16());
		descriptors.context = plausible.context;
		descriptors.contexts = 1;
		descriptors.append({0, plausible.command});
	} else {
		descriptors.context = {in.u64(), in.u64()};
		descriptors.contexts = wish >> 1 & 1;
		descriptors.append({0, in.u64()});
	}
	descriptors.length = static_cast<uint32_t>(bytes.size());
	if (request.decode(descriptors) != offload_verdict::good)
		return;
	MUST(request.header_length() <= longest_headers + vlan_tags::max_length);
	/* The least of the E810's VF: one request is not to make a frame of each of its bytes. */
	MUST(request.mss == 0 || request.mss >= 64);
	/* Of a frame with its tags, as it stands in one mbuf. */
	if (request.matches({rte_pktmbuf_mtod(&frame.mbuf(), const uint8_t *), bytes.size()}))
		request.insert_checksums(&frame.mbuf());
	if (request.tags.length != 0 && bytes.size() >= vlan_tags::offset) {
		std::vector<uint8_t> front(bytes.begin(), bytes.end());
		front.resize(front.size() + request.tags.length);
		request.tags.insert(front.data(),
				    static_cast<uint16_t>(front.size() - request.tags.length));
	}
}

/** What an application asks for. */
void
check_host_request(loose_frame &whole, loose_frame &cut, input &in)
{
	const uint64_t flags = in.u64() & ~(RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT);
	const uint64_t lengths = in.u64();
	const uint64_t offloads = in.u8() & 1 ? request_offloads : in.u64();
	host_request a, b;

	const uint8_t wish = in.u8();
	const uint16_t mss = in.u16();
	for (loose_frame *one : {&whole, &cut}) {
		one->mbuf().ol_flags = flags;
		one->mbuf().tx_offload = lengths;
		if (wish & 1)
			ask_for_offloads(one->mbuf(), wish, mss);
	}
	const request_verdict verdict = a.decode(whole.mbuf(), offloads);
	MUST(verdict == b.decode(cut.mbuf(), offloads));
	if (verdict != request_verdict::good)
		return;
	MUST(a.what.header_length() <= whole.mbuf().pkt_len);
	MUST(a.l4_end == b.l4_end && a.outer_end == b.outer_end);
	MUST(a.l4_end <= whole.mbuf().pkt_len && a.outer_end <= whole.mbuf().pkt_len);
}

void
check_tags(const rte_mbuf &whole, input &in)
{
	rte_emudev_net_vlan_ids ids{};
	to_guest_vlans how;
	retagged tags;

	how.strip_outer = in.u8() & 1 ? RTE_ETHER_TYPE_VLAN : RTE_ETHER_TYPE_QINQ;
	how.strip_inner = in.u8() & 1 ? RTE_ETHER_TYPE_VLAN : 0;
	how.outer_in_second = in.u8() & 1;
	how.port_type = in.u8() & 1 ? RTE_ETHER_TYPE_VLAN : 0;
	how.port_id = 5;
	ids.of[0][0] = in.u64();
	how.ids = in.u8() & 1 ? &ids : nullptr;
	tags.sort(how, whole, false);
	MUST(!tags.wanted || tags.new_length(whole.pkt_len) >= RTE_ETHER_HDR_LEN);
	MUST(tags.new_length(whole.pkt_len) <= whole.pkt_len);
}

} // namespace

/** Without EAL no instruction on vectors is allowed, and they would not be compared. */
extern "C" int
LLVMFuzzerInitialize(int *, char ***)
{
	MUST(rte_vect_set_max_simd_bitwidth(RTE_VECT_SIMD_512) == 0);
	return 0;
}

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input in(data, size);
	std::array<uint16_t, 6> pieces{};
	std::vector<uint8_t> bytes;
	layered known;

	for (size_t n = in.u8() % (pieces.size() + 1); n != 0; n--)
		pieces[n - 1] = in.u8();
	/* A segment of the application's begins with a whole Ethernet header. */
	pieces[0] = pieces[0] == 0 ? 0 : std::max<uint16_t>(pieces[0], RTE_ETHER_HDR_LEN);
	if (in.u8() & 1) {
		const auto raw = in.bytes(in.u16() % 1600u);
		bytes.assign(raw.begin(), raw.end());
	} else {
		bytes = take_layers(in, known);
	}
	if (bytes.size() < RTE_ETHER_HDR_LEN)
		bytes.resize(RTE_ETHER_HDR_LEN);
	loose_frame whole(bytes, {}), cut(bytes, pieces);

	check_headers(whole.mbuf(), cut.mbuf());
	check_known(whole.mbuf(), known);
	check_findings(whole.mbuf(), cut.mbuf());
	check_sums(whole.mbuf(), cut.mbuf(), in);
	check_rules(whole.mbuf(), cut.mbuf(), in);
	check_rss(whole.mbuf(), cut.mbuf(), in);
	check_filter(whole.mbuf(), in);
	check_tags(whole.mbuf(), in);
	check_guest_request(bytes, in);
	check_host_request(whole, cut, in);
	return 0;
}
