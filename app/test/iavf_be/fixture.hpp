/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>

#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "fake_iavf.hpp"
#include "test.hpp"

/** What the cases of net_iavf_be share: frames, offload requests, and races. */
namespace test::port_suite {

namespace txd = iavf::txd;
namespace txc = iavf::txc;
namespace rxd = iavf::rxd;
namespace rxflex = iavf::rxflex;

/** The cases of each file. */
extern const case_table port_cases, queue_cases, rx_interrupt_cases, statistics_cases,
	feature_cases, ring_cases, page_cases, from_guest_cases, to_guest_cases, rx_fact_cases,
	checked_frame_cases, offload_cases, handover_cases, tunnel_cases, host_request_cases,
	vlan_cases, vlan_to_guest_cases, steering_cases, rss_cases, address_cases, flow_cases,
	policy_cases, zero_copy_cases;

constexpr auto from = RTE_EMUDEV_FROM_GUEST;
constexpr auto to = RTE_EMUDEV_TO_GUEST;
/** Buffers begin behind the rings. */
constexpr uint64_t data_iova = fake_memory::base + 0x100000;

constexpr uint64_t
buffer(unsigned int n)
{
	return data_iova + n * 4096u;
}

/** Fills a frame with a pattern; the destination is the broadcast address. */
inline void
make_frame(uint8_t *at, uint32_t length, uint8_t seed)
{
	for (uint32_t i = 0; i < length; i++)
		at[i] = static_cast<uint8_t>(i < 6 ? 0xff : seed + i * 7 + (i >> 8));
}

inline std::vector<uint8_t>
bytes_of(const rte_mbuf *frame)
{
	std::vector<uint8_t> out;
	for (const rte_mbuf *part = frame; part != nullptr; part = part->next) {
		const auto *data = rte_pktmbuf_mtod(part, const uint8_t *);
		out.insert(out.end(), data, data + part->data_len);
	}
	return out;
}

inline bool
is_frame(const std::vector<uint8_t> &got, uint32_t length, uint8_t seed)
{
	std::vector<uint8_t> want(length);
	make_frame(want.data(), length, seed);
	return got == want;
}

/** Posts a good frame, so that a case can show that the ring goes on. */
inline uint16_t
post_good(fake_guest &guest, uint32_t length = 64, uint8_t seed = 1)
{
	make_frame(guest.at(buffer(200)), length, seed);
	return guest.post_data(buffer(200), length);
}

/** Whether exactly one good frame comes, all mbufs return, and the statistic has grown to n. */
inline bool
only_good_comes(fake_port &port, const char *xstat, uint64_t n)
{
	const size_t got = port.drain() + port.drain();
	if (got != 1 || port.xstat(xstat) != n || !port.complete()) {
		printf("got %zu frames, %s is %llu\n", got, xstat,
		       static_cast<unsigned long long>(port.xstat(xstat)));
		return false;
	}
	return true;
}

/** The same for a good frame that is posted now, behind what the case has posted. */
inline bool
only_good_comes(fake_guest &guest, fake_port &port, const char *xstat, uint64_t n)
{
	post_good(guest);
	guest.ring_tx();
	return only_good_comes(port, xstat, n);
}

/** Fills a fresh segment, and chains it to a packet; one that is nullptr begins with it. */
inline void
append_segment(rte_mbuf *&packet, rte_mbuf *part, std::span<const uint8_t> bytes)
{
	std::ranges::copy(bytes, rte_pktmbuf_append(part, static_cast<uint16_t>(bytes.size())));
	if (packet == nullptr)
		packet = part;
	else
		rte_pktmbuf_chain(packet, part);
}

/** Whether a good frame that is posted now comes, and nothing else. */
inline bool
goes_on(fake_guest &guest, fake_port &port)
{
	post_good(guest);
	guest.ring_tx();
	return port.drain() == 1;
}

inline rte_mbuf *
make_mbuf(fake_port &port, uint32_t length, uint8_t seed)
{
	std::vector<uint8_t> data(length);
	make_frame(data.data(), length, seed);
	rte_mbuf *first = nullptr;
	for (uint32_t done = 0; done < length || first == nullptr;) {
		rte_mbuf *part = rte_pktmbuf_alloc(port.pool());
		const uint32_t piece =
			std::min<uint32_t>(length - done, rte_pktmbuf_tailroom(part));
		append_segment(first, part, std::span(data).subspan(done, piece));
		done += piece;
	}
	return first;
}

/** EAL has bound this thread to one processor; the threads of a race shall have all of them. */
inline std::thread
start_thread(std::function<void()> body)
{
	return std::thread([body = std::move(body)] {
		cpu_set_t all;
		CPU_ZERO(&all);
		for (unsigned int cpu = 0; cpu < CPU_SETSIZE; cpu++)
			CPU_SET(cpu, &all);
		pthread_setaffinity_np(pthread_self(), sizeof(all), &all);
		body();
	});
}

/** Length of a race: half a second, or until something has happened on a busy machine. */
class race_time {
public:
	bool over(bool something_happened) const
	{
		const auto spent = std::chrono::steady_clock::now() - begin_;
		return spent > std::chrono::seconds(20) ||
		       (something_happened && spent > std::chrono::milliseconds(500));
	}

private:
	std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

/** Tells the port what a guest has set up; struct_size is filled in. */
inline void
push_config(fake_guest &guest, rte_emudev_net_config config)
{
	config.struct_size = sizeof(config);
	rte_emudev_event event{};
	event.type = RTE_EMUDEV_EVENT_CONFIG;
	event.net = &config;
	rte_emudev_notify(guest.dev(), &event);
}

/** Enables ring @p n anew, with so many buffers. */
inline void
listen(fake_guest &guest, uint16_t buffers, uint16_t n = 0)
{
	guest.disable(to, n);
	guest.enable(to, n);
	for (uint16_t i = 0; i < buffers; i++)
		guest.post_rx(buffer(n * 64 + i), n);
	guest.ring_rx(n);
}

/** Builds an Ethernet, IPv4 or IPv6, TCP or UDP frame as Linux hands it to its driver. */
struct packet {
	bool v6 = false;
	bool udp = false;
	uint32_t payload = 1000;

	uint16_t l3() const { return v6 ? sizeof(rte_ipv6_hdr) : sizeof(rte_ipv4_hdr); }
	uint16_t l4() const { return udp ? sizeof(rte_udp_hdr) : sizeof(rte_tcp_hdr); }
	uint32_t headers() const { return RTE_ETHER_HDR_LEN + l3() + l4(); }
	uint32_t length() const { return headers() + payload; }

	uint64_t command() const
	{
		return txd::iipt::of(v6 ? 1 : 2) | txd::l4t::of(udp ? 3 : 1) |
		       txd::maclen::of(RTE_ETHER_HDR_LEN / 2) | txd::iplen::of(l3() / 4) |
		       txd::l4len::of(l4() / 4);
	}

	void write(uint8_t *at, bool tso = false) const
	{
		make_frame(at, length(), 5);
		uint8_t *ip = at + RTE_ETHER_HDR_LEN, *transport = ip + l3();
		at[12] = v6 ? 0x86 : 0x08;
		at[13] = v6 ? 0xdd : 0x00;
		memset(ip, 0, l3() + l4());
		const auto size = static_cast<uint16_t>(l4() + payload);
		if (v6) {
			auto *h = reinterpret_cast<rte_ipv6_hdr *>(ip);
			h->vtc_flow = rte_cpu_to_be_32(6u << 28);
			h->payload_len = tso ? 0 : rte_cpu_to_be_16(size);
			h->proto = udp ? 17 : 6;
			/* Arrays before DPDK 24.11, structures from then on. */
			reinterpret_cast<uint8_t *>(&h->src_addr)[0] = 0xfe;
			reinterpret_cast<uint8_t *>(&h->dst_addr)[15] = 9;
		} else {
			auto *h = reinterpret_cast<rte_ipv4_hdr *>(ip);
			h->version_ihl = 0x45;
			h->total_length =
				tso ? 0 : rte_cpu_to_be_16(static_cast<uint16_t>(size + l3()));
			h->packet_id = rte_cpu_to_be_16(0xfffe);
			h->next_proto_id = udp ? 17 : 6;
			h->src_addr = rte_cpu_to_be_32(0x0a000001);
			h->dst_addr = rte_cpu_to_be_32(0x0a000002);
		}
		uint16_t pseudo;
		const uint64_t flags = tso ? RTE_MBUF_F_TX_TCP_SEG : 0;
		if (v6)
			pseudo = rte_ipv6_phdr_cksum(reinterpret_cast<rte_ipv6_hdr *>(ip), flags);
		else
			pseudo = rte_ipv4_phdr_cksum(reinterpret_cast<rte_ipv4_hdr *>(ip), flags);
		if (udp) {
			auto *h = reinterpret_cast<rte_udp_hdr *>(transport);
			h->dgram_len = rte_cpu_to_be_16(size);
			h->dgram_cksum = pseudo;
		} else {
			auto *h = reinterpret_cast<rte_tcp_hdr *>(transport);
			h->sent_seq = rte_cpu_to_be_32(0xfffffff0);
			h->data_off = static_cast<uint8_t>(l4() / 4 << 4);
			h->tcp_flags = RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG | RTE_TCP_CWR_FLAG |
				       RTE_TCP_FIN_FLAG;
			h->cksum = pseudo;
		}
	}

	/** Whether the checksums of a frame that came out are right. */
	bool verify(std::vector<uint8_t> frame, bool ip_checksum = false) const
	{
		uint8_t *ip = frame.data() + RTE_ETHER_HDR_LEN, *transport = ip + l3();
		if (v6)
			return rte_ipv6_udptcp_cksum_verify(reinterpret_cast<rte_ipv6_hdr *>(ip),
							    transport) == 0;
		if (ip_checksum && rte_raw_cksum(ip, l3()) != 0xffff)
			return false;
		return rte_ipv4_udptcp_cksum_verify(reinterpret_cast<rte_ipv4_hdr *>(ip),
						    transport) == 0;
	}
};

inline uint64_t
context(uint32_t tso_length, uint32_t mss)
{
	return 1 | txc::tso::mask | txc::tso_length::of(tso_length) | txc::mss::of(mss);
}

inline uint16_t
send_one(fake_port &port, uint32_t length, uint8_t seed, uint16_t queue = 0)
{
	rte_mbuf *frame = make_mbuf(port, length, seed);
	const uint16_t sent = rte_eth_tx_burst(port.id(), queue, &frame, 1);
	if (sent == 0)
		rte_pktmbuf_free(frame);
	return sent;
}

/** What a port tells people of itself. */
inline std::string
dump_of(const fake_port &port)
{
	char *text = nullptr;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);
	rte_eth_dev_priv_dump(port.id(), file);
	fclose(file);
	std::string out(text, size);
	free(text);
	return out;
}

} // namespace test::port_suite
