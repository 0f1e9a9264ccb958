/* SPDX-License-Identifier: BSD-3-Clause */
#include <numeric>
#include <optional>

#include <bus_vdev_driver.h>
#include <rte_ethdev.h>

#include <adminq.hpp>
#include <descriptors.hpp>
#include <registers.hpp>

#include "driver_messages.hpp"
#include "files.hpp"
#include "rte_vfio_user_client.h"

/*
 * Both ways: a driver at the socket of an emulated device, and an application at its port, do what
 * the input says, in any order. What must hold: each command has its reply; no queue is served but
 * in its state; frames and counters add up.
 */

namespace {

using namespace fuzz;
namespace op = iavf::vc_op;
namespace reg = iavf::reg;

constexpr uint16_t pairs = 4;
constexpr uint32_t all_queues = (1u << pairs) - 1;
constexpr uint16_t ring_size = 64;
constexpr uint32_t memory_size = 1 << 20;
constexpr uint32_t entries = 16; /* of each queue of the mailbox */
constexpr uint32_t atq_at = 0x1000, arq_at = 0x2000, body_at = 0x4000, buffers_at = 0x10000;
constexpr uint32_t tx_frames_at = 0xa0000, rx_buffers_at = 0xb0000;
constexpr char device_name[] = "emu_iavf_fuzz";

uint32_t
tx_ring_at(uint16_t queue)
{
	return 0x80000 + queue * 0x2000u;
}

uint32_t
rx_ring_at(uint16_t queue)
{
	return 0x90000 + queue * 0x2000u;
}

std::string
socket_path()
{
	return "/tmp/fuzz_driver." + std::to_string(::getpid());
}

/** What the application sends, to everyone: all alike but for its number. */
struct host_frame {
	static constexpr uint32_t length = 80, number_at = 20;

	static void write(void *at, uint32_t number)
	{
		std::memset(at, 0xff, length);
		std::memcpy(static_cast<char *>(at) + number_at, &number, sizeof(number));
	}
	static uint32_t number(const void *at)
	{
		uint32_t out;

		std::memcpy(&out, static_cast<const char *>(at) + number_at, sizeof(out));
		return out;
	}
	static bool is_whole(const void *at)
	{
		std::array<uint8_t, length> wanted;

		write(wanted.data(), number(at));
		return std::memcmp(at, wanted.data(), length) == 0;
	}
};

/** What has become of a burst of the application's. */
struct sent {
	uint16_t wanted;             /**< Frames of the burst. */
	std::vector<uint32_t> taken; /**< Their numbers, in order. */
	uint64_t counted;            /**< By the port, as given to the guest. */
};

/** The application: as many queues as the guest may have. */
class application {
public:
	application()
	{
		const std::string args = "path=" + socket_path() + ",queues=4";

		MUST(rte_vdev_init(device_name, args.c_str()) == 0);
		MUST(rte_eth_dev_get_port_by_name(device_name, &port_) == 0);
		pool_ = rte_pktmbuf_pool_create("driver", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
						SOCKET_ID_ANY);
		rte_eth_conf conf{};
		MUST(rte_eth_dev_configure(port_, pairs, pairs, &conf) == 0);
		for (uint16_t q = 0; q < pairs; q++) {
			MUST(rte_eth_rx_queue_setup(port_, q, 256, SOCKET_ID_ANY, nullptr, pool_) ==
			     0);
			MUST(rte_eth_tx_queue_setup(port_, q, 256, SOCKET_ID_ANY, nullptr) == 0);
		}
		for (size_t i = 0; i < drops_.size(); i++)
			MUST(rte_eth_xstats_get_id_by_name(port_, drop_names[i], &drops_[i]) == 0);
	}

	~application()
	{
		start(false);
		rte_vdev_uninit(device_name);
		rte_mempool_free(pool_);
	}
	application(const application &) = delete;
	application &operator=(const application &) = delete;

	bool started() const { return started_; }
	void start(bool yes)
	{
		if (yes != started_)
			MUST((yes ? rte_eth_dev_start(port_) : rte_eth_dev_stop(port_)) == 0);
		started_ = yes;
		if (yes)
			rte_eth_promiscuous_enable(port_);
	}
	/** Frames that have come, by the byte of the sender's in them. */
	std::array<uint32_t, 256> receive()
	{
		std::array<uint32_t, 256> out{};
		rte_mbuf *frames[64];

		for (uint16_t q = 0; q < pairs; q++)
			while (const uint16_t n = rte_eth_rx_burst(port_, q, frames, 64)) {
				for (uint16_t i = 0; i < n; i++)
					out[rte_pktmbuf_mtod(frames[i], const uint8_t *)[20]]++;
				rte_pktmbuf_free_bulk(frames, n);
			}
		return out;
	}
	/** What is taken is counted: as sent, or as dropped. */
	sent send(uint16_t queue, uint16_t count)
	{
		std::vector<rte_mbuf *> frames(count);
		sent out{.wanted = count, .taken = {}, .counted = 0};

		for (rte_mbuf *&frame : frames) {
			frame = rte_pktmbuf_alloc(pool_);
			MUST(frame != nullptr);
			out.taken.push_back(number_);
			host_frame::write(rte_pktmbuf_append(frame, host_frame::length), number_++);
		}
		const uint16_t n = rte_eth_tx_burst(port_, queue, frames.data(), count);
		MUST(n <= count);
		for (uint16_t i = n; i < count; i++)
			std::erase(out.taken,
				   host_frame::number(rte_pktmbuf_mtod(frames[i], const void *)));
		/* Those that are left are of this burst, each once. */
		MUST(out.taken.size() == n);
		rte_pktmbuf_free_bulk(frames.data() + n, count - n);
		const uint64_t before = std::exchange(counted_, count_sent());
		out.counted = counted_ - before;
		taken_ += n;
		MUST(counted_ + count_dropped() == taken_);
		return out;
	}
	void check()
	{
		MUST(rte_mempool_full(pool_) == 1);
		rte_eth_stats stats{};
		MUST(rte_eth_stats_get(port_, &stats) == 0 && stats.ierrors == 0);
	}

private:
	/** Of frames that have been taken all the same. */
	static constexpr std::array drop_names{
		"tx_vlan_filtered_packets", "tx_address_filtered_packets",
		"tx_flow_dropped_packets",  "tx_port_vlan_filtered_packets",
		"tx_short_errors",          "tx_oversize_errors",
		"tx_unmapped_errors",       "tx_disabled_offload_errors",
		"tx_bad_offload_errors"};

	uint64_t count_sent() const
	{
		rte_eth_stats stats{};

		MUST(rte_eth_stats_get(port_, &stats) == 0);
		MUST(stats.obytes == stats.opackets * host_frame::length);
		return stats.opackets;
	}
	uint64_t count_dropped() const
	{
		std::array<uint64_t, drop_names.size()> values;

		MUST(rte_eth_xstats_get_by_id(port_, drops_.data(), values.data(), values.size()) ==
		     static_cast<int>(values.size()));
		return std::accumulate(values.begin(), values.end(), uint64_t{0});
	}

	uint16_t port_ = 0;
	rte_mempool *pool_ = nullptr;
	bool started_ = false;
	std::array<uint64_t, drop_names.size()> drops_{}; /**< Their numbers. */
	uint32_t number_ = 0;                             /**< Of the next frame. */
	uint64_t taken_ = 0, counted_ = 0;
};

/** The guest's machine and its driver. */
class driver {
public:
	driver()
	    : fd_(files::make(memory_size)),
	      map_(guard::mapping::make(nullptr, memory_size, PROT_READ | PROT_WRITE, MAP_SHARED,
					fd_.get(), 0)
			   .value())
	{
	}

	/** @param maps Whether it asks for the registers as memory, so that they are polled. */
	void connect(bool maps = false)
	{
		rte_vfio_user_client_conf conf;
		const std::string path = socket_path();

		disconnect();
		rte_vfio_user_client_conf_init(&conf);
		conf.path = path.c_str();
		conf.flags = maps ? RTE_VFIO_USER_CLIENT_MAPPED_BARS : 0;
		conf.wait_ms = 5000;
		conf.timeout_ms = 60000; /* what hangs is found by libFuzzer before */
		/* The one before may still be on its way out. */
		int error = -1;
		for (int i = 0; i < 5000 && error != 0; i++) {
			error = rte_vfio_user_client_attach(&conf, -1, &client_);
			if (error != 0)
				::usleep(1000);
		}
		MUST(error == 0);
		share(true);
		forget();
	}
	void disconnect()
	{
		if (client_ != nullptr)
			rte_vfio_user_client_detach(std::exchange(client_, nullptr));
		shared_ = false;
	}
	void share(bool yes)
	{
		if (yes && !shared_)
			MUST(rte_vfio_user_client_dma_map(client_, 0, memory_size, 3, fd_.get(), 0,
							  nullptr) == 0);
		else if (!yes && shared_)
			MUST(rte_vfio_user_client_dma_unmap(client_, 0, memory_size) == 0);
		/* An event that meets no memory ends the mailbox. */
		mailbox_ = mailbox_ && yes;
		shared_ = yes;
		certain_ = false;
	}
	bool shared() const { return shared_; }
	void reset()
	{
		MUST(rte_vfio_user_client_reset(client_) == 0);
		forget();
	}

	void bring_up(uint32_t caps);
	void enable(uint32_t rx, uint32_t tx, bool yes);
	void ask_any(input &in);
	void transmit(uint16_t queue, uint16_t count);
	void post_buffers(uint16_t queue, uint16_t count);
	void check_sent(const sent &what);
	void check_statistics();
	void set_interrupts(uint8_t how);

	/** @param got Frames of each queue, which have come from the guest since the last look. */
	void check_received(const std::array<uint32_t, 256> &got)
	{
		for (size_t i = 0; i < got.size(); i++) {
			MUST(i < pairs || got[i] == 0);
			if (!known_ || i >= pairs)
				continue;
			MUST(got[i] == 0 || (tx_ >> i & 1) != 0);
			MUST(got[i] <= rings_[i].posted);
			MUST(!certain_ || got[i] == rings_[i].posted);
			counted_ += got[i];
			rings_[i].posted -= got[i];
		}
		/* Nor does anything come while there is no memory. */
		certain_ = known_ && shared_;
		if (!known_)
			return;
		/* What is not enabled has not been written to. */
		for (uint16_t q = 0; q < pairs; q++)
			for (uint16_t i = 0; (rx_ >> q & 1) == 0 && i < ring_size; i++)
				MUST(at<iavf::rx_descriptor>(rx_ring_at(q), i).qword1 == 0);
	}
	/** What was posted may be lost, or come later. */
	void lose() { certain_ = false; }

private:
	template <class T> T &at(uint32_t begin, uint32_t index)
	{
		return reinterpret_cast<T *>(map_.data() + begin)[index];
	}
	uint32_t read(uint32_t where)
	{
		uint32_t value = 0;
		MUST(rte_vfio_user_client_region_read(client_, 0, where, &value, sizeof(value)) >=
		     0);
		return value;
	}
	void write(uint32_t where, uint32_t value)
	{
		MUST(rte_vfio_user_client_region_write(client_, 0, where, &value, sizeof(value)) >=
		     0);
	}
	/** After a reset nothing is set up. */
	void forget()
	{
		mailbox_ = known_ = certain_ = false;
		rx_ = tx_ = 0;
		rings_ = {};
	}
	/** Buffers that a ring has, and where they are. */
	uint16_t room(uint16_t queue) const
	{
		return static_cast<uint16_t>(
			(rings_[queue].rx_next + ring_size - rings_[queue].rx_seen) % ring_size);
	}
	static uint32_t rx_buffer_at(uint16_t queue, uint16_t index)
	{
		return rx_buffers_at + queue * 0x8000u + index * 256u;
	}
	bool has_room(uint16_t count) const;
	void collect(uint16_t queue, std::vector<uint32_t> &numbers);
	void open_mailbox();
	std::optional<test::received> take();
	/** @return Its status; 1 if it has no reply. */
	int ask(uint32_t opcode, guard::bytes body, std::vector<std::byte> *reply = nullptr);
	template <guard::wire T> int ask_struct(uint32_t opcode, const T &body)
	{
		return ask(opcode, guard::as_bytes(body));
	}

	guard::unique_fd fd_;
	guard::mapping map_;
	rte_vfio_user_client *client_ = nullptr;
	bool shared_ = false;
	bool mailbox_ = false;
	uint32_t atq_tail_ = 0, arq_head_ = 0;

	bool known_ = false;   /**< What follows is so. */
	bool certain_ = false; /**< What was posted has to come. */
	uint32_t rx_ = 0, tx_ = 0;
	struct places {
		uint32_t posted = 0; /**< Frames that have not come yet. */
		uint16_t tx_next = 0, rx_next = 0, rx_seen = 0;
	};
	std::array<places, pairs> rings_{};
	uint64_t counted_ = 0, received_ = 0;
};

void
driver::open_mailbox()
{
	using namespace iavf;

	for (uint32_t i = 0; i < entries; i++) {
		adminq_desc &desc = at<adminq_desc>(arq_at, i) = {};
		desc.flags = adminq_flag::buf::mask | adminq_flag::lb::mask;
		desc.datalen = adminq_max_buffer;
		desc.addr_low = buffers_at + i * adminq_max_buffer;
	}
	atq_tail_ = arq_head_ = 0;
	for (uint32_t which : {reg::vf_atqlen1, reg::vf_arqlen1, reg::vf_atqh1, reg::vf_atqt1,
			       reg::vf_arqh1, reg::vf_arqt1})
		write(which, 0);
	write(reg::vf_atqbal1, atq_at);
	write(reg::vf_arqbal1, arq_at);
	write(reg::vf_atqlen1, entries | aqlen::enable::mask);
	write(reg::vf_arqlen1, entries | aqlen::enable::mask);
	write(reg::vf_arqt1, entries - 1);
	mailbox_ = true;
}

std::optional<test::received>
driver::take()
{
	if (read(reg::vf_arqh1) == arq_head_)
		return {};
	auto &desc = at<iavf::adminq_desc>(arq_at, arq_head_);
	const std::byte *body = map_.data() + buffers_at + arq_head_ * iavf::adminq_max_buffer;
	test::received out{desc.cookie_high,
			   static_cast<iavf::vc_status>(desc.cookie_low),
			   {body, body + desc.datalen}};

	desc.flags = iavf::adminq_flag::buf::mask | iavf::adminq_flag::lb::mask;
	desc.datalen = iavf::adminq_max_buffer;
	desc.addr_low = buffers_at + arq_head_ * iavf::adminq_max_buffer;
	desc.addr_high = 0;
	write(reg::vf_arqt1, arq_head_);
	arq_head_ = (arq_head_ + 1) % entries;
	return out;
}

int
driver::ask(uint32_t opcode, guard::bytes body, std::vector<std::byte> *reply)
{
	auto &desc = at<iavf::adminq_desc>(atq_at, atq_tail_) = {};

	desc.opcode = static_cast<uint16_t>(iavf::adminq_op::send_msg_to_pf);
	desc.flags = iavf::adminq_flag::rd::mask | iavf::adminq_flag::buf::mask;
	desc.datalen = static_cast<uint16_t>(body.size());
	desc.cookie_high = opcode;
	desc.addr_low = body_at;
	std::ranges::copy(body, map_.data() + body_at);
	atq_tail_ = (atq_tail_ + 1) % entries;
	write(reg::vf_atqt1, atq_tail_);
	/* Another turn of the control thread may be needed. */
	for (int waited = 0; waited < 10000; waited++) {
		if (read(reg::vf_atqlen1) == 0) /* reset: the mailbox is gone */
			break;
		while (std::optional<test::received> got = take()) {
			if (got->op != opcode)
				continue;
			if (reply != nullptr)
				*reply = got->body;
			return static_cast<int>(got->status);
		}
		::usleep(waited < 100 ? 0 : 1000);
	}
	/* These end the session, and the mailbox with it. */
	MUST(opcode == op::reset_vf || opcode == op::request_queues);
	forget();
	return 1;
}

void
driver::bring_up(uint32_t caps)
{
	struct {
		iavf::vc_vsi_queue_config_info head{iavf::vsi_id, pairs, 0};
		iavf::vc_queue_pair_info all[pairs]{};
	} queues;

	if (!shared_)
		return;
	reset();
	counted_ = received_ = 0;
	open_mailbox();
	std::memset(map_.data() + tx_ring_at(0), 0, rx_buffers_at - tx_ring_at(0));
	for (uint16_t q = 0; q < pairs; q++) {
		queues.all[q].txq = {iavf::vsi_id, q, ring_size, 0, tx_ring_at(q), 0};
		iavf::vc_rxq_info &rx = queues.all[q].rxq;
		rx.vsi_id = iavf::vsi_id;
		rx.queue_id = q;
		rx.ring_len = ring_size;
		rx.databuffer_size = 2048;
		rx.max_pkt_size = 1522;
		rx.dma_ring_addr = rx_ring_at(q);
	}
	MUST(ask_struct(op::version, iavf::vc_version_info{1, 1}) == 0);
	MUST(ask_struct(op::get_vf_resources, caps) == 0);
	MUST(ask_struct(op::config_vsi_queues, queues) == 0);
	for (places &ring : rings_)
		ring = {.posted = ring.posted};
	known_ = certain_ = true;
}

void
driver::enable(uint32_t rx, uint32_t tx, bool yes)
{
	if (!mailbox_)
		return;
	/* Of a ring that begins anew, before it is asked for. */
	for (uint16_t q = 0; yes && known_ && q < pairs; q++)
		if ((rx & ~rx_) >> q & 1) {
			rings_[q].rx_next = rings_[q].rx_seen = 0;
			write(reg::qrx_tail(q), 0);
		}
	const int status = ask_struct(yes ? op::enable_queues : op::disable_queues,
				      iavf::vc_queue_select{iavf::vsi_id, 0, rx, tx});
	if (!known_)
		return;
	/* All that it names exist, and none is asked for nothing. */
	MUST((status == 0) == (((rx | tx) & ~all_queues) == 0 && (rx | tx) != 0) || !yes);
	if (status != 0)
		return;
	if (yes) {
		for (uint16_t q = 0; q < pairs; q++)
			if ((tx & ~tx_) >> q & 1) {
				rings_[q].tx_next = 0;
				rings_[q].posted = 0;
			}
		rx_ |= rx;
		tx_ |= tx;
		return;
	}
	rx_ &= ~rx;
	tx_ &= ~tx;
	for (uint16_t q = 0; q < pairs; q++) {
		if (tx >> q & 1)
			rings_[q].posted = 0;
		if (rx >> q & 1)
			std::memset(map_.data() + rx_ring_at(q), 0,
				    ring_size * sizeof(iavf::rx_descriptor));
	}
}

/** Of what a driver sets up, all but what its queues are is not in the model. */
void
driver::ask_any(input &in)
{
	static constexpr uint32_t plain[] = {op::add_eth_addr,
					     op::del_eth_addr,
					     op::add_vlan,
					     op::del_vlan,
					     op::config_promiscuous_mode,
					     op::config_rss_key,
					     op::config_rss_lut,
					     op::get_rss_hena_caps,
					     op::set_rss_hena,
					     op::get_supported_rxdids,
					     op::add_rss_cfg,
					     op::del_rss_cfg,
					     op::add_fdir_filter,
					     op::del_fdir_filter,
					     op::add_vlan_v2,
					     op::del_vlan_v2,
					     op::enable_vlan_stripping,
					     op::config_rss_hfunc,
					     op::get_offload_vlan_v2_caps};
	const vc_request request = take_message(in);

	if (!mailbox_)
		return;
	if (std::ranges::find(plain, request.op) == std::end(plain))
		known_ = certain_ = false;
	ask(request.op, request.body);
}

void
driver::transmit(uint16_t queue, uint16_t count)
{
	/* A ring that is not full: its driver waits for what is done. */
	if (!known_ || !shared_ || (tx_ >> queue & 1) == 0 ||
	    rings_[queue].posted + count >= ring_size)
		return;
	std::byte *frame = map_.data() + tx_frames_at + queue * 256u;
	std::memset(frame, 0xff, 64);
	frame[12] = std::byte{0x88};
	frame[13] = std::byte{0xb5};
	frame[20] = static_cast<std::byte>(queue);
	for (uint16_t i = 0; i < count; i++) {
		auto &desc = at<iavf::tx_descriptor>(tx_ring_at(queue), rings_[queue].tx_next);
		desc = {tx_frames_at + queue * 256u,
			iavf::txd::eop::mask | iavf::txd::rs::mask | iavf::txd::length::of(64)};
		rings_[queue].tx_next =
			static_cast<uint16_t>((rings_[queue].tx_next + 1) % ring_size);
	}
	rings_[queue].posted += count;
	write(reg::qtx_tail(queue), rings_[queue].tx_next);
}

void
driver::post_buffers(uint16_t queue, uint16_t count)
{
	if (!known_ || (rx_ >> queue & 1) == 0 || room(queue) + count >= ring_size)
		return;
	for (uint16_t i = 0; i < count; i++) {
		at<iavf::rx_descriptor>(rx_ring_at(queue), rings_[queue].rx_next) = {
			rx_buffer_at(queue, rings_[queue].rx_next), 0, 0, 0};
		rings_[queue].rx_next =
			static_cast<uint16_t>((rings_[queue].rx_next + 1) % ring_size);
	}
	write(reg::qrx_tail(queue), rings_[queue].rx_next);
}

/** Whether there is a ring, and so many frames find room in any, for who knows where they go. */
bool
driver::has_room(uint16_t count) const
{
	bool out = rx_ != 0;

	for (uint16_t q = 0; q < pairs; q++)
		out = out && ((rx_ >> q & 1) == 0 || room(q) >= count);
	return out;
}

/** The numbers of frames that have come in a ring, in its order: those sent last are last. */
void
driver::collect(uint16_t queue, std::vector<uint32_t> &numbers)
{
	const auto next = [](uint16_t index) {
		return static_cast<uint16_t>((index + 1) % ring_size);
	};
	const size_t before = numbers.size();
	uint16_t &seen = rings_[queue].rx_seen;

	for (; seen != rings_[queue].rx_next; seen = next(seen)) {
		const uint64_t status = at<iavf::rx_descriptor>(rx_ring_at(queue), seen).qword1;
		if (!iavf::rxd::dd::is_set(status))
			break;
		MUST(iavf::rxd::eof::is_set(status) && !iavf::rxd::rxe::is_set(status));
		MUST(iavf::rxd::length::get(status) == host_frame::length);
		const std::byte *frame = map_.data() + rx_buffer_at(queue, seen);
		MUST(host_frame::is_whole(frame));
		const uint32_t number = host_frame::number(frame);
		MUST(numbers.size() == before || number > numbers.back());
		numbers.push_back(number);
	}
	for (uint16_t i = seen; i != rings_[queue].rx_next; i = next(i))
		MUST(at<iavf::rx_descriptor>(rx_ring_at(queue), i).qword1 == 0);
}

/** What the port has taken and not dropped has come, once, and nothing else; and it takes all while
 * it can. */
void
driver::check_sent(const sent &what)
{
	std::vector<uint32_t> came;

	if (!known_)
		return;
	if (certain_ && has_room(what.wanted))
		MUST(what.taken.size() == what.wanted);
	for (uint16_t q = 0; q < pairs; q++)
		if (rx_ >> q & 1)
			collect(q, came);
	std::ranges::sort(came);
	MUST(std::ranges::adjacent_find(came) == came.end());
	MUST(std::ranges::includes(what.taken, came));
	MUST(came.size() == what.counted);
	received_ += came.size();
}

/** What each side has got is what the guest is told that it has sent, or received. */
void
driver::check_statistics()
{
	std::vector<std::byte> body;

	if (!known_ || !mailbox_)
		return;
	MUST(ask(op::get_stats, guard::as_bytes(iavf::vc_queue_select{iavf::vsi_id, 0, 0, 0}),
		 &body) == 0);
	const auto stats = guard::load<iavf::vc_eth_stats>(body, 0);
	MUST(stats);
	MUST(stats->tx_unicast + stats->tx_multicast + stats->tx_broadcast == counted_);
	MUST(stats->tx_bytes == counted_ * 64 && stats->tx_errors == 0);
	MUST(stats->rx_broadcast == received_ && stats->rx_discards == 0);
	MUST(stats->rx_unicast == 0 && stats->rx_multicast == 0);
	MUST(stats->rx_bytes == received_ * (host_frame::length + iavf::crc_length));
}

/** Vectors are wired or not, and enabled or forced; whether they fire is not in the model. */
void
driver::set_interrupts(uint8_t how)
{
	constexpr uint32_t vectors = 3;
	static const guard::unique_fd event = *guard::make_eventfd();
	const std::vector<int> events(vectors, how & 1 ? event.get() : -1);

	rte_vfio_user_client_irq_wire(client_, RTE_VFIO_USER_IRQ_MSIX, 0, vectors, events.data());
	write(iavf::reg::vfint_dyn_ctl01, how >> 1 & 7u);
	write(iavf::reg::dyn_ctl(1), how >> 4 & 7u);
}

enum step : uint8_t {
	bring_up,
	enable,
	disable,
	transmit,
	receive,
	post_buffers,
	send,
	ask,
	statistics,
	reset,
	reconnect,
	share,
	start,
	interrupts,
	nb_steps,
};

void
play(driver &guest, application &host, input &in)
{
	switch (in.u8() % nb_steps) {
	case bring_up:
		return guest.bring_up(in.u32());
	case enable:
	case disable: {
		const uint8_t queues = in.u8();
		return guest.enable(queues & 15u, queues >> 4, in.u8() % 3 != 0);
	}
	case transmit: {
		const uint16_t queue = in.u8() % pairs;
		return guest.transmit(queue, 1 + in.u8() % 16u);
	}
	case receive:
		if (!host.started())
			return;
		return guest.check_received(host.receive());
	case post_buffers: {
		const uint16_t queue = in.u8() % pairs;
		return guest.post_buffers(queue, in.u8() % 40u);
	}
	case send: {
		const uint16_t queue = in.u8() % pairs, count = in.u8() % 40u;
		if (!host.started())
			return;
		return guest.check_sent(host.send(queue, count));
	}
	case ask:
		return guest.ask_any(in);
	case statistics:
		return guest.check_statistics();
	case reset:
		return guest.reset();
	case reconnect:
		return guest.connect(in.u8() & 1);
	case share:
		return guest.share(in.u8() & 1);
	case start:
		guest.lose();
		return host.start(in.u8() & 1);
	case interrupts:
		return guest.set_interrupts(in.u8());
	}
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static application host;
	static driver guest;
	input in(data, size);

	host.start(true);
	guest.connect();
	while (!in.empty())
		play(guest, host, in);
	guest.disconnect();
	if (host.started())
		host.receive();
	host.check();
	return 0;
}
