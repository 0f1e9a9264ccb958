/* SPDX-License-Identifier: BSD-3-Clause */
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <dev_driver.h>

#include <rte_emudev_driver.h>

#ifdef _RTE_ETHER_H_
#error "the core knows Ethernet"
#endif

#include "ask_telemetry.hpp"
#include "counter.hpp"

/*
 * A device without a network, on the core alone: a guest counts with its doorbell, the back-end
 * takes what was counted and interrupts. One queue, one vector, and nothing else, not even memory:
 * the provider has only the operations that this needs.
 */

namespace test {

namespace {

constexpr const char *ring_type = "counter";

/** The provider; its guest is the test. Control thread and data thread are the caller. */
class counter_device {
public:
	explicit counter_device(const char *name)
	{
		owner.name = name;
		error = rte_emudev_allocate(name, &owner, &ops, this, &dev);
	}
	~counter_device()
	{
		if (dev != nullptr)
			rte_emudev_release(dev);
	}

	void enable(bool yes = true)
	{
		enabled_ = yes;
		tell();
	}
	/** The guest counts. */
	void count(uint32_t n) { __atomic_fetch_add(&doorbell_, n, __ATOMIC_RELEASE); }

	rte_device owner{};
	rte_emudev *dev = nullptr;
	int error;
	uint32_t control = 1; /**< Bit 0 enables the vector. */
	unsigned int fired = 0;

private:
	static counter_device &self(void *priv) { return *static_cast<counter_device *>(priv); }

	void tell()
	{
		rte_emudev_queue queue{};
		rte_emudev_event event{};

		queue.struct_size = sizeof(queue);
		queue.dir = RTE_EMUDEV_FROM_GUEST;
		queue.enabled = enabled_;
		queue.tail = &doorbell_;
		queue.vector = {&control, 1, 0, 0, 0};
		event.type = RTE_EMUDEV_EVENT_QUEUE;
		event.queue = &queue;
		rte_emudev_notify(dev, &event);
	}

	static int info_get(void *, rte_emudev_info *info)
	{
		info->driver = "emu_counter";
		info->type = ring_type;
		info->max_queue_pairs = 1;
		return 0;
	}
	static rte_emudev_irq_result irq_fire(void *priv, uint16_t, uint8_t, rte_emudev_irq_cause)
	{
		if (self(priv).control == 0)
			return RTE_EMUDEV_IRQ_LATER;
		self(priv).control = 0;
		self(priv).fired++;
		return RTE_EMUDEV_IRQ_FIRED;
	}

	static const rte_emudev_ops ops;

	bool enabled_ = false;
	uint32_t doorbell_ = 0;
};

const rte_emudev_ops counter_device::ops{
	.struct_size = sizeof(rte_emudev_ops),
	.info_get = info_get,
	.control_call = [](int (*fn)(void *), void *arg) { return fn(arg); },
	.push = [](void *priv) { self(priv).tell(); },
	.irq_fire = irq_fire,
};

/** The back-end: keeps what it is told. */
class meter {
public:
	explicit meter(rte_emudev *dev) : dev_(dev)
	{
		error = rte_emudev_subscribe(dev, &backend_ops, this);
	}
	~meter() { rte_emudev_unsubscribe(dev_); }

	/** Takes what the guest has counted since. */
	uint32_t poll()
	{
		if (!started_ || !queue_.enabled)
			return 0;
		const uint32_t now = __atomic_load_n(queue_.tail, __ATOMIC_ACQUIRE);
		const uint32_t counted = now - std::exchange(seen_, now);
		if (counted != 0 && (*queue_.vector.control & queue_.vector.enable_mask) != 0)
			rte_emudev_irq_fire(dev_, queue_.vector.index, queue_.vector.timer,
					    RTE_EMUDEV_IRQ_EVENT);
		return counted;
	}

	int error;

private:
	static void event(void *ctx, const rte_emudev_event *event)
	{
		meter &mine = *static_cast<meter *>(ctx);

		if (event->type == RTE_EMUDEV_EVENT_QUEUE)
			mine.queue_ = *event->queue;
		if (event->type == RTE_EMUDEV_EVENT_STATE)
			mine.started_ = event->state == RTE_EMUDEV_STARTED;
	}

	static constexpr rte_emudev_backend_ops backend_ops{
		.struct_size = sizeof(rte_emudev_backend_ops),
		.event = event,
		.net = nullptr,
	};

	rte_emudev *dev_;
	rte_emudev_queue queue_{};
	bool started_ = false;
	uint32_t seen_ = 0;
};

/** Made by the driver of back-ends for rings of the type. */
std::unique_ptr<meter> made;

constexpr rte_emudev_backend_driver meter_driver{
	.struct_size = sizeof(rte_emudev_backend_driver),
	.name = "test_meter",
	.type = ring_type,
	.create =
		[](rte_emudev *dev, rte_device *) {
			made = std::make_unique<meter>(dev);
			return made->error;
		},
	.destroy =
		[](rte_device *) {
			made.reset();
			return 0;
		},
};

outcome
another_kind_of_device_needs_the_core_only()
{
	const rte_emudev_conf conf{sizeof(conf), 1, nullptr};
	counter_device counter("counter0");

	CHECK_EQ(counter.error, 0);
	counter.enable(); /* before anybody listens */
	CHECK_EQ(rte_emudev_backend_register(&meter_driver), 0);
	CHECK_EQ(rte_emudev_backend_attach(counter.dev), 0);
	counter.count(3);
	CHECK_EQ(made->poll(), 0); /* not started */
	CHECK_EQ(rte_emudev_configure(counter.dev, &conf), 0);
	CHECK_EQ(rte_emudev_start(counter.dev), 0);
	counter.count(4);
	CHECK_EQ(made->poll(), 7);
	CHECK_EQ(counter.fired, 1);
	counter.count(5); /* the vector is not enabled any more */
	CHECK_EQ(made->poll(), 5);
	CHECK_EQ(counter.fired, 1);
	counter.enable(false);
	counter.count(6);
	CHECK_EQ(made->poll(), 0);
	CHECK_EQ(rte_emudev_close(counter.dev), 0);
	CHECK_EQ(rte_emudev_backend_detach(counter.dev), 0);
	CHECK(made == nullptr);
	CHECK_EQ(rte_emudev_backend_unregister(&meter_driver), 0);
	return success;
}

outcome
what_a_provider_does_not_have_is_not_supported()
{
	counter_device counter("counter0");
	rte_emudev_attr attr{};

	CHECK_EQ(rte_emudev_attr_get(counter.dev, &attr), -ENOTSUP);
	CHECK_EQ(rte_emudev_attr_set(counter.dev, &attr), -ENOTSUP);
	CHECK(rte_emudev_mem_table(counter.dev) == nullptr);
	CHECK_EQ(rte_emudev_queue_leave(counter.dev, 0, RTE_EMUDEV_FROM_GUEST, 0), -ENOTSUP);
	return success;
}

outcome
telemetry_tells_what_there_is()
{
	if (ask_telemetry("/").empty())
		return skipped;
	counter_device counter("counter0");
	const std::string told = ask_telemetry("/emudev/info,counter0");

	CHECK(told.find("\"type\":\"counter\"") != std::string::npos);
	CHECK(told.find("\"mac\"") == std::string::npos);
	return success;
}

constexpr test_case cases[] = {
	{"another kind of device needs the core only", another_kind_of_device_needs_the_core_only},
	{"what a provider does not have is not supported",
	 what_a_provider_does_not_have_is_not_supported},
	{"telemetry tells what there is", telemetry_tells_what_there_is},
};

} // namespace

const case_table counter_cases = cases;

} // namespace test
