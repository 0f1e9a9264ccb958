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
		return try_on_control_thread([this]() -> guard::status {
			watch_ = TRY(
				control::running()->watch(fd_.get(), EPOLLIN, on_readable, this));
			return {};
		});
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
    : flags_(conf.flags), disconnected_(conf.disconnected), ctx_(conf.ctx),
      talk_(*this, conf.path,
	    milliseconds(conf.timeout_ms == 0 ? default_timeout_ms : conf.timeout_ms))
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
	if (talk_.is_full()) {
		VFIO_USER_LOG(ERR, "%s: descriptors of the server wait to be closed", conf.path);
		return guard::failure{EBUSY};
	}
	guard::unique_fd socket =
		TRY(connect_socket(path(), milliseconds(conf.wait_ms), cancel_fd));
	set_deadline(conf.attach_ms != 0 ? milliseconds(conf.attach_ms)
					 : std::max(default_attach, milliseconds(conf.timeout_ms)));
	TRY(watch_memory());
	TRY(talk_.start(std::move(socket)));
	cancel_watch watch(*this);
	TRY(watch.start(cancel_fd));
	TRY(negotiate());
	TRY(ask_device_info());
	return talk_.settle((flags_ & RTE_VFIO_USER_CLIENT_ATTACH_GOES_ON) == 0);
}

guard::status
client::watch_memory()
{
	fault_event_ = TRY(guard::make_eventfd());
	return try_on_control_thread([this]() -> guard::status {
		fault_watch_ = TRY(control::running()->watch(fault_event_.get(), EPOLLIN,
							     on_memory_fault, this));
		return {};
	});
}

client::~client()
{
	cancel();
	on_control_thread([this] {
		control::running()->unwatch(fault_watch_);
		irqs_.stop();
		return 0;
	});
}

void
client::on_memory_fault(void *self, uint32_t)
{
	auto *c = static_cast<client *>(self);
	eventfd_t ignored;
	eventfd_read(c->fault_event_.get(), &ignored);
	c->talk_.end(conversation::cause::truncated, "it has truncated memory that it shares");
}

void
client::ended(int why)
{
	irqs_.stop();
	if (why != 0 && disconnected_ != nullptr)
		disconnected_(ctx_, -why);
}

rte_vfio_user_client_stats
client::stats()
{
	rte_vfio_user_client_stats out = talk_.stats();
	client_dma::usage dma = dma_.in_use();

	out.dma_regions = dma.regions;
	out.dma_bytes = dma.bytes;
	out.fds += irqs_.nb_fds() + (fault_event_.get() >= 0);
	std::lock_guard lock(regions_mutex_);
	for (const auto &[index, r] : regions_)
		out.fds += r.nb_fds();
	return out;
}

} // namespace vfio_user
