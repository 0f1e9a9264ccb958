/* SPDX-License-Identifier: BSD-3-Clause */

/* How ports come and go: with a device that brings its own along, and as the vdev "net_iavf_be" for
 * a device that is named: arguments in, ethdev port out. */

#include <algorithm>
#include <atomic>
#include <memory>
#include <new>
#include <string>
#include <type_traits>

#include <ethdev_driver.h>
#include <ethdev_vdev.h>

#include <device_arguments.hpp>

#include "log.hpp"
#include "port.hpp"

namespace iavf_be {

namespace {

constexpr const char *ring_type = "iavf";

struct arguments {
	device_facts facts;
	rte_ether_addr mac{};
	bool check_rx = true;
	bool tso = false, lro = false, zero_copy = false;
	steering_mode steering = steering_mode::automatic;
};

int
learn(rte_emudev *dev, device_facts &out)
{
	out.dev = dev;
	const int rc = rte_emudev_info_get(dev, &out.any);
	return rc == 0 ? rte_emudev_net_info_get(dev, &out.net) : rc;
}

std::string
device_names()
{
	std::string out;
	rte_emudev_info info{};

	info.struct_size = sizeof(info);
	for (auto *dev = rte_emudev_next(nullptr); dev != nullptr; dev = rte_emudev_next(dev))
		if (rte_emudev_info_get(dev, &info) == 0)
			out += (out.empty() ? "" : ", ") + std::string(info.name);
	return out.empty() ? "none" : out;
}

int
parse_emu(const char *value, arguments &out)
{
	const int rc = learn(rte_emudev_get_by_name(value), out.facts);
	/* A device that is no network device has another type. */
	if (rc != 0 && rc != -ENOTSUP) {
		IAVF_BE_LOG(ERR, "emu=%s: no such emulated device; there are: %s", value,
			    device_names().c_str());
		return -ENODEV;
	}
	if (rc != 0 || strcmp(out.facts.any.type, ring_type) != 0) {
		IAVF_BE_LOG(ERR, "emu=%s: a device of type \"%s\"; only \"%s\" is served", value,
			    out.facts.any.type, ring_type);
		return -EINVAL;
	}
	return 0;
}

int
parse_mac(const char *value, arguments &out)
{
	if (rte_ether_unformat_addr(value, &out.mac) == 0 &&
	    rte_is_valid_assigned_ether_addr(&out.mac))
		return 0;
	IAVF_BE_LOG(ERR, "mac=%s: want a unicast address as xx:xx:xx:xx:xx:xx", value);
	return -EINVAL;
}

int
parse_rx_checksum(const char *value, arguments &out)
{
	out.check_rx = strcmp(value, "check") == 0;
	if (out.check_rx || strcmp(value, "trust") == 0)
		return 0;
	IAVF_BE_LOG(ERR, "rx_checksum=%s: want check or trust", value);
	return -EINVAL;
}

int
parse_flag(const char *key, const char *value, bool &out)
{
	out = strcmp(value, "1") == 0;
	if (out || strcmp(value, "0") == 0)
		return 0;
	IAVF_BE_LOG(ERR, "%s=%s: want 0 or 1", key, value);
	return -EINVAL;
}

int
parse_tso(const char *value, arguments &out)
{
	return parse_flag("tso", value, out.tso);
}

int
parse_lro(const char *value, arguments &out)
{
	return parse_flag("lro", value, out.lro);
}

int
parse_zero_copy(const char *value, arguments &out)
{
	return parse_flag("zero-copy", value, out.zero_copy);
}

int
parse_steering(const char *value, arguments &out)
{
	const bool by_rss = strcmp(value, "rss") == 0;

	out.steering = by_rss ? steering_mode::rss : steering_mode::queue;
	if (by_rss || strcmp(value, "queue") == 0)
		return 0;
	IAVF_BE_LOG(ERR, "steering=%s: want rss or queue", value);
	return -EINVAL;
}

/** One row per key. */
struct key {
	const char *name;
	int (*parse)(const char *value, arguments &out);
	bool of_device = false; /**< Also an argument of a device that brings its port along. */
};
constexpr key keys[] = {
	{"emu", parse_emu},
	{"mac", parse_mac},
	{"rx_checksum", parse_rx_checksum},
	{"tso", parse_tso, true},
	{"lro", parse_lro, true},
	{"steering", parse_steering, true},
	{"zero-copy", parse_zero_copy, true},
};

int
parse_pair(const rte_kvargs_pair &pair, arguments &out)
{
	for (const key &known : keys)
		if (strcmp(pair.key, known.name) == 0)
			return known.parse(pair.value == nullptr ? "" : pair.value, out);
	IAVF_BE_LOG(ERR,
		    "%s=%s: no such key; allowed are emu, mac, rx_checksum, tso, lro, steering, "
		    "zero-copy",
		    pair.key, pair.value == nullptr ? "" : pair.value);
	return -EINVAL;
}

int
parse_arguments(const char *text, arguments &out)
{
	const device_arguments::unique_list list(rte_kvargs_parse(text, nullptr));
	if (!list) {
		IAVF_BE_LOG(ERR, "\"%s\": not a list of key=value", text);
		return -EINVAL;
	}
	if (const char *key = device_arguments::repeated_key(*list)) {
		IAVF_BE_LOG(ERR, "%s= is given twice", key);
		return -EINVAL;
	}
	for (unsigned int i = 0; i < list->count; i++)
		if (const int rc = parse_pair(list->pairs[i], out); rc != 0)
			return rc;
	if (out.facts.dev == nullptr) {
		IAVF_BE_LOG(ERR, "emu= is missing; there are: %s", device_names().c_str());
		return -EINVAL;
	}
	return 0;
}

/** What all processes see; released with the ethdev's data. */
shared_port *
make_shared(const device_facts &facts)
{
	auto *shared = make_on_node<shared_port>(facts.any.numa_node).release();

	if (shared == nullptr)
		return nullptr;
	shared->max_queues = std::min(facts.any.max_queue_pairs, shared_port::most_queues);
	shared->max_frame = std::min(facts.net.max_frame, iavf::max_frame);
	shared->link_speed.store(facts.net.link_speed, std::memory_order_relaxed);
	return shared;
}

/** The memory must not go before the application is done with it. */
bool
can_lend(const device_facts &facts)
{
	rte_emudev_memory_hold *hold = rte_emudev_mem_hold(facts.dev);

	if (hold == nullptr)
		IAVF_BE_LOG(ERR, "zero-copy=1: %s cannot keep the guest's memory", facts.any.name);
	rte_emudev_mem_release(hold);
	return hold != nullptr;
}

/** Fills an allocated ethdev; on failure the caller releases it, and all memory of its data. */
int
populate(rte_eth_dev *eth, rte_device *owner, const arguments &args)
{
	if (args.zero_copy && !can_lend(args.facts))
		return -ENOTSUP;
	shared_port *shared = make_shared(args.facts);
	eth->data->dev_private = shared;
	eth->data->mac_addrs = static_cast<rte_ether_addr *>(
		rte_calloc("net_iavf_be", shared_port::most_addresses, sizeof(args.mac), 0));
	if (eth->data->mac_addrs == nullptr || shared == nullptr)
		return -ENOMEM;
	*eth->data->mac_addrs = args.mac;
	auto self =
		std::unique_ptr<port>(new (std::nothrow) port(eth, args.facts, args.mac, *shared));
	if (!self)
		return -ENOMEM;
	self->change(&host_settings::check_rx, args.check_rx);
	self->change(&host_settings::tso, args.tso);
	self->change(&host_settings::large_receives, args.lro);
	self->change(&host_settings::steering, args.steering);
	self->change(&host_settings::zero_copy, args.zero_copy);
	count_lender(args.zero_copy);
	eth->device = owner;
	eth->data->numa_node =
		args.facts.any.numa_node >= 0 ? args.facts.any.numa_node : owner->numa_node;
	eth->data->dev_flags =
		RTE_ETH_DEV_INTR_LSC | RTE_ETH_DEV_INTR_RMV | RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS;
	eth->dev_ops = &port_ops;
	eth->rx_pkt_burst = from_guest_burst;
	eth->tx_pkt_burst = to_guest_burst;
	eth->rx_queue_count = rx_queue_count;
	eth->rx_descriptor_status = rx_descriptor_status;
	eth->tx_descriptor_status = tx_descriptor_status;
	eth->tx_pkt_prepare = to_guest_prepare;
	if (const int rc = self->attach(); rc != 0) {
		IAVF_BE_LOG(ERR, "emu=%s: %s", args.facts.any.name,
			    rc == -EBUSY ? "has a back-end already" : rte_strerror(-rc));
		return rc;
	}
	shared->own = self.release();
	return 0;
}

/** The port of a device of DPDK, named like it: so applications that know the one find the other.
 */
int
make_port(rte_device *owner, const arguments &args)
{
	rte_eth_dev *eth = rte_eth_dev_allocate(owner->name);
	if (eth == nullptr)
		return -ENOSPC;
	if (const int rc = populate(eth, owner, args); rc != 0) {
		rte_eth_dev_release_port(eth);
		return rc;
	}
	rte_eth_dev_probing_finish(eth);
	return 0;
}

/** The application may have closed it, and another port may have the name. Or it still runs: after
 * the device is gone a port without one would remain. */
int
remove_port(rte_device *owner)
{
	rte_eth_dev *eth = rte_eth_dev_allocated(owner->name);

	if (eth == nullptr || eth->device != owner)
		return 0;
	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return rte_eth_dev_release_port(eth);
	if (eth->data->dev_started)
		rte_eth_dev_stop(eth->data->port_id);
	return rte_eth_dev_close(eth->data->port_id);
}

/* --- in a secondary process --- */

/** Says once that whoever wants packets here does not get any. */
uint16_t
no_burst(void *, rte_mbuf **, uint16_t)
{
	static std::atomic<bool> said{false};

	if (!said.exchange(true))
		IAVF_BE_LOG(ERR, "only the primary process receives and transmits: the guest's "
				 "memory is mapped there alone");
	return 0;
}

/** That there is nothing of a kind to be had, by the type of a function. */
template <class function> struct refusal;
template <class result, class... parameters> struct refusal<result (*)(parameters...)> {
	static result call(parameters...)
	{
		if constexpr (std::is_same_v<result, uint16_t>) /* packets */
			return 0;
		else if constexpr (!std::is_void_v<result>)
			return static_cast<result>(-ENOTSUP);
	}
};

void
refuse(auto &function)
{
	function = refusal<std::remove_reference_t<decltype(function)>>::call;
}

/** All that is called without the table of a driver. DPDK 25.11 does not look whether there is one,
 * and gives defaults to ports of a primary process only. */
template <class device>
void
refuse_queues(device &eth)
{
	eth.rx_pkt_burst = no_burst;
	eth.tx_pkt_burst = no_burst;
	eth.tx_pkt_prepare = no_burst;
	refuse(eth.rx_queue_count);
	refuse(eth.rx_descriptor_status);
	refuse(eth.tx_descriptor_status);
	if constexpr (requires { eth.tx_queue_count; })
		refuse(eth.tx_queue_count);
	if constexpr (requires { eth.recycle_tx_mbufs_reuse; }) {
		refuse(eth.recycle_tx_mbufs_reuse);
		refuse(eth.recycle_rx_descriptors_refill);
	}
}

/** Shows the port that the primary process has made. */
int
show_port(rte_device *owner)
{
	rte_eth_dev *eth = rte_eth_dev_attach_secondary(owner->name);

	if (eth == nullptr) {
		IAVF_BE_LOG(ERR, "%s: the primary process has no such port", owner->name);
		return -ENODEV;
	}
	eth->device = owner;
	/* From now on mbufs may come here. */
	if (shared_port *shared = shared_of(eth); shared != nullptr)
		shared->seen_elsewhere.store(true, std::memory_order_relaxed);
	eth->dev_ops = &secondary_ops;
	refuse_queues(*eth);
	rte_eth_dev_probing_finish(eth);
	return 0;
}

/* --- for a device that brings its port along --- */

/** The device's arguments have been checked, and some of them are for the port. */
int
take_own(const rte_device &owner, arguments &out)
{
	if (owner.devargs == nullptr || owner.devargs->args == nullptr)
		return 0;
	const device_arguments::unique_list list(rte_kvargs_parse(owner.devargs->args, nullptr));
	for (const key &known : keys) {
		const char *value =
			known.of_device && list ? rte_kvargs_get(list.get(), known.name) : nullptr;
		if (value == nullptr)
			continue;
		if (const int rc = known.parse(value, out); rc != 0)
			return rc;
	}
	return 0;
}

int
create(rte_emudev *dev, rte_device *owner)
{
	arguments args;

	if (owner == nullptr) {
		IAVF_BE_LOG(ERR, "a port needs a DPDK device, and its emulated device has none");
		return -EINVAL;
	}
	rte_eth_random_addr(args.mac.addr_bytes);
	if (const int rc = learn(dev, args.facts); rc != 0)
		return rc;
	if (const int rc = take_own(*owner, args); rc != 0)
		return rc;
	return make_port(owner, args);
}

constexpr rte_emudev_backend_driver backend_driver{
	.struct_size = sizeof(backend_driver),
	.name = "net_iavf_be",
	.type = ring_type,
	.create = create,
	.destroy = remove_port,
	.show = show_port,
};

RTE_INIT(register_backend)
{
	rte_emudev_backend_register(&backend_driver);
}

/* --- the vdev --- */

int
probe(rte_vdev_device *vdev)
{
	if (rte_eal_process_type() != RTE_PROC_PRIMARY)
		return show_port(&vdev->device);
	arguments args;
	rte_eth_random_addr(args.mac.addr_bytes);
	if (const int rc = parse_arguments(rte_vdev_device_args(vdev), args); rc != 0)
		return rc;
	return make_port(&vdev->device, args);
}

int
remove(rte_vdev_device *vdev)
{
	return remove_port(&vdev->device);
}

constexpr rte_vdev_driver
make_driver()
{
	rte_vdev_driver driver{};

	driver.probe = probe;
	driver.remove = remove;
	return driver;
}

} // namespace

} // namespace iavf_be

extern "C" {
extern rte_vdev_driver iavf_be_driver;
constinit rte_vdev_driver iavf_be_driver = iavf_be::make_driver();
}
