/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <sys/mman.h>

#include <bus_vdev_driver.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_pause.h>

#include <descriptors.hpp>
#include <owner.hpp>

#include "rte_guest_mem.h"
#include "rte_emudev_net_driver.h"

/**
 * An emulated device of type "iavf" whose guest is the test: it owns plain memory, writes
 * descriptors and doorbells by hand and sends the events of a provider. The control thread is the
 * caller.
 */
namespace test {

/** What the DMA table may be made of. Adjacent I/O addresses are not adjacent memory on purpose. */
struct fake_memory {
	static constexpr uint64_t size = 4 << 20;
	static constexpr uint64_t base = 0x100000000;   /**< Main region. */
	static constexpr uint64_t second = base + size; /**< Follows it, but is elsewhere here. */
	static constexpr uint64_t read_only = base + 16 * size;
	static constexpr uint64_t no_file = base + 32 * size;
	static constexpr uint64_t hole = base + 48 * size;
	static constexpr uint64_t top = 0 - size; /**< Ends at the end of the address space. */
	static constexpr uint64_t zero = 0;       /**< Starts at address 0. */
};

/** Wide: all that a guest and a provider can do, and what they saw. */
class fake_guest {
public:
	static constexpr uint16_t queues = 4;
	static constexpr uint64_t page = 4096;

	explicit fake_guest(const char *name = "fake")
	    : memory_(guard::mapping::make(nullptr, 8 * fake_memory::size, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
			      .value())
	{
		map_all();
		rte_emudev_allocate(name, &owner, &ops, this, &dev_);
	}
	~fake_guest() { remove(); }

	rte_emudev *dev() { return dev_; }
	/** What an application knows the device by. */
	rte_driver owner_driver{.next = {}, .name = "emu_fake", .alias = nullptr};
	rte_device owner = make_owner();
	void remove()
	{
		if (dev_ != nullptr)
			rte_emudev_release(dev_);
		dev_ = nullptr;
	}

	/** Memory at a guest address of the main or second region. */
	uint8_t *at(uint64_t iova)
	{
		auto *begin = reinterpret_cast<uint8_t *>(memory_.data());
		if (iova >= fake_memory::read_only)
			return begin + 2 * fake_memory::size + (iova - fake_memory::read_only);
		return iova >= fake_memory::second
			       ? begin + 4 * fake_memory::size + (iova - fake_memory::second)
			       : begin + ((iova - fake_memory::base) ^ scatter_);
	}

	/* --- memory --- */
	void map_all()
	{
		auto *begin = reinterpret_cast<uint8_t *>(memory_.data());
		constexpr uint32_t both = RTE_GUEST_MEM_READ | RTE_GUEST_MEM_WRITE;
		map({{fake_memory::zero, 4096, begin + 5 * fake_memory::size, both, 0},
		     {fake_memory::base, fake_memory::size, begin, both, 0},
		     {fake_memory::second, fake_memory::size, begin + 4 * fake_memory::size, both,
		      0},
		     {fake_memory::read_only, fake_memory::size, begin + 2 * fake_memory::size,
		      RTE_GUEST_MEM_READ, 0},
		     {fake_memory::no_file, fake_memory::size, nullptr, both, 0},
		     {fake_memory::top, fake_memory::size, begin + 6 * fake_memory::size, both,
		      0}});
	}
	/** The main region as a kernel builds it behind an IOMMU: single pages, each where the one
	 * @p distance bytes from it belongs (a power of 2). */
	void map_pages(uint64_t distance = page, const std::vector<uint64_t> &without = {})
	{
		constexpr uint32_t both = RTE_GUEST_MEM_READ | RTE_GUEST_MEM_WRITE;
		std::vector<rte_guest_mem_region> regions;

		scatter_ = distance;
		for (uint64_t iova = fake_memory::base; iova < fake_memory::second; iova += page)
			if (std::find(without.begin(), without.end(), iova) == without.end())
				regions.push_back({iova, page, at(iova), both, 0});
		map(regions);
	}
	/** Frees all tables but the current one, which a provider may do after memory_gone(). */
	void forget_tables() { tables_.erase(tables_.begin(), tables_.end() - 1); }
	/** Takes memory away as a provider does: @p change publishes a table without it. */
	template <class F> void take_away(F change, uint64_t first = 0, uint64_t last = UINT64_MAX)
	{
		change();
		memory_gone(first, last);
	}
	void memory_gone(uint64_t first = 0, uint64_t last = UINT64_MAX)
	{
		rte_emudev_event event{};
		event.type = RTE_EMUDEV_EVENT_MEMORY_GONE;
		event.gone = {first, last};
		rte_emudev_notify(dev_, &event);
	}
	/** Publishes a table; the old ones live until the end. */
	void map(const std::vector<rte_guest_mem_region> &regions)
	{
		const auto count = static_cast<uint32_t>(regions.size());
		auto &owned = tables_.emplace_back(
			regions, std::vector<uint8_t>(sizeof(rte_guest_mem_table) +
						      sizeof(rte_guest_mem_part)));
		auto *table = reinterpret_cast<rte_guest_mem_table *>(owned.second.data());
		table->generation = ++generation_;
		table->nb_regions = count;
		table->nb_parts = count == 0 ? 0 : 1;
		if (count != 0)
			table->parts[0] = {regions[0].iova, owned.first.data(), count, 0};
		__atomic_store_n(&published_, table, __ATOMIC_RELEASE);
	}
	void protect(int prot) { mprotect(memory_.data(), memory_.size(), prot); }

	/* --- events --- */
	void notify(rte_emudev_event_type type)
	{
		rte_emudev_event event{};
		event.type = type;
		rte_emudev_notify(dev_, &event);
	}
	/** Tells what a queue is now. */
	void push(rte_emudev_dir dir, uint16_t queue = 0)
	{
		const ring &r = of(dir, queue);
		rte_emudev_queue context = r.info;
		context.struct_size = sizeof(context);
		context.index = queue;
		context.dir = dir;
		context.tail = doorbells ? &r.tail : nullptr;
		context.vector = {};
		if (r.vector <= queues)
			context.vector = {.control = &control[r.vector],
					  .enable_mask = 1,
					  .force_mask = 2,
					  .index = r.vector,
					  .timer = 0};
		rte_emudev_event event{};
		event.type = RTE_EMUDEV_EVENT_QUEUE;
		event.queue = &context;
		rte_emudev_notify(dev_, &event);
	}
	void connect(bool yes = true, uint32_t speed = 25000)
	{
		connected = yes;
		push_link(speed);
	}

	/* --- queues --- */
	struct ring {
		rte_emudev_queue info{};
		uint16_t vector = 0;
		uint32_t tail = 0; /**< The doorbell register. */
		uint16_t next = 0; /**< The driver's next descriptor. */
	};
	ring &of(rte_emudev_dir dir, uint16_t queue = 0) { return rings_[dir][queue]; }
	ring &tx(uint16_t queue = 0) { return of(RTE_EMUDEV_FROM_GUEST, queue); }
	ring &rx(uint16_t queue = 0) { return of(RTE_EMUDEV_TO_GUEST, queue); }

	static constexpr uint64_t ring_iova(rte_emudev_dir dir, uint16_t queue)
	{
		return fake_memory::base + (dir * queues + queue) * 0x10000u;
	}
	/** Configures a ring in the main region, @p offset bytes from its place, and enables it. */
	void enable(rte_emudev_dir dir, uint16_t queue = 0, uint16_t size = 64,
		    uint32_t buffer_size = 2048, uint64_t offset = 0)
	{
		ring &r = of(dir, queue);
		const bool from = dir == RTE_EMUDEV_FROM_GUEST;
		r.vector = static_cast<uint16_t>(queue + 1);
		r.info = {.enabled = true,
			  .size = size,
			  .desc_size = static_cast<uint16_t>(from ? 16 : 32),
			  .ring_iova = ring_iova(dir, queue) + offset,
			  .buffer_size = buffer_size,
			  .max_frame = 9728};
		r.tail = r.next = 0;
		clear(dir, queue);
		push(dir, queue);
	}
	void clear(rte_emudev_dir dir, uint16_t queue = 0)
	{
		const rte_emudev_queue &info = of(dir, queue).info;
		for (uint16_t i = 0; i < info.size; i++)
			memset(at(info.ring_iova + uint64_t{i} * info.desc_size), 0,
			       info.desc_size);
	}
	void disable(rte_emudev_dir dir, uint16_t queue = 0)
	{
		of(dir, queue).info.enabled = false;
		push(dir, queue);
	}

	template <class T> T &descriptor(rte_emudev_dir dir, uint16_t index, uint16_t queue = 0)
	{
		return *reinterpret_cast<T *>(
			at(of(dir, queue).info.ring_iova + index * sizeof(T)));
	}
	iavf::tx_descriptor &tx_at(uint16_t index, uint16_t queue = 0)
	{
		return descriptor<iavf::tx_descriptor>(RTE_EMUDEV_FROM_GUEST, index, queue);
	}
	iavf::rx_descriptor &rx_at(uint16_t index, uint16_t queue = 0)
	{
		return descriptor<iavf::rx_descriptor>(RTE_EMUDEV_TO_GUEST, index, queue);
	}

	/** Writes a transmit descriptor without ringing; returns its index. */
	uint16_t post(uint64_t qword0, uint64_t qword1, uint16_t queue = 0)
	{
		ring &r = tx(queue);
		const uint16_t index = r.next;
		__atomic_store_n(&tx_at(index, queue).qword0, qword0, __ATOMIC_RELAXED);
		__atomic_store_n(&tx_at(index, queue).qword1, qword1, __ATOMIC_RELAXED);
		r.next = index + 1 == r.info.size ? 0 : index + 1;
		return index;
	}
	/** One plain data descriptor. */
	uint16_t post_data(uint64_t iova, uint32_t length, bool eop = true, uint64_t more = 0,
			   uint16_t queue = 0)
	{
		return post(iova,
			    iavf::txd::eop::of(eop) | iavf::txd::rs::of(eop) |
				    iavf::txd::length::of(length) | more,
			    queue);
	}
	void ring_tx(uint16_t queue = 0) { store_tail(tx(queue), tx(queue).next); }
	bool tx_done(uint16_t index, uint16_t queue = 0)
	{
		return __atomic_load_n(&tx_at(index, queue).qword1, __ATOMIC_ACQUIRE) ==
		       iavf::txd::done;
	}

	/** Posts a receive buffer; returns its index. */
	uint16_t post_rx(uint64_t iova, uint16_t queue = 0)
	{
		ring &r = rx(queue);
		const uint16_t index = r.next;
		rx_at(index, queue) = {iova, 0, 0, 0};
		r.next = index + 1 == r.info.size ? 0 : index + 1;
		return index;
	}
	void ring_rx(uint16_t queue = 0) { store_tail(rx(queue), rx(queue).next); }
	uint64_t rx_status(uint16_t index, uint16_t queue = 0)
	{
		return __atomic_load_n(&rx_at(index, queue).qword1, __ATOMIC_ACQUIRE);
	}
	static void store_tail(ring &r, uint32_t tail)
	{
		__atomic_store_n(&r.tail, tail, __ATOMIC_RELEASE);
	}

	/* --- state of the provider --- */
	bool connected = false;
	bool doorbells = true; /**< Whether doorbells can be had. */
	int configured = 0, started = 0, stopped = 0, closed = 0;
	struct {
		uint16_t queue_pairs, mtu;
	} conf{}; /**< The latest. */
	uint32_t mtu = 0;
	bool port_link = true;                      /**< As the application has set it. */
	std::array<uint32_t, queues + 1> control{}; /**< Bit 0 enables, bit 1 forces. */
	std::array<unsigned int, queues + 1> fired{};
	unsigned int asked = 0;       /**< Calls of irq_fire. */
	rte_emudev_irq_cause cause{}; /**< Of the latest. */
	bool refuse_fire = false;     /**< As if an interval had not passed. */
	unsigned int restless = 0;    /**< Events in the middle of a start. */
	unsigned int fire_pauses = 0; /**< How long a call lasts after it has fired. */
	bool hold_fire = false;       /**< Such a call lasts as long as this is set. */
	std::atomic<int> holds{0};    /**< On the memory. */

private:
	static fake_guest &self(void *priv) { return *static_cast<fake_guest *>(priv); }

	rte_device make_owner() const
	{
		rte_device out{};
		out.name = "fake0";
		out.driver = &owner_driver;
		out.numa_node = SOCKET_ID_ANY;
		return out;
	}

	static int info_get(void *priv, rte_emudev_info *info)
	{
		info->driver = "test";
		info->type = "iavf";
		info->connected = self(priv).connected;
		info->max_queue_pairs = queues;
		info->queue_pairs = self(priv).conf.queue_pairs;
		info->numa_node = -1;
		return 0;
	}
	static int net_info_get(void *, rte_emudev_net_info *info)
	{
		info->max_frame = 9728;
		info->max_mtu = 9728 - 22;
		info->link_speed = 25000;
		return 0;
	}
	static const rte_guest_mem_table *const *mem_table(void *priv)
	{
		return &self(priv).published_;
	}
	void push_link(uint32_t speed)
	{
		const rte_emudev_link link{sizeof(link), connected, speed, -1};
		rte_emudev_event event{};
		event.type = RTE_EMUDEV_EVENT_LINK;
		event.link = &link;
		rte_emudev_notify(dev_, &event);
	}
	static void push_all(void *priv)
	{
		self(priv).push_link(25000);
		for (const rte_emudev_dir dir : {RTE_EMUDEV_FROM_GUEST, RTE_EMUDEV_TO_GUEST})
			for (uint16_t i = 0; i < queues; i++)
				if (self(priv).of(dir, i).info.enabled)
					self(priv).push(dir, i);
	}
	static int queue_leave(void *priv, uint16_t queue, rte_emudev_dir dir, uint16_t head)
	{
		self(priv).of(dir, queue).info.resumed = true;
		self(priv).of(dir, queue).info.head = head;
		return 0;
	}
	static rte_emudev_irq_result irq_fire(void *priv, uint16_t vector, uint8_t,
					      rte_emudev_irq_cause cause)
	{
		fake_guest &guest = self(priv);
		__atomic_fetch_add(&guest.asked, 1, __ATOMIC_RELAXED);
		__atomic_store_n(&guest.cause, cause, __ATOMIC_RELAXED);
		if (guest.refuse_fire)
			return RTE_EMUDEV_IRQ_LATER;
		if (__atomic_exchange_n(&guest.control[vector], 0, __ATOMIC_ACQ_REL) == 0)
			return RTE_EMUDEV_IRQ_LATER;
		__atomic_fetch_add(&guest.fired[vector], 1, __ATOMIC_RELAXED);
		for (unsigned int i = 0;
		     i < guest.fire_pauses || __atomic_load_n(&guest.hold_fire, __ATOMIC_ACQUIRE);
		     i++)
			rte_pause();
		return RTE_EMUDEV_IRQ_FIRED;
	}
	static void *mem_hold(void *priv)
	{
		self(priv).holds++;
		return priv;
	}
	static void mem_release(void *priv) { self(priv).holds--; }
	static int attr_set(void *priv, const rte_emudev_attr *attr)
	{
		if (attr->id == RTE_EMUDEV_NET_ATTR_PORT_LINK) {
			self(priv).port_link = attr->u32 != 0;
			return 0;
		}
		if (attr->id != RTE_EMUDEV_NET_ATTR_MTU)
			return -EROFS;
		self(priv).mtu = attr->u32;
		return 0;
	}

	static int configure(void *priv, const rte_emudev_conf *wanted)
	{
		self(priv).conf = {wanted->queue_pairs, wanted->net->mtu};
		self(priv).configured++;
		return 0;
	}
	static int start(void *priv)
	{
		self(priv).started++;
		for (; self(priv).restless > 0; self(priv).restless--)
			self(priv).push(RTE_EMUDEV_FROM_GUEST);
		return 0;
	}
	static int stop(void *priv)
	{
		self(priv).stopped++;
		return 0;
	}
	static int close(void *priv)
	{
		self(priv).closed++;
		return 0;
	}
	static int control_call(int (*fn)(void *), void *arg) { return fn(arg); }

	static constexpr rte_emudev_net_ops net_ops = {
		.struct_size = sizeof(rte_emudev_net_ops),
		.info_get = net_info_get,
	};
	static constexpr rte_emudev_ops ops = {
		.struct_size = sizeof(rte_emudev_ops),
		.info_get = info_get,
		.control_call = control_call,
		.configure = configure,
		.start = start,
		.stop = stop,
		.close = close,
		.push = push_all,
		.mem_table = mem_table,
		.queue_leave = queue_leave,
		.irq_fire = irq_fire,
		.attr_set = attr_set,
		.net = &net_ops,
		.mem_hold = mem_hold,
		.mem_release = mem_release,
	};

	guard::mapping memory_;
	uint64_t scatter_ = 0; /**< What is swapped with what in the main region. */
	std::vector<std::pair<std::vector<rte_guest_mem_region>, std::vector<uint8_t>>> tables_;
	const rte_guest_mem_table *published_ = nullptr;
	uint64_t generation_ = 0;
	ring rings_[2][queues];
	rte_emudev *dev_ = nullptr;
};

/** The port on top of a fake guest, as an application sees it. */
class fake_port {
public:
	struct options {
		uint16_t rx_queues = 1, tx_queues = 1;
		uint64_t rx_offloads = 0, tx_offloads = 0;
		uint16_t mtu = RTE_ETHER_MTU;
		bool promiscuous = true;
		unsigned int mbufs = 512, cache = 0;
		uint16_t room = 2048;
		bool lsc = false;
		bool rx_interrupts = false;
		uint32_t max_lro = 0;
		const char *more = ""; /**< Further arguments, each with a comma before it. */
		/** Of the guest's device, and what tells ports apart that are there together. */
		std::string guest = "fake", name = "t";
	};

	explicit fake_port(fake_guest &guest) : fake_port(guest, options{}) {}
	fake_port(fake_guest &guest, const options &opt)
	    : opt_(opt), name_("net_iavf_be_" + opt.name)
	{
		pool_ = rte_pktmbuf_pool_create(("fake_" + opt.name).c_str(), opt.mbufs, opt.cache,
						0, opt.room + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
		const std::string args = "emu=" + opt.guest + opt.more;
		set_up_ = pool_ != nullptr && rte_vdev_init(name_.c_str(), args.c_str()) == 0 &&
			  rte_eth_dev_get_port_by_name(name_.c_str(), &id_) == 0 && setup();
		ok_ = set_up_ && rte_eth_dev_start(id_) == 0;
		rte_eth_macaddr_get(id_, &mac_);
		if (ok_ && opt.promiscuous)
			rte_eth_promiscuous_enable(id_);
		guest.connect();
	}
	~fake_port()
	{
		close();
		rte_mempool_free(pool_);
	}
	/** The port goes, its pool stays. */
	void close()
	{
		if (id_ == RTE_MAX_ETHPORTS)
			return;
		rte_eth_dev_stop(id_);
		rte_eth_dev_close(id_);
		rte_vdev_uninit(name_.c_str());
		id_ = RTE_MAX_ETHPORTS;
	}

	bool ok() const { return ok_; }
	/** It may still not have started. */
	bool is_set_up() const { return set_up_; }
	uint16_t id() const { return id_; }
	rte_mempool *pool() const { return pool_; }
	const rte_ether_addr &mac() const { return mac_; }
	/** Whether every mbuf is back in the pool. */
	bool complete() const { return rte_mempool_full(pool_) == 1; }

	bool setup()
	{
		rte_eth_conf conf{};
		conf.rxmode.mtu = opt_.mtu;
		conf.rxmode.offloads = opt_.rx_offloads;
		conf.rxmode.max_lro_pkt_size = opt_.max_lro;
		conf.txmode.offloads = opt_.tx_offloads;
		conf.intr_conf.lsc = opt_.lsc;
		conf.intr_conf.rxq = opt_.rx_interrupts;
		if (rte_eth_dev_configure(id_, opt_.rx_queues, opt_.tx_queues, &conf) != 0)
			return false;
		for (uint16_t q = 0; q < opt_.rx_queues; q++)
			if (rte_eth_rx_queue_setup(id_, q, 256, SOCKET_ID_ANY, nullptr, pool_) != 0)
				return false;
		for (uint16_t q = 0; q < opt_.tx_queues; q++)
			if (rte_eth_tx_queue_setup(id_, q, 256, SOCKET_ID_ANY, nullptr) != 0)
				return false;
		return true;
	}

	/** Stops the port and starts it with other numbers of queues. */
	bool restart_with(uint16_t rx_queues, uint16_t tx_queues)
	{
		opt_.rx_queues = rx_queues;
		opt_.tx_queues = tx_queues;
		return rte_eth_dev_stop(id_) == 0 && setup() && rte_eth_dev_start(id_) == 0;
	}

	/** One burst of at most 64; the caller frees the frames. */
	std::vector<rte_mbuf *> receive(uint16_t queue = 0, uint16_t most = 64)
	{
		std::vector<rte_mbuf *> out(most);
		out.resize(rte_eth_rx_burst(id_, queue, out.data(), most));
		return out;
	}
	/** Receives a burst and frees it; how many came. */
	size_t drain(uint16_t queue = 0, uint16_t most = 64)
	{
		auto frames = receive(queue, most);
		rte_pktmbuf_free_bulk(frames.data(), static_cast<unsigned int>(frames.size()));
		return frames.size();
	}

	uint64_t xstat(const char *name) const
	{
		uint64_t id, value = 0;
		if (rte_eth_xstats_get_id_by_name(id_, name, &id) != 0 ||
		    rte_eth_xstats_get_by_id(id_, &id, &value, 1) != 1)
			return UINT64_MAX;
		return value;
	}
	/** Zeroes, that is down, if the port does not tell. */
	rte_eth_link link() const
	{
		rte_eth_link out{};
		return rte_eth_link_get_nowait(id_, &out) == 0 ? out : rte_eth_link{};
	}
	rte_eth_stats stats() const
	{
		rte_eth_stats out{};
		rte_eth_stats_get(id_, &out);
		return out;
	}

private:
	options opt_;
	const std::string name_;
	rte_mempool *pool_ = nullptr;
	uint16_t id_ = RTE_MAX_ETHPORTS;
	rte_ether_addr mac_{};
	bool set_up_ = false, ok_ = false;
};

} // namespace test
