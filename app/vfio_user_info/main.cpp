/* SPDX-License-Identifier: BSD-3-Clause */
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <getopt.h>

#include <rte_log.h>

#include "device_facts.hpp"

/* dpdk-vfio-user-info: what is behind a vfio-user socket. Runs without an EAL. */

using namespace vfio_user_info;

namespace {

enum exit_status { exit_ok = 0, exit_failed = 1, exit_usage = 2 };

constexpr uint32_t ms_per_s = 1000;
constexpr unsigned long max_timeout_s = 600;

struct options {
	const char *path = nullptr;
	void (*print)(const device_facts &) = print_text;
	uint32_t timeout_ms = 5 * ms_per_s;
	bool help = false;
	bool version = false;
};

void
print_usage(FILE *to)
{
	std::fputs("Usage: dpdk-vfio-user-info [options] PATH\n"
		   "Prints what the vfio-user server on the socket PATH offers: version,\n"
		   "capabilities, regions with their mappable areas, interrupts, and the\n"
		   "PCI config space decoded.\n"
		   "A server takes one client at a time, and is occupied meanwhile.\n"
		   "\n"
		   "  -x, --hex          the config space as bytes, for \"lspci -F FILE -vv\"\n"
		   "  -j, --json         everything as JSON, sizes and offsets in bytes; numbers\n"
		   "                     from 2^63 on are strings of decimal digits\n"
		   "  -t, --timeout S    wait S seconds for each answer, 1 to 600; default 5;\n"
		   "                     30 s, or S if that is more, for all of them together\n"
		   "  -h, --help         this text\n"
		   "  -V, --version      the version of this program\n"
		   "\n"
		   "Exit status: 0 all was read, 1 something was not, 2 wrong usage.\n",
		   to);
}

bool
parse_timeout(const char *text, uint32_t &ms)
{
	char *end;
	unsigned long seconds = std::strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || seconds < 1 ||
	    seconds > max_timeout_s) {
		std::fprintf(stderr,
			     "dpdk-vfio-user-info: --timeout takes 1 to 600 seconds, not '%s'\n",
			     printable(text).c_str());
		return false;
	}
	ms = static_cast<uint32_t>(seconds) * ms_per_s;
	return true;
}

bool
parse_options(int argc, char **argv, options &out)
{
	static const struct option known[] = {
		{"hex", no_argument, nullptr, 'x'},           {"json", no_argument, nullptr, 'j'},
		{"timeout", required_argument, nullptr, 't'}, {"help", no_argument, nullptr, 'h'},
		{"version", no_argument, nullptr, 'V'},       {nullptr, 0, nullptr, 0},
	};
	for (int c; (c = ::getopt_long(argc, argv, "xjt:hV", known, nullptr)) != -1;) {
		switch (c) {
		case 'x':
			out.print = print_hex;
			break;
		case 'j':
			out.print = print_json;
			break;
		case 't':
			if (!parse_timeout(optarg, out.timeout_ms))
				return false;
			break;
		case 'h':
			out.help = true;
			return true;
		case 'V':
			out.version = true;
			return true;
		default:
			print_usage(stderr);
			return false;
		}
	}
	if (optind + 1 != argc) {
		print_usage(stderr);
		return false;
	}
	out.path = argv[optind];
	return true;
}

/** What an error of attaching most likely means to the person at the keyboard. */
struct error_row {
	int error;
	const char *explanation;
};

constexpr error_row attach_errors[] = {
	{ENOENT, "there is no such socket; has the server been started?"},
	{ECONNREFUSED, "nobody listens there; the server has ended, or it is no UNIX socket"},
	{EACCES, "permission denied"},
	{ETIMEDOUT, "no answer; the server hangs, or serves another client"},
	{ENOTCONN, "the server closed the connection; it may serve another client already"},
	{EPROTO, "the answer is not valid; is this a vfio-user server?"},
	{EPROTOTYPE, "this is no stream socket"},
	{ENAMETOOLONG, "the path is too long for a socket, 107 bytes at most"},
};

const char *
explain(int error)
{
	for (const error_row &row : attach_errors)
		if (row.error == error)
			return row.explanation;
	return std::strerror(error);
}

bool
all_was_read(const device_facts &facts)
{
	bool complete = facts.config_error == 0;
	if (facts.config_error != 0)
		std::fprintf(stderr, "%s: cannot read the config space: %s\n",
			     printable(facts.path).c_str(), std::strerror(-facts.config_error));
	for (const auto &r : facts.regions)
		complete = complete && r.error == 0;
	for (const auto &i : facts.irqs)
		complete = complete && i.error == 0;
	return complete;
}

exit_status
inform(const options &opts)
{
	rte_vfio_user_client_conf conf;
	rte_vfio_user_client_conf_init(&conf);
	conf.path = opts.path;
	conf.flags = RTE_VFIO_USER_CLIENT_TWIN_SOCKET | RTE_VFIO_USER_CLIENT_WRITE_MULTI |
		     RTE_VFIO_USER_CLIENT_ATTACH_GOES_ON;
	conf.timeout_ms = opts.timeout_ms;
	rte_vfio_user_client *client;

	if (int error = rte_vfio_user_client_attach(&conf, -1, &client); error != 0) {
		std::fprintf(stderr, "%s: %s\n", printable(opts.path).c_str(), explain(-error));
		return exit_failed;
	}
	device_facts facts = gather(opts.path, client);
	rte_vfio_user_client_detach(client);
	opts.print(facts);
	return all_was_read(facts) ? exit_ok : exit_failed;
}

} // namespace

int
main(int argc, char **argv)
{
	options opts;

	if (!parse_options(argc, argv, opts))
		return exit_usage;
	if (opts.help) {
		print_usage(stdout);
		return exit_ok;
	}
	if (opts.version) {
		std::puts("dpdk-vfio-user-info of dpdk-emudev " EMUDEV_VERSION);
		return exit_ok;
	}
	/* Its notices would only repeat what is said here. */
	rte_log_set_level_pattern("lib.vfio_user", RTE_LOG_ERR);
	exit_status status = inform(opts);
	if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
		std::fprintf(stderr, "dpdk-vfio-user-info: cannot write: %s\n",
			     std::strerror(errno));
		return exit_failed;
	}
	return status;
}
