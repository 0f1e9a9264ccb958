/* SPDX-License-Identifier: BSD-3-Clause */
#include "devargs.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <iterator>
#include <vector>

#include <grp.h>
#include <pwd.h>

#include <rte_ether.h>
#include <device_arguments.hpp>

#include "log.hpp"

namespace iavf {

namespace {

std::optional<uint32_t>
parse_number(std::string_view text, uint32_t least, uint32_t most)
{
	uint32_t value = 0;
	auto [end, error] = std::from_chars(text.begin(), text.end(), value);

	if (error != std::errc{} || end != text.end() || value < least || value > most)
		return {};
	return value;
}

bool
set_path(device_config &config, const char *value)
{
	config.path = value;
	return !config.path.empty() && config.path.size() <= RTE_VFIO_USER_PATH_MAX;
}

constexpr const char *allowed_mac = "a unicast MAC address that is not zero, as 02:00:00:00:00:01";

std::optional<mac_address>
read_mac(const char *text)
{
	rte_ether_addr addr;
	mac_address out;

	if (rte_ether_unformat_addr(text, &addr) != 0 || !rte_is_valid_assigned_ether_addr(&addr))
		return {};
	std::ranges::copy(addr.addr_bytes, out.begin());
	return out;
}

bool
set_mac(device_config &config, const char *value)
{
	const std::optional<mac_address> mac = read_mac(value);

	config.mac = mac.value_or(mac_address{});
	config.policy.mac_given = true;
	return mac.has_value();
}

bool
set_queues(device_config &config, const char *value)
{
	std::optional<uint32_t> queues = parse_number(value, 1, max_queue_pairs);

	config.queue_pairs = static_cast<uint16_t>(queues.value_or(0));
	return queues.has_value();
}

bool
set_vectors(device_config &config, const char *value)
{
	std::optional<uint32_t> vectors = parse_number(value, 2, max_vectors);

	config.vectors = static_cast<uint16_t>(vectors.value_or(0));
	return vectors.has_value();
}

bool
set_speed(device_config &config, const char *value)
{
	std::optional<uint32_t> speed = parse_number(value, min_speed, max_speed);

	config.speed = speed.value_or(0);
	return speed.has_value();
}

template <bool device_config::*which>
bool
set_switch(device_config &config, const char *value)
{
	std::optional<uint32_t> on = parse_number(value, 0, 1);

	config.*which = on == 1u;
	return on.has_value();
}

/** For the port that the device brings along, which reads it itself. */
bool
set_flag(device_config &, const char *value)
{
	return parse_number(value, 0, 1).has_value();
}

/** The same. */
bool
set_steering(device_config &, const char *value)
{
	return std::strcmp(value, "rss") == 0 || std::strcmp(value, "queue") == 0;
}

bool
set_max_memory(device_config &config, const char *value)
{
	std::optional<uint32_t> mebibytes = parse_number(value, 0, max_memory_limit);

	config.max_memory = uint64_t{mebibytes.value_or(0)} << 20;
	return mebibytes.has_value();
}

bool
set_rom(device_config &config, const char *value)
{
	const pci_device::rom_fault fault =
		config.rom.read_file(value, pci_vendor_intel, pci_device_adaptive_vf);

	if (!fault.empty())
		INIT_LOG(ERR, "rom=%s: %s", value, fault.c_str());
	return fault.empty();
}

bool
set_mode(device_config &config, const char *value)
{
	std::string_view text = value;
	auto [end, error] = std::from_chars(text.begin(), text.end(), config.rights.mode, 8);

	return error == std::errc{} && end == text.end() && config.rights.mode <= 0777;
}

/** A number that is not the one for "keep", or a name that @p look_up knows. */
template <class F>
bool
set_id(uint32_t &id, const char *value, F look_up)
{
	if (std::optional<uint32_t> number = parse_number(value, 0, RTE_VFIO_USER_KEEP - 1)) {
		id = *number;
		return true;
	}
	return look_up();
}

bool
set_owner(device_config &config, const char *value)
{
	return set_id(config.rights.owner, value, [&] {
		const passwd *user = ::getpwnam(value);

		config.rights.owner = user == nullptr ? 0 : user->pw_uid;
		return user != nullptr;
	});
}

bool
set_group(device_config &config, const char *value)
{
	return set_id(config.rights.group, value, [&] {
		const struct group *group = ::getgrnam(value);

		config.rights.group = group == nullptr ? 0 : group->gr_gid;
		return group != nullptr;
	});
}

/** One argument. The texts say what is allowed; pmd.c has them once more, for tools. */
struct key_row {
	const char *key;
	const char *allowed;
	bool (*set)(device_config &config, const char *value);
};

constexpr key_row keys[] = {
	{"path", "a socket path of 1 to 107 characters", set_path},
	{"mac", allowed_mac, set_mac},
	{"queues", "a number of queue pairs from 1 to 256", set_queues},
	{"vectors", "a number of interrupt vectors from 2 to 17", set_vectors},
	{"speed", "a link speed in Mbit/s from 100 to 400000", set_speed},
	{"ethdev", "0 or 1", set_switch<&device_config::ethdev>},
	{"mode", "permissions of the socket in octal, 0 to 777", set_mode},
	{"owner", "a user of this machine for the socket, by name or number", set_owner},
	{"group", "a group of this machine for the socket, by name or number", set_group},
	{"max_memory", "a number of MiB from 0 (no limit) to 4194304", set_max_memory},
	{"irq-inline", "0 or 1", set_switch<&device_config::irq_inline>},
	{"rom", "a file with an option ROM for 8086:1889 of at most 4 MiB", set_rom},
	{"tso", "0 or 1", set_flag},
	{"lro", "0 or 1", set_flag},
	{"zero-copy", "0 or 1", set_flag},
	{"steering", "rss or queue", set_steering},
};
static_assert(max_queue_pairs == 256 && max_vectors == 17 && min_speed == 100 &&
	      max_speed == 400000 && max_memory_limit == 4194304 && RTE_VFIO_USER_PATH_MAX == 107);

struct context {
	const char *name;
	device_config &config;
	const policy_key *part = nullptr; /**< Of the policy, that is being read. */
};

int
take_pair(const char *key, const char *value, void *opaque)
{
	context &to = *static_cast<context *>(opaque);
	const key_row &row = *std::ranges::find_if(
		keys, [&](const key_row &r) { return std::strcmp(r.key, key) == 0; });

	if (value != nullptr && row.set(to.config, value))
		return 0;
	INIT_LOG(ERR, "%s: argument %s=%s is not valid, allowed: %s", to.name, key,
		 value == nullptr ? "" : value, row.allowed);
	return -EINVAL;
}

int
take_policy(const char *key, const char *value, void *opaque)
{
	context &to = *static_cast<context *>(opaque);

	if (value != nullptr && to.part->set(to.config.policy, value))
		return 0;
	INIT_LOG(ERR, "%s: argument %s=%s is not valid, allowed: %s", to.name, key,
		 value == nullptr ? "" : value, to.part->allowed);
	return -EINVAL;
}

guard::status
take_all(const char *name, rte_kvargs *list, device_config &config)
{
	context to{.name = name, .config = config};

	if (const char *key = device_arguments::repeated_key(*list)) {
		INIT_LOG(ERR, "%s: argument %s is given twice", name, key);
		return guard::failure{EINVAL};
	}
	for (const key_row &row : keys)
		if (rte_kvargs_process(list, row.key, take_pair, &to) != 0)
			return guard::failure{EINVAL};
	for (const policy_key &part : policy_keys()) {
		to.part = &part;
		if (rte_kvargs_process(list, part.name, take_policy, &to) != 0)
			return guard::failure{EINVAL};
	}
	if (config.path.empty()) {
		INIT_LOG(ERR, "%s: argument path is missing: path=<%s>", name, keys[0].allowed);
		return guard::failure{ENOENT};
	}
	return {};
}

} // namespace

std::optional<mac_address>
parse_mac(const char *text)
{
	const std::optional<mac_address> mac = read_mac(text);

	if (!mac)
		DRIVER_LOG(ERR, "mac=%s is not valid, allowed: %s", text, allowed_mac);
	return mac;
}

guard::result<device_config>
parse_devargs(const char *name, const char *args)
{
	std::vector<const char *> valid;
	device_config config{};
	rte_ether_addr random;

	std::ranges::transform(keys, std::back_inserter(valid), &key_row::key);
	std::ranges::transform(policy_keys(), std::back_inserter(valid), &policy_key::name);
	valid.push_back(nullptr);
	device_arguments::unique_list list(
		rte_kvargs_parse(args == nullptr ? "" : args, valid.data()));
	if (!list) {
		INIT_LOG(ERR,
			 "%s: arguments '%s' are not valid, allowed: path=, mac=, queues=, "
			 "vectors=, speed=, ethdev=, mode=, owner=, group=, max_memory=, "
			 "irq-inline=, rom=, tso=, lro=, zero-copy=, steering=, "
			 "trust=, spoofchk=, vlan=, rate=, link=, macs=, mcast=",
			 name, args == nullptr ? "" : args);
		return guard::failure{EINVAL};
	}
	config.name = name;
	rte_eth_random_addr(random.addr_bytes);
	std::ranges::copy(random.addr_bytes, config.mac.begin());
	TRY(take_all(name, list.get(), config));
	return config;
}

} // namespace iavf
