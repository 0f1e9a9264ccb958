/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <string>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <rte_eal.h>

#include "owner.hpp"

namespace test {

/** Asks this process's own telemetry socket; returns the answer's JSON, "" without a socket. */
inline std::string
ask_telemetry(const std::string &command)
{
	sockaddr_un address = {};
	std::string path = std::string(rte_eal_get_runtime_dir()) + "/dpdk_telemetry.v2";
	guard::unique_fd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	struct timeval limit = {.tv_sec = 10, .tv_usec = 0};
	char answer[16384];

	address.sun_family = AF_UNIX;
	path.copy(address.sun_path, sizeof(address.sun_path) - 1);
	::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	/* It greets with its version. */
	if (::connect(fd.get(), reinterpret_cast<sockaddr *>(&address), sizeof(address)) != 0 ||
	    ::recv(fd.get(), answer, sizeof(answer), 0) <= 0 ||
	    ::send(fd.get(), command.data(), command.size(), MSG_NOSIGNAL) < 0)
		return "";
	ssize_t got = ::recv(fd.get(), answer, sizeof(answer), 0);
	return got > 0 ? std::string(answer, static_cast<size_t>(got)) : "";
}

} // namespace test
