/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <linux/pci_regs.h>
#include <sys/mman.h>

#include <adminq.hpp>
#include <bytes.hpp>
#include <owner.hpp>
#include <registers.hpp>
#include <virtchnl.hpp>

#include "../../../drivers/emu/iavf/device.hpp"

/** A machine, a driver and a back-end for one emulated device, all in this process and thread. */
namespace test {

/** A machine with 1 MiB of memory from I/O address 0 on. Nothing in it happens by itself. */
class fake_machine final : public pci_device::bus {
public:
	static constexpr size_t size = 1 << 20;

private:
	/* Most of it is never touched, and then costs nothing. */
	const guard::mapping mapping_ = guard::mapping::make(nullptr, size, PROT_READ | PROT_WRITE,
							     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
						.value();

public:
	bool irq_wired(uint32_t, uint32_t) const override { return wired; }
	int irq_trigger(uint32_t, uint32_t vector) override
	{
		if (at_trigger)
			at_trigger();
		if (trigger_result >= 0)
			fired[vector]++;
		return trigger_result;
	}
	bool lacks_file(uint64_t iova) const override { return iova >= no_file; }
	const void *first_memory() const override { return nullptr; }
	int dma_read(uint64_t iova, void *data, uint32_t count, rte_vfio_user_dma_done done,
		     void *ctx) override
	{
		return access({iova, data, nullptr, count, done, ctx});
	}
	int dma_write(uint64_t iova, const void *data, uint32_t count, rte_vfio_user_dma_done done,
		      void *ctx) override
	{
		return access({iova, nullptr, data, count, done, ctx});
	}
	bool has_turn() const override { return turns == unlimited || (turns > 0 && turns-- > 0); }
	void defer() override { deferred = true; }
	void set_poll(uint32_t interval_us) override { poll_us = interval_us; }

	/** Ends the oldest access of memory without a file. @return Whether there was one. */
	bool end_access(int error = 0)
	{
		if (under_way.empty())
			return false;
		transfer t = under_way.front();

		under_way.pop_front();
		if (error == 0)
			carry_out(t);
		t.done(t.ctx, error);
		return true;
	}

	static constexpr uint64_t no_file = uint64_t{1} << 40;
	static constexpr int unlimited = -1;

	const std::span<std::byte> memory = mapping_.bytes();
	int fired[iavf::max_vectors] = {};
	bool wired = true;      /* all vectors, as far as one sees that asks */
	int trigger_result = 1; /* whoever signals sees what has become of it since */
	std::function<void()> at_trigger;
	mutable int turns = unlimited; /* how often it will still be the guest's turn */
	bool deferred = false;
	uint32_t poll_us = 0;
	bool without_files = false; /* accesses take until end_access() */

private:
	struct transfer {
		uint64_t iova;
		void *to;
		const void *from;
		uint32_t count;
		rte_vfio_user_dma_done done;
		void *ctx;
	};

	int access(const transfer &t)
	{
		if (!guard::contains(0, size, t.iova, t.count))
			return -EFAULT;
		if (without_files) {
			under_way.push_back(t);
			return 0;
		}
		carry_out(t);
		t.done(t.ctx, 0);
		return 0;
	}
	void carry_out(const transfer &t)
	{
		if (t.to != nullptr)
			std::memcpy(t.to, &memory[t.iova], t.count);
		else
			std::memcpy(&memory[t.iova], t.from, t.count);
	}

	std::deque<transfer> under_way;
};

/** What the device has told its back-end. */
struct queue_event {
	rte_emudev_queue info;
	uint32_t arq_len; /**< Register of the mailbox at that time. */
};

/** A message from the device. */
struct received {
	uint32_t op;
	iavf::vc_status status;
	std::vector<std::byte> body;
};

class fake_driver {
public:
	static constexpr uint16_t pairs = 4;
	static constexpr uint32_t entries = 16; /**< Of each queue of the mailbox. */
	static constexpr iavf::mac_address mac{2, 0, 0, 0, 0, 1};

	/** @param queue_pairs Of the device. @param vectors At most. */
	explicit fake_driver(uint16_t queue_pairs = pairs, uint16_t vectors = iavf::max_vectors);
	~fake_driver();

	iavf::device &dev() { return *dev_; }
	pci_device::pci_function &pci() { return dev_->function().pci(); }
	uint32_t read(uint32_t reg);
	void write(uint32_t reg, uint32_t value);
	void write_config(uint32_t offset, uint16_t value);

	/** Sets up both queues of the mailbox. */
	void open_mailbox();
	/** Puts a command into the ring; the device has seen it when this returns. */
	void send(const iavf::adminq_desc &desc, guard::bytes body = {});
	void send(uint32_t op, guard::bytes body = {});
	template <guard::wire T> void send_struct(uint32_t op, const T &body)
	{
		send(op, guard::as_bytes(body));
	}
	/** The descriptor of the latest command, as the device has written it back. */
	iavf::adminq_desc completion();
	/** The next message of the device, if there is one. */
	std::optional<received> receive();
	/** Sends, and takes the status of the reply; a value that is none if there is no reply. */
	int ask(uint32_t op, guard::bytes body = {});
	template <guard::wire T> int ask_struct(uint32_t op, const T &body)
	{
		return ask(op, guard::as_bytes(body));
	}
	/** Says VERSION, asks for resources, and sets one queue pair up, without enabling it. */
	bool bring_up();
	int enable(uint32_t queues = 1);
	/** This machine becomes a copy of another, whose device is to be loaded here. */
	void take_over(const fake_driver &other);

	static constexpr int no_reply = 1;

	fake_machine machine;
	std::vector<queue_event> events;
	rte_emudev_net_config config{}; /* the latest; its pointers are not valid */
	std::optional<rte_emudev_net_vlan_ids> vlan_ids; /* of it */
	std::optional<rte_emudev_net_rss> rss;           /* of it */
	std::vector<rte_emudev_net_flow> flows;          /* of it */
	size_t configs = 0;

private:
	static void event(void *ctx, const rte_emudev_event *what);

	std::unique_ptr<iavf::device> dev_;
	uint32_t atq_tail_ = 0, arq_head_ = 0;
};

} // namespace test
