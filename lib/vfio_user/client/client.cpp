/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/client.hpp"

#include <algorithm>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "log.hpp"

namespace vfio_user {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr uint32_t default_timeout_ms = 5000;
constexpr uint32_t max_timeout_ms = 600000;
constexpr milliseconds default_attach{30000};
constexpr milliseconds connect_interval{20};

/* Messages of one server that are handled before others get their turn. */
constexpr int messages_per_turn = 64;

/* Bytes that wait for a server that does not read; more is not taken from it until it does. */
constexpr size_t max_backlog = 1 << 20;

constexpr uint32_t known_flags =
	RTE_VFIO_USER_CLIENT_TWIN_SOCKET | RTE_VFIO_USER_CLIENT_MAPPED_BARS |
	RTE_VFIO_USER_CLIENT_WRITE_MULTI | RTE_VFIO_USER_CLIENT_ATTACH_GOES_ON;

/* Waits a while, or until the caller of attach has changed its mind. */
guard::status
pause(milliseconds time, int cancel_fd)
{
	struct pollfd p = {.fd = cancel_fd, .events = POLLIN, .revents = 0};
	if (::poll(&p, 1, static_cast<int>(time.count())) == 1)
		return guard::failure{ECANCELED};
	return {};
}

guard::result<guard::unique_fd>
connect_socket(const std::string &path, milliseconds wait, int cancel_fd)
{
	sockaddr_un address = unix_address(path);
	auto deadline = steady_clock::now() + wait;

	for (;;) {
		guard::unique_fd fd = TRY(make_unix_socket());
		if (::connect(fd.get(), reinterpret_cast<const sockaddr *>(&address),
			      sizeof(address)) == 0)
			return fd;
		int error = errno;
		/* Not there, nobody behind a stale file, a full queue: each may change. */
		if (error != ENOENT && error != ECONNREFUSED && error != EAGAIN)
			return guard::failure{error};
		auto left = std::chrono::ceil<milliseconds>(deadline - steady_clock::now());
		if (left <= milliseconds(0))
			return guard::failure{error == EAGAIN ? ETIMEDOUT : error};
		TRY(pause(std::min(left, connect_interval), cancel_fd));
	}
}

} // namespace

/** Cancels a client when a descriptor becomes readable, for the time of make(). */
class client::cancel_watch {
public:
	explicit cancel_watch(client &c) : client_(c) {}
	~cancel_watch()
	{
		on_control_thread([this] {
			control::running()->unwatch(watch_);
			return 0;
		});
	}

	guard::status start(int fd)
	{
		if (fd < 0)
			return {};
		/* A descriptor of our own: epoll takes each only once, and callers may share
		 * theirs. */
		fd_ = guard::unique_fd(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
		if (!fd_)
			return guard::last_error();
		int error = on_control_thread([this] {
			auto watch =
				control::running()->watch(fd_.get(), EPOLLIN, on_readable, this);
			if (watch)
				watch_ = *watch;
			return watch.to_c();
		});
		return error == 0 ? guard::status() : guard::failure{-error};
	}

private:
	static void on_readable(void *self, uint32_t)
	{
		auto *w = static_cast<cancel_watch *>(self);
		control::running()->unwatch(w->watch_);
		w->client_.cancel();
	}

	client &client_;
	guard::unique_fd fd_;
	control::watch_id watch_ = 0;
};

client::client(const rte_vfio_user_client_conf &conf)
    : path_(conf.path), flags_(conf.flags),
      timeout_(conf.timeout_ms == 0 ? default_timeout_ms : conf.timeout_ms),
      disconnected_(conf.disconnected), ctx_(conf.ctx), closer_(closer::of(path_))
{
}

guard::status
client::check(const rte_vfio_user_client_conf &conf)
{
	if (conf.path == nullptr || conf.path[0] == '\0' || (conf.flags & ~known_flags) != 0 ||
	    conf.timeout_ms > max_timeout_ms || conf.attach_ms > max_timeout_ms)
		return guard::failure{EINVAL};
	if (std::string_view(conf.path).size() > RTE_VFIO_USER_PATH_MAX)
		return guard::failure{ENAMETOOLONG};
	return {};
}

guard::result<std::unique_ptr<client>>
client::make(const rte_vfio_user_client_conf &conf, int cancel_fd)
{
	TRY(check(conf));
	std::unique_ptr<client> fresh(new client(conf));
	TRY(fresh->open(conf, cancel_fd));
	return fresh;
}

guard::status
client::open(const rte_vfio_user_client_conf &conf, int cancel_fd)
{
	if (closer_->is_full()) {
		VFIO_USER_LOG(ERR, "%s: descriptors of the server wait to be closed",
			      path_.c_str());
		return guard::failure{EBUSY};
	}
	guard::unique_fd socket = TRY(connect_socket(path_, milliseconds(conf.wait_ms), cancel_fd));
	set_deadline(conf.attach_ms != 0 ? milliseconds(conf.attach_ms)
					 : std::max(default_attach, timeout_));
	TRY(start(std::move(socket)));
	cancel_watch watch(*this);
	TRY(watch.start(cancel_fd));
	TRY(negotiate());
	TRY(ask_device_info());

	std::lock_guard lock(mutex_);
	if (ended_ != cause::none)
		return guard::failure{ended_error()};
	attached_ = true;
	if ((flags_ & RTE_VFIO_USER_CLIENT_ATTACH_GOES_ON) == 0)
		deadline_ = steady_clock::time_point::max();
	return {};
}

void
client::set_deadline(milliseconds from_now)
{
	std::lock_guard lock(mutex_);
	deadline_ = from_now == milliseconds(0) ? steady_clock::time_point::max()
						: steady_clock::now() + from_now;
}

guard::status
client::start(guard::unique_fd socket)
{
	fault_event_ = TRY(guard::make_eventfd());
	socket_ = transport(foreign_fd(std::move(socket), closer_));
	auto watch = [this]() -> guard::status {
		control &c = *control::running();
		fault_watch_ = TRY(c.watch(fault_event_.get(), EPOLLIN, on_memory_fault, this));
		socket_watch_ = TRY(c.watch(socket_.fd(), EPOLLIN, on_socket, this));
		return {};
	};
	int error = on_control_thread([&] { return watch().to_c(); });
	return error == 0 ? guard::status() : guard::failure{-error};
}

client::~client()
{
	end(cause::cancelled);
	on_control_thread([this] {
		for (control::watch_id id : {socket_watch_, twin_watch_, fault_watch_})
			control::running()->unwatch(id);
		irqs_.stop();
		return 0;
	});
}

/* --- the connection, on the control thread --- */

void
client::on_socket(void *self, uint32_t)
{
	auto *c = static_cast<client *>(self);
	if (turn_share::use turn(c->share_); turn)
		c->serve(c->socket_);
}

void
client::on_twin(void *self, uint32_t)
{
	auto *c = static_cast<client *>(self);
	if (turn_share::use turn(c->share_); turn)
		c->serve(c->twin_);
}

void
client::on_memory_fault(void *self, uint32_t)
{
	auto *c = static_cast<client *>(self);
	eventfd_t ignored;
	eventfd_read(c->fault_event_.get(), &ignored);
	c->end(cause::truncated, "it has truncated memory that it shares");
}

void
client::serve(transport &channel)
{
	{
		std::lock_guard lock(mutex_);
		if (!channel.flush())
			end_locked(cause::gone);
	}
	receive(channel);
	update_events();
}

void
client::receive(transport &from)
{
	for (int i = 0; i < messages_per_turn; i++) {
		{
			std::lock_guard lock(mutex_);
			if (ended_ != cause::none || from.pending() > max_backlog)
				return;
		}
		message m;
		switch (from.receive(m, share_)) {
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
client::take(transport &from, message &&m)
{
	namespace hf = wire::header_flags;

	if (hf::type::get(m.header.flags) != hf::type_reply)
		serve_command(from, m);
	else if (&from != &socket_ || !deliver(m))
		end(cause::broken, "a reply that nobody waits for");
}

bool
client::deliver(message &m)
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

/* What to wait for next; or, when the connection has ended, the farewell. */
void
client::update_events()
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
	control::running()->change(socket_watch_, events(socket_));
	if (twin_)
		control::running()->change(twin_watch_, events(twin_));
}

void
client::close()
{
	if (socket_watch_ == 0)
		return;
	control::running()->unwatch(std::exchange(socket_watch_, 0));
	control::running()->unwatch(std::exchange(twin_watch_, 0));
	irqs_.stop();
	bool report;
	{
		std::lock_guard lock(mutex_);
		report = attached_ && ended_ != cause::cancelled;
	}
	if (report && disconnected_ != nullptr)
		disconnected_(ctx_, -static_cast<int>(ended_));
}

/* --- the end of a connection, from any thread --- */

void
client::end(cause why, const char *detail)
{
	std::lock_guard lock(mutex_);
	end_locked(why, detail);
}

void
client::end_locked(cause why, const char *detail)
{
	if (ended_ != cause::none)
		return;
	ended_ = why;
	count_end(why);
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
	::shutdown(socket_.fd(), SHUT_RDWR);
	::shutdown(twin_.fd(), SHUT_RDWR);
}

/* What requests fail with from then on. */
int
client::ended_error() const
{
	return ended_ == cause::broken || ended_ == cause::cancelled ? static_cast<int>(ended_)
								     : ENOTCONN;
}

/* --- requests --- */

guard::result<message>
client::request(wire::command command, guard::bytes payload, borrowed_fds fds)
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
client::send_request(waiter &mine, guard::bytes payload, borrowed_fds fds)
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
	if (guard::status sent = socket_.send(header, payload, fds); !sent) {
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
client::await(waiter &mine, std::unique_lock<std::mutex> &lock)
{
	const auto start = steady_clock::now();
	const bool is_last = deadline_ < start + timeout_;
	const auto deadline = is_last ? deadline_ : start + timeout_;

	if (socket_.pending() > 0) {
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
client::check_reply(wire::command command, message &&reply)
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
client::broken(wire::command command)
{
	char detail[64];
	std::snprintf(detail, sizeof(detail), "its reply to %s is not valid",
		      wire::row_of(command).name);
	end(cause::broken, detail);
	return guard::failure{EPROTO};
}

} // namespace vfio_user
