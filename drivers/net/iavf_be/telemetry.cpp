/* SPDX-License-Identifier: BSD-3-Clause */

/* What telemetry shows of ports and their rings. It asks on a thread of its own. */

#include <algorithm>
#include <charconv>
#include <cstring>
#include <mutex>
#include <vector>

#include <rte_telemetry.h>

#include <telemetry_data.hpp>

#include "owner.hpp"
#include "port.hpp"

namespace iavf_be {

namespace {

/* Guards the ports, which stay while it is held. Whoever holds what the control plane waits for
 * never takes it. */
std::mutex ports_mutex;
auto &ports = guard::lasting<std::vector<port *>>();

/** A number before a comma or the end; @p text is moved behind it. */
bool
take_number(const char *&text, uint16_t &number)
{
	const auto [behind, error] = std::from_chars(text, text + std::strlen(text), number);

	if (error != std::errc() || (*behind != ',' && *behind != '\0'))
		return false;
	text = *behind == ',' ? behind + 1 : behind;
	return true;
}

void
describe_ring(const ring_view &ring, rte_tel_data *out)
{
	rte_tel_data_add_dict_int(out, "running", ring.running);
	rte_tel_data_add_dict_int(out, "enabled", ring.enabled);
	rte_tel_data_add_dict_int(out, "served", ring.served);
	rte_tel_data_add_dict_int(out, "size", ring.size);
	rte_tel_data_add_dict_int(out, "head", ring.head);
	telemetry_data::add_uint(out, "waiting", ring.waiting);
	rte_tel_data_add_dict_int(out, "vector", ring.vector);
}

int
list(const char *, const char *, rte_tel_data *out)
{
	const std::lock_guard hold(ports_mutex);

	rte_tel_data_start_array(out, RTE_TEL_INT_VAL);
	for (const port *one : ports)
		rte_tel_data_add_array_int(out, one->ethdev().port_id);
	return 0;
}

/** Runs @p show with the port of a number and what is behind that. */
template <class F>
int
with_port(const char *params, F show)
{
	uint16_t number = 0;
	const std::lock_guard hold(ports_mutex);

	if (params == nullptr || !take_number(params, number))
		return -EINVAL;
	const auto found = std::ranges::find_if(
		ports, [number](const port *one) { return one->ethdev().port_id == number; });
	return found == ports.end() ? -ENOENT : show(**found, params);
}

int
info(const char *, const char *params, rte_tel_data *out)
{
	return with_port(params, [out](port &of, const char *) {
		const rte_eth_dev_data &data = of.ethdev();
		const char *why = of.why_down();

		rte_tel_data_start_dict(out);
		rte_tel_data_add_dict_string(out, "name", data.name);
		rte_tel_data_add_dict_string(out, "device", of.device());
		rte_tel_data_add_dict_int(out, "started", data.dev_started);
		rte_tel_data_add_dict_int(out, "rx_queues", data.nb_rx_queues);
		rte_tel_data_add_dict_int(out, "tx_queues", data.nb_tx_queues);
		rte_tel_data_add_dict_int(out, "mtu", of.queues().settings().mtu);
		rte_tel_data_add_dict_int(out, "link_up", why == nullptr);
		rte_tel_data_add_dict_string(out, "link_down_because", why == nullptr ? "" : why);
		return 0;
	});
}

int
queue_pair(const char *, const char *params, rte_tel_data *out)
{
	return with_port(params, [out](port &of, const char *rest) {
		uint16_t index = 0;

		if (!take_number(rest, index) || index >= shared_port::most_queues)
			return -EINVAL;
		rte_tel_data_start_dict(out);
		rte_tel_data_add_dict_int(out, "index", index);
		telemetry_data::add_part(out, "from_guest", [&](rte_tel_data *part) {
			rte_tel_data_start_dict(part);
			describe_ring(look_at_ring(of.queues(), RTE_EMUDEV_FROM_GUEST, index),
				      part);
			add_from_guest_counters(part, of.shared(), index);
		});
		telemetry_data::add_part(out, "to_guest", [&](rte_tel_data *part) {
			rte_tel_data_start_dict(part);
			describe_ring(look_at_ring(of.queues(), RTE_EMUDEV_TO_GUEST, index), part);
			add_to_guest_counters(part, of.shared(), index);
		});
		return 0;
	});
}

RTE_INIT(iavf_be_telemetry)
{
	rte_telemetry_register_cmd("/net_iavf_be/list", list,
				   "Returns the numbers of the ports. No parameters");
	rte_telemetry_register_cmd("/net_iavf_be/info", info,
				   "Returns the state of a port. Parameters: int port");
	rte_telemetry_register_cmd(
		"/net_iavf_be/queue", queue_pair,
		"Returns state and counters of a pair of rings. Parameters: int port, int index");
}

} // namespace

listing::listing(port &of) : of_(of)
{
	const std::lock_guard hold(ports_mutex);
	ports.push_back(&of_);
}

listing::~listing()
{
	const std::lock_guard hold(ports_mutex);
	std::erase(ports, &of_);
}

} // namespace iavf_be
