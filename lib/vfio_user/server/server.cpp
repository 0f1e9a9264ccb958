/* SPDX-License-Identifier: BSD-3-Clause */
#include "server/server.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "server/conf_copy.hpp"

namespace vfio_user {

namespace {

/* Connections that are accepted before the other devices get their turn. */
constexpr int accepts_per_turn = 8;

/* How long no client is accepted after it could not be done. */
constexpr std::chrono::milliseconds accept_pause{200};

guard::status
check(const rte_vfio_user_server_conf &conf)
{
	if (conf.path == nullptr || conf.path[0] == '\0') {
		VFIO_USER_LOG(ERR, "server: it has no path");
		return guard::failure{EINVAL};
	}
	if (std::string_view(conf.path).size() > RTE_VFIO_USER_PATH_MAX)
		return guard::failure{ENAMETOOLONG};
	TRY(socket_rights::check(conf.rights));
	return device::check(conf);
}

} // namespace

server::server(const rte_vfio_user_server_conf &conf)
    : rights_(conf.rights), work_(on_work, this), service_(conf)
{
}

guard::result<std::unique_ptr<server>>
server::make(const rte_vfio_user_server_conf &conf)
{
	conf_copy copy;
	TRY(copy.read(conf));
	TRY(check(copy.conf()));
	std::unique_ptr<server> fresh(new server(copy.conf()));
	TRY(fresh->service_.open());
	fresh->fault_watch_ = TRY(control::running()->watch(fresh->service_.fault_event.get(),
							    EPOLLIN, on_memory_fault, fresh.get()));
	TRY(fresh->poll_timer_.open(on_poll_timer, fresh.get()));
	TRY(fresh->accept_timer_.open(on_accept_timer, fresh.get()));
	return fresh;
}

server::~server()
{
	for (control::watch_id id : {listen_watch_, fault_watch_})
		control::running()->unwatch(id);
	remove_socket();
}

void
server::remove_socket() const
{
	if (listener_)
		::unlink(service_.path.c_str());
}

/* --- clients come --- */

/* A socket file may be left over from a process that died: it refuses connections, and is replaced.
 */
guard::status
server::bind_socket()
{
	sockaddr_un address = unix_address(service_.path);
	auto *generic = reinterpret_cast<const sockaddr *>(&address);
	guard::unique_fd fd = TRY(make_unix_socket());

	if (::bind(fd.get(), generic, sizeof(address)) != 0) {
		if (errno != EADDRINUSE)
			return guard::last_error();
		guard::unique_fd probe = TRY(make_unix_socket());
		struct stat st;
		bool stale = ::connect(probe.get(), generic, sizeof(address)) != 0 &&
			     errno == ECONNREFUSED && ::lstat(service_.path.c_str(), &st) == 0 &&
			     S_ISSOCK(st.st_mode);
		if (!stale)
			return guard::failure{EADDRINUSE};
		VFIO_USER_LOG(NOTICE, "%s: replacing a stale socket", service_.path.c_str());
		if (::unlink(service_.path.c_str()) != 0 ||
		    ::bind(fd.get(), generic, sizeof(address)) != 0)
			return guard::last_error();
	}
	guard::status ready = rights_.apply(service_.path);
	if (ready && ::listen(fd.get(), 8) != 0)
		ready = guard::last_error();
	if (!ready) {
		::unlink(service_.path.c_str());
		return ready;
	}
	listener_ = foreign_fd(std::move(fd), service_.foreign);
	return {};
}

guard::status
server::listen()
{
	if (listener_)
		return guard::failure{EALREADY};
	TRY(bind_socket());
	listen_watch_ = TRY(control::running()->watch(listener_.get(), EPOLLIN, on_listen, this));
	VFIO_USER_LOG(INFO, "%s: listening", service_.path.c_str());
	return {};
}

void
server::on_listen(void *self, uint32_t)
{
	auto *s = static_cast<server *>(self);
	if (turn_share::use turn(s->service_.share); turn)
		s->accept_clients();
}

void
server::accept_clients()
{
	for (int i = 0; i < accepts_per_turn && has_turn() && accept_client(); i++) {
	}
}

/* Whether there may be more. */
bool
server::accept_client()
{
	if (service_.foreign->is_full()) {
		pause_accepting("descriptors of clients wait to be closed");
		return false;
	}
	guard::unique_fd fd(
		::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
	if (!fd) {
		if (errno == EMFILE || errno == ENFILE)
			pause_accepting("out of file descriptors");
		else if (errno == ENOMEM || errno == ENOBUFS)
			pause_accepting("out of memory");
		return false;
	}
	receive_client(foreign_fd(std::move(fd), service_.foreign));
	return true;
}

void
server::receive_client(foreign_fd socket)
{
	service &s = service_;

	if (s.client) {
		s.stats.refused++;
		VFIO_USER_LOG_LIMITED(s.log, WARNING, "%s: a second client is refused, %lu so far",
				      s.path.c_str(), s.stats.refused);
		return transport(std::move(socket)).close();
	}
	auto accepted = connection::accept(s, std::move(socket));
	if (accepted)
		s.client = *std::move(accepted);
	else
		VFIO_USER_LOG_LIMITED(s.log, ERR, "%s: cannot serve a client: %s", s.path.c_str(),
				      strerror(accepted.error().code));
}

/* What cannot be accepted keeps the listener ready and us busy. So it is left alone for a while;
 * the clients wait in its queue. */
void
server::pause_accepting(const char *why)
{
	VFIO_USER_LOG_LIMITED(service_.log, ERR, "%s: %s, clients have to wait",
			      service_.path.c_str(), why);
	/* Or nobody would end the pause. */
	if (accept_timer_.start(accept_pause))
		control::running()->change(listen_watch_, 0);
}

void
server::on_accept_timer(void *self)
{
	control::running()->change(static_cast<server *>(self)->listen_watch_, EPOLLIN);
}

void
server::on_memory_fault(void *self, uint32_t)
{
	service &s = static_cast<server *>(self)->service_;
	eventfd_t ignored;

	eventfd_read(s.fault_event.get(), &ignored);
	if (!s.client)
		return;
	s.stats.memory_faults++;
	VFIO_USER_LOG_LIMITED(s.log, ERR, "%s: the client has truncated memory that it shares",
			      s.path.c_str());
	s.disconnect("memory fault");
}

/* --- what the device asks for --- */

void
server::on_work(void *self)
{
	auto *s = static_cast<server *>(self);
	turn_share::use turn(s->service_.share);

	if (!turn)
		return s->work_.schedule();
	s->service_.dev.work();
}

guard::status
server::set_poll(uint32_t interval_us)
{
	return poll_timer_.repeat(std::chrono::microseconds(interval_us));
}

void
server::on_poll_timer(void *self)
{
	service &s = static_cast<server *>(self)->service_;
	/* If there is nothing left of this turn, the next call is soon enough. */
	if (turn_share::use turn(s.share); turn)
		s.dev.poll();
}

guard::status
server::start_transfer(const dma_transfers::access &wanted)
{
	if (!service_.client)
		return guard::failure{ENOTCONN};
	return service_.client->start_transfer(wanted);
}

rte_vfio_user_server_stats
server::stats() const
{
	rte_vfio_user_server_stats out = service_.stats;
	out.dma_regions = service_.dma.current().nb_regions;
	out.dma_files = service_.dma.files();
	out.interrupts = service_.irqs.fired();
	return out;
}

} // namespace vfio_user
