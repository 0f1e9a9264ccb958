/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <vector>

#include "bytes.hpp"
#include "peer/foreign_fd.hpp"
#include "owner.hpp"
#include "loop/turn.hpp"
#include "wire/commands.hpp"

/** Messages over a UNIX stream socket, with file descriptors, without ever blocking. */
namespace vfio_user {

/** A message as it came in, complete. Descriptors that nobody takes are closed with it. */
struct message {
	wire::header header{};
	std::vector<std::byte> payload;
	std::vector<foreign_fd> fds;
	bool fds_lost = false; /* more came than we take, or could receive */

	bool is_within(const wire::message_limits &l) const
	{
		return !fds_lost && l.allow(payload.size(), fds.size());
	}
};

/** Descriptors to pass: they are duplicated if the message cannot leave at once. */
using borrowed_fds = std::span<const int>;

/** The address of the socket at @p path, which is RTE_VFIO_USER_PATH_MAX bytes long at most. */
sockaddr_un unix_address(const std::string &path);

/** A new non-blocking UNIX stream socket. */
guard::result<guard::unique_fd> make_unix_socket();

/** What a reply says of its command. An error number that is none becomes EIO. */
guard::status status_of(const wire::header &reply);

class transport {
public:
	/** What receive() found. */
	enum class event {
		message, /* one message is complete */
		again,   /* nothing more for now, or in this turn */
		closed,  /* the peer has closed, or the socket failed */
		broken,  /* the peer broke the framing: close */
		flooded, /* too much of the peer waits to be closed: receive no more until less does
			  */
	};

	transport() = default;
	/** @p socket: connected, non-blocking. Foreign, since it holds what was not received. Its
	 * closer is for all descriptors that come. */
	explicit transport(foreign_fd socket) : socket_(std::move(socket)) {}

	/** Ends the connection: at once for the peer, whenever the closer comes to it for us. */
	void close();

	int fd() const { return socket_.get(); }
	explicit operator bool() const { return static_cast<bool>(socket_); }

	/** Goes on receiving, as long as the peer has anything left of its share; on event::message
	 * @p out holds it. */
	event receive(message &out, const turn_share &share);

	/** Whether a message has come in part. */
	bool is_receiving() const { return in_filled_ > 0; }

	/**
	 * Sends header and payload in one piece. What the socket does not take now is kept until
	 * flush(). EPIPE and the like: the connection is lost.
	 */
	guard::status send(const wire::header &header, guard::bytes payload, borrowed_fds fds = {});

	/** Sends what is kept, as far as the socket takes it. */
	guard::status flush();

	/** Bytes that are kept. While there are any, the caller should not accept more commands. */
	size_t pending() const { return out_.size() - out_sent_; }

private:
	event receive_some(guard::mutable_bytes into, size_t &filled, const turn_share &share);
	void collect_fds(struct msghdr &msg);
	void forget_sent();
	guard::result<size_t> send_some(guard::bytes first, guard::bytes second, borrowed_fds fds);

	foreign_fd socket_;

	wire::header in_header_{};
	message in_;           /* the message that is being received */
	size_t in_filled_ = 0; /* of header and payload together */

	std::vector<std::byte> out_; /* complete messages that wait */
	size_t out_sent_ = 0;
	struct waiting_fds {
		size_t at; /* byte of out_ that they travel with */
		std::vector<guard::unique_fd> fds;
	};
	std::vector<waiting_fds> out_fds_;
};

} // namespace vfio_user
