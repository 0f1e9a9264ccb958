/* SPDX-License-Identifier: BSD-3-Clause */
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <dev_driver.h>

#include "ask_telemetry.hpp"
#include "emudev/counter.hpp"
#include "rte_emudev_net_driver.h"
#include "test.hpp"

/* librte_emudev: registry, life cycle and subscription, with a provider made for the test. */

using namespace test;

namespace {

struct provider {
	int configured = 0, started = 0, stopped = 0, closed = 0, fail_start = 0;
	uint16_t queues = 0; /**< That the guest has enabled. */
	rte_emudev *dev = nullptr;
};

provider *
self(void *priv)
{
	return static_cast<provider *>(priv);
}

/** A device that is released before the next call gets its turn on the control thread. */
rte_emudev *goes_first;

int
info_get(void *, rte_emudev_info *info)
{
	info->driver = "test";
	info->type = "test";
	info->max_queue_pairs = 4;
	return 0;
}

constexpr rte_emudev_net_ops provider_net_ops = {
	.struct_size = sizeof(provider_net_ops),
	.info_get =
		[](void *, rte_emudev_net_info *info) {
			info->max_frame = 9728;
			info->max_mtu = 9728 - 22;
			return 0;
		},
};

void
push(void *priv)
{
	const rte_emudev_link link = {sizeof(link), true, 25000, 0};
	rte_emudev_event event = {};

	event.type = RTE_EMUDEV_EVENT_LINK;
	event.link = &link;
	rte_emudev_notify(self(priv)->dev, &event);
	for (uint16_t i = 0; i < self(priv)->queues; i++) {
		rte_emudev_queue queue = {};

		queue.struct_size = sizeof(queue);
		queue.index = i;
		queue.enabled = true;
		event.type = RTE_EMUDEV_EVENT_QUEUE;
		event.queue = &queue;
		rte_emudev_notify(self(priv)->dev, &event);
	}
}

constexpr rte_emudev_ops provider_ops = {
	.struct_size = sizeof(provider_ops),
	.info_get = info_get,
	.control_call =
		[](int (*fn)(void *), void *arg) {
			if (rte_emudev *first = std::exchange(goes_first, nullptr))
				rte_emudev_release(first);
			return fn(arg);
		},
	.configure =
		[](void *p, const rte_emudev_conf *) {
			self(p)->configured++;
			return 0;
		},
	.start =
		[](void *p) {
			self(p)->started++;
			return self(p)->fail_start;
		},
	.stop =
		[](void *p) {
			self(p)->stopped++;
			return 0;
		},
	.close =
		[](void *p) {
			self(p)->closed++;
			return 0;
		},
	.push = push,
	.net = &provider_net_ops,
};

struct backend {
	int events = 0; /**< Since it knows what there is. */
	int links = 0;
	std::vector<uint16_t> queues;
	uint16_t ring_size = 0;
	rte_emudev_event_type last = RTE_EMUDEV_EVENT_MEMORY_GONE;
	rte_emudev_state state = RTE_EMUDEV_ALLOCATED;
};

/** Keeps what it is told. */
void
take(void *ctx, const rte_emudev_event *event)
{
	backend &b = *static_cast<backend *>(ctx);

	b.events++;
	b.last = event->type;
	if (event->type == RTE_EMUDEV_EVENT_LINK)
		b.links += event->link->connected;
	if (event->type == RTE_EMUDEV_EVENT_QUEUE) {
		b.queues.push_back(event->queue->index);
		b.ring_size = event->queue->size;
	}
	if (event->type == RTE_EMUDEV_EVENT_STATE)
		b.state = event->state;
}

constexpr rte_emudev_net_backend_ops backend_net_ops = {
	.struct_size = sizeof(backend_net_ops),
	.stats_get = [](void *, rte_emudev_net_stats *stats) { stats->to_guest_packets = 7; },
};
constexpr rte_emudev_backend_ops backend_ops = {
	.struct_size = sizeof(backend_ops),
	.event = take,
	.net = &backend_net_ops,
};

/** A device in the registry for the length of a case. */
struct device {
	provider p;
	explicit device(const char *name)
	{
		error = rte_emudev_allocate(name, nullptr, &provider_ops, &p, &p.dev);
	}
	~device()
	{
		if (error == 0)
			rte_emudev_release(p.dev);
	}
	rte_emudev *operator*() { return p.dev; }
	int error;
};

outcome
names_are_checked_and_unique()
{
	rte_emudev *dev = nullptr;
	std::string too_long(RTE_EMUDEV_NAME_MAX, 'x');
	rte_emudev_ops incomplete = provider_ops;
	incomplete.info_get = nullptr;

	CHECK_EQ(rte_emudev_allocate("", nullptr, &provider_ops, nullptr, &dev), -EINVAL);
	CHECK_EQ(rte_emudev_allocate(too_long.c_str(), nullptr, &provider_ops, nullptr, &dev),
		 -EINVAL);
	CHECK_EQ(rte_emudev_allocate("a", nullptr, &incomplete, nullptr, &dev), -EINVAL);
	incomplete = provider_ops;
	incomplete.struct_size = 0;
	CHECK_EQ(rte_emudev_allocate("a", nullptr, &incomplete, nullptr, &dev), -EINVAL);
	device a("a");
	CHECK_EQ(a.error, 0);
	CHECK_EQ(rte_emudev_allocate("a", nullptr, &provider_ops, nullptr, &dev), -EEXIST);
	CHECK(rte_emudev_get_by_name("a") == *a);
	CHECK(rte_emudev_get_by_name("b") == nullptr);
	CHECK(rte_emudev_get_by_name(nullptr) == nullptr);
	return success;
}

outcome
devices_are_listed_in_turn()
{
	device a("a"), b("b");
	CHECK_EQ(rte_emudev_count(), 2);
	CHECK(rte_emudev_next(nullptr) == *a);
	CHECK(rte_emudev_next(*a) == *b);
	CHECK(rte_emudev_next(*b) == nullptr);
	return success;
}

int
configure(rte_emudev *dev, uint16_t queue_pairs = 1, uint16_t mtu = 1500)
{
	const rte_emudev_net_conf net = {sizeof(net), mtu};
	const rte_emudev_conf conf = {sizeof(conf), queue_pairs, &net};

	return rte_emudev_configure(dev, &conf);
}

rte_emudev_info
empty_info()
{
	rte_emudev_info info = {};

	info.struct_size = sizeof(info);
	return info;
}

outcome
configuration_is_checked()
{
	device a("a");
	struct {
		uint16_t queue_pairs, mtu;
	} rows[] = {{0, 1500}, {5, 1500}, {1, 67}, {1, 9728 - 22 + 1}};
	for (auto &row : rows)
		CHECK(configure(*a, row.queue_pairs, row.mtu) == -ERANGE, "row %zu", &row - rows);
	rte_emudev_net_conf net = {0, 1500};
	rte_emudev_conf conf = {0, 1, nullptr};
	CHECK_EQ(rte_emudev_configure(*a, &conf), -EINVAL); /* nobody has said how much it is */
	conf = {sizeof(conf), 1, &net};
	CHECK_EQ(rte_emudev_configure(*a, &conf), -EINVAL);
	CHECK_EQ(rte_emudev_configure(*a, nullptr), -EINVAL);
	CHECK_EQ(a.p.configured, 0);
	CHECK_EQ(configure(*a, 4, 9728 - 22), 0);
	return success;
}

outcome
the_life_cycle_has_one_order()
{
	device a("a");
	rte_emudev_info info = empty_info();

	CHECK_EQ(rte_emudev_start(*a), -EINVAL);
	CHECK_EQ(configure(*a), 0);
	a.p.fail_start = -EIO;
	CHECK_EQ(rte_emudev_start(*a), -EIO);
	CHECK_EQ(rte_emudev_started(*a), 0);
	a.p.fail_start = 0;
	CHECK_EQ(rte_emudev_start(*a), 0);
	CHECK_EQ(rte_emudev_start(*a), 0); /* already: nothing is done again */
	CHECK_EQ(a.p.started, 2);
	CHECK_EQ(configure(*a), -EBUSY);
	CHECK_EQ(rte_emudev_info_get(*a, &info), 0);
	CHECK_EQ(info.state, RTE_EMUDEV_STARTED);
	CHECK_EQ(rte_emudev_close(*a), 0);
	CHECK_EQ(rte_emudev_close(*a), 0);
	CHECK_EQ(a.p.stopped, 1);
	CHECK_EQ(a.p.closed, 1);
	CHECK_EQ(rte_emudev_start(*a), -EINVAL); /* the configuration is forgotten */
	return success;
}

outcome
one_back_end_is_served()
{
	device a("a");
	backend first, second;
	rte_emudev_event data = {};
	data.type = RTE_EMUDEV_EVENT_MEMORY;
	rte_emudev_net_stats stats;

	rte_emudev_notify(*a, &data); /* to nobody */
	rte_emudev_net_stats_get(*a, &stats);
	CHECK_EQ(stats.to_guest_packets, 0);
	CHECK_EQ(rte_emudev_subscribe(*a, &backend_ops, &first), 0);
	CHECK_EQ(rte_emudev_subscribe(*a, &backend_ops, &second), -EBUSY);
	rte_emudev_notify(*a, &data);
	CHECK_EQ(first.events, 2);
	rte_emudev_net_stats_get(*a, &stats);
	CHECK_EQ(stats.to_guest_packets, 7);
	CHECK_EQ(rte_emudev_unsubscribe(*a), 0);
	rte_emudev_notify(*a, &data);
	CHECK_EQ(first.events, 2);
	CHECK_EQ(rte_emudev_subscribe(*a, &backend_ops, &second), 0);
	CHECK_EQ(rte_emudev_unsubscribe(*a), 0);
	return success;
}

outcome
a_back_end_is_told_all_that_there_is()
{
	device a("a");
	backend first, second;

	a.p.queues = 3;
	CHECK_EQ(rte_emudev_subscribe(*a, &backend_ops, &first), 0);
	CHECK_EQ(first.links, 1);
	CHECK(first.queues == std::vector<uint16_t>({0, 1, 2}));
	CHECK_EQ(rte_emudev_subscribe(*a, &backend_ops, &second), -EBUSY);
	CHECK_EQ(first.events, 4); /* nothing twice */
	CHECK_EQ(second.events, 0);
	CHECK_EQ(rte_emudev_unsubscribe(*a), 0);
	a.p.queues = 1;
	CHECK_EQ(rte_emudev_subscribe(*a, &backend_ops, &second), 0);
	CHECK_EQ(second.links, 1);
	CHECK(second.queues == std::vector<uint16_t>({0}));
	CHECK_EQ(rte_emudev_unsubscribe(*a), 0);
	return success;
}

outcome
a_back_end_hears_of_its_own_state()
{
	device a("a");
	backend b;

	CHECK_EQ(rte_emudev_subscribe(*a, &backend_ops, &b), 0);
	b.events = 0;
	CHECK_EQ(configure(*a), 0);
	a.p.fail_start = -EIO;
	CHECK_EQ(rte_emudev_start(*a), -EIO);
	CHECK_EQ(b.events, 0);
	a.p.fail_start = 0;
	CHECK_EQ(rte_emudev_start(*a), 0);
	CHECK_EQ(b.events, 1);
	CHECK_EQ(b.last, RTE_EMUDEV_EVENT_STATE);
	CHECK_EQ(b.state, RTE_EMUDEV_STARTED);
	CHECK_EQ(rte_emudev_stop(*a), 0);
	CHECK_EQ(rte_emudev_stop(*a), 0);
	CHECK_EQ(b.events, 2);
	CHECK_EQ(b.state, RTE_EMUDEV_CONFIGURED);
	CHECK_EQ(rte_emudev_unsubscribe(*a), 0);
	return success;
}

/** Counts by itself what it is told to. */
uint64_t counted;

constexpr rte_emudev_net_backend_ops counting_net_ops = {
	.struct_size = sizeof(counting_net_ops),
	.stats_get = [](void *,
			rte_emudev_net_stats *stats) { stats->from_guest_packets = counted; },
};
constexpr rte_emudev_backend_ops counting_ops = {
	.struct_size = sizeof(counting_ops),
	.event = [](void *, const rte_emudev_event *) {},
	.net = &counting_net_ops,
};

outcome
the_guests_counters_are_its_own()
{
	device a("a");
	auto seen = [&] {
		rte_emudev_net_stats stats;
		rte_emudev_net_stats_get(*a, &stats);
		return stats.from_guest_packets;
	};

	CHECK_EQ(seen(), 0);
	counted = 5;
	CHECK_EQ(rte_emudev_subscribe(*a, &counting_ops, nullptr), 0);
	CHECK_EQ(seen(), 5);
	/* The driver begins anew, the back-end goes on. */
	rte_emudev_net_stats_reset(*a);
	CHECK_EQ(seen(), 0);
	counted = 8;
	CHECK_EQ(seen(), 3);
	/* Another back-end begins at 0. */
	CHECK_EQ(rte_emudev_unsubscribe(*a), 0);
	CHECK_EQ(seen(), 3);
	counted = 0;
	CHECK_EQ(rte_emudev_subscribe(*a, &counting_ops, nullptr), 0);
	CHECK_EQ(seen(), 3);
	counted = 2;
	CHECK_EQ(seen(), 5);
	rte_emudev_net_stats_reset(*a);
	CHECK_EQ(seen(), 0);
	CHECK_EQ(rte_emudev_unsubscribe(*a), 0);
	return success;
}

outcome
a_back_end_hears_of_the_end()
{
	backend b;
	provider p;
	rte_emudev_info info = empty_info();

	CHECK_EQ(rte_emudev_allocate("a", nullptr, &provider_ops, &p, &p.dev), 0);
	CHECK_EQ(rte_emudev_subscribe(p.dev, &backend_ops, &b), 0);
	CHECK_EQ(configure(p.dev), 0);
	b.events = 0;
	CHECK_EQ(rte_emudev_release(p.dev), 0);
	CHECK_EQ(b.events, 1);
	CHECK_EQ(b.last, RTE_EMUDEV_EVENT_REMOVE);
	CHECK_EQ(p.closed, 1);
	CHECK_EQ(rte_emudev_count(), 0);
	/* What it still has in hand fails calls, and the provider hears of none. */
	CHECK_EQ(rte_emudev_info_get(p.dev, &info), -ENODEV);
	CHECK_EQ(rte_emudev_queue_leave(p.dev, 0, RTE_EMUDEV_TO_GUEST, 0), -ENODEV);
	CHECK_EQ(configure(p.dev), -ENODEV);
	CHECK_EQ(rte_emudev_close(p.dev), -ENODEV);
	CHECK_EQ(p.configured, 1);
	CHECK_EQ(p.closed, 1);
	CHECK_EQ(rte_emudev_unsubscribe(p.dev), 0);
	return success;
}

outcome
a_call_may_come_too_late()
{
	backend b;
	provider p;
	rte_emudev_info info = empty_info();

	CHECK_EQ(rte_emudev_allocate("a", nullptr, &provider_ops, &p, &p.dev), 0);
	CHECK_EQ(rte_emudev_subscribe(p.dev, &backend_ops, &b), 0);
	goes_first = p.dev;
	CHECK_EQ(rte_emudev_info_get(p.dev, &info), -ENODEV);
	CHECK_EQ(rte_emudev_unsubscribe(p.dev), 0);
	return success;
}

outcome
telemetry_may_come_too_late()
{
	if (ask_telemetry("/").empty())
		return skipped;
	device c("c");
	CHECK(ask_telemetry("/emudev/info,c").find("\"type\":\"test\"") != std::string::npos);
	goes_first = *c;
	c.error = -ENODEV; /* it is not ours to release */
	CHECK(ask_telemetry("/emudev/info,c").find("null") != std::string::npos);
	CHECK_EQ(rte_emudev_count(), 0);
	return success;
}

/* --- drivers of back-ends --- */

int creations, destructions, creation_error;
const rte_device *created_for;

constexpr rte_emudev_backend_driver backend_driver = {
	.struct_size = sizeof(backend_driver),
	.name = "net_test",
	.type = "test",
	.create =
		[](rte_emudev *, rte_device *owner) {
			creations++;
			created_for = owner;
			return creation_error;
		},
	.destroy =
		[](rte_device *) {
			destructions++;
			return 0;
		},
};

outcome
one_driver_serves_a_type()
{
	rte_emudev_backend_driver incomplete = backend_driver, other = backend_driver;

	incomplete.destroy = nullptr;
	CHECK_EQ(rte_emudev_backend_register(nullptr), -EINVAL);
	CHECK_EQ(rte_emudev_backend_register(&incomplete), -EINVAL);
	CHECK_EQ(rte_emudev_backend_register(&backend_driver), 0);
	CHECK_EQ(rte_emudev_backend_register(&other), -EEXIST);
	CHECK_EQ(rte_emudev_backend_unregister(&other), -ENOENT);
	CHECK_EQ(rte_emudev_backend_unregister(&backend_driver), 0);
	CHECK_EQ(rte_emudev_backend_register(&other), 0);
	CHECK_EQ(rte_emudev_backend_unregister(&other), 0);
	return success;
}

outcome
a_device_gets_its_own_back_end()
{
	provider p;
	rte_device owner = {};

	creations = destructions = 0;
	CHECK_EQ(rte_emudev_allocate("a", &owner, &provider_ops, &p, &p.dev), 0);
	CHECK_EQ(rte_emudev_backend_attach(p.dev), -ENOENT);
	CHECK_EQ(rte_emudev_backend_register(&backend_driver), 0);
	creation_error = -EIO;
	CHECK_EQ(rte_emudev_backend_attach(p.dev), -EIO);
	CHECK_EQ(rte_emudev_backend_detach(p.dev), 0); /* there is none */
	CHECK_EQ(destructions, 0);
	creation_error = 0;
	CHECK_EQ(rte_emudev_backend_attach(p.dev), 0);
	CHECK(created_for == &owner);
	CHECK_EQ(rte_emudev_backend_attach(p.dev), -EEXIST);
	CHECK_EQ(creations, 2);
	/* What a driver has made goes by that driver. */
	CHECK_EQ(rte_emudev_backend_unregister(&backend_driver), 0);
	CHECK_EQ(rte_emudev_backend_detach(p.dev), 0);
	CHECK_EQ(rte_emudev_backend_detach(p.dev), 0);
	CHECK_EQ(destructions, 1);
	CHECK_EQ(rte_emudev_release(p.dev), 0);
	return success;
}

/** As in a secondary process, where there is a DPDK device and no emulated one. */
outcome
a_back_end_is_shown()
{
	rte_emudev_backend_driver driver = backend_driver;
	rte_device owner = {};
	static const rte_device *shown_for;

	shown_for = nullptr;
	destructions = 0;
	CHECK_EQ(rte_emudev_backend_show(nullptr, &owner), -EINVAL);
	CHECK_EQ(rte_emudev_backend_show(driver.type, nullptr), -EINVAL);
	CHECK_EQ(rte_emudev_backend_hide(driver.type, nullptr), -EINVAL);
	CHECK_EQ(rte_emudev_backend_show(driver.type, &owner), -ENOENT);
	CHECK_EQ(rte_emudev_backend_hide(driver.type, &owner), -ENOENT);
	CHECK_EQ(rte_emudev_backend_register(&driver), 0);
	CHECK_EQ(rte_emudev_backend_show(driver.type, &owner), -ENOTSUP);
	driver.show = [](rte_device *device) {
		shown_for = device;
		return -EIO;
	};
	CHECK_EQ(rte_emudev_backend_show(driver.type, &owner), -EIO);
	CHECK(shown_for == &owner);
	CHECK_EQ(rte_emudev_backend_hide(driver.type, &owner), 0);
	CHECK_EQ(destructions, 1);
	/* A driver of before knows nothing of it. */
	driver.struct_size = offsetof(rte_emudev_backend_driver, show);
	CHECK_EQ(rte_emudev_backend_show(driver.type, &owner), -ENOTSUP);
	CHECK_EQ(rte_emudev_backend_unregister(&driver), 0);
	return success;
}

/** Who was compiled with a shorter structure gets, and gives, no more than that. */
outcome
structures_may_grow()
{
	device a("a");
	rte_emudev_net_info net = {};
	rte_emudev_info info = empty_info();
	backend b;
	rte_emudev_queue queue = {};
	rte_emudev_event event = {};

	net.struct_size = offsetof(rte_emudev_net_info, max_mtu);
	CHECK_EQ(rte_emudev_net_info_get(*a, &net), 0);
	CHECK_EQ(net.max_frame, 9728);
	CHECK_EQ(net.max_mtu, 0);
	info.struct_size = 0;
	CHECK_EQ(rte_emudev_info_get(*a, &info), -EINVAL);
	CHECK_EQ(rte_emudev_subscribe(*a, &backend_ops, &b), 0);
	queue.struct_size = offsetof(rte_emudev_queue, head);
	queue.index = 3;
	queue.size = 77;
	event.type = RTE_EMUDEV_EVENT_QUEUE;
	CHECK_EQ(rte_emudev_notify(*a, &event), -EINVAL);
	event.queue = &queue;
	CHECK_EQ(rte_emudev_notify(*a, &event), 0);
	CHECK(b.queues == std::vector<uint16_t>({3}));
	CHECK_EQ(b.ring_size, 0);
	queue.struct_size = 0;
	CHECK_EQ(rte_emudev_notify(*a, &event), -EINVAL);
	CHECK_EQ(rte_emudev_unsubscribe(*a), 0);
	return success;
}

outcome
no_device_fails_calls()
{
	rte_emudev_info info = empty_info();
	rte_emudev_net_info net = {sizeof(net), 0, 0, 0, {}};
	rte_emudev_net_stats stats = {};
	rte_emudev_event event = {};
	rte_emudev_attr attr = {};

	CHECK_EQ(rte_emudev_info_get(nullptr, &info), -EINVAL);
	CHECK_EQ(rte_emudev_net_info_get(nullptr, &net), -EINVAL);
	CHECK_EQ(configure(nullptr), -EINVAL);
	CHECK_EQ(rte_emudev_start(nullptr), -EINVAL);
	CHECK_EQ(rte_emudev_stop(nullptr), -EINVAL);
	CHECK_EQ(rte_emudev_close(nullptr), -EINVAL);
	CHECK_EQ(rte_emudev_release(nullptr), -EINVAL);
	CHECK_EQ(rte_emudev_subscribe(nullptr, &backend_ops, nullptr), -EINVAL);
	CHECK_EQ(rte_emudev_unsubscribe(nullptr), -EINVAL);
	CHECK_EQ(rte_emudev_notify(nullptr, &event), -EINVAL);
	CHECK_EQ(rte_emudev_attr_get(nullptr, &attr), -EINVAL);
	CHECK_EQ(rte_emudev_attr_set(nullptr, &attr), -EINVAL);
	CHECK_EQ(rte_emudev_backend_attach(nullptr), -EINVAL);
	CHECK_EQ(rte_emudev_backend_detach(nullptr), -EINVAL);
	CHECK_EQ(rte_emudev_backend_unregister(nullptr), -ENOENT);
	CHECK_EQ(rte_emudev_queue_leave(nullptr, 0, RTE_EMUDEV_TO_GUEST, 0), -EINVAL);
	CHECK(rte_emudev_mem_table(nullptr) == nullptr);
	CHECK_EQ(rte_emudev_irq_fire(nullptr, 0, 0, RTE_EMUDEV_IRQ_EVENT), RTE_EMUDEV_IRQ_FIRED);
	CHECK(!rte_emudev_started(nullptr));
	stats.to_guest_bytes = 1;
	rte_emudev_net_stats_get(nullptr, &stats);
	CHECK_EQ(stats.to_guest_bytes, 0);
	rte_emudev_net_stats_reset(nullptr);
	return success;
}

outcome
the_registry_has_an_end()
{
	rte_emudev *devices[RTE_EMUDEV_MAX_DEVICES], *extra;
	provider p;
	for (int i = 0; i < RTE_EMUDEV_MAX_DEVICES; i++)
		CHECK_EQ(rte_emudev_allocate(std::to_string(i).c_str(), nullptr, &provider_ops, &p,
					     &devices[i]),
			 0);
	CHECK_EQ(rte_emudev_allocate("extra", nullptr, &provider_ops, &p, &extra), -ENOSPC);
	for (rte_emudev *dev : devices)
		CHECK_EQ(rte_emudev_release(dev), 0);
	return success;
}

outcome
emudev_autotest()
{
	static const test_case cases[] = {
		{"names are checked and unique", names_are_checked_and_unique},
		{"devices are listed in turn", devices_are_listed_in_turn},
		{"configuration is checked", configuration_is_checked},
		{"the life cycle has one order", the_life_cycle_has_one_order},
		{"one back-end is served", one_back_end_is_served},
		{"a back-end is told all that there is", a_back_end_is_told_all_that_there_is},
		{"a back-end hears of its own state", a_back_end_hears_of_its_own_state},
		{"the guest's counters are its own", the_guests_counters_are_its_own},
		{"a back-end hears of the end", a_back_end_hears_of_the_end},
		{"a call may come too late", a_call_may_come_too_late},
		{"telemetry may come too late", telemetry_may_come_too_late},
		{"one driver serves a type", one_driver_serves_a_type},
		{"a device gets its own back-end", a_device_gets_its_own_back_end},
		{"a back-end is shown", a_back_end_is_shown},
		{"structures may grow", structures_may_grow},
		{"no device fails calls", no_device_fails_calls},
		{"the registry has an end", the_registry_has_an_end},
	};
	return run_cases("emudev", {cases, counter_cases});
}

} // namespace

REGISTER_TEST(emudev_autotest, emudev_autotest);
