/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstring>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>
#include <vector>

#include "bytes.hpp"
#include "owner.hpp"
#include "wire/protocol.hpp"

/** A vfio-user peer that sends and receives raw bytes; blocking, with a time-out of 5 s. */
namespace test {

namespace wire = vfio_user::wire;

struct raw_message {
	wire::header header{};
	std::vector<std::byte> payload;
	std::vector<guard::unique_fd> fds;

	bool is_error() const { return wire::header_flags::error::is_set(header.flags); }
	template <guard::wire T> T as() const
	{
		auto loaded = guard::load<T>(payload, 0);
		return loaded ? *loaded : T{};
	}
};

class raw_client {
public:
	raw_client() = default;
	explicit raw_client(guard::unique_fd socket) : socket_(std::move(socket)) {}

	bool connect(const char *path) { return open() && connect_open(path); }
	/** The two halves of connect(). */
	bool open()
	{
		socket_ = guard::unique_fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
		return static_cast<bool>(socket_);
	}
	bool connect_open(const char *path)
	{
		sockaddr_un address = {};
		address.sun_family = AF_UNIX;
		std::string_view(path).copy(address.sun_path, sizeof(address.sun_path) - 1);
		return ::connect(socket_.get(), reinterpret_cast<sockaddr *>(&address),
				 sizeof(address)) == 0;
	}
	void close() { socket_.reset(); }

	bool send(uint16_t id, wire::command command, guard::bytes payload, int fd = -1,
		  uint32_t flags = 0)
	{
		wire::header header = {
			.id = id,
			.command = static_cast<uint16_t>(command),
			.size = static_cast<uint32_t>(sizeof(header) + payload.size()),
			.flags = flags,
			.error = 0};
		guard::writer whole;
		whole.put(header).put_bytes(payload);
		return send_bytes(whole.view(), fd);
	}

	bool send_bytes(guard::bytes data, int fd = -1)
	{
		return send_bytes(data, std::span<const int>(&fd, fd >= 0 ? 1 : 0));
	}
	/** Sends bytes with 32 descriptors at most. */
	bool send_bytes(guard::bytes data, std::span<const int> fds)
	{
		alignas(cmsghdr) char control[CMSG_SPACE(32 * sizeof(int))] = {};
		struct iovec iov = {const_cast<std::byte *>(data.data()), data.size()};
		struct msghdr msg = {};
		msg.msg_iov = &iov;
		msg.msg_iovlen = 1;
		if (!fds.empty()) {
			msg.msg_control = control;
			msg.msg_controllen = CMSG_SPACE(fds.size_bytes());
			cmsghdr *c = CMSG_FIRSTHDR(&msg);
			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(fds.size_bytes());
			std::memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
		}
		return ::sendmsg(socket_.get(), &msg, MSG_NOSIGNAL) ==
		       static_cast<ssize_t>(data.size());
	}

	/** The next message; false: closed, or nothing came in 5 s. */
	bool receive(raw_message &m)
	{
		m = {};
		if (!receive_bytes(std::as_writable_bytes(std::span(&m.header, 1)), m) ||
		    m.header.size < sizeof(m.header))
			return false;
		m.payload.resize(m.header.size - sizeof(m.header));
		return receive_bytes(m.payload, m);
	}

	/** Sends a command and receives its reply. */
	bool call(wire::command command, guard::bytes payload, raw_message &reply, int fd = -1)
	{
		return send(++last_id_, command, payload, fd) && receive(reply) &&
		       reply.header.id == last_id_;
	}

	/** Negotiates; @p json may be empty. */
	bool negotiate(std::string json, raw_message &reply)
	{
		guard::writer payload;
		payload.put(wire::version{0, 0});
		if (!json.empty())
			payload.put_bytes(std::as_bytes(std::span(json.c_str(), json.size() + 1)));
		return call(wire::command::version, payload.view(), reply) && !reply.is_error();
	}

	/** Whether the peer has closed the connection, or does so within the timeout, in ms. */
	bool is_closed(int timeout = usual_timeout)
	{
		char byte;
		return readable(timeout) && ::recv(socket_.get(), &byte, 1, MSG_PEEK) <= 0;
	}

protected:
	int fd() const { return socket_.get(); }

private:
	static constexpr int usual_timeout = 5000;

	bool readable(int timeout = usual_timeout) const
	{
		struct pollfd p = {.fd = socket_.get(), .events = POLLIN, .revents = 0};
		return ::poll(&p, 1, timeout) == 1;
	}

	bool receive_bytes(guard::mutable_bytes into, raw_message &m)
	{
		while (!into.empty()) {
			alignas(cmsghdr) char control[CMSG_SPACE(16 * sizeof(int))];
			struct iovec iov = {into.data(), into.size()};
			struct msghdr msg = {};
			msg.msg_iov = &iov;
			msg.msg_iovlen = 1;
			msg.msg_control = control;
			msg.msg_controllen = sizeof(control);
			if (!readable())
				return false;
			ssize_t got = ::recvmsg(socket_.get(), &msg, MSG_CMSG_CLOEXEC);
			if (got <= 0)
				return false;
			if (cmsghdr *c = CMSG_FIRSTHDR(&msg);
			    c != nullptr && c->cmsg_type == SCM_RIGHTS) {
				for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
				     i++) {
					int fd;
					std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int),
						    sizeof(int));
					m.fds.emplace_back(fd);
				}
			}
			into = into.subspan(static_cast<size_t>(got));
		}
		return true;
	}

	guard::unique_fd socket_;
	uint16_t last_id_ = 100;
};

} // namespace test
