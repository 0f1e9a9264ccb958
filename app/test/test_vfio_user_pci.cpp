/* SPDX-License-Identifier: BSD-3-Clause */
#include <atomic>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include <bus_driver.h>
#include <bus_pci_driver.h>
#include <bus_vdev_driver.h>
#include <ethdev_driver.h>
#include <rte_alarm.h>
#include <rte_dev.h>
#include <rte_malloc.h>

#include "rte_vfio_user.h"
#include "system.hpp"
#include "test.hpp"

/*
 * bus/vfio_user with both ends in this process: a device made for the test, and a PCI driver made
 * for it, whose ports do what a test needs a driver to do. test/dpdk has the real net_iavf.
 */

using namespace test;

namespace {

constexpr const char *name = "vfio_user_pci_autotest";
constexpr uint64_t page = 4096;
constexpr uint64_t bar_size = 4 * page;
constexpr uint16_t vendor = 0xfade, product = 0xcafe;
constexpr uint32_t nb_vectors = 5;
constexpr uint16_t max_queues = 4;
constexpr uint32_t rw = RTE_VFIO_USER_REGION_READ | RTE_VFIO_USER_REGION_WRITE;
constexpr uint32_t mappable = RTE_VFIO_USER_REGION_MMAP;

/* --- the device, behind a socket --- */

class test_device {
public:
	bool start()
	{
		static constexpr rte_vfio_user_server_ops ops = {
			.region_read = on_read,
			.region_write = on_write,
			.new_device = nullptr,
			.destroy_device = nullptr,
			.update_device = nullptr,
			.reset_device = nullptr,
			.memory_removed = nullptr,
			.poll = nullptr,
			.work = nullptr,
		};
		rte_vfio_user_region regions[RTE_VFIO_USER_PCI_REGIONS] = {};
		rte_vfio_user_irq irqs[RTE_VFIO_USER_PCI_IRQS] = {};
		rte_vfio_user_server_conf conf;

		rte_vfio_user_server_conf_init(&conf);
		for (rte_vfio_user_region &r : regions)
			r.fd = -1;
		regions[RTE_VFIO_USER_REGION_BAR0].size = bar0_size;
		regions[RTE_VFIO_USER_REGION_BAR0].flags = bar0_flags;
		regions[RTE_VFIO_USER_REGION_BAR0].fd = bar.get();
		regions[RTE_VFIO_USER_REGION_CONFIG].size = sizeof(config_);
		regions[RTE_VFIO_USER_REGION_CONFIG].flags = rw;
		irqs[RTE_VFIO_USER_IRQ_MSIX] = {vectors, RTE_VFIO_USER_IRQ_EVENTFD};
		conf.path = path.c_str();
		conf.ops = &ops;
		conf.ctx = this;
		conf.flags = RTE_VFIO_USER_DEVICE_PCI;
		conf.nb_regions = RTE_VFIO_USER_PCI_REGIONS;
		conf.regions = regions;
		conf.nb_irqs = RTE_VFIO_USER_PCI_IRQS;
		conf.irqs = irqs;
		return rte_vfio_user_server_register(&conf, &server) == 0 &&
		       rte_vfio_user_server_start(server) == 0;
	}
	~test_device() { stop(); }
	void stop()
	{
		if (server != nullptr)
			rte_vfio_user_server_unregister(std::exchange(server, nullptr));
	}

	/** How many of the vectors from 1 on, those of queues, are wired. */
	uint32_t wired_queues() const
	{
		uint32_t count = 0;
		for (uint32_t i = 1; i < nb_vectors; i++)
			count += rte_vfio_user_server_irq_wired(server, RTE_VFIO_USER_IRQ_MSIX,
								i) == 1;
		return count;
	}
	uint32_t nb_dma_regions() const
	{
		return rte_guest_mem_get(rte_vfio_user_server_dma_table(server))->nb_regions;
	}
	/** Where the device sees memory of the consumer, nullptr if it does not see all of it. */
	uint8_t *sees(uintptr_t addr, uint64_t size) const
	{
		rte_guest_mem_cache cache = {};
		return rte_guest_mem_translate(*rte_vfio_user_server_dma_table(server), &cache,
					       addr, size,
					       RTE_GUEST_MEM_READ | RTE_GUEST_MEM_WRITE);
	}

	/** Makes the device an iavf function, whose registers are known to be in BAR 0. */
	void be_an_iavf()
	{
		store(0, 0x8086);
		store(2, 0x1889);
	}
	void put_bar0_into_io_space() { store(0x10, 1); }
	/** With a capability that has the vectors' table in BAR 0. */
	void put_msix_into_bar0()
	{
		store(0x06, 1 << 4); /* status: there are capabilities */
		store(0x34, 0x40);
		store(0x40, 0x11);
	}

	/* What the server offers, until it is started. */
	uint64_t bar0_size = bar_size;
	uint32_t bar0_flags = rw | mappable;
	uint32_t vectors = nb_vectors;

	const std::string path = "/tmp/" + std::string(name) + "." + std::to_string(::getpid());
	guard::unique_fd bar = make_file(bar_size);
	rte_vfio_user_server *server = nullptr;

private:
	static int on_read(void *ctx, uint32_t, uint64_t offset, void *data, uint32_t count)
	{
		std::memcpy(data, static_cast<test_device *>(ctx)->config_ + offset, count);
		return 0;
	}
	static int on_write(void *ctx, uint32_t, uint64_t offset, const void *data, uint32_t count)
	{
		std::memcpy(static_cast<test_device *>(ctx)->config_ + offset, data, count);
		return 0;
	}

	void store(unsigned offset, uint16_t value)
	{
		std::memcpy(config_ + offset, &value, sizeof(value));
	}

	uint8_t config_[256] = {vendor & 0xff, vendor >> 8, product & 0xff, product >> 8};
};

/* --- the driver --- */

/** The device that was probed last. */
rte_pci_device *probed;

/** What a case wants to happen in the middle of the driver's functions. */
std::function<void()> in_probe, in_remove;

int fake_configure(rte_eth_dev *dev);
int fake_start(rte_eth_dev *dev);
int fake_stop(rte_eth_dev *dev);

int
fake_info(rte_eth_dev *, rte_eth_dev_info *info)
{
	info->max_rx_queues = max_queues;
	info->max_tx_queues = max_queues;
	info->max_mtu = RTE_ETHER_MTU;
	info->max_rx_pktlen = RTE_ETHER_MAX_LEN;
	return 0;
}

int
fake_link(rte_eth_dev *, int)
{
	return 0;
}

constinit const eth_dev_ops fake_ops = {
	.dev_configure = fake_configure,
	.dev_start = fake_start,
	.dev_stop = fake_stop,
	.link_update = fake_link,
	.dev_infos_get = fake_info,
};

/** As net_iavf does when it needs another number of queues: it makes itself anew on the way. */
int
fake_configure(rte_eth_dev *dev)
{
	if (dev->data->nb_rx_queues > 1)
		dev->dev_ops = &fake_ops;
	return 0;
}

int
fake_start(rte_eth_dev *dev)
{
	return dev->data->dev_conf.intr_conf.rxq
		       ? rte_intr_efd_enable(dev->intr_handle, dev->data->nb_rx_queues)
		       : 0;
}

int
fake_stop(rte_eth_dev *dev)
{
	rte_intr_efd_disable(dev->intr_handle);
	return 0;
}

int
fake_probe(rte_pci_driver *, rte_pci_device *device)
{
	rte_eth_dev *dev = rte_eth_dev_allocate(device->device.name);

	if (dev == nullptr)
		return -ENOMEM;
	dev->device = &device->device;
	dev->intr_handle = device->intr_handle;
	dev->dev_ops = &fake_ops;
	rte_eth_dev_probing_finish(dev);
	probed = device;
	if (in_probe)
		in_probe();
	return 0;
}

int
fake_remove(rte_pci_device *device)
{
	probed = nullptr;
	if (in_remove)
		in_remove();
	return rte_eth_dev_release_port(rte_eth_dev_allocated(device->device.name));
}

constinit const rte_pci_id fake_ids[] = {{.class_id = RTE_CLASS_ANY_ID,
					  .vendor_id = vendor,
					  .device_id = product,
					  .subsystem_vendor_id = RTE_PCI_ANY_ID,
					  .subsystem_device_id = RTE_PCI_ANY_ID},
					 {}};

rte_pci_driver fake_driver = {
	.driver = {.name = "net_vfio_user_pci_autotest"},
	.probe = fake_probe,
	.remove = fake_remove,
	.id_table = fake_ids,
};

/* --- the application --- */

/** Attaches to the device and listens to what is told of it. */
class consumer {
public:
	consumer()
	{
		rte_dev_event_callback_register(name, on_device_event, this);
		rte_eth_dev_callback_register(RTE_ETH_ALL, RTE_ETH_EVENT_INTR_RMV, on_port_event,
					      this);
	}
	~consumer()
	{
		detach();
		rte_eth_dev_callback_unregister(RTE_ETH_ALL, RTE_ETH_EVENT_INTR_RMV, on_port_event,
						this);
		/* Again while a callback runs. */
		while (rte_dev_event_callback_unregister(name, on_device_event, this) == -EAGAIN)
			::usleep(1000);
	}

	int attach(const test_device &device)
	{
		int error = rte_vdev_init(name, ("path=" + device.path).c_str());
		attached_ = error == 0;
		if (attached_)
			rte_eth_dev_get_port_by_name(name, &port);
		return error;
	}
	int detach() { return std::exchange(attached_, false) ? rte_vdev_uninit(name) : 0; }

	int configure(uint16_t queues) const
	{
		rte_eth_conf conf = {};
		conf.intr_conf.rxq = 1;
		return rte_eth_dev_configure(port, queues, queues, &conf);
	}
	bool is_told_of_removal() const
	{
		return wait_until([this] { return device_events > 0; }) && port_events == 1 &&
		       device_events == 1 && rte_eth_dev_is_removed(port) == 1;
	}

	uint16_t port = RTE_MAX_ETHPORTS;
	std::atomic<int> port_events{0}, device_events{0};
	std::function<void()> on_removal;

private:
	static void on_device_event(const char *, rte_dev_event_type type, void *self)
	{
		auto *user = static_cast<consumer *>(self);
		if (type != RTE_DEV_EVENT_REMOVE)
			return;
		user->device_events++;
		if (user->on_removal)
			user->on_removal();
	}
	static int on_port_event(uint16_t, rte_eth_event_type, void *self, void *)
	{
		static_cast<consumer *>(self)->port_events++;
		return 0;
	}

	bool attached_ = false;
};

/* --- the cases --- */

outcome
the_end_of_the_server_is_told()
{
	test_device device;
	consumer user;

	CHECK(device.start());
	CHECK_EQ(user.attach(device), 0);
	CHECK_EQ(rte_eth_dev_is_removed(user.port), 0);
	auto *bar = static_cast<volatile uint8_t *>(probed->mem_resource[0].addr);
	bar[page] = 7;
	device.stop();
	CHECK(user.is_told_of_removal());
	CHECK_EQ(bar[page], 7); /* old values, no fault */
	CHECK_EQ(user.detach(), 0);
	CHECK(probed == nullptr);
	CHECK(device.start());
	CHECK_EQ(user.attach(device), 0);
	return success;
}

/** Returns when EAL's interrupt thread has run all alarms that were set before. */
void
flush_alarms()
{
	std::atomic<bool> done{false};
	rte_eal_alarm_set(
		1000, [](void *flag) { *static_cast<std::atomic<bool> *>(flag) = true; }, &done);
	wait_until([&] { return done.load(); });
}

outcome
the_end_of_the_server_in_a_probe_is_told_once()
{
	for (int i = 0; i < 30; i++) {
		test_device device;
		consumer user;

		CHECK(device.start());
		in_probe = [&] {
			device.stop();
			/* Half of the times an alarm would come before there is a port. */
			if (i % 2 != 0)
				flush_alarms();
		};
		int attached = user.attach(device);
		in_probe = nullptr;
		CHECK_EQ(attached, 0);
		CHECK(user.is_told_of_removal(), "round %d", i);
		flush_alarms();
		CHECK_EQ(user.port_events, 1);
		CHECK_EQ(user.device_events, 1);
	}
	return success;
}

outcome
a_removal_in_the_callback_meets_another()
{
	static std::atomic<bool> in_callback, in_removal, removed;
	test_device device;
	consumer user;

	in_callback = in_removal = removed = false;
	CHECK(device.start());
	CHECK_EQ(user.attach(device), 0);
	user.on_removal = [] {
		in_callback = true;
		wait_until([] { return in_removal.load(); });
		rte_vdev_uninit(name); /* the bus is locked: waits for the other */
		removed = true;
	};
	in_remove = [] { in_removal = true; };
	device.stop();
	CHECK(wait_until([] { return in_callback.load(); }));
	int detached = user.detach();
	in_remove = nullptr;
	CHECK_EQ(detached, 0);
	CHECK(wait_until([] { return removed.load(); }));
	CHECK(probed == nullptr);
	return success;
}

outcome
a_truncated_bar_is_survived()
{
	test_device device;
	consumer user;

	CHECK(device.start());
	CHECK_EQ(user.attach(device), 0);
	auto *bar = static_cast<volatile uint8_t *>(probed->mem_resource[0].addr);
	bar[page] = 1;
	CHECK_EQ(::ftruncate(device.bar.get(), page), 0);
	CHECK_EQ(bar[page], 0);
	bar[2 * page] = 5;
	CHECK_EQ(bar[2 * page], 5); /* memory that nobody else sees */
	CHECK(user.is_told_of_removal());
	CHECK_EQ(user.detach(), 0);
	/* Its next server is none the worse. */
	CHECK_EQ(::ftruncate(device.bar.get(), bar_size), 0);
	CHECK_EQ(user.attach(device), 0);
	return success;
}

/** How many devices that text finds. */
int
count_devices(const char *text)
{
	rte_dev_iterator at;
	rte_device *device;
	int count = 0;

	RTE_DEV_FOREACH(device, text, &at)
	count++;
	return count;
}

outcome
the_device_is_found()
{
	test_device device;
	consumer user;
	rte_dev_iterator at;
	rte_device *found;
	rte_eth_dev_info info;
	const std::string by_name = std::string("bus=vfio_user,name=") + name;

	CHECK_EQ(count_devices("bus=vfio_user"), 0);
	CHECK(device.start());
	CHECK_EQ(user.attach(device), 0);
	CHECK_EQ(rte_eth_dev_info_get(user.port, &info), 0);
	RTE_DEV_FOREACH(found, "bus=vfio_user", &at)
	CHECK(found == info.device);
	CHECK_EQ(count_devices("bus=vfio_user"), 1);
	CHECK_EQ(count_devices(by_name.c_str()), 1);
	CHECK_EQ(count_devices("bus=vfio_user,name=other"), 0);
	CHECK_EQ(count_devices("bus=vfio_user,colour=red"), 0);
	rte_bus *bus = rte_bus_find_by_name("vfio_user");
	CHECK(bus != nullptr && bus == rte_bus_find_by_device(info.device));
	/* By the name that the user knows there is the virtual device, as before. */
	CHECK_EQ(rte_dev_remove(const_cast<rte_device *>(info.device)), 0);
	CHECK(probed == nullptr);
	CHECK_EQ(count_devices("bus=vfio_user"), 0);
	return success;
}

/** Whether the bus refuses the device before a driver sees it. */
bool
is_refused(test_device &device)
{
	consumer user;

	probed = nullptr;
	bool refused = device.start() && user.attach(device) != 0 && probed == nullptr;
	device.stop();
	return refused;
}

outcome
a_bar_without_rights_is_refused()
{
	for (uint32_t flags : {0u, rw, mappable, mappable | RTE_VFIO_USER_REGION_READ,
			       mappable | RTE_VFIO_USER_REGION_WRITE}) {
		test_device device;

		device.bar0_flags = flags;
		CHECK(is_refused(device), "flags %#x", flags);
	}
	return success;
}

outcome
a_device_without_memory_is_refused()
{
	test_device none, io;

	none.bar0_size = 0;
	CHECK(is_refused(none));
	io.put_bar0_into_io_space();
	CHECK(is_refused(io));
	return success;
}

outcome
a_bar_of_the_vectors_may_be_trapped()
{
	test_device unknown, iavf;

	/* Its driver may have no other; but in an iavf the registers are where the table is. */
	for (test_device *device : {&unknown, &iavf}) {
		device->put_msix_into_bar0();
		device->bar0_flags = rw;
	}
	iavf.be_an_iavf();
	CHECK(is_refused(unknown)); /* no BAR is left */
	CHECK(is_refused(iavf));
	return success;
}

outcome
a_known_device_must_have_its_bar()
{
	test_device small, none, io;

	for (test_device *device : {&small, &none, &io})
		device->be_an_iavf();
	CHECK(is_refused(small));
	none.bar0_size = 0;
	CHECK(is_refused(none));
	io.put_bar0_into_io_space();
	CHECK(is_refused(io));
	return success;
}

outcome
interrupts_of_queues_need_vectors()
{
	test_device device;
	consumer user;

	device.vectors = 1;
	CHECK(device.start());
	CHECK_EQ(user.attach(device), 0);
	CHECK_EQ(user.configure(1), 0);
	CHECK_EQ(rte_eth_dev_start(user.port), -ENOTSUP);
	return success;
}

outcome
queues_are_wired_while_the_port_runs()
{
	test_device device;
	consumer user;

	CHECK(device.start());
	CHECK_EQ(user.attach(device), 0);
	CHECK_EQ(rte_vfio_user_server_irq_wired(device.server, RTE_VFIO_USER_IRQ_MSIX, 0), 1);
	CHECK_EQ(user.configure(1), 0);
	CHECK_EQ(device.wired_queues(), 0);
	CHECK_EQ(rte_eth_dev_start(user.port), 0);
	CHECK_EQ(device.wired_queues(), 1);
	CHECK_EQ(rte_eth_dev_stop(user.port), 0);
	CHECK_EQ(device.wired_queues(), 0);
	return success;
}

outcome
queues_are_wired_after_a_reset_of_the_driver()
{
	test_device device;
	consumer user;

	CHECK(device.start());
	CHECK_EQ(user.attach(device), 0);
	CHECK_EQ(user.configure(3), 0);
	CHECK_EQ(rte_eth_dev_start(user.port), 0);
	CHECK_EQ(device.wired_queues(), 3);
	CHECK_EQ(rte_eth_dev_stop(user.port), 0);
	CHECK_EQ(device.wired_queues(), 0);
	return success;
}

/** Memory of the heap with a pattern in it. */
class heap_memory {
public:
	heap_memory(size_t size, size_t align)
	    : addr(static_cast<uint8_t *>(rte_malloc(nullptr, size, align))), size_(size)
	{
		for (size_t i = 0; addr != nullptr && i < size; i += page)
			addr[i] = pattern(i);
	}
	~heap_memory() { free(); }
	void free() { rte_free(std::exchange(addr, nullptr)); }

	/** Whether the device sees all of it, page by page the same. */
	bool is_seen_by(const test_device &device) const
	{
		for (size_t i = 0; i < size_; i += page) {
			const uint8_t *there = device.sees(iova() + i, 1);
			if (there == nullptr || *there != pattern(i))
				return false;
		}
		return true;
	}

	/** Where the device finds it. */
	uintptr_t iova() const { return reinterpret_cast<uintptr_t>(addr); }

	uint8_t *addr;

private:
	uint8_t pattern(size_t at) const
	{
		return static_cast<uint8_t>(at / page * 7 + size_ / page);
	}

	size_t size_;
};

outcome
memory_that_comes_is_opened_and_closed()
{
	test_device device;
	consumer user;

	if (!rte_eal_has_hugepages())
		return skipped;
	CHECK(device.start());
	CHECK_EQ(user.attach(device), 0);
	uint32_t before = device.nb_dma_regions();
	/* More than is free: it must be plugged. */
	heap_memory fresh(128 << 20, huge_page);
	CHECK(fresh.addr != nullptr);
	CHECK(device.nb_dma_regions() > before);
	CHECK(fresh.is_seen_by(device));
	const uintptr_t was = fresh.iova();
	fresh.free();
	CHECK_EQ(device.nb_dma_regions(), before);
	CHECK(device.sees(was, 1) == nullptr);
	return success;
}

/** As EAL does at its end. */
int
make_freeable(const rte_memseg_list *list, const rte_memseg *segment, void *)
{
	rte_mem_virt2memseg(segment->addr, list)->flags &= ~RTE_MEMSEG_FLAG_DO_NOT_FREE;
	return 0;
}

outcome
the_middle_of_a_region_can_be_freed()
{
	test_device device;
	consumer user;

	if (!rte_eal_has_hugepages())
		return skipped;
	CHECK(device.start());
	heap_memory low(3 * huge_page, huge_page), middle(4 * huge_page, huge_page),
		high(3 * huge_page, huge_page);
	CHECK(low.addr != nullptr && middle.addr != nullptr && high.addr != nullptr);
	CHECK_EQ(user.attach(device), 0);
	uint32_t before = device.nb_dma_regions();
	const auto *table = rte_guest_mem_get(rte_vfio_user_server_dma_table(device.server));
	const auto *whole = rte_guest_mem_find(table, middle.iova());
	CHECK(whole != nullptr);
	CHECK(whole->size >= 10 * huge_page, "the memory is not merged");

	const uintptr_t hole = middle.iova() + huge_page; /* of which EAL frees each page */
	rte_memseg_walk(make_freeable, nullptr);
	middle.free();
	CHECK_EQ(device.nb_dma_regions(), before + 1);
	for (size_t i = 0; i < 2 * huge_page; i += page)
		CHECK(device.sees(hole + i, 1) == nullptr, "page %zu is still open", i / page);
	CHECK(low.is_seen_by(device));
	CHECK(high.is_seen_by(device));
	return success;
}

outcome
run()
{
	static constexpr test_case cases[] = {
		{"the end of the server is told", the_end_of_the_server_is_told},
		{"the end of the server in a probe is told once",
		 the_end_of_the_server_in_a_probe_is_told_once},
		{"a removal in the callback meets another",
		 a_removal_in_the_callback_meets_another},
		{"a truncated BAR is survived", a_truncated_bar_is_survived},
		{"the device is found", the_device_is_found},
		{"a BAR without rights is refused", a_bar_without_rights_is_refused},
		{"a device without memory is refused", a_device_without_memory_is_refused},
		{"a BAR of the vectors may be trapped", a_bar_of_the_vectors_may_be_trapped},
		{"a known device must have its BAR", a_known_device_must_have_its_bar},
		{"interrupts of queues need vectors", interrupts_of_queues_need_vectors},
		{"queues are wired while the port runs", queues_are_wired_while_the_port_runs},
		{"queues are wired after a reset of the driver",
		 queues_are_wired_after_a_reset_of_the_driver},
		{"memory that comes is opened and closed", memory_that_comes_is_opened_and_closed},
		{"the middle of a region can be freed", the_middle_of_a_region_can_be_freed},
	};

	rte_pci_register(&fake_driver);
	outcome o = run_cases("vfio_user_pci", cases);
	rte_pci_unregister(&fake_driver);
	return o;
}

} // namespace

REGISTER_TEST(vfio_user_pci_autotest, run)
