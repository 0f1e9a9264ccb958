/* SPDX-License-Identifier: BSD-3-Clause */
#include "wire/transport.hpp"

#include <algorithm>

namespace vfio_user {

namespace {

/* Bytes that were sent and are kept all the same; to move the rest for each would take time. */
constexpr size_t max_sent = 65536;

/* With room for all of them none is dropped silently, nor closed by the kernel in our thread. */
union control_buffer {
	struct cmsghdr align;
	char space[CMSG_SPACE(wire::scm_max_fd * sizeof(int))];
};

} // namespace

sockaddr_un
unix_address(const std::string &path)
{
	sockaddr_un address = {};
	address.sun_family = AF_UNIX;
	path.copy(address.sun_path, sizeof(address.sun_path) - 1);
	return address;
}

guard::result<guard::unique_fd>
make_unix_socket()
{
	guard::unique_fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	if (!fd)
		return guard::last_error();
	return fd;
}

guard::status
status_of(const wire::header &reply)
{
	constexpr uint32_t max_errno = 4095;

	if (!wire::header_flags::error::is_set(reply.flags))
		return {};
	bool valid = reply.error != 0 && reply.error <= max_errno;
	return guard::failure{valid ? static_cast<int>(reply.error) : EIO};
}

void
transport::close()
{
	::shutdown(fd(), SHUT_RDWR);
	*this = {};
}

/* What is too many is let go at once: a message can bring 253 with each of its bytes. */
void
transport::collect_fds(struct msghdr &msg)
{
	for (cmsghdr *c = CMSG_FIRSTHDR(&msg); c != nullptr; c = CMSG_NXTHDR(&msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			std::memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			foreign_fd owner(guard::unique_fd(fd), socket_.closed_by());
			if (in_.fds.size() < wire::max_msg_fds)
				in_.fds.push_back(std::move(owner));
			else
				in_.fds_lost = true;
		}
	}
	if (msg.msg_flags & MSG_CTRUNC)
		in_.fds_lost = true;
}

transport::event
transport::receive_some(guard::mutable_bytes into, size_t &filled, const turn_share &share)
{
	while (filled < into.size()) {
		if (socket_.closed_by()->is_full())
			return event::flooded;
		/* A byte at a time, each with 253 descriptors, makes a long message. */
		if (!share.left())
			return event::again;
		control_buffer control;
		struct iovec iov = {into.data() + filled, into.size() - filled};
		struct msghdr msg = {};
		msg.msg_iov = &iov;
		msg.msg_iovlen = 1;
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);

		ssize_t got = ::recvmsg(socket_.get(), &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EAGAIN ? event::again : event::closed;
		collect_fds(msg);
		if (got == 0)
			return event::closed;
		filled += static_cast<size_t>(got);
	}
	return event::message;
}

/* The header is read alone and then exactly its payload, so that descriptors, which the kernel
 * hands out with the first byte they were sent with, always belong to the message at hand. */
transport::event
transport::receive(message &out, const turn_share &share)
{
	guard::mutable_bytes header_bytes = std::as_writable_bytes(std::span(&in_header_, 1));

	if (in_filled_ < sizeof(wire::header)) {
		event e = receive_some(header_bytes, in_filled_, share);
		if (e != event::message)
			return e;
		if (in_header_.size < sizeof(wire::header) || in_header_.size > wire::max_message)
			return event::broken;
		in_.payload.resize(in_header_.size - sizeof(wire::header));
	}
	size_t filled = in_filled_ - sizeof(wire::header);
	event e = receive_some(in_.payload, filled, share);
	in_filled_ = filled + sizeof(wire::header);
	if (e != event::message)
		return e;

	in_.header = in_header_;
	out = std::exchange(in_, {});
	in_filled_ = 0;
	return event::message;
}

guard::result<size_t>
transport::send_some(guard::bytes first, guard::bytes second, borrowed_fds fds)
{
	control_buffer control = {};
	struct iovec iov[] = {{const_cast<std::byte *>(first.data()), first.size()},
			      {const_cast<std::byte *>(second.data()), second.size()}};
	struct msghdr msg = {};
	msg.msg_iov = iov;
	msg.msg_iovlen = std::size(iov);
	if (!fds.empty()) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(fds.size_bytes());
		cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fds.size_bytes());
		std::memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
	}
	for (;;) {
		ssize_t sent = ::sendmsg(socket_.get(), &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent >= 0)
			return static_cast<size_t>(sent);
		if (errno == EAGAIN)
			return size_t{0};
		if (errno != EINTR)
			return guard::last_error();
	}
}

guard::status
transport::send(const wire::header &header, guard::bytes payload, borrowed_fds fds)
{
	guard::bytes head = guard::as_bytes(header);
	size_t sent = 0;

	/* By one call: a peer that reads the header expects all its 16 bytes at once. */
	if (pending() == 0)
		sent = TRY(send_some(head, payload, fds));
	if (sent == head.size() + payload.size())
		return {};
	if (sent == 0 && !fds.empty()) {
		waiting_fds waiting{.at = out_.size(), .fds = {}};
		for (int fd : fds) {
			guard::unique_fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
			if (!copy)
				return guard::last_error();
			waiting.fds.push_back(std::move(copy));
		}
		out_fds_.push_back(std::move(waiting));
	}
	for (guard::bytes piece : {head, payload}) {
		size_t gone = std::min(sent, piece.size());
		out_.insert(out_.end(), piece.begin() + static_cast<ptrdiff_t>(gone), piece.end());
		sent -= gone;
	}
	return {};
}

guard::status
transport::flush()
{
	while (pending() > 0) {
		size_t end = out_.size();
		std::vector<int> fds;
		auto next =
			std::find_if(out_fds_.begin(), out_fds_.end(),
				     [this](const waiting_fds &w) { return w.at >= out_sent_; });
		if (next != out_fds_.end() && next->at == out_sent_) {
			for (const guard::unique_fd &fd : next->fds)
				fds.push_back(fd.get());
			++next;
		}
		if (next != out_fds_.end())
			end = next->at;

		size_t sent = TRY(
			send_some(guard::bytes(out_).subspan(out_sent_, end - out_sent_), {}, fds));
		out_sent_ += sent;
		if (sent == 0)
			break;
	}
	if (pending() == 0 || out_sent_ >= max_sent)
		forget_sent();
	return {};
}

/* Not only when all has left: a peer could see to it that this never happens. */
void
transport::forget_sent()
{
	out_.erase(out_.begin(), out_.begin() + static_cast<ptrdiff_t>(out_sent_));
	std::erase_if(out_fds_, [this](const waiting_fds &w) { return w.at < out_sent_; });
	for (waiting_fds &w : out_fds_)
		w.at -= out_sent_;
	out_sent_ = 0;
}

} // namespace vfio_user
