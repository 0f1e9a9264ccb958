/* SPDX-License-Identifier: BSD-3-Clause */

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <numeric>
#include <random>
#include <thread>

#include <rte_errno.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "fake_iavf.hpp"
#include "test.hpp"

/* net_iavf_be on a guest made of plain memory. Hostile guests first, then honest traffic. */

using namespace test;
namespace txd = iavf::txd;
namespace txc = iavf::txc;
namespace rxd = iavf::rxd;

namespace {

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
void
make_frame(uint8_t *at, uint32_t length, uint8_t seed)
{
	for (uint32_t i = 0; i < length; i++)
		at[i] = static_cast<uint8_t>(i < 6 ? 0xff : seed + i * 7 + (i >> 8));
}

std::vector<uint8_t>
bytes_of(const rte_mbuf *frame)
{
	std::vector<uint8_t> out;
	for (const rte_mbuf *part = frame; part != nullptr; part = part->next) {
		const auto *data = rte_pktmbuf_mtod(part, const uint8_t *);
		out.insert(out.end(), data, data + part->data_len);
	}
	return out;
}

bool
is_frame(const std::vector<uint8_t> &got, uint32_t length, uint8_t seed)
{
	std::vector<uint8_t> want(length);
	make_frame(want.data(), length, seed);
	return got == want;
}

/** Posts a good frame, so that a case can show that the ring goes on. */
uint16_t
post_good(fake_guest &guest, uint32_t length = 64, uint8_t seed = 1)
{
	make_frame(guest.at(buffer(200)), length, seed);
	return guest.post_data(buffer(200), length);
}

/** Whether exactly one good frame comes, all mbufs return, and the statistic has grown to n. */
bool
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

rte_mbuf *
make_mbuf(fake_port &port, uint32_t length, uint8_t seed)
{
	std::vector<uint8_t> data(length);
	make_frame(data.data(), length, seed);
	rte_mbuf *first = nullptr;
	for (uint32_t done = 0; done < length || first == nullptr;) {
		rte_mbuf *part = rte_pktmbuf_alloc(port.pool());
		const uint32_t piece =
			std::min<uint32_t>(length - done, rte_pktmbuf_tailroom(part));
		std::copy_n(data.data() + done, piece,
			    rte_pktmbuf_append(part, static_cast<uint16_t>(piece)));
		done += piece;
		if (first == nullptr)
			first = part;
		else
			rte_pktmbuf_chain(first, part);
	}
	return first;
}

/** EAL has bound this thread to one processor; the threads of a race shall have all of them. */
std::thread
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

/* ---------------------------------------------------------------- hostile: arguments and rings */

outcome
bad_arguments_are_refused()
{
	fake_guest guest;
	for (const char *args :
	     {"", "emu=nobody", "emu=fake,mac=1", "emu=fake,mac=ff:ff:ff:ff:ff:ff",
	      "emu=fake,colour=red", "mac=02:00:00:00:00:01"})
		CHECK(rte_vdev_init("net_iavf_be_x", args) != 0, "accepted: %s", args);
	CHECK_EQ(rte_eth_dev_count_avail(), 0);
	CHECK_EQ(rte_vdev_init("net_iavf_be_x", "emu=fake,mac=02:00:00:00:00:01"), 0);
	CHECK(rte_vdev_init("net_iavf_be_y", "emu=fake") != 0);
	uint16_t id;
	CHECK_EQ(rte_eth_dev_get_port_by_name("net_iavf_be_x", &id), 0);
	rte_ether_addr mac;
	rte_eth_macaddr_get(id, &mac);
	CHECK(mac.addr_bytes[0] == 2 && mac.addr_bytes[5] == 1);
	CHECK_EQ(rte_vdev_uninit("net_iavf_be_x"), 0);
	return success;
}

outcome
bad_rings_are_not_served()
{
	fake_guest guest;
	fake_port port(guest);
	CHECK(port.ok());
	struct {
		const char *what;
		uint64_t iova;
		uint16_t size, desc_size;
	} const rows[] = {
		{"not mapped", fake_memory::hole, 64, 16},
		{"without a file", fake_memory::no_file, 64, 16},
		{"read only", fake_memory::read_only, 64, 16},
		{"across two regions", fake_memory::second - 512, 64, 16},
		{"past the end", fake_memory::second + fake_memory::size - 512, 64, 16},
		{"wrapping", 0 - uint64_t{512}, 64, 16},
		{"unaligned", fake_memory::base + 3, 64, 16},
		{"of length 0", fake_memory::base, 0, 16},
		{"of length 1", fake_memory::base, 1, 16},
		{"of length 65535", fake_memory::base, 65535, 16},
		{"of other descriptors", fake_memory::base, 64, 32},
	};
	for (const auto &row : rows) {
		auto &ring = guest.tx();
		ring.info = {1, row.size, row.desc_size, 1, 0, row.iova, 2048, 9728};
		ring.tail = 1;
		guest.notify(RTE_EMUDEV_EVENT_QUEUE, 0, from);
		CHECK(port.drain() == 0, "a ring %s gave a frame", row.what);
		guest.rx().info = {1,    row.size, static_cast<uint16_t>(row.desc_size * 2),
				   1,    0,        row.iova,
				   2048, 9728};
		guest.rx().tail = 1;
		guest.notify(RTE_EMUDEV_EVENT_QUEUE, 0, to);
		rte_mbuf *frame = rte_pktmbuf_alloc(port.pool());
		rte_pktmbuf_append(frame, 64);
		const uint16_t sent = rte_eth_tx_burst(port.id(), 0, &frame, 1);
		CHECK(sent == 0, "a ring %s took a frame", row.what);
		rte_pktmbuf_free(frame);
	}
	guest.doorbells = false;
	guest.enable(from);
	CHECK_EQ(port.drain(), 0);
	guest.doorbells = true;
	guest.enable(from);
	post_good(guest);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 1);
	return success;
}

outcome
bad_receive_buffers_sizes_are_not_served()
{
	fake_guest guest;
	fake_port port(guest);
	for (const uint32_t size : {0u, 1u, 63u, 16384u, 0xffffffffu}) {
		guest.enable(to, 0, 64, size);
		guest.post_rx(buffer(0));
		guest.ring_rx();
		rte_mbuf *frame = rte_pktmbuf_alloc(port.pool());
		rte_pktmbuf_append(frame, 64);
		CHECK_EQ(rte_eth_tx_burst(port.id(), 0, &frame, 1), 0);
		rte_pktmbuf_free(frame);
	}
	return success;
}

outcome
ring_is_served_once_mapped()
{
	fake_guest guest;
	guest.map({});
	fake_port port(guest);
	guest.enable(from);
	post_good(guest);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 0);
	guest.map_all();
	guest.notify(RTE_EMUDEV_EVENT_MEMORY);
	CHECK_EQ(port.drain(), 1);
	guest.notify(RTE_EMUDEV_EVENT_LOCK);
	guest.map({});
	guest.notify(RTE_EMUDEV_EVENT_UNLOCK);
	post_good(guest);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 0);
	guest.map_all();
	guest.notify(RTE_EMUDEV_EVENT_MEMORY);
	CHECK_EQ(port.drain(), 1);
	return success;
}

outcome
bad_tail_takes_nothing()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	guest.enable(to);
	post_good(guest);
	for (const uint32_t tail : {64u, 65u, 0x10000u, 0x10001u, 0xffffffffu}) {
		guest.store_tail(guest.tx(), tail);
		CHECK_EQ(port.drain(), 0);
		CHECK_EQ(port.drain(), 0);
		guest.store_tail(guest.rx(), tail);
		rte_mbuf *frame = rte_pktmbuf_alloc(port.pool());
		rte_pktmbuf_append(frame, 64);
		CHECK_EQ(rte_eth_tx_burst(port.id(), 0, &frame, 1), 0);
		rte_pktmbuf_free(frame);
	}
	CHECK_EQ(port.xstat("rx_bad_tail_errors"), 5);
	CHECK_EQ(port.xstat("tx_bad_tail_errors"), 5);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 1);
	return success;
}

outcome
tail_moved_backwards_goes_on()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	for (int i = 0; i < 5; i++)
		post_good(guest);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 5);
	/* All but two descriptors seem to be new: those are done or zero, and hold no frame. */
	guest.store_tail(guest.tx(), 3);
	CHECK_EQ(port.drain(), 0);
	CHECK(port.xstat("rx_bad_descriptor_errors") + port.xstat("rx_bad_chain_errors") > 0);
	guest.tx().next = 3;
	post_good(guest);
	post_good(guest);
	guest.ring_tx();
	/* The first ends the malformed frame. */
	CHECK_EQ(port.drain(), 1);
	return success;
}

/* ---------------------------------------------------------------- hostile: frames of the guest */

outcome
bad_lengths_are_dropped()
{
	fake_guest guest;
	fake_port port(guest, {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER});
	guest.enable(from);
	uint64_t drops = 0;
	for (const uint32_t length : {0u, 1u, 13u}) {
		const uint16_t bad = guest.post_data(buffer(0), length);
		post_good(guest);
		guest.ring_tx();
		CHECK(only_good_comes(port, "rx_short_errors", ++drops));
		CHECK(guest.tx_done(bad));
	}
	/* An empty buffer in the middle. */
	guest.post_data(buffer(0), 60, false);
	guest.post_data(buffer(1), 0, false);
	const uint16_t last = guest.post_data(buffer(2), 60);
	post_good(guest);
	guest.ring_tx();
	CHECK(only_good_comes(port, "rx_short_errors", ++drops));
	CHECK(guest.tx_done(last));
	drops = 0;
	for (const uint32_t length : {1523u, 9728u, 16383u}) {
		guest.post_data(buffer(0), length);
		post_good(guest);
		guest.ring_tx();
		CHECK(only_good_comes(port, "rx_oversize_errors", ++drops));
	}
	const auto stats = port.stats();
	CHECK_EQ(stats.ierrors, 7);
	CHECK_EQ(stats.ipackets, 7);
	return success;
}

outcome
bad_addresses_are_dropped()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	uint64_t drops = 0;
	for (const uint64_t iova :
	     {fake_memory::hole, fake_memory::no_file, fake_memory::second + fake_memory::size - 32,
	      0 - uint64_t{32}, uint64_t{4096 - 32}, ~uint64_t{0}, fake_memory::base - 32}) {
		const uint16_t bad = guest.post_data(iova, 64);
		post_good(guest);
		guest.ring_tx();
		CHECK(only_good_comes(port, "rx_unmapped_errors", ++drops), "iova 0x%llx",
		      static_cast<unsigned long long>(iova));
		CHECK(guest.tx_done(bad));
	}
	/* The second of two buffers. */
	guest.post_data(buffer(0), 64, false);
	guest.post_data(fake_memory::hole, 64);
	post_good(guest);
	guest.ring_tx();
	CHECK(only_good_comes(port, "rx_unmapped_errors", ++drops));
	/* Reading is allowed in a region that is read only. */
	make_frame(guest.at(fake_memory::read_only), 64, 9);
	guest.post_data(fake_memory::read_only, 64);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 1);
	return success;
}

outcome
bad_chains_are_dropped()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	/* No end in sight: it waits, and is taken when it is there. */
	make_frame(guest.at(buffer(0)), 64, 3);
	guest.post_data(buffer(0), 32, false);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 0);
	guest.post_data(buffer(0) + 32, 32);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 1);
	/* 17 buffers are one too many, in one go or in two. */
	for (const int first : {17, 5}) {
		for (int i = 0; i < 17; i++) {
			guest.post_data(buffer(0), 32, i == 16);
			if (i + 1 == first)
				guest.ring_tx();
		}
		CHECK_EQ(port.drain(), 0);
		post_good(guest);
		guest.ring_tx();
		CHECK(only_good_comes(port, "rx_bad_chain_errors", first == 17 ? 1 : 2));
	}
	/* A whole ring without an end. */
	guest.enable(from, 0, 8);
	for (int i = 0; i < 7; i++)
		guest.post_data(buffer(0), 32, false, txd::rs::mask);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 0);
	CHECK_EQ(port.xstat("rx_bad_chain_errors"), 3);
	CHECK(guest.tx_done(6));
	guest.post_data(buffer(0), 32);
	post_good(guest);
	guest.ring_tx();
	CHECK(only_good_comes(port, "rx_bad_chain_errors", 3));
	return success;
}

outcome
bad_descriptor_types_are_dropped()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	uint64_t drops = 0;
	for (uint64_t type = 2; type < 16; type++) {
		guest.post(~uint64_t{0}, ~txd::dtype::mask | type);
		guest.post_data(buffer(0), 64);
		post_good(guest);
		guest.ring_tx();
		CHECK(only_good_comes(port, "rx_bad_descriptor_errors", ++drops));
	}
	/* Context descriptors: twice, and after data. */
	guest.post(0, 1);
	guest.post(0, 1);
	guest.post_data(buffer(0), 64);
	post_good(guest);
	guest.ring_tx();
	CHECK(only_good_comes(port, "rx_bad_chain_errors", 1));
	guest.post_data(buffer(0), 64, false);
	guest.post(0, 1);
	guest.post_data(buffer(0), 64);
	post_good(guest);
	guest.ring_tx();
	CHECK(only_good_comes(port, "rx_bad_chain_errors", 2));
	/* Once and empty, it asks for nothing. */
	guest.post(0, 1);
	post_good(guest);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 1);
	return success;
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
		memset(ip, 0, l3() + l4());
		const auto size = static_cast<uint16_t>(l4() + payload);
		if (v6) {
			auto *h = reinterpret_cast<rte_ipv6_hdr *>(ip);
			h->vtc_flow = rte_cpu_to_be_32(6u << 28);
			h->payload_len = tso ? 0 : rte_cpu_to_be_16(size);
			h->proto = udp ? 17 : 6;
			h->src_addr[0] = 0xfe;
			h->dst_addr[15] = 9;
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

uint64_t
context(uint32_t tso_length, uint32_t mss)
{
	return 1 | txc::tso::mask | txc::tso_length::of(tso_length) | txc::mss::of(mss);
}

outcome
bad_offload_requests_are_dropped()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	const packet tcp{.payload = 400};
	const packet ipv6{.v6 = true, .payload = 400};
	const uint64_t good = tcp.command();
	uint64_t drops = 0;
	const auto replaced = [good]<class field>(field, uint64_t value) {
		return field::set(good, value);
	};
	const uint64_t commands[] = {
		txd::il2tag1::mask,
		txd::dummy::mask,
		txd::fcoet::mask,
		txd::l4t::of(1),
		replaced(txd::maclen{}, 0),
		replaced(txd::maclen{}, 127),
		replaced(txd::maclen{}, 8),
		replaced(txd::iplen{}, 0),
		replaced(txd::iplen{}, 6),
		replaced(txd::iplen{}, 127),
		replaced(txd::l4len{}, 0),
		replaced(txd::l4t{}, 2),
		replaced(txd::l4t{}, 3),
		replaced(txd::iipt{}, 1),
		ipv6.command(),
	};
	for (const uint64_t command : commands) {
		tcp.write(guest.at(buffer(0)));
		const uint16_t bad = guest.post_data(buffer(0), tcp.length(), true, command);
		post_good(guest);
		guest.ring_tx();
		CHECK(only_good_comes(port, "rx_bad_offload_errors", ++drops), "command 0x%llx",
		      static_cast<unsigned long long>(command));
		CHECK(guest.tx_done(bad));
	}
	const uint32_t all = tcp.payload;
	struct {
		uint64_t qword0, context, command;
	} const requests[] = {
		{0, context(all, 0), good},
		{0, context(all, 63), good},
		{0, context(0, 100), good},
		{0, context(all - 1, 100), good},
		{0, context(all + 1, 100), good},
		{0, context(0x3ffff, 100), good},
		{0, context(all, 100), 0},
		{0, context(all, 100), replaced(txd::l4len{}, 15)},
		{0, context(all - 40, 100), replaced(txd::l4len{}, 15)},
		{0, context(all, 100), replaced(txd::l4t{}, 3)},
		{1, context(all, 100), good},
		{0, context(all, 100) | txc::il2tag2::mask, good},
		{0, txc::il2tag2::mask | 1, 0},
	};
	for (const auto &r : requests) {
		tcp.write(guest.at(buffer(0)), true);
		guest.post(r.qword0, r.context);
		const uint16_t bad = guest.post_data(buffer(0), tcp.length(), true, r.command);
		post_good(guest);
		guest.ring_tx();
		CHECK(only_good_comes(port, "rx_bad_offload_errors", ++drops), "context 0x%llx",
		      static_cast<unsigned long long>(r.context));
		CHECK(guest.tx_done(bad));
	}
	/* Segments that are longer than the port's MTU allows. */
	tcp.write(guest.at(buffer(0)), true);
	const packet large{.payload = 4000};
	large.write(guest.at(buffer(0)), true);
	guest.post(0, context(4000, 3000));
	guest.post_data(buffer(0), large.length(), true, large.command());
	post_good(guest);
	guest.ring_tx();
	CHECK(only_good_comes(port, "rx_oversize_errors", 1));
	return success;
}

outcome
payload_of_tso_may_vanish()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	const packet tcp{.payload = 3000};
	tcp.write(guest.at(buffer(0)), true);
	guest.post(0, context(3000, 1000));
	guest.post_data(buffer(0), 2500, false, tcp.command());
	const uint16_t last =
		guest.post_data(fake_memory::hole, tcp.length() - 2500, true, tcp.command());
	post_good(guest);
	guest.ring_tx();
	/* Two segments are whole, the third is not. */
	CHECK_EQ(port.drain(), 3);
	CHECK_EQ(port.xstat("rx_unmapped_errors"), 1);
	CHECK(guest.tx_done(last));
	CHECK(port.complete());
	return success;
}

/** A guest that writes anything anywhere while it is polled. */
outcome
random_guest_does_no_harm()
{
	fake_guest guest;
	fake_port port(guest, {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .mtu = 9000});
	guest.enable(from);
	guest.enable(to);
	std::atomic<bool> stop{false};
	std::thread driver = start_thread([&] {
		std::mt19937_64 random(1);
		while (!stop.load(std::memory_order_relaxed)) {
			const uint64_t word = random();
			auto &one = guest.tx_at(word % 64);
			/* Plausible enough to come far. */
			const uint64_t iova = fake_memory::base + (word >> 20) % (9 << 20);
			const uint64_t type = (word >> 8) % 16 == 0 ? word % 16 : word % 2;
			__atomic_store_n(&one.qword0, iova, __ATOMIC_RELAXED);
			__atomic_store_n(&one.qword1, (random() & ~txd::dtype::mask) | type,
					 __ATOMIC_RELAXED);
			__atomic_store_n(&guest.rx_at(word % 64).qword0, iova, __ATOMIC_RELAXED);
			guest.store_tail(guest.tx(), static_cast<uint32_t>(random() % 65));
			guest.store_tail(guest.rx(), static_cast<uint32_t>(random() % 65));
		}
	});
	const race_time race;
	rte_eth_stats stats{};
	for (unsigned int i = 0; !race.over(stats.ierrors > 0 && stats.oerrors > 0); i++) {
		auto frames = port.receive();
		frames.push_back(make_mbuf(port, 3000, 1));
		const auto n = static_cast<uint16_t>(frames.size());
		const uint16_t sent = rte_eth_tx_burst(port.id(), 0, frames.data(), n);
		rte_pktmbuf_free_bulk(frames.data() + sent, n - sent);
		if (i % 100 == 0) {
			guest.notify(RTE_EMUDEV_EVENT_LOCK);
			guest.notify(RTE_EMUDEV_EVENT_UNLOCK);
			stats = port.stats();
		}
	}
	stop = true;
	driver.join();
	CHECK(port.complete());
	CHECK(stats.ierrors > 0 && stats.oerrors > 0, "%lu in, %lu bad, %lu out, %lu bad",
	      stats.ipackets, stats.ierrors, stats.opackets, stats.oerrors);
	return success;
}

/* ---------------------------------------------------------------- hostile: buffers of the guest */

uint16_t
send_one(fake_port &port, uint32_t length, uint8_t seed, uint16_t queue = 0)
{
	rte_mbuf *frame = make_mbuf(port, length, seed);
	const uint16_t sent = rte_eth_tx_burst(port.id(), queue, &frame, 1);
	if (sent == 0)
		rte_pktmbuf_free(frame);
	return sent;
}

outcome
bad_receive_buffers_are_errors()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(to);
	uint64_t drops = 0;
	for (const uint64_t iova : {fake_memory::hole, fake_memory::no_file, fake_memory::read_only,
				    0 - uint64_t{32}, uint64_t{4096 - 32}}) {
		const uint16_t bad = guest.post_rx(iova);
		const uint16_t next = guest.post_rx(buffer(1));
		guest.ring_rx();
		CHECK_EQ(send_one(port, 100, 1), 1);
		CHECK_EQ(send_one(port, 100, 2), 1);
		CHECK_EQ(port.xstat("tx_unmapped_errors"), ++drops);
		/* The driver goes past it, and drops it. */
		CHECK(rxd::dd::is_set(guest.rx_status(bad)) &&
		      rxd::eof::is_set(guest.rx_status(bad)));
		CHECK(rxd::rxe::is_set(guest.rx_status(bad)));
		CHECK(!rxd::rxe::is_set(guest.rx_status(next)));
		CHECK_EQ(rxd::length::get(guest.rx_status(next)), 100);
	}
	/* The second of two. */
	const uint16_t first = guest.post_rx(buffer(0));
	const uint16_t second = guest.post_rx(fake_memory::hole);
	guest.ring_rx();
	CHECK_EQ(send_one(port, 3000, 1), 0 + 1);
	CHECK_EQ(port.xstat("tx_oversize_errors"), 0);
	CHECK(!rxd::eof::is_set(guest.rx_status(first)));
	CHECK(rxd::rxe::is_set(guest.rx_status(second)));
	CHECK(port.complete());
	CHECK_EQ(port.stats().oerrors, drops + 1);
	return success;
}

outcome
frames_the_guest_cannot_take_are_dropped()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(to, 0, 64, 1024);
	for (int i = 0; i < 32; i++)
		guest.post_rx(buffer(i));
	guest.ring_rx();
	CHECK_EQ(send_one(port, 0, 1), 1);
	CHECK_EQ(send_one(port, 13, 1), 1);
	CHECK_EQ(port.xstat("tx_short_errors"), 2);
	/* Five buffers at most. */
	CHECK_EQ(send_one(port, 5 * 1024 + 1, 1), 1);
	CHECK_EQ(port.xstat("tx_oversize_errors"), 1);
	CHECK_EQ(send_one(port, 5 * 1024, 1), 1);
	CHECK_EQ(guest.rx_status(5), 0);
	guest.rx().info.max_frame = 1522;
	guest.notify(RTE_EMUDEV_EVENT_IRQ);
	CHECK_EQ(send_one(port, 1523, 1), 1);
	CHECK_EQ(port.xstat("tx_oversize_errors"), 2);
	CHECK_EQ(send_one(port, 1522, 1), 1);
	CHECK_EQ(port.stats().opackets, 2);
	CHECK(port.complete());
	return success;
}

outcome
no_buffers_means_wait()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(to, 0, 64, 1024);
	guest.post_rx(buffer(0));
	guest.post_rx(buffer(1));
	guest.ring_rx();
	CHECK_EQ(send_one(port, 2049, 1), 0);
	CHECK_EQ(guest.rx_status(0), 0);
	CHECK_EQ(send_one(port, 2048, 1), 1);
	CHECK_EQ(send_one(port, 64, 1), 0);
	CHECK_EQ(send_one(port, 64, 1, 0), 0);
	CHECK(port.complete());
	return success;
}

/* ---------------------------------------------------------------- control plane */

outcome
locked_memory_is_not_touched()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	guest.enable(to);
	std::atomic<bool> stop{false};
	std::atomic<uint64_t> taken{0};
	std::thread data = start_thread([&] {
		rte_mbuf *frames[32];
		while (!stop.load(std::memory_order_relaxed)) {
			const uint16_t n = rte_eth_rx_burst(port.id(), 0, frames, 32);
			const uint16_t sent = rte_eth_tx_burst(port.id(), 0, frames, n);
			rte_pktmbuf_free_bulk(frames + sent, n - sent);
			taken.fetch_add(n, std::memory_order_relaxed);
		}
	});
	make_frame(guest.at(buffer(0)), 64, 1);
	const race_time race;
	for (unsigned int i = 0; !race.over(taken.load() > 0); i++) {
		for (int j = 0; j < 8; j++)
			guest.post_data(buffer(0), 64);
		guest.ring_tx();
		guest.store_tail(guest.rx(), i % 64);
		std::this_thread::yield();
		guest.notify(RTE_EMUDEV_EVENT_LOCK);
		/* Whoever reads or writes now dies. */
		guest.protect(PROT_NONE);
		std::this_thread::yield();
		guest.protect(PROT_READ | PROT_WRITE);
		if (i % 3 == 0)
			guest.map_all();
		guest.notify(RTE_EMUDEV_EVENT_UNLOCK);
		if (i % 5 == 0) {
			guest.map_all();
			guest.notify(RTE_EMUDEV_EVENT_MEMORY);
		}
	}
	stop = true;
	data.join();
	CHECK(taken.load() > 0);
	CHECK(port.complete());
	return success;
}

outcome
disabled_queue_is_left_alone()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	for (int i = 0; i < 3; i++)
		post_good(guest);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 3);
	guest.disable(from);
	guest.protect(PROT_NONE);
	CHECK_EQ(port.drain(), 0);
	guest.protect(PROT_READ | PROT_WRITE);
	/* Enabled anew, with another size, it starts at descriptor 0. */
	guest.enable(from, 0, 32);
	post_good(guest);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 1);
	/* A request that was under way is forgotten. */
	const packet tcp{.payload = 3000};
	tcp.write(guest.at(buffer(0)), true);
	guest.post(0, context(3000, 100));
	guest.post_data(buffer(0), tcp.length(), true, tcp.command());
	guest.ring_tx();
	auto some = port.receive(0, 3);
	CHECK_EQ(some.size(), 3);
	rte_pktmbuf_free_bulk(some.data(), 3);
	guest.disable(from);
	guest.enable(from);
	post_good(guest);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 1);
	CHECK(port.complete());
	return success;
}

outcome
port_and_guest_start_in_any_order()
{
	fake_guest guest;
	guest.enable(from);
	guest.enable(to);
	{
		fake_port port(guest);
		CHECK_EQ(guest.started, 1);
		rte_eth_link link;
		rte_eth_link_get_nowait(port.id(), &link);
		CHECK_EQ(link.link_status, RTE_ETH_LINK_UP);
		CHECK_EQ(link.link_speed, 25000);
		post_good(guest);
		guest.ring_tx();
		CHECK_EQ(port.drain(), 1);
		/* The ring goes on where it was after the host's port has been down. */
		CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
		rte_eth_link_get_nowait(port.id(), &link);
		CHECK_EQ(link.link_status, RTE_ETH_LINK_DOWN);
		post_good(guest, 70, 7);
		guest.ring_tx();
		CHECK_EQ(rte_eth_dev_start(port.id()), 0);
		auto frames = port.receive();
		CHECK_EQ(frames.size(), 1);
		CHECK(is_frame(bytes_of(frames[0]), 70, 7));
		rte_pktmbuf_free(frames[0]);
		guest.disable(from);
		guest.disable(to);
		rte_eth_link_get_nowait(port.id(), &link);
		CHECK_EQ(link.link_status, RTE_ETH_LINK_DOWN);
		/* Reconfiguration between. */
		CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
		CHECK(port.setup());
		CHECK_EQ(rte_eth_dev_start(port.id()), 0);
		guest.enable(from);
		post_good(guest);
		guest.ring_tx();
		CHECK_EQ(port.drain(), 1);
		guest.connect(false);
		rte_eth_link_get_nowait(port.id(), &link);
		CHECK_EQ(link.link_status, RTE_ETH_LINK_DOWN);
		CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
		CHECK_EQ(rte_eth_dev_reset(port.id()), 0);
		CHECK(port.setup());
		CHECK_EQ(rte_eth_dev_start(port.id()), 0);
	}
	CHECK_EQ(guest.started, guest.stopped);
	CHECK_EQ(guest.closed, 1);
	return success;
}

int
count_event(uint16_t, rte_eth_event_type, void *arg, void *)
{
	(*static_cast<int *>(arg))++;
	return 0;
}

outcome
link_changes_are_told()
{
	fake_guest guest;
	fake_port port(guest, {.lsc = true});
	int changes = 0, removals = 0;
	rte_eth_dev_callback_register(port.id(), RTE_ETH_EVENT_INTR_LSC, count_event, &changes);
	rte_eth_dev_callback_register(port.id(), RTE_ETH_EVENT_INTR_RMV, count_event, &removals);
	guest.enable(from);
	guest.enable(to);
	CHECK_EQ(changes, 1);
	guest.notify(RTE_EMUDEV_EVENT_LOCK);
	guest.notify(RTE_EMUDEV_EVENT_UNLOCK);
	CHECK_EQ(changes, 1);
	guest.connect(false);
	CHECK_EQ(changes, 2);
	guest.connect();
	CHECK_EQ(changes, 3);
	/* The device goes away under the port. */
	post_good(guest);
	guest.ring_tx();
	guest.remove();
	CHECK_EQ(changes, 4);
	CHECK_EQ(removals, 1);
	CHECK_EQ(port.drain(), 0);
	CHECK_EQ(rte_eth_dev_is_removed(port.id()), 1);
	rte_eth_dev_callback_unregister(port.id(), RTE_ETH_EVENT_INTR_LSC, count_event, &changes);
	rte_eth_dev_callback_unregister(port.id(), RTE_ETH_EVENT_INTR_RMV, count_event, &removals);
	return success;
}

outcome
mbufs_must_fit_the_mtu()
{
	fake_guest guest;
	fake_port small(guest, {.room = 1024});
	CHECK(!small.ok());
	return success;
}

outcome
mtu_limits_frames()
{
	fake_guest guest;
	fake_port port(guest);
	CHECK(port.ok());
	CHECK_EQ(guest.conf.mtu, 1500);
	guest.enable(from);
	CHECK(rte_eth_dev_set_mtu(port.id(), 9707) != 0);
	CHECK(rte_eth_dev_set_mtu(port.id(), 2048 - 21) != 0);
	CHECK_EQ(rte_eth_dev_set_mtu(port.id(), 2048 - 22), 0);
	CHECK_EQ(guest.mtu, 2026);
	post_good(guest, 2048);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 1);
	CHECK_EQ(rte_eth_dev_set_mtu(port.id(), 68), 0);
	guest.post_data(buffer(0), 91);
	post_good(guest, 90);
	guest.ring_tx();
	CHECK(only_good_comes(port, "rx_oversize_errors", 1));
	return success;
}

outcome
interrupts_follow_completions()
{
	fake_guest guest;
	fake_port port(guest);
	guest.enable(from);
	guest.enable(to);
	/* Without an event an enabled vector stays quiet. */
	guest.control[1] = 1;
	port.drain();
	CHECK_EQ(guest.asked, 0);
	/* One write for a burst. */
	for (int i = 0; i < 10; i++)
		post_good(guest);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 10);
	CHECK_EQ(guest.fired[1], 1);
	/* An event that meets a disabled vector is kept for an empty burst. */
	post_good(guest);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 1);
	CHECK_EQ(guest.fired[1], 1);
	guest.control[1] = 1;
	CHECK_EQ(port.drain(), 0);
	CHECK_EQ(guest.fired[1], 2);
	guest.control[1] = 1;
	CHECK_EQ(port.drain(), 0);
	CHECK_EQ(guest.fired[1], 2);
	/* A frame without RS is no event. */
	guest.post_data(buffer(0), 64, true);
	guest.tx_at(static_cast<uint16_t>(guest.tx().next - 1)).qword1 &= ~txd::rs::mask;
	guest.ring_tx();
	CHECK_EQ(port.drain(), 1);
	CHECK_EQ(guest.fired[1], 2);
	/* A forced one needs no event. */
	guest.control[1] = 2;
	port.drain();
	CHECK_EQ(guest.fired[1], 3);
	guest.control[1] = 1;
	guest.post_rx(buffer(0));
	guest.ring_rx();
	CHECK_EQ(send_one(port, 64, 1), 1);
	CHECK_EQ(guest.fired[1], 4);
	/* A queue without a vector is served all the same. */
	guest.tx().info.vector = 77;
	guest.notify(RTE_EMUDEV_EVENT_IRQ);
	post_good(guest);
	guest.ring_tx();
	CHECK_EQ(port.drain(), 1);
	return success;
}

outcome
few_queues_serve_all_rings()
{
	fake_guest guest;
	fake_port port(guest, {.rx_queues = 1, .tx_queues = 4});
	CHECK_EQ(guest.conf.queue_pairs, 4);
	for (uint16_t q = 0; q < 4; q++) {
		guest.enable(from, q);
		for (int i = 0; i < 5; i++)
			guest.post_data(buffer(q), 64, true, 0, q);
		guest.ring_tx(q);
	}
	size_t all = 0;
	for (int i = 0; i < 4; i++) {
		auto some = port.receive(0, 8);
		rte_pktmbuf_free_bulk(some.data(), static_cast<unsigned int>(some.size()));
		all += some.size();
	}
	CHECK_EQ(all, 20);
	for (uint16_t q = 0; q < 4; q++)
		CHECK(guest.tx_done(4, q));
	CHECK_EQ(port.stats().q_ipackets[0], 20);
	CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
	CHECK(port.complete());
	return success;
}

outcome
the_rings_there_are_take_what_all_queues_send()
{
	constexpr int each = 20;
	fake_guest guest;
	fake_port port(guest, {.rx_queues = 4, .tx_queues = 4});
	int sent[2] = {0, 0};

	CHECK_EQ(send_one(port, 64, 1, 3), 0);
	CHECK_EQ(port.xstat("tx_no_queue_packets"), 1);
	guest.enable(to, 0);
	for (unsigned int i = 0; i < 2 * each; i++)
		guest.post_rx(buffer(i));
	guest.ring_rx();
	/* Two threads meet at the one ring: one on its own queue, one on a queue without a ring. */
	auto send_all = [&](uint16_t queue, int &count) {
		while (count < each)
			count += send_one(port, 64, static_cast<uint8_t>(queue), queue);
	};
	std::thread other = start_thread([&] { send_all(3, sent[1]); });
	send_all(0, sent[0]);
	other.join();
	for (uint16_t i = 0; i < 2 * each; i++)
		CHECK(iavf::rxd::dd::is_set(guest.rx_status(i)), "buffer %u", i);
	CHECK_EQ(port.stats().opackets, 2 * each);
	/* A ring of its own takes over at once. */
	guest.enable(to, 3);
	guest.post_rx(buffer(100), 3);
	guest.ring_rx(3);
	CHECK_EQ(send_one(port, 64, 1, 3), 1);
	CHECK(iavf::rxd::dd::is_set(guest.rx_status(0, 3)));
	CHECK_EQ(rte_eth_dev_stop(port.id()), 0);
	CHECK(port.complete());
	return success;
}

/* ---------------------------------------------------------------- traffic */

outcome
out_of_mbufs_loses_nothing()
{
	fake_guest guest;
	fake_port port(guest, {.mbufs = 15});
	guest.enable(from);
	for (unsigned int i = 0; i < 40; i++) {
		make_frame(guest.at(buffer(i)), 60 + i, static_cast<uint8_t>(i));
		guest.post_data(buffer(i), 60 + i);
	}
	guest.ring_tx();
	unsigned int n = 0;
	while (n < 40) {
		auto frames = port.receive();
		CHECK(!frames.empty());
		CHECK(frames.size() <= 15);
		for (rte_mbuf *frame : frames) {
			CHECK(is_frame(bytes_of(frame), 60 + n, static_cast<uint8_t>(n)));
			n++;
		}
		/* All are out: the rest waits in the ring. */
		if (frames.size() == 15)
			CHECK_EQ(port.drain(), 0);
		rte_pktmbuf_free_bulk(frames.data(), static_cast<unsigned int>(frames.size()));
	}
	CHECK(port.stats().rx_nombuf > 0);
	CHECK_EQ(port.stats().ipackets, 40);
	return success;
}

outcome
filter_passes_what_is_ours()
{
	fake_guest guest;
	fake_port port(guest, {.promiscuous = false});
	guest.enable(from);
	const rte_ether_addr other{{2, 9, 9, 9, 9, 9}}, group{{1, 0, 0x5e, 0, 0, 1}};
	const auto send = [&](const rte_ether_addr &dst) {
		for (const bool chained : {false, true}) {
			make_frame(guest.at(buffer(0)), 64, 1);
			memcpy(guest.at(buffer(0)), &dst, sizeof(dst));
			if (chained)
				guest.post_data(buffer(0), 20, false);
			guest.post_data(buffer(0) + (chained ? 20 : 0), chained ? 44 : 64);
			guest.ring_tx();
		}
		return port.drain();
	};
	const rte_ether_addr broadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	CHECK_EQ(send(port.mac()), 2);
	CHECK_EQ(send(broadcast), 2);
	CHECK_EQ(send(other), 0);
	CHECK_EQ(send(group), 0);
	CHECK_EQ(port.xstat("rx_filtered_packets"), 4);
	rte_eth_allmulticast_enable(port.id());
	CHECK_EQ(send(group), 2);
	rte_eth_promiscuous_enable(port.id());
	CHECK_EQ(send(other), 2);
	rte_eth_promiscuous_disable(port.id());
	rte_ether_addr mine = other;
	CHECK_EQ(rte_eth_dev_default_mac_addr_set(port.id(), &mine), 0);
	CHECK_EQ(send(other), 2);
	CHECK_EQ(send(port.mac()), 0);
	CHECK_EQ(port.xstat("rx_broadcast_packets"), 2);
	CHECK_EQ(port.xstat("rx_multicast_packets"), 2);
	CHECK(port.complete());
	return success;
}

/** Random frames in random buffers, checked byte by byte. */
outcome
frames_from_guest_arrive_whole()
{
	fake_guest guest;
	fake_port port(guest, {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .mtu = 9706});
	CHECK(port.ok());
	guest.enable(from, 0, 96);
	std::mt19937 random(7);
	uint64_t bytes = 0;
	std::vector<std::pair<uint32_t, uint8_t>> sent;
	size_t arrived = 0;
	for (unsigned int round = 0; round < 1500; round++) {
		unsigned int room = 64;
		while (room > 8 && random() % 4 != 0) {
			const uint32_t length =
				random() % 3 == 0 ? 14 + random() % 9715 : 14 + random() % 200;
			const auto seed = static_cast<uint8_t>(random());
			std::vector<uint8_t> data(length);
			make_frame(data.data(), length, seed);
			/* Now and then across two regions that are not neighbours here. */
			const uint64_t place = random() % 4 == 0
						       ? fake_memory::second - random() % length
						       : buffer(random() % 512);
			uint32_t done = 0;
			for (unsigned int n = 0; done < length; n++) {
				const uint32_t piece = n == 7 || random() % 2 == 0
							       ? length - done
							       : 1 + random() % (length - done);
				/* Frames lie far enough apart, whatever came before. */
				for (uint32_t i = 0; i < piece; i++)
					*guest.at(place + done + i) = data[done + i];
				guest.post_data(place + done, piece, done + piece == length);
				done += piece;
				room--;
			}
			sent.emplace_back(length, seed);
			bytes += length;
			guest.ring_tx();
			auto frames = port.receive();
			for (rte_mbuf *frame : frames) {
				CHECK(rte_mbuf_check(frame, 1, nullptr) == 0);
				const auto got = bytes_of(frame);
				CHECK(is_frame(got, sent[arrived].first, sent[arrived].second),
				      "frame %zu of %u bytes", arrived, sent[arrived].first);
				arrived++;
				rte_pktmbuf_free(frame);
			}
		}
	}
	CHECK_EQ(arrived, sent.size());
	const auto stats = port.stats();
	CHECK_EQ(stats.ipackets, arrived);
	CHECK_EQ(stats.ibytes, bytes);
	CHECK_EQ(stats.q_ipackets[0], arrived);
	CHECK_EQ(stats.ierrors, 0);
	rte_emudev_stats seen;
	rte_emudev_stats_get(guest.dev(), &seen);
	CHECK_EQ(seen.from_guest_packets, arrived);
	CHECK_EQ(seen.from_guest_bytes, bytes);
	CHECK_EQ(seen.from_guest_broadcast, arrived);
	rte_eth_stats_reset(port.id());
	CHECK_EQ(port.stats().ipackets, 0);
	rte_emudev_stats_get(guest.dev(), &seen);
	CHECK_EQ(seen.from_guest_packets, arrived);
	CHECK(port.complete());
	return success;
}

/** A driver's receive loop: takes what is done, in order, and posts the buffers again. */
struct receiver {
	fake_guest &guest;
	uint16_t next = 0;
	std::vector<uint8_t> partial{};

	/** The next whole frame, or nothing. */
	std::vector<uint8_t> take()
	{
		for (;;) {
			const uint64_t status = guest.rx_status(next);
			if (!rxd::dd::is_set(status))
				return {};
			const uint8_t *data = guest.at(buffer(next));
			partial.insert(partial.end(), data, data + rxd::length::get(status));
			guest.post_rx(buffer(guest.rx().next));
			guest.ring_rx();
			next = next + 1 == guest.rx().info.size ? 0 : next + 1;
			if (rxd::eof::is_set(status))
				return std::exchange(partial, {});
		}
	}
};

outcome
frames_to_guest_arrive_whole()
{
	for (const bool fast_free : {false, true}) {
		fake_guest guest;
		fake_port port(guest, {.tx_offloads = fast_free ? RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE
								: RTE_ETH_TX_OFFLOAD_MULTI_SEGS});
		CHECK(port.ok());
		guest.enable(to, 0, 96, fast_free ? 2048 : 2000);
		for (unsigned int i = 0; i < 95; i++)
			guest.post_rx(buffer(i));
		guest.ring_rx();
		receiver driver{guest};
		std::mt19937 random(8);
		uint64_t bytes = 0, n = 0;
		for (unsigned int round = 0; round < 4000; round++) {
			const unsigned int burst = 1 + random() % 12;
			std::vector<rte_mbuf *> frames;
			std::vector<std::pair<uint32_t, uint8_t>> want;
			for (unsigned int i = 0; i < burst; i++) {
				const uint32_t length = fast_free           ? 14 + random() % 2030
							: random() % 3 == 0 ? 14 + random() % 9715
									    : 14 + random() % 1500;
				want.emplace_back(length, static_cast<uint8_t>(random()));
				frames.push_back(make_mbuf(port, length, want.back().second));
				bytes += length;
			}
			CHECK_EQ(rte_eth_tx_burst(port.id(), 0, frames.data(),
						  static_cast<uint16_t>(burst)),
				 burst);
			for (const auto &[length, seed] : want) {
				CHECK(is_frame(driver.take(), length, seed), "frame of %u bytes",
				      length);
				n++;
			}
			CHECK(driver.take().empty());
		}
		const auto stats = port.stats();
		CHECK_EQ(stats.opackets, n);
		CHECK_EQ(stats.obytes, bytes);
		CHECK_EQ(stats.oerrors, 0);
		rte_emudev_stats seen;
		rte_emudev_stats_get(guest.dev(), &seen);
		CHECK_EQ(seen.to_guest_packets, n);
		CHECK_EQ(seen.to_guest_bytes, bytes);
		CHECK(port.complete());
	}
	return success;
}

outcome
checksums_are_inserted()
{
	fake_guest guest;
	fake_port port(guest, {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .mtu = 9000});
	guest.enable(from);
	for (const bool v6 : {false, true})
		for (const bool udp : {false, true})
			for (const uint32_t payload : {0u, 1u, 7u, 1400u, 1401u, 5001u}) {
				const packet p{v6, udp, payload};
				p.write(guest.at(buffer(0)));
				const uint64_t command =
					v6 ? p.command() : txd::iipt::set(p.command(), 3);
				guest.post_data(buffer(0), 100 > p.length() ? p.length() : 100,
						p.length() <= 100, command);
				if (p.length() > 100)
					guest.post_data(buffer(0) + 100, p.length() - 100, true,
							command);
				guest.ring_tx();
				auto frames = port.receive();
				CHECK_EQ(frames.size(), 1);
				CHECK(p.verify(bytes_of(frames[0]), !v6), "v6 %d udp %d payload %u",
				      v6, udp, payload);
				rte_pktmbuf_free(frames[0]);
			}
	return success;
}

/** CRC32c bit by bit, as RFC 9260 has it. */
uint32_t
crc32c(const uint8_t *data, size_t length)
{
	uint32_t crc = ~0u;
	for (size_t i = 0; i < length; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

outcome
sctp_checksum_is_inserted()
{
	fake_guest guest;
	fake_port port(guest, {.rx_offloads = RTE_ETH_RX_OFFLOAD_SCATTER, .mtu = 9000});
	guest.enable(from);
	for (const uint32_t payload : {0u, 5u, 1000u, 6001u}) {
		packet p{.payload = payload};
		const uint32_t l4 = RTE_ETHER_HDR_LEN + p.l3(), length = l4 + 12 + payload;
		uint8_t *data = guest.at(buffer(0));
		p.write(data);
		data[RTE_ETHER_HDR_LEN + offsetof(rte_ipv4_hdr, next_proto_id)] = 132;
		memset(data + l4 + 8, 0x5a, 4);
		guest.post_data(buffer(0), length, true,
				txd::l4len::set(txd::l4t::set(p.command(), 2), 3));
		guest.ring_tx();
		auto frames = port.receive();
		CHECK_EQ(frames.size(), 1);
		auto got = bytes_of(frames[0]);
		rte_pktmbuf_free(frames[0]);
		uint32_t sum;
		memcpy(&sum, got.data() + l4 + 8, sizeof(sum));
		memset(got.data() + l4 + 8, 0, sizeof(sum));
		CHECK_EQ(rte_le_to_cpu_32(sum), crc32c(got.data() + l4, got.size() - l4));
	}
	return success;
}

outcome
tso_makes_frames()
{
	for (const bool v6 : {false, true}) {
		fake_guest guest;
		fake_port port(guest);
		guest.enable(from, 0, 128);
		const packet whole{.v6 = v6, .payload = 60000};
		const uint32_t mss = 1448;
		whole.write(guest.at(buffer(0)), true);
		guest.post(0, context(whole.payload, mss));
		guest.post_data(buffer(0), whole.headers(), false, whole.command());
		uint16_t last = 0;
		for (uint32_t done = 0; done < whole.payload;) {
			const uint32_t piece = std::min(whole.payload - done, 12000u);
			last = guest.post_data(buffer(0) + whole.headers() + done, piece,
					       done + piece == whole.payload, whole.command());
			done += piece;
		}
		guest.ring_tx();
		uint32_t sent = 0;
		for (unsigned int n = 0; sent < whole.payload;) {
			CHECK(!guest.tx_done(last));
			auto frames = port.receive(0, 7);
			CHECK(!frames.empty());
			for (rte_mbuf *frame : frames) {
				const auto got = bytes_of(frame);
				packet one = whole;
				one.payload = static_cast<uint32_t>(got.size()) - whole.headers();
				CHECK_EQ(one.payload, std::min(mss, whole.payload - sent));
				CHECK(one.verify(got, !v6), "segment %u", n);
				const auto *tcp = reinterpret_cast<const rte_tcp_hdr *>(
					got.data() + RTE_ETHER_HDR_LEN + whole.l3());
				CHECK_EQ(rte_be_to_cpu_32(tcp->sent_seq), 0xfffffff0u + sent);
				const bool end = sent + one.payload == whole.payload;
				CHECK_EQ(tcp->tcp_flags,
					 RTE_TCP_ACK_FLAG | (n == 0 ? RTE_TCP_CWR_FLAG : 0) |
						 (end ? RTE_TCP_PSH_FLAG | RTE_TCP_FIN_FLAG : 0));
				if (!v6) {
					const auto *ip = reinterpret_cast<const rte_ipv4_hdr *>(
						got.data() + RTE_ETHER_HDR_LEN);
					CHECK_EQ(rte_be_to_cpu_16(ip->packet_id),
						 (0xfffe + n) & 0xffff);
				}
				CHECK(std::equal(got.begin() + whole.headers(), got.end(),
						 guest.at(buffer(0)) + whole.headers() + sent));
				sent += one.payload;
				n++;
				rte_pktmbuf_free(frame);
			}
		}
		CHECK(guest.tx_done(last));
		post_good(guest);
		guest.ring_tx();
		CHECK_EQ(port.drain(), 1);
		CHECK(port.complete());
	}
	return success;
}

constexpr test_case cases[] = {
	{"bad arguments are refused", bad_arguments_are_refused},
	{"bad rings are not served", bad_rings_are_not_served},
	{"bad receive buffer sizes are not served", bad_receive_buffers_sizes_are_not_served},
	{"a ring is served once it is mapped", ring_is_served_once_mapped},
	{"a bad tail takes nothing", bad_tail_takes_nothing},
	{"a tail moved backwards does not stop the ring", tail_moved_backwards_goes_on},
	{"frames of bad lengths are dropped", bad_lengths_are_dropped},
	{"frames at bad addresses are dropped", bad_addresses_are_dropped},
	{"bad chains are dropped", bad_chains_are_dropped},
	{"bad descriptor types are dropped", bad_descriptor_types_are_dropped},
	{"bad offload requests are dropped", bad_offload_requests_are_dropped},
	{"the payload of a TSO request may vanish", payload_of_tso_may_vanish},
	{"a random guest does no harm", random_guest_does_no_harm},
	{"bad receive buffers are completed as errors", bad_receive_buffers_are_errors},
	{"frames that the guest cannot take are dropped", frames_the_guest_cannot_take_are_dropped},
	{"without buffers frames wait", no_buffers_means_wait},
	{"locked memory is not touched", locked_memory_is_not_touched},
	{"a disabled queue is left alone", disabled_queue_is_left_alone},
	{"port and guest start in any order", port_and_guest_start_in_any_order},
	{"link changes are told", link_changes_are_told},
	{"mbufs must fit the MTU", mbufs_must_fit_the_mtu},
	{"the MTU limits frames", mtu_limits_frames},
	{"interrupts follow completions", interrupts_follow_completions},
	{"few queues serve all rings", few_queues_serve_all_rings},
	{"the rings there are take what all queues send",
	 the_rings_there_are_take_what_all_queues_send},
	{"a lack of mbufs loses nothing", out_of_mbufs_loses_nothing},
	{"the filter passes what is ours", filter_passes_what_is_ours},
	{"frames from the guest arrive whole", frames_from_guest_arrive_whole},
	{"frames to the guest arrive whole", frames_to_guest_arrive_whole},
	{"checksums are inserted", checksums_are_inserted},
	{"the checksum of SCTP is inserted", sctp_checksum_is_inserted},
	{"TSO makes frames", tso_makes_frames},
};

outcome
run_all()
{
	return run_cases("net_iavf_be", cases);
}

} // namespace

REGISTER_TEST(iavf_be_autotest, run_all)
