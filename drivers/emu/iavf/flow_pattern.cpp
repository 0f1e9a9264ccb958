/* SPDX-License-Identifier: BSD-3-Clause */
#include "flow_pattern.hpp"

#include <algorithm>
#include <cstring>
#include <span>

#include <netinet/in.h>

#include <rte_ether.h>

namespace iavf {

namespace {

using flow = rte_emudev_net_flow;
using headers = rte_emudev_net_headers;
static_assert(sizeof(headers) == 88);

/* Places in the headers of a flow. */
constexpr uint8_t at_l2 = offsetof(headers, l2);
constexpr uint8_t at_l3 = offsetof(headers, l3);
constexpr uint8_t at_l4 = offsetof(headers, l4);
/** The type in an Ethernet header. */
constexpr size_t at_type = 2 * RTE_ETHER_ADDR_LEN;
/** What UDP carries. */
constexpr uint8_t at_payload = at_l4 + 8;
/** Extension header of GTP-U behind a header with all its options. */
constexpr uint8_t at_extension = at_payload + 12;

constexpr uint16_t needs_whole_ip = RTE_EMUDEV_NET_FLOW_WHOLE;
constexpr uint16_t needs_protocol = RTE_EMUDEV_NET_FLOW_PROTOCOL | RTE_EMUDEV_NET_FLOW_WHOLE;

constexpr uint32_t
bit(int32_t type)
{
	return 1u << type;
}
constexpr uint32_t begins = bit(0); /* no type has this number */
constexpr uint32_t any_ip = bit(vc_header::ipv4) | bit(vc_header::ipv6);

/** A type of headers: what it may stand behind, and what it says of the frame by itself. */
struct header_row {
	int32_t type;
	uint32_t behind;
	uint16_t needs = 0;
	uint8_t protocol = 0;
};

constexpr header_row header_rows[] = {
	{vc_header::eth, begins},
	{vc_header::ipv4, bit(vc_header::eth), RTE_EMUDEV_NET_FLOW_IPV4},
	{vc_header::ipv6, bit(vc_header::eth), RTE_EMUDEV_NET_FLOW_IPV6},
	{vc_header::tcp, any_ip, needs_protocol, IPPROTO_TCP},
	{vc_header::udp, any_ip, needs_protocol, IPPROTO_UDP},
	{vc_header::sctp, any_ip, needs_protocol, IPPROTO_SCTP},
	{vc_header::gtpu, bit(vc_header::udp)},
	{vc_header::gtpu_extension, bit(vc_header::gtpu)},
	{vc_header::l2tpv3, any_ip, needs_protocol, 115},
	{vc_header::esp, any_ip | bit(vc_header::udp)}, /* see of_esp() */
	{vc_header::ah, any_ip, needs_protocol, IPPROTO_AH},
	{vc_header::pfcp, bit(vc_header::udp)},
	{vc_header::ipv4_fragment, bit(vc_header::ipv4), RTE_EMUDEV_NET_FLOW_FRAGMENT},
	{vc_header::ipv6_fragment, bit(vc_header::ipv6), RTE_EMUDEV_NET_FLOW_FRAGMENT},
};

/** A field that can be matched: where it is in the header of the pattern, and in the flow. */
struct field_row {
	int32_t type;
	uint8_t field;
	uint8_t from;
	uint8_t length;
	uint8_t to;
	uint8_t bits = 0xff; /**< Of each byte. */
};

/* As those of an E810 for its VFs; of IPv4's service only the six bits of DSCP. */
constexpr field_row field_rows[] = {
	{vc_header::eth, 0, 6, 6, at_l2 + 6},
	{vc_header::eth, 1, 0, 6, at_l2},
	{vc_header::eth, 2, 12, 2, at_l2 + 12},
	{vc_header::ipv4, 0, 12, 4, at_l3 + 12},
	{vc_header::ipv4, 1, 16, 4, at_l3 + 16},
	{vc_header::ipv4, 2, 1, 1, at_l3 + 1, 0xfc},
	{vc_header::ipv4, 3, 8, 1, at_l3 + 8},
	{vc_header::ipv6, 0, 8, 16, at_l3 + 8},
	{vc_header::ipv6, 1, 24, 16, at_l3 + 24},
	{vc_header::ipv6, 3, 7, 1, at_l3 + 7},
	{vc_header::tcp, 0, 0, 2, at_l4},
	{vc_header::tcp, 1, 2, 2, at_l4 + 2},
	{vc_header::udp, 0, 0, 2, at_l4},
	{vc_header::udp, 1, 2, 2, at_l4 + 2},
	{vc_header::sctp, 0, 0, 2, at_l4},
	{vc_header::sctp, 1, 2, 2, at_l4 + 2},
	{vc_header::gtpu, 0, 4, 4, at_payload + 4},
	{vc_header::gtpu_extension, 1, 1, 1, at_extension + 2, 0x3f},
	{vc_header::l2tpv3, 0, 0, 4, at_l4},
	{vc_header::ah, 0, 4, 4, at_l4 + 4},
	{vc_header::pfcp, 0, 0, 1, at_payload, 0x01},
};

/* Fields that are not a run of bytes. */
constexpr uint32_t ipv4_protocol = 1u << 4, ipv6_protocol = 1u << 4, ipv6_class = 1u << 2;
constexpr uint32_t esp_spi = 1u << 0;

/** What is made of a pattern, header by header. */
class translation {
public:
	bool take(const vc_proto_hdr &header);
	bool take_raw(guard::bytes spec, guard::bytes mask);
	/** Nothing if the pattern contradicts itself or names no field. */
	std::optional<flow> result() const
	{
		return bad_ || !named_ ? std::nullopt : std::optional(out_);
	}

private:
	void match(uint8_t to, uint8_t value, uint8_t mask);
	void match_word(uint8_t to, uint16_t value);
	void need(uint16_t needs, uint8_t protocol);
	void of_header(const vc_proto_hdr &header);
	void of_esp(const vc_proto_hdr &header);
	void of_gtpu_extension();
	uint32_t of_fields(const vc_proto_hdr &header);
	uint32_t of_other_fields(const vc_proto_hdr &header);
	size_t read_raw_headers(guard::bytes spec);
	void forget_type();

	flow out_{};
	int32_t last_ = 0;
	bool bad_ = false;
	bool named_ = false; /**< A field: a rule for all frames of a kind is none. */
};

/** Twice the same bits must be the same. */
void
translation::match(uint8_t to, uint8_t value, uint8_t mask)
{
	auto *spec_bytes = reinterpret_cast<uint8_t *>(&out_.spec) + to;
	auto *mask_bytes = reinterpret_cast<uint8_t *>(&out_.mask) + to;

	bad_ = bad_ || ((*spec_bytes ^ value) & *mask_bytes & mask) != 0;
	*spec_bytes = static_cast<uint8_t>(*spec_bytes | (value & mask));
	*mask_bytes |= mask;
}

void
translation::match_word(uint8_t to, uint16_t value)
{
	match(to, static_cast<uint8_t>(value >> 8), 0xff);
	match(static_cast<uint8_t>(to + 1), static_cast<uint8_t>(value), 0xff);
}

void
translation::need(uint16_t needs, uint8_t protocol)
{
	if ((needs & out_.needs & RTE_EMUDEV_NET_FLOW_PROTOCOL) != 0 && protocol != out_.protocol)
		bad_ = true;
	if ((needs & RTE_EMUDEV_NET_FLOW_PROTOCOL) != 0)
		out_.protocol = protocol;
	out_.needs |= needs;
}

/** Alone, or behind UDP as it passes address translators. */
void
translation::of_esp(const vc_proto_hdr &header)
{
	constexpr uint16_t port_natt = 4500;
	const bool in_udp = last_ == vc_header::udp;

	if (in_udp)
		match_word(at_l4 + 2, port_natt);
	else
		need(needs_protocol, IPPROTO_ESP);
	for (uint8_t i = 0; i < 4 && (header.field_selector & esp_spi) != 0; i++)
		match(static_cast<uint8_t>((in_udp ? at_payload : at_l4) + i), header.buffer[i],
		      0xff);
}

/** There is one, it comes first, and it is that of a session. */
void
translation::of_gtpu_extension()
{
	constexpr uint8_t has_extension = 0x04, of_session = 0x85;

	match(at_payload, has_extension, has_extension);
	match(at_payload + 11, of_session, 0xff);
}

/** What a header says by its type. */
void
translation::of_header(const vc_proto_hdr &header)
{
	constexpr uint16_t port_gtpu = 2152, port_pfcp = 8805;
	constexpr uint8_t gtpu_packet = 255;

	switch (header.type) {
	case vc_header::esp:
		return of_esp(header);
	case vc_header::gtpu:
		match_word(at_l4 + 2, port_gtpu);
		return match(at_payload + 1, gtpu_packet, 0xff);
	case vc_header::gtpu_extension:
		return of_gtpu_extension();
	case vc_header::pfcp:
		return match_word(at_l4 + 2, port_pfcp);
	default:
		return;
	}
}

/** @return The fields that have a row. */
uint32_t
translation::of_fields(const vc_proto_hdr &header)
{
	uint32_t known = 0;

	for (const field_row &row : field_rows) {
		if (row.type != header.type || (header.field_selector >> row.field & 1) == 0)
			continue;
		known |= 1u << row.field;
		for (uint8_t i = 0; i < row.length; i++)
			match(static_cast<uint8_t>(row.to + i), header.buffer[row.from + i],
			      row.bits);
	}
	return known;
}

/** The others. What IPv6 carries is behind its extension headers. */
uint32_t
translation::of_other_fields(const vc_proto_hdr &header)
{
	uint32_t known = 0;

	if (header.type == vc_header::ipv4 && (header.field_selector & ipv4_protocol) != 0) {
		need(RTE_EMUDEV_NET_FLOW_PROTOCOL, header.buffer[9]);
		known |= ipv4_protocol;
	}
	if (header.type == vc_header::ipv6 && (header.field_selector & ipv6_protocol) != 0) {
		need(RTE_EMUDEV_NET_FLOW_PROTOCOL, header.buffer[6]);
		known |= ipv6_protocol;
	}
	if (header.type == vc_header::ipv6 && (header.field_selector & ipv6_class) != 0) {
		match(at_l3, header.buffer[0], 0x0f);
		match(at_l3 + 1, header.buffer[1], 0xf0);
		known |= ipv6_class;
	}
	if (header.type == vc_header::esp)
		known |= esp_spi;
	return known;
}

/** The type says no more than the header behind it; net_iavf leaves it 0 then. */
void
translation::forget_type()
{
	std::fill(out_.spec.l2 + at_type, std::end(out_.spec.l2), 0);
	std::fill(out_.mask.l2 + at_type, std::end(out_.mask.l2), 0);
}

bool
translation::take(const vc_proto_hdr &header)
{
	const header_row *row = std::ranges::find(header_rows, header.type, &header_row::type);

	if (row == std::end(header_rows) || (row->behind & bit(last_)) == 0)
		return false;
	need(row->needs, row->protocol);
	of_header(header);
	if ((header.field_selector & ~(of_fields(header) | of_other_fields(header))) != 0)
		return false;
	named_ = named_ || header.field_selector != 0;
	if (last_ == vc_header::eth)
		forget_type();
	last_ = header.type;
	return !bad_;
}

/** What the frame is: it needs what it shows. @return Where that what IP carries begins; 0: it
 * cannot be told. */
size_t
translation::read_raw_headers(guard::bytes spec)
{
	constexpr size_t l3 = RTE_ETHER_HDR_LEN, ipv4_header = 20, ipv6_header = 40;
	const auto byte = [&](size_t at) { return std::to_integer<uint8_t>(spec[at]); };
	const auto type = spec.size() < l3 ? 0 : byte(12) << 8 | byte(13);
	size_t l4 = l3;

	if (type == RTE_ETHER_TYPE_VLAN || type == RTE_ETHER_TYPE_QINQ ||
	    type == RTE_ETHER_TYPE_QINQ1)
		return 0; /* tags are beside what is matched */
	if (type == RTE_ETHER_TYPE_IPV4 && spec.size() >= l3 + ipv4_header) {
		if (byte(l3) != (4 << 4 | ipv4_header / 4))
			return 0;
		l4 += ipv4_header;
		need(RTE_EMUDEV_NET_FLOW_IPV4, 0);
		out_.protocol = byte(l3 + 9);
	} else if (type == RTE_ETHER_TYPE_IPV6 && spec.size() >= l3 + ipv6_header) {
		if (byte(l3) >> 4 != 6)
			return 0;
		l4 += ipv6_header;
		need(RTE_EMUDEV_NET_FLOW_IPV6, 0);
		out_.protocol = byte(l3 + 6);
	}
	if (out_.protocol != 0)
		out_.needs |= RTE_EMUDEV_NET_FLOW_PROTOCOL;
	return l4;
}

/**
 * A frame with a mask. As the parser of an E810 does, the frame is read for the protocols that it
 * shows, and only frames of these match, with the bytes of the mask relative to their headers.
 */
bool
translation::take_raw(guard::bytes spec, guard::bytes mask)
{
	const size_t l4 = read_raw_headers(spec);
	const bool is_ip = out_.needs != 0;

	for (size_t i = 0; i < mask.size() && l4 != 0; i++) {
		const auto value = std::to_integer<uint8_t>(spec[i]);
		const auto bits = std::to_integer<uint8_t>(mask[i]);

		if (bits == 0)
			continue;
		named_ = true;
		if (i >= l4 && (!is_ip || i - l4 >= sizeof(headers::l4)))
			return false;
		if (i >= l4) {
			need(needs_whole_ip, 0);
			match(static_cast<uint8_t>(at_l4 + (i - l4)), value, bits);
		} else if (i >= RTE_ETHER_HDR_LEN) {
			match(static_cast<uint8_t>(at_l3 + (i - RTE_ETHER_HDR_LEN)), value, bits);
		} else if (i < at_type || !is_ip) {
			match(static_cast<uint8_t>(at_l2 + i), value, bits);
		}
	}
	return l4 != 0;
}

std::optional<flow>
read_raw(const vc_pattern &pattern)
{
	const auto content = std::as_bytes(std::span(pattern.content));
	const auto length = guard::load<uint16_t>(content, 0).value();
	translation raw;

	if (length == 0 || length > vc_pattern::max_raw)
		return {};
	if (!raw.take_raw(content.subspan(sizeof(length), length),
			  content.subspan(sizeof(length) + vc_pattern::max_raw, length)))
		return {};
	return raw.result();
}

} // namespace

std::optional<flow>
read_pattern(const vc_pattern &pattern)
{
	translation all;

	if (pattern.tunnel_level != 0 || pattern.count < 0 ||
	    pattern.count > vc_pattern::max_headers)
		return {};
	if (pattern.count == 0)
		return read_raw(pattern);
	for (int32_t i = 0; i < pattern.count; i++) {
		const auto header =
			guard::load<vc_proto_hdr>(std::as_bytes(std::span(pattern.content)),
						  static_cast<size_t>(i) * sizeof(vc_proto_hdr));

		if (!all.take(header.value()))
			return {};
	}
	return all.result();
}

} // namespace iavf
