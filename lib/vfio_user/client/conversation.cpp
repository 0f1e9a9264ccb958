/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/conversation.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

#include "log.hpp"

namespace vfio_user {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/* Messages of one server that are handled before others get their turn. */
constexpr int messages_per_turn = 64;

/* Bytes that wait for a server that does not read; more is not taken from it until it does. */
constexpr size_t max_backlog = 1 << 20;

} // namespace

conversation::conversation(partner &who, std::string path, milliseconds timeout)
    : partner_(who), path_(std::move(path)), timeout_(timeout),
      closer_(closer::of(closer::peer::server, path_))
{
}

conversation::~conversation()
{
	end(cause::cancelled);
	on_control_thread([this] {
		for (control::watch_id id : {main_.watch, twin_.watch})
			control::running()->unwatch(id);
		return 0;
	});
}

guard::status
conversation::start(guard::unique_fd socket)
{
	main_.link = transport(foreign_fd(std::move(socket), closer_));
	return try_on_control_thread([this]() -> guard::status {
		main_.watch =
			TRY(control::running()->watch(main_.link.fd(), EPOLLIN, on_main, this));
		return {};
	});
}

guard::status
conversation::add_twin(foreign_fd socket)
{
	return try_on_control_thread([&]() -> guard::status {
		std::lock_guard lock(mutex_);
		twin_.link = transport(std::move(socket));
		twin_.watch =
			TRY(control::running()->watch(twin_.link.fd(), EPOLLIN, on_twin, this));
		return {};
	});
}

guard::status
conversation::settle(bool lift_deadline)
{
	std::lock_guard lock(mutex_);
	if (ended_ != cause::none)
		return guard::failure{ended_error()};
	settled_ = true;
	if (lift_deadline)
		deadline_ = steady_clock::time_point::max();
	return {};
}

void
conversation::set_deadline(milliseconds from_now)
{
	std::lock_guard lock(mutex_);
	deadline_ = from_now == milliseconds(0) ? steady_clock::time_point::max()
						: steady_clock::now() + from_now;
}

/* --- on the control thread --- */

void
conversation::on_main(void *self, uint32_t)
{
	auto *c = static_cast<conversation *>(self);
	if (turn_share::use turn(c->share_); turn)
		c->serve(c->main_);
}

void
conversation::on_twin(void *self, uint32_t)
{
	auto *c = static_cast<conversation *>(self);
	if (turn_share::use turn(c->share_); turn)
		c->serve(c->twin_);
}

void
conversation::serve(channel &which)
{
	{
		std::lock_guard lock(mutex_);
		if (!which.link.flush())
			end_locked(cause::gone);
	}
	receive(which);
	update_events();
}

void
conversation::receive(channel &from)
{
	for (int i = 0; i < messages_per_turn; i++) {
		{
			std::lock_guard lock(mutex_);
			if (ended_ != cause::none || from.link.pending() > max_backlog)
				return;
		}
		message m;
		switch (from.link.receive(m, share_)) {
		case transport::event::again:
			return;
		case transport::event::closed:
			return end(cause::gone);
		case transport::event::broken:
			return end(cause::broken, "message size is not valid");
		case transport::event::flooded:
			return end(cause::broken, "too many of its descriptors wait to be closed");
		case transport::event::message:
			take(from, std::move(m));
		}
	}
}

void
conversation::take(channel &from, message &&m)
{
	namespace hf = wire::header_flags;

	if (hf::type::get(m.header.flags) != hf::type_reply)
		answer(from, m);
	else if (&from != &main_ || !deliver(m))
		end(cause::broken, "a reply that nobody waits for");
}

bool
conversation::deliver(message &m)
{
	std::lock_guard lock(mutex_);
	auto found = waiting_.find(m.header.id);
	if (found == waiting_.end() || found->second->done ||
	    static_cast<uint16_t>(found->second->command) != m.header.command)
		return false;
	waiter &w = *found->second;
	w.reply = std::move(m);
	w.done = true;
	w.ready.notify_one();
	stats_.replies++;
	return true;
}

void
conversation::answer(channel &to, const message &m)
{
	namespace hf = wire::header_flags;

	guard::result<guard::writer> done = partner_.serve(m);
	wire::header header = {.id = m.header.id,
			       .command = m.header.command,
			       .size = sizeof(header),
			       .flags = hf::type::of(hf::type_reply),
			       .error = 0};
	guard::bytes payload;
	if (done) {
		payload = done->view();
		header.size += static_cast<uint32_t>(payload.size());
	} else {
		VFIO_USER_LOG(DEBUG, "%s: %s of the server refused: %s", path_.c_str(),
			      wire::name_of(m.header.command), strerror(done.error().code));
		header.flags |= hf::error::mask;
		header.error = static_cast<uint32_t>(done.error().code);
	}
	bool read = m.header.command == static_cast<uint16_t>(wire::command::dma_read);
	std::lock_guard lock(mutex_);
	(!done ? stats_.refused : read ? stats_.dma_reads : stats_.dma_writes)++;
	if (!hf::no_reply::is_set(m.header.flags) && !to.link.send(header, payload))
		end_locked(cause::gone);
}

/* What to wait for next; or, when the connection has ended, the farewell. */
void
conversation::update_events()
{
	auto events = [](const transport &t) {
		return (t.pending() > max_backlog ? 0u : EPOLLIN) |
		       (t.pending() > 0 ? EPOLLOUT : 0u);
	};
	std::unique_lock lock(mutex_);
	if (ended_ != cause::none) {
		lock.unlock();
		return close();
	}
	for (const channel *each : {&main_, &twin_})
		if (each->link)
			control::running()->change(each->watch, events(each->link));
}

void
conversation::close()
{
	if (main_.watch == 0)
		return;
	for (channel *each : {&main_, &twin_})
		control::running()->unwatch(std::exchange(each->watch, 0));
	bool tell;
	{
		std::lock_guard lock(mutex_);
		tell = settled_ && ended_ != cause::cancelled;
	}
	partner_.ended(tell ? static_cast<int>(ended_) : 0);
}

/* --- the end, from any thread --- */

void
conversation::end(cause why, const char *detail)
{
	std::lock_guard lock(mutex_);
	end_locked(why, detail);
}

void
conversation::end_locked(cause why, const char *detail)
{
	if (ended_ != cause::none)
		return;
	ended_ = why;
	stats_.protocol_errors += why == cause::broken;
	stats_.timeouts += why == cause::late;
	stats_.memory_faults += why == cause::truncated;
	if (why == cause::gone)
		VFIO_USER_LOG(NOTICE, "%s: the server has closed the connection", path_.c_str());
	else if (why != cause::cancelled)
		VFIO_USER_LOG(ERR, "%s: the server is dropped: %s", path_.c_str(), detail);
	for (auto &[id, w] : waiting_) {
		if (w->done)
			continue;
		w->error = ended_error();
		w->done = true;
		w->ready.notify_one();
	}
	/* The descriptors stay ours, since other threads may be about to use their numbers. The
	 * control thread sees the end of the stream and does the rest. */
	::shutdown(main_.link.fd(), SHUT_RDWR);
	::shutdown(twin_.link.fd(), SHUT_RDWR);
}

/* What requests fail with from then on. */
int
conversation::ended_error() const
{
	return ended_ == cause::broken || ended_ == cause::cancelled ? static_cast<int>(ended_)
								     : ENOTCONN;
}

/* --- requests --- */

guard::result<message>
conversation::request(wire::command command, guard::bytes payload, borrowed_fds fds)
{
	/* The control thread would wait for itself. */
	if (control::is_here())
		return guard::failure{EDEADLK};

	waiter mine{.command = command};
	{
		std::unique_lock lock(mutex_);
		TRY(send_request(mine, payload, fds));
		await(mine, lock);
		waiting_.erase(mine.id);
	}
	if (mine.error != 0)
		return guard::failure{mine.error};
	return check_reply(command, std::move(mine.reply));
}

guard::status
conversation::send_request(waiter &mine, guard::bytes payload, borrowed_fds fds)
{
	if (ended_ != cause::none)
		return guard::failure{ended_error()};
	if (waiting_.size() > UINT16_MAX)
		return guard::failure{EBUSY};
	while (waiting_.contains(next_id_))
		next_id_++;
	mine.id = next_id_++;
	wire::header header = {.id = mine.id,
			       .command = static_cast<uint16_t>(mine.command),
			       .size = static_cast<uint32_t>(sizeof(header) + payload.size()),
			       .flags = 0,
			       .error = 0};
	if (guard::status sent = main_.link.send(header, payload, fds); !sent) {
		/* Anything else, such as a descriptor that is not open, is the caller's affair. */
		if (sent.error().code != EPIPE && sent.error().code != ECONNRESET)
			return sent;
		end_locked(cause::gone);
		return guard::failure{ended_error()};
	}
	waiting_[mine.id] = &mine;
	stats_.requests++;
	return {};
}

void
conversation::await(waiter &mine, std::unique_lock<std::mutex> &lock)
{
	const auto start = steady_clock::now();
	const bool is_last = deadline_ < start + timeout_;
	const auto deadline = is_last ? deadline_ : start + timeout_;

	if (main_.link.pending() > 0) {
		lock.unlock();
		on_control_thread([this] {
			update_events();
			return 0;
		});
		lock.lock();
	}
	if (mine.ready.wait_until(lock, deadline, [&] { return mine.done; }))
		return;
	const char *name = wire::row_of(mine.command).name;
	char detail[96];
	if (is_last)
		std::snprintf(detail, sizeof(detail),
			      "no answer to %s when the time for all answers was over", name);
	else
		std::snprintf(detail, sizeof(detail), "no answer to %s in %ld ms", name,
			      static_cast<long>(timeout_.count()));
	end_locked(cause::late, detail);
	mine.error = ETIMEDOUT;
}

guard::result<message>
conversation::check_reply(wire::command command, message &&reply)
{
	guard::status status = status_of(reply.header);

	VFIO_USER_LOG(DEBUG, "%s: %s id %u: %s, %u bytes, %zu fds", path_.c_str(),
		      wire::name_of(reply.header.command), reply.header.id,
		      status ? "ok" : strerror(status.error().code), reply.header.size,
		      reply.fds.size());
	if (!status) {
		std::lock_guard lock(mutex_);
		stats_.errors++;
		return status.error();
	}
	if (!reply.is_within(wire::row_of(command).reply))
		return broken(command);
	return std::move(reply);
}

/* Ends the connection because a reply makes no sense. */
guard::failure
conversation::broken(wire::command command)
{
	char detail[64];
	std::snprintf(detail, sizeof(detail), "its reply to %s is not valid",
		      wire::row_of(command).name);
	end(cause::broken, detail);
	return guard::failure{EPROTO};
}

/* --- how it is doing --- */

rte_vfio_user_client_stats
conversation::stats()
{
	std::lock_guard lock(mutex_);
	rte_vfio_user_client_stats out = stats_;
	out.fds = (main_.link.fd() >= 0) + (twin_.link.fd() >= 0);
	return out;
}

const char *
conversation::state()
{
	std::lock_guard lock(mutex_);
	switch (ended_) {
	case cause::none:
		return "connected";
	case cause::gone:
		return "gone";
	case cause::broken:
		return "protocol error";
	case cause::late:
		return "timed out";
	case cause::truncated:
		return "memory truncated";
	case cause::cancelled:
		return "cancelled";
	}
	return "?";
}

} // namespace vfio_user
