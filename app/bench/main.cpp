/* SPDX-License-Identifier: BSD-3-Clause */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <getopt.h>
#include <sys/mman.h>

#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_version.h>

#include "ethdev_port.hpp"

/*
 * dpdk-emudev-bench: one end of a measurement, attached to the first port of any PMD. It reads
 * commands from standard input, works on the main lcore, and answers with one line of JSON.
 */

namespace bench {
namespace {

/** Both ends have it mapped; never unmapped. */
meeting_page *page;

const char usage[] =
	"usage: dpdk-emudev-bench [EAL options] -- [--max-frame BYTES] [--descriptors N]\n"
	"                         [--mbufs N] [--fast-free] [--udp] --meeting FD\n"
	"FD is that of a file of a page, which the other end has mapped, too. Frames are UDP over\n"
	"IPv4, or of a type that no NIC knows.\n"
	"It works on the first port and reads commands from standard input:\n"
	"  wait SECONDS   wait for the link\n"
	"  tx ARGS        send as fast as possible\n"
	"  rx ARGS        receive and check, until the other end is done\n"
	"  echo ARGS      send back what arrives, until the other end is done\n"
	"  roundtrip ARGS send, and receive from the other side's echo\n"
	"  quit\n"
	"ARGS are FRAME WARMUP SECONDS [IN_FLIGHT [NUMBER]]: the size of frames without checksum, "
	"two\n"
	"times, how many frames to keep in flight (0: what fits; else take each one's time), and "
	"the\n"
	"number of the measurement, which its frames carry and which rises.\n";

/** Reads one line without its end; false at the end of the input. */
bool
read_line(char *line, size_t size)
{
	if (std::fgets(line, static_cast<int>(size), stdin) == nullptr)
		return false;
	line[std::strcspn(line, "\n")] = '\0';
	return true;
}

outcome
run_tx(ethdev_port &port, const plan &p)
{
	port.prepare(p.frame);
	return measure_actively(*page, p, [&] { return transmit(port, p); });
}

outcome
run_rx(ethdev_port &port, const plan &p)
{
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

struct role {
	const char *name;
	outcome (*run)(ethdev_port &, const plan &);
};

constexpr role roles[] = {
	{"tx", run_tx},
	{"rx", run_rx},
	{"echo", run_echo},
	{"roundtrip", run_round_trip},
};

void
wait_for_link(ethdev_port &port, const char *argument)
{
	bool up = port.wait_for_link(std::atof(argument));
	std::printf("{\"role\": \"wait\", \"up\": %s}\n", up ? "true" : "false");
	std::fflush(stdout);
}

void
execute(ethdev_port &port, const char *line, uint32_t max_frame)
{
	char name[16] = "";
	plan p;
	int words = std::sscanf(line, "%15s %u %lf %lf %u %u", name, &p.frame, &p.warmup,
				&p.seconds, &p.in_flight, &p.number);
	if (words >= 2 && std::strcmp(name, "wait") == 0)
		return wait_for_link(port, line + std::strlen("wait "));
	for (const role &r : roles) {
		if (std::strcmp(name, r.name) != 0)
			continue;
		if (words < 4 || p.frame < minimum_frame || p.frame > max_frame || p.frame % 4 != 0)
			break;
		return r.run(port, p).print(r.name);
	}
	std::printf("{\"error\": \"bad command\"}\n");
	std::fflush(stdout);
}

void
prompt(ethdev_port &port, uint32_t max_frame)
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

bool
parse(int argc, char **argv, port_options &options)
{
	static const option known[] = {
		{"max-frame", required_argument, nullptr, 'f'},
		{"descriptors", required_argument, nullptr, 'd'},
		{"mbufs", required_argument, nullptr, 'm'},
		{"fast-free", no_argument, nullptr, 'F'},
		{"udp", no_argument, nullptr, 'u'},
		{"meeting", required_argument, nullptr, 'M'},
		{},
	};
	for (int o; (o = getopt_long(argc, argv, "", known, nullptr)) != -1;) {
		uint32_t number = optarg != nullptr ? std::strtoul(optarg, nullptr, 0) : 0;
		switch (o) {
		case 'f':
			options.max_frame = number;
			break;
		case 'd':
			options.descriptors = static_cast<uint16_t>(number);
			break;
		case 'm':
			options.mbufs = number;
			break;
		case 'F':
			options.fast_free = true;
			break;
		case 'u':
			options.kind = frame_kind::udp;
			break;
		case 'M':
			page = map_meeting(static_cast<int>(number));
			break;
		default:
			return false;
		}
	}
	return page != nullptr && options.max_frame >= minimum_frame && options.max_frame <= 9728;
}

int
run(int argc, char **argv)
{
	port_options options;
	if (!parse(argc, argv, options)) {
		std::fputs(usage, stderr);
		return EXIT_FAILURE;
	}
	uint16_t id = rte_eth_find_next(0);
	if (id == RTE_MAX_ETHPORTS) {
		std::fputs("bench: no port\n", stderr);
		return EXIT_FAILURE;
	}
	ethdev_port port;
	if (port.open(id, options) != 0)
		return EXIT_FAILURE;
	ticks_per_second();
	std::printf("{\"role\": \"ready\", \"dpdk\": \"%s\"}\n", rte_version());
	std::fflush(stdout);
	prompt(port, options.max_frame);
	port.close();
	return EXIT_SUCCESS;
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
