/* SPDX-License-Identifier: BSD-3-Clause */
#include <algorithm>
#include <dlfcn.h>

#include <bus_pci_driver.h>
#include <bus_vdev_driver.h>
#include <ethdev_driver.h>
#include <rte_malloc.h>
#include <rte_vfio_user_client.h>

#include <registers.hpp>

#include "hostile.hpp"

/*
 * A consumer that attaches to a hostile server: an input is the configuration space, what memory
 * the process has, what it does with the port once that is there, and how the server answers while
 * BARs are found and mapped, memory is opened and closed, and vectors are wired. A driver of any
 * device reads what it was given, and makes a port of it.
 */

namespace {

using namespace fuzz;

/* --- the memory of this process, as EAL tells of it --- */

/**
 * Some pages at addresses of their own, in one file. EAL without huge pages has one piece that
 * never changes; what its functions say of these pages is said here.
 */
class pages {
public:
	static constexpr size_t count = 8, page = 4096;
	enum kind : uint8_t { plain, stays, no_file, bad_address, absent, nb_kinds };

	static pages &get()
	{
		static auto &only = *new pages;
		return only;
	}

	/** Nothing of them is seen by anybody else. */
	bool shown = false;
	/** Whether EAL says what comes and goes. */
	bool follows = false;
	rte_mem_event_callback_t event = nullptr;
	void *event_arg = nullptr;
	rte_memseg_list list{};

	void set(size_t at, uint8_t k)
	{
		rte_memseg &to = segments_[at];

		kinds_[at] = static_cast<kind>(k % nb_kinds);
		to.addr_64 = address(at);
		to.iova = kinds_[at] == bad_address ? RTE_BAD_IOVA : address(at);
		to.len = page;
		to.flags = kinds_[at] == stays ? RTE_MEMSEG_FLAG_DO_NOT_FREE : 0;
	}
	uint64_t address(size_t at) const
	{
		return reinterpret_cast<uintptr_t>(memory_.data()) + at * page;
	}
	int walk(rte_memseg_walk_t visit, void *arg)
	{
		for (size_t at = 0; at < count; at++)
			if (kinds_[at] != absent)
				if (const int ret = visit(&list, &segments_[at], arg); ret != 0)
					return ret;
		return 0;
	}
	/** nullptr: not one of these. */
	rte_memseg *find(const void *addr)
	{
		const auto at = (reinterpret_cast<uintptr_t>(addr) - address(0)) / page;

		return at < count && kinds_[at] != absent ? &segments_[at] : nullptr;
	}
	bool is_ours(const rte_memseg *one) const
	{
		return one >= segments_.data() && one < segments_.data() + count;
	}
	int fd(const rte_memseg *one) const
	{
		return kinds_[one - segments_.data()] == no_file ? -1 : file_.get();
	}
	/** Pages come, or go. */
	void change(size_t at, size_t n, uint8_t k)
	{
		const bool comes = k % nb_kinds != absent;
		n = std::min(n, count - at);

		for (size_t i = at; comes && i < at + n; i++)
			set(i, k);
		if (event != nullptr)
			event(comes ? RTE_MEM_EVENT_ALLOC : RTE_MEM_EVENT_FREE,
			      reinterpret_cast<void *>(address(at)), n * page, event_arg);
		for (size_t i = at; !comes && i < at + n; i++)
			kinds_[i] = absent;
	}

private:
	pages()
	{
		list.base_va = memory_.data();
		list.len = count * page;
		list.page_sz = page;
	}

	const guard::unique_fd file_ = files::make(count * page);
	const guard::mapping memory_ =
		guard::mapping::make(nullptr, count *page, PROT_READ | PROT_WRITE, MAP_SHARED,
				     file_.get(), 0)
			.value();
	std::array<rte_memseg, count> segments_{};
	std::array<kind, count> kinds_{};
};

/** EAL's own function of this name. */
template <class F>
F *
behind(F *, const char *name)
{
	return reinterpret_cast<F *>(::dlsym(RTLD_NEXT, name));
}

/* --- the driver of any device --- */

rte_pci_device *attached;
rte_eth_dev *port;

int
configure(rte_eth_dev *)
{
	return 0;
}

/** As drivers make them for their Rx queues. */
int
start(rte_eth_dev *dev)
{
	return rte_intr_efd_enable(attached->intr_handle, dev->data->nb_rx_queues);
}

int
stop(rte_eth_dev *)
{
	rte_intr_efd_disable(attached->intr_handle);
	return 0;
}

int
tell(rte_eth_dev *, rte_eth_dev_info *info)
{
	info->max_rx_queues = info->max_tx_queues = 64;
	info->max_rx_pktlen = RTE_ETHER_MAX_LEN;
	return 0;
}

constexpr eth_dev_ops operations = [] {
	eth_dev_ops out{};

	out.dev_configure = configure;
	out.dev_start = start;
	out.dev_stop = stop;
	out.dev_close = configure;
	out.dev_reset = configure;
	out.dev_infos_get = tell;
	return out;
}();

int
probe(rte_pci_driver *, rte_pci_device *device)
{
	uint64_t sum = 0;

	for (const rte_mem_resource &bar : device->mem_resource) {
		if (bar.addr == nullptr || bar.len == 0)
			continue;
		const auto *bytes = static_cast<const volatile uint8_t *>(bar.addr);
		sum += bytes[0] + bytes[bar.len - 1];
		/* Drivers of known devices know how long their registers are. */
		if (device->id.vendor_id == 0x8086 && device->id.device_id == 0x1889)
			MUST(&bar != device->mem_resource || bar.len >= 0x10000);
	}
	if (sum == 1)
		return 1;
	port = rte_eth_dev_allocate(device->device.name);
	MUST(port != nullptr);
	port->device = &device->device;
	port->dev_ops = &operations;
	port->data->mac_addrs =
		static_cast<rte_ether_addr *>(rte_zmalloc(nullptr, sizeof(rte_ether_addr), 0));
	rte_eth_dev_probing_finish(port);
	attached = device;
	return 0;
}

int
remove(rte_pci_device *)
{
	if (port->data->dev_started)
		rte_eth_dev_stop(port->data->port_id);
	rte_eth_dev_close(port->data->port_id);
	attached = nullptr;
	return 0;
}

/* Drivers that the distribution has come behind it, so none of them is asked. */
constinit const rte_pci_id any_device[] = {{.class_id = RTE_CLASS_ANY_ID,
					    .vendor_id = RTE_PCI_ANY_ID,
					    .device_id = RTE_PCI_ANY_ID,
					    .subsystem_vendor_id = RTE_PCI_ANY_ID,
					    .subsystem_device_id = RTE_PCI_ANY_ID},
					   {}};

rte_pci_driver driver = {
	.driver = {.name = "fuzz_any"},
	.probe = probe,
	.remove = remove,
	.id_table = any_device,
};

__attribute__((constructor)) void
register_driver()
{
	rte_pci_register(&driver);
}

/* --- what the application does --- */

enum step : uint8_t {
	configure_port, /**< With other numbers of queues. */
	start_port,
	stop_port,
	reset_port,
	ask_removed,
	change_memory,
	reach,
	look_around,
	nb_steps,
};

bool
reaches(uint64_t addr, uint64_t length)
{
	return rte_dev_dma_map(&attached->device, reinterpret_cast<void *>(addr), addr, length) ==
	       0;
}

void
change(input &in)
{
	pages &all = pages::get();
	const size_t at = in.u8() % pages::count, n = 1 + in.u8() % pages::count;
	const uint8_t k = in.u8();

	all.change(at, n, k);
	/* What is freed is closed, whatever the server says. */
	for (size_t i = at; i < std::min(at + n, pages::count); i++)
		if (all.event != nullptr && k % pages::nb_kinds == pages::absent)
			MUST(!reaches(all.address(i), 1));
}

void
look(uint8_t what)
{
	static const char *const all[] = {"bus=vfio_user", "bus=vfio_user,name=vfio_user_pci_fuzz",
					  "bus=vfio_user,nothing=1"};
	rte_dev_iterator at;
	rte_device *found;

	RTE_DEV_FOREACH(found, all[what % std::size(all)], &at)
	MUST(found == &attached->device);
}

void
play(input &in)
{
	const uint16_t id = port->data->port_id;
	rte_eth_conf conf{};

	switch (in.u8() % nb_steps) {
	case configure_port: {
		const uint16_t queues = 1 + in.u8() % 20;
		if (port->data->dev_started)
			rte_eth_dev_stop(id);
		rte_eth_dev_configure(id, queues, queues, &conf);
		return;
	}
	case start_port:
		if (port->data->dev_configured)
			rte_eth_dev_start(id);
		return;
	case stop_port:
		rte_eth_dev_stop(id);
		return;
	case reset_port:
		rte_eth_dev_reset(id);
		return;
	case ask_removed:
		rte_eth_dev_is_removed(id);
		return;
	case change_memory:
		return change(in);
	case reach: {
		const uint64_t at = pages::get().address(in.u8() % pages::count) + in.u16();
		reaches(at, in.u16());
		return;
	}
	case look_around:
		return look(in.u8());
	}
}

/** What a known device says when it is ready. */
void
make_ready(const files &descriptors, bool yes)
{
	const uint32_t state = yes ? iavf::rstat::completed : 0;

	MUST(::pwrite(descriptors.of(files::memory), &state, sizeof(state),
		      iavf::reg::vfgen_rstat) == sizeof(state));
}

} // namespace

/*
 * What the code under test asks EAL for; all else gets EAL's own answers.
 */
extern "C" {

int
rte_memseg_walk_thread_unsafe(rte_memseg_walk_t visit, void *arg)
{
	static const auto other = behind(&rte_memseg_walk_thread_unsafe, __func__);

	return pages::get().shown ? pages::get().walk(visit, arg) : other(visit, arg);
}

int
rte_memseg_get_fd_thread_unsafe(const rte_memseg *one)
{
	static const auto other = behind(&rte_memseg_get_fd_thread_unsafe, __func__);

	return pages::get().is_ours(one) ? pages::get().fd(one) : other(one);
}

int
rte_memseg_get_fd_offset_thread_unsafe(const rte_memseg *one, size_t *offset)
{
	static const auto other = behind(&rte_memseg_get_fd_offset_thread_unsafe, __func__);

	if (!pages::get().is_ours(one))
		return other(one, offset);
	*offset = one->addr_64 - pages::get().address(0);
	return 0;
}

rte_memseg_list *
rte_mem_virt2memseg_list(const void *addr)
{
	static const auto other = behind(&rte_mem_virt2memseg_list, __func__);

	return pages::get().find(addr) != nullptr ? &pages::get().list : other(addr);
}

rte_memseg *
rte_mem_virt2memseg(const void *addr, const rte_memseg_list *list)
{
	static const auto other = behind(&rte_mem_virt2memseg, __func__);

	return list == &pages::get().list ? pages::get().find(addr) : other(addr, list);
}

int
rte_mem_event_callback_register(const char *, rte_mem_event_callback_t event, void *arg)
{
	pages &all = pages::get();

	if (!all.follows) {
		rte_errno = ENOTSUP;
		return -1;
	}
	all.event = event;
	all.event_arg = arg;
	return 0;
}

int
rte_mem_event_callback_unregister(const char *, void *)
{
	pages::get().event = nullptr;
	return 0;
}
}

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static files descriptors;
	/* Of a function with MSI-X in BAR 3, whose bytes an input may replace. */
	static constexpr uint8_t plain[] = {0x86, 0x80, 0x89, 0x18, 0, 0, 0x10};
	input in(data, size);
	const uint8_t changes = in.u8();

	descriptors.renew();
	std::array<uint8_t, 256> config{};
	std::copy(std::begin(plain), std::end(plain), config.begin());
	config[0x34] = 0x40;
	config[0x40] = 0x11;
	config[0x44] = config[0x48] = 3;
	for (unsigned int n = changes % 8; n != 0; n--) {
		const uint8_t at = in.u8();
		config[at] = in.u8();
	}
	const uint32_t vectors = changes & 8 ? in.u8() % 4 : 4;
	const uint64_t bar_size = changes & 16 ? in.u32() * uint64_t{4096} : 0x10000;
	make_ready(descriptors, (changes & 32) == 0);
	for (size_t i = 0; i < pages::count; i++)
		pages::get().set(i, in.u8());
	pages::get().follows = changes & 64;
	const auto program = in.bytes(in.u8());
	input acts(program.data(), program.size());
	answers how(input(in.rest().data(), in.size()), descriptors);
	how.config = config;
	how.bar_size = bar_size;
	how.vectors = vectors;
	how.offers_twin = changes & 128;
	test::client_suite::hostile_server server(
		[&](test::client_suite::raw_peer &peer) { how.serve(peer); });
	const std::string args = "path=" + server.path + ",timeout_ms=100,attach_ms=400";
	pages::get().shown = true;
	if (rte_vdev_init("vfio_user_pci_fuzz", args.c_str()) == 0) {
		while (!acts.empty())
			play(acts);
		MUST(rte_vdev_uninit("vfio_user_pci_fuzz") == 0);
	}
	pages::get().shown = false;
	return 0;
}
