/* SPDX-License-Identifier: BSD-3-Clause */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <getopt.h>
#include <sys/mman.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_version.h>

#include "featured_port.hpp"

/*
 * dpdk-emudev-bench: one end of a measurement, attached to the first port of any PMD, or to all. It
 * reads commands from standard input, works on the main lcore, and answers with one line of JSON.
 */

namespace bench {
namespace {

/** Both ends have it mapped; never unmapped. */
meeting_page *page;

const char usage[] =
	"usage: dpdk-emudev-bench [EAL options] -- [--max-frame BYTES] [--descriptors N]\n"
	"                         [--free-thresh N] [--mbufs N] [--fast-free] [--udp] [FEATURE]... "
	"--meeting FD\n"
	"FD is that of a file of a page, which the other end has mapped, too. Frames are UDP over\n"
	"IPv4, or of a type that no NIC knows.\n"
	"A FEATURE is one of\n"
	"  --plain           nothing else\n"
	"  --queues N        pairs\n"
	"  --every-port      not the first one alone\n"
	"  --rss             receive by the hash of UDP\n"
	"  --flows N         source ports of the frames to send\n"
	"  --to N            destination addresses of the frames to send\n"
	"  --addresses N     to which it listens, not being promiscuous\n"
	"  --rules N         of rte_flow, one for each flow\n"
	"  --tag-in-frame    frames have a VLAN tag\n"
	"  --tag-in-mbuf     the port inserts and strips it\n"
	"  --make-checksums  the port makes those of the frames to send\n"
	"  --segments N      frames of each request of TSO to send, or to receive\n"
	"  --merged          requests that the other end sends are received whole (LRO)\n"
	"  --room BYTES      of a mbuf to receive to; what is longer comes in several\n"
	"  --undone          rules and addresses are set, and removed again\n"
	"It works on the first port and reads commands from standard input:\n"
	"  wait SECONDS   wait for the link\n"
	"  tx ARGS        send as fast as possible\n"
	"  rx ARGS        receive and check, until the other end is done\n"
	"  echo ARGS      send back what arrives, until the other end is done\n"
	"  roundtrip ARGS send, and receive from the other side's echo\n"
	"  poll ARGS      receive and measure each burst, until the other end is done\n"
	"  rest ARGS      send nothing\n"
	"  quit\n"
	"With a feature there are no echo and roundtrip, without one no poll and rest. ARGS are\n"
	"FRAME WARMUP SECONDS [IN_FLIGHT [NUMBER]]: the size of frames without checksum (and "
	"tag),\n"
	"two times, how many frames to keep in flight (0: what fits; else take each one's time),\n"
	"and the number of the measurement, which its frames carry and which rises.\n";

/** Reads one line without its end; false at the end of the input. */
bool
read_line(char *line, size_t size)
{
	if (std::fgets(line, static_cast<int>(size), stdin) == nullptr)
		return false;
	line[std::strcspn(line, "\n")] = '\0';
	return true;
}

template <class Port>
outcome
run_tx(Port &port, const plan &p)
{
	port.prepare(p.frame);
	return measure_actively(*page, p, [&] { return transmit(port, p); });
}

template <class Port>
outcome
run_rx(Port &port, const plan &p)
{
	port.expect(p.frame);
	return measure_passively(*page, p,
				 [&](const stop_signal &stop) { return receive(port, p, stop); });
}

outcome
run_echo(ethdev_port &port, const plan &p)
{
	return measure_passively(*page, p,
				 [&](const stop_signal &stop) { return echo(port, p, stop); });
}

outcome
run_round_trip(ethdev_port &port, const plan &p)
{
	port.prepare(p.frame);
	return measure_actively(*page, p, [&] { return round_trip(port, p); });
}

outcome
run_poll(featured_port &port, const plan &p)
{
	return measure_passively(*page, p,
				 [&](const stop_signal &stop) { return poll(port, p, stop); });
}

outcome
run_rest(featured_port &, const plan &p)
{
	return measure_actively(*page, p, [&] { return rest(p); });
}

template <class Port> struct role {
	const char *name;
	outcome (*run)(Port &, const plan &);
};

template <class Port> constexpr role<Port> roles[] = {};

template <>
constexpr role<ethdev_port> roles<ethdev_port>[] = {
	{"tx", run_tx},
	{"rx", run_rx},
	{"echo", run_echo},
	{"roundtrip", run_round_trip},
};

template <>
constexpr role<featured_port> roles<featured_port>[] = {
	{"tx", run_tx},
	{"rx", run_rx},
	{"poll", run_poll},
	{"rest", run_rest},
};

template <class Port>
void
wait_for_link(Port &port, const char *argument)
{
	bool up = port.wait_for_link(std::atof(argument));
	std::printf("{\"role\": \"wait\", \"up\": %s}\n", up ? "true" : "false");
	std::fflush(stdout);
}

template <class Port>
void
execute(Port &port, const char *line, uint32_t max_frame)
{
	char name[16] = "";
	plan p;
	int words = std::sscanf(line, "%15s %u %lf %lf %u %u", name, &p.frame, &p.warmup,
				&p.seconds, &p.in_flight, &p.number);
	if (words >= 2 && std::strcmp(name, "wait") == 0)
		return wait_for_link(port, line + std::strlen("wait "));
	for (const role<Port> &r : roles<Port>) {
		if (std::strcmp(name, r.name) != 0)
			continue;
		if (words < 4 || p.frame < minimum_frame || p.frame > max_frame || p.frame % 4 != 0)
			break;
		return r.run(port, p).print(r.name);
	}
	std::printf("{\"error\": \"bad command\"}\n");
	std::fflush(stdout);
}

template <class Port>
void
prompt(Port &port, uint32_t max_frame)
{
	char line[128];
	while (read_line(line, sizeof(line)) && std::strcmp(line, "quit") != 0)
		execute(port, line, max_frame);
}

meeting_page *
map_meeting(int fd)
{
	void *at = mmap(nullptr, sizeof(meeting_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED) {
		std::perror("bench: --meeting");
		return nullptr;
	}
	return static_cast<meeting_page *>(at);
}

struct settings {
	port_options port;
	feature_options features;
};

/** What an option does with its number, which is 0 if it has none. */
struct setting {
	const char *name;
	int argument;
	bool is_feature;
	void (*apply)(settings &, uint32_t);
};

template <auto settings::*part, auto member>
void
set(settings &all, uint32_t number)
{
	auto &place = all.*part.*member;
	place = static_cast<std::remove_reference_t<decltype(place)>>(number);
}

template <auto member, auto value>
void
choose(settings &all, uint32_t)
{
	all.features.*member = value;
}

constexpr auto of_port = &settings::port;
constexpr auto of_features = &settings::features;

constexpr setting known[] = {
	{"max-frame", required_argument, false, set<of_port, &port_options::max_frame>},
	{"descriptors", required_argument, false, set<of_port, &port_options::descriptors>},
	{"free-thresh", required_argument, false, set<of_port, &port_options::free_thresh>},
	{"mbufs", required_argument, false, set<of_port, &port_options::mbufs>},
	{"fast-free", no_argument, false,
	 [](settings &all, uint32_t) { all.port.fast_free = true; }},
	{"udp", no_argument, false,
	 [](settings &all, uint32_t) { all.port.kind = frame_kind::udp; }},
	{"meeting", required_argument, false,
	 [](settings &, uint32_t fd) { page = map_meeting(static_cast<int>(fd)); }},
	{"plain", no_argument, true, [](settings &, uint32_t) {}},
	{"queues", required_argument, true, set<of_port, &port_options::queues>},
	{"every-port", no_argument, true, choose<&feature_options::every_port, true>},
	{"rss", no_argument, true, [](settings &all, uint32_t) { all.port.rss = true; }},
	{"flows", required_argument, true, set<of_features, &feature_options::flows>},
	{"to", required_argument, true, set<of_features, &feature_options::to>},
	{"addresses", required_argument, true, set<of_features, &feature_options::addresses>},
	{"rules", required_argument, true, set<of_features, &feature_options::rules>},
	{"tag-in-frame", no_argument, true, choose<&feature_options::tag, tag_place::frame>},
	{"tag-in-mbuf", no_argument, true, choose<&feature_options::tag, tag_place::mbuf>},
	{"make-checksums", no_argument, true, choose<&feature_options::make_checksums, true>},
	{"segments", required_argument, true, set<of_features, &feature_options::segments>},
	{"merged", no_argument, true, choose<&feature_options::merged, true>},
	{"room", required_argument, true, set<of_port, &port_options::room>},
	{"undone", no_argument, true, choose<&feature_options::undone, true>},
};

/** Whether numbers can be meant; what a port cannot do it says itself. */
bool
makes_sense(const settings &all)
{
	const port_options &port = all.port;
	const feature_options &features = all.features;

	return page != nullptr && port.max_frame >= minimum_frame && port.max_frame <= 9728 &&
	       port.queues != 0 && features.flows != 0 && features.to != 0 && features.to <= 255 &&
	       features.addresses <= 255 && features.segments != 0 &&
	       features.segments * 1446 + 54 <= 9728;
}

bool
parse(int argc, char **argv, settings &all)
{
	option options[std::size(known) + 1] = {};
	for (size_t i = 0; i < std::size(known); i++)
		options[i] = {known[i].name, known[i].argument, nullptr, static_cast<int>(i)};
	for (int o; (o = getopt_long(argc, argv, "", options, nullptr)) != -1;) {
		if (o == '?')
			return false;
		known[o].apply(all, optarg != nullptr ? std::strtoul(optarg, nullptr, 0) : 0);
		all.features.any |= known[o].is_feature;
	}
	return makes_sense(all);
}

int
open(ethdev_port &port, uint16_t id, const settings &all)
{
	return port.open(id, all.port);
}

int
open(featured_port &port, uint16_t id, const settings &all)
{
	return port.open(id, all.port, all.features);
}

template <class Port>
int
serve(uint16_t id, const settings &all)
{
	Port port;
	if (open(port, id, all) != 0)
		return EXIT_FAILURE;
	ticks_per_second();
	std::printf("{\"role\": \"ready\", \"dpdk\": \"%s\"}\n", rte_version());
	std::fflush(stdout);
	prompt(port, all.port.max_frame);
	port.close();
	return EXIT_SUCCESS;
}

int
run(int argc, char **argv)
{
	settings all;
	if (!parse(argc, argv, all)) {
		std::fputs(usage, stderr);
		return EXIT_FAILURE;
	}
	uint16_t id = rte_eth_find_next(0);
	if (id == RTE_MAX_ETHPORTS) {
		std::fputs("bench: no port\n", stderr);
		return EXIT_FAILURE;
	}
	return all.features.any ? serve<featured_port>(id, all) : serve<ethdev_port>(id, all);
}

} // namespace
} // namespace bench

int
main(int argc, char **argv)
{
	int parsed = rte_eal_init(argc, argv);
	if (parsed < 0)
		return EXIT_FAILURE;
	int status = bench::run(argc - parsed, argv + parsed);
	rte_eal_cleanup();
	return status;
}
