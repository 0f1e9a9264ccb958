/* SPDX-License-Identifier: BSD-3-Clause */
#include "server/server.hpp"

#include <algorithm>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "log.hpp"

namespace vfio_user {

namespace {

constexpr uint32_t max_regions = 16;
constexpr uint32_t max_areas = 8;
constexpr uint32_t max_io_fds = 16;
constexpr uint32_t max_irq_types = 8;
constexpr uint32_t max_vectors = 2048; /* of MSI-X, PCI Local Bus Specification 3.0, 6.8.2 */

/* Commands of one client that are handled before the others get their turn. */
constexpr int commands_per_turn = 64;

/* Connections that are accepted before the other devices get their turn. */
constexpr int accepts_per_turn = 8;

/* How long no client is accepted after it could not be done. */
constexpr std::chrono::milliseconds accept_pause{200};

/* What a client has for VERSION, and for the rest of a message, as nobody else is served meanwhile.
 */
constexpr std::chrono::seconds patience{3};

/* How often it is looked whether what a client has brought was closed meanwhile, before more is
 * taken from it; and how often at most, for as long as the patience lasts. */
constexpr std::chrono::milliseconds room_interval{2};
constexpr unsigned int max_waits_for_room = patience / room_interval;

guard::status
invalid(const char *field, uint64_t value, const char *allowed)
{
	VFIO_USER_LOG(ERR, "server: %s %lu is not valid, allowed: %s", field, value, allowed);
	return guard::failure{EINVAL};
}

void
drain(int fd)
{
	uint64_t count;
	(void)!::read(fd, &count, sizeof(count));
}

} // namespace

guard::status
server::check_region(uint32_t index, const rte_vfio_user_region &r)
{
	constexpr uint32_t known =
		RTE_VFIO_USER_REGION_READ | RTE_VFIO_USER_REGION_WRITE | RTE_VFIO_USER_REGION_MMAP;

	if ((r.flags & ~known) != 0)
		return invalid("region flags", r.flags, "READ, WRITE, MMAP");
	/* 0 is standard input: most probably a field that nobody has set. */
	if ((r.flags & RTE_VFIO_USER_REGION_MMAP) != 0 && r.fd <= 0)
		return invalid("fd of mappable region", index, "a memory file, at no descriptor 0");
	if (r.nb_areas > max_areas || r.nb_io_fds > max_io_fds)
		return invalid("number of areas or I/O fds of region", index,
			       "8 areas, 16 I/O fds");
	for (const rte_vfio_user_io_fd &io : std::span(r.io_fds, r.nb_io_fds))
		if (io.fd <= 0)
			return invalid("I/O fd of region", index, "a descriptor, but not 0");
	for (const rte_vfio_user_area &a : std::span(r.areas, r.nb_areas)) {
		bool aligned = (a.offset | a.size) % wire::page_size == 0;
		if (!aligned || a.size == 0 || !guard::contains(0, r.size, a.offset, a.size))
			return invalid("area of region", index, "whole pages inside the region");
	}
	return {};
}

guard::status
server::check(const rte_vfio_user_server_conf &conf)
{
	if (conf.path == nullptr || conf.path[0] == '\0')
		return invalid("path", 0, "a file name");
	if (std::string_view(conf.path).size() > RTE_VFIO_USER_PATH_MAX)
		return guard::failure{ENAMETOOLONG};
	if (conf.ops == nullptr || conf.ops->region_read == nullptr ||
	    conf.ops->region_write == nullptr)
		return invalid("ops", 0, "region_read and region_write set");
	TRY(socket_rights::check(conf.rights));
	if (conf.nb_regions > max_regions)
		return invalid("nb_regions", conf.nb_regions, "0 to 16");
	if (conf.nb_irqs > max_irq_types)
		return invalid("nb_irqs", conf.nb_irqs, "0 to 8");
	for (uint32_t i = 0; i < conf.nb_regions; i++)
		TRY(check_region(i, conf.regions[i]));
	for (uint32_t i = 0; i < conf.nb_irqs; i++)
		if (conf.irqs[i].count > max_vectors)
			return invalid("irq count", conf.irqs[i].count, "0 to 2048");
	return {};
}

server::server(const rte_vfio_user_server_conf &conf)
    : path_(conf.path), rights_(conf.rights), ops_(*conf.ops), ctx_(conf.ctx), flags_(conf.flags),
      irqs_(std::make_unique<irq_table>(std::span(conf.irqs, conf.nb_irqs))),
      closer_(closer::of(path_)), dma_(closer_, conf.max_memory), work_(on_work, this)
{
	for (const rte_vfio_user_region &r : std::span(conf.regions, conf.nb_regions))
		regions_.push_back({.desc = r,
				    .areas = {r.areas, r.areas + r.nb_areas},
				    .io_fds = {r.io_fds, r.io_fds + r.nb_io_fds}});
}

guard::result<std::unique_ptr<server>>
server::make(const rte_vfio_user_server_conf &conf)
{
	TRY(check(conf));
	std::unique_ptr<server> fresh(new server(conf));
	fresh->fault_event_ = TRY(guard::make_eventfd());
	fresh->fault_watch_ = TRY(control::running()->watch(fresh->fault_event_.get(), EPOLLIN,
							    on_memory_fault, fresh.get()));
	TRY(fresh->poll_timer_.open(on_poll_timer, fresh.get()));
	TRY(fresh->dma_timer_.open(on_dma_timer, fresh.get()));
	TRY(fresh->accept_timer_.open(on_accept_timer, fresh.get()));
	TRY(fresh->patience_timer_.open(on_patience_timer, fresh.get()));
	TRY(fresh->room_timer_.open(on_room_timer, fresh.get()));
	return fresh;
}

server::~server()
{
	for (control::watch_id id : {listen_watch_, fault_watch_})
		control::running()->unwatch(id);
	if (listener_)
		::unlink(path_.c_str());
}

/* A socket file may be left over from a process that died: it refuses connections, and is replaced.
 */
guard::status
server::bind_socket()
{
	sockaddr_un address = unix_address(path_);
	auto *generic = reinterpret_cast<const sockaddr *>(&address);
	guard::unique_fd fd = TRY(make_unix_socket());

	if (::bind(fd.get(), generic, sizeof(address)) != 0) {
		if (errno != EADDRINUSE)
			return guard::last_error();
		guard::unique_fd probe = TRY(make_unix_socket());
		struct stat st;
		bool stale = ::connect(probe.get(), generic, sizeof(address)) != 0 &&
			     errno == ECONNREFUSED && ::lstat(path_.c_str(), &st) == 0 &&
			     S_ISSOCK(st.st_mode);
		if (!stale)
			return guard::failure{EADDRINUSE};
		VFIO_USER_LOG(NOTICE, "%s: replacing a stale socket", path_.c_str());
		if (::unlink(path_.c_str()) != 0 || ::bind(fd.get(), generic, sizeof(address)) != 0)
			return guard::last_error();
	}
	guard::status ready = rights_.apply(path_);
	if (ready && ::listen(fd.get(), 8) != 0)
		ready = guard::last_error();
	if (!ready) {
		::unlink(path_.c_str());
		return ready;
	}
	listener_ = foreign_fd(std::move(fd), closer_);
	return {};
}

guard::status
server::listen()
{
	if (listener_)
		return guard::failure{EALREADY};
	TRY(bind_socket());
	listen_watch_ = TRY(control::running()->watch(listener_.get(), EPOLLIN, on_listen, this));
	VFIO_USER_LOG(INFO, "%s: listening", path_.c_str());
	return {};
}

void
server::on_listen(void *self, uint32_t)
{
	auto *s = static_cast<server *>(self);
	if (turn_share::use turn(s->share_); turn)
		s->accept_clients();
}

bool
server::client_is_gone() const
{
	struct pollfd p = {.fd = client_.fd(), .events = POLLRDHUP, .revents = 0};
	return ::poll(&p, 1, 0) == 1 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void
server::accept_clients()
{
	for (int i = 0; i < accepts_per_turn && share_.left() && accept_client(); i++) {
	}
}

/* Whether there may be more. */
bool
server::accept_client()
{
	if (closer_->is_full()) {
		pause_accepting("descriptors of clients wait to be closed");
		return false;
	}
	guard::unique_fd fd(
		::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
	if (!fd) {
		if (errno == EMFILE || errno == ENFILE)
			pause_accepting("out of file descriptors");
		return false;
	}
	transport fresh = make_channel(std::move(fd));
	/* The next client may be here before we have seen the end of the last one. */
	if (client_ && client_is_gone())
		disconnect("client closed");
	if (client_) {
		stats_.refused++;
		VFIO_USER_LOG_LIMITED(log_, WARNING, "%s: a second client is refused, %lu so far",
				      path_.c_str(), stats_.refused);
	} else if (guard::status s = attach(fresh); !s) {
		VFIO_USER_LOG_LIMITED(log_, ERR, "%s: cannot serve a client: %s", path_.c_str(),
				      strerror(-s.to_c()));
	}
	fresh.close();
	return true;
}

/* What cannot be accepted keeps the listener ready and us busy. So it is left alone for a while;
 * the clients wait in its queue. */
void
server::pause_accepting(const char *why)
{
	VFIO_USER_LOG_LIMITED(log_, ERR, "%s: %s, clients have to wait", path_.c_str(), why);
	control::running()->change(listen_watch_, 0);
	(void)accept_timer_.start(accept_pause);
}

void
server::on_accept_timer(void *self)
{
	control::running()->change(static_cast<server *>(self)->listen_watch_, EPOLLIN);
}

transport
server::make_channel(guard::unique_fd socket) const
{
	return transport(foreign_fd(std::move(socket), closer_));
}

/* What is not attached is left to the caller. */
guard::status
server::attach(transport &fresh)
{
	TRY(dma_.open(fault_event_.get()));
	client_watch_ = TRY(control::running()->watch(fresh.fd(), EPOLLIN, on_client, this));
	client_ = std::move(fresh);
	stats_.connections++;
	update_patience();
	VFIO_USER_LOG_LIMITED(log_, INFO, "%s: client connected", path_.c_str());
	return {};
}

void
server::disconnect(const char *why)
{
	if (!client_)
		return;
	VFIO_USER_LOG_LIMITED(log_, INFO, "%s: client disconnected: %s", path_.c_str(), why);
	control::running()->unwatch(client_watch_);
	control::running()->unwatch(twin_watch_);
	client_.close();
	twin_.close();
	twin_peer_.reset();
	negotiated_ = false;
	close_reason_ = nullptr;
	batch_.reset();
	room_timer_.stop();
	waits_for_room_ = 0;
	update_patience();
	abort_transfers();
	/* [spec: Client Disconnection] memory and interrupts go at once; the rest is the device's.
	 */
	dma_.clear();
	irqs_->reset();
	await_data_path(0, UINT64_MAX);
	dma_.close();
	drain(fault_event_.get());
	session_ = {};
	if (std::exchange(device_attached_, false) && ops_.destroy_device != nullptr)
		ops_.destroy_device(ctx_);
}

/* Returns once no data thread uses regions of a range that are no longer in the table, nor an older
 * table. */
void
server::await_data_path(uint64_t first, uint64_t last)
{
	if (device_attached_ && ops_.memory_removed != nullptr)
		ops_.memory_removed(ctx_, first, last);
}

void
server::reclaim_memory(uint64_t first, uint64_t last)
{
	await_data_path(first, last);
	dma_.reclaim();
}

/* While replies wait because the client does not read them, no more commands are taken from it; nor
 * while its last one is not done, or too much of it waits to be closed. */
uint32_t
server::wanted_events(const transport &of) const
{
	uint32_t in = waits_for_room_ == 0 ? EPOLLIN : 0u, out = of.pending() > 0 ? EPOLLOUT : 0u;

	if (&of == &client_ && (out != 0 || batch_))
		return out;
	return in | out;
}

void
server::update_client_events()
{
	if (client_)
		control::running()->change(client_watch_, wanted_events(client_));
	if (twin_)
		control::running()->change(twin_watch_, wanted_events(twin_));
	update_patience();
}

/* Each message that comes sets the clock anew. While we do not read, the client owes nothing. */
void
server::update_patience()
{
	bool owes = client_ && client_.pending() == 0 && !batch_ && waits_for_room_ == 0 &&
		    (!negotiated_ || client_.is_receiving() || twin_.is_receiving());
	uint64_t awaited = owes ? nb_received_ + 1 : 0;

	if (awaited == awaited_)
		return;
	awaited_ = awaited;
	if (owes)
		(void)patience_timer_.start(patience);
	else
		patience_timer_.stop();
}

void
server::on_patience_timer(void *self)
{
	auto *s = static_cast<server *>(self);
	turn_share::use turn(s->share_);
	uint64_t late = s->awaited_;

	/* It may have come while we were busy. */
	s->receive_commands(s->client_, true);
	s->receive_commands(s->twin_, false);
	s->update_client_events();
	if (s->awaited_ == 0 || s->awaited_ != late)
		return;
	s->stats_.protocol_errors++;
	s->disconnect(s->negotiated_ ? "the rest of a message does not come"
				     : "it does not send VERSION");
}

void
server::on_client(void *self, uint32_t events)
{
	auto *s = static_cast<server *>(self);
	turn_share::use turn(s->share_);
	bool reads = (s->wanted_events(s->client_) & EPOLLIN) != 0;
	/* Also if its share is used up, by a batch that nobody waits for any more. */
	if (!reads && (events & (EPOLLHUP | EPOLLERR)) != 0)
		return s->disconnect("client closed");
	if (!turn)
		return;
	if ((events & EPOLLOUT) != 0 && !s->client_.flush())
		return s->disconnect("cannot send");
	if ((s->wanted_events(s->client_) & EPOLLIN) != 0)
		s->receive_commands(s->client_, true);
	s->update_client_events();
}

void
server::on_twin(void *self, uint32_t events)
{
	auto *s = static_cast<server *>(self);
	turn_share::use turn(s->share_);
	if (!turn)
		return;
	if ((events & EPOLLOUT) != 0 && !s->twin_.flush())
		return s->disconnect("cannot send");
	s->receive_commands(s->twin_, false);
	s->update_client_events();
}

/* One after the other, without an end: the peer is one that does it on purpose. */
void
server::wait_for_room()
{
	if (waits_for_room_++ == max_waits_for_room) {
		stats_.protocol_errors++;
		VFIO_USER_LOG_LIMITED(log_, ERR,
				      "%s: too many descriptors of the client wait to be closed",
				      path_.c_str());
		return disconnect("too many descriptors");
	}
	(void)room_timer_.start(room_interval);
}

void
server::on_room_timer(void *self)
{
	auto *s = static_cast<server *>(self);
	turn_share::use turn(s->share_);
	if (s->closer_->is_full())
		return s->wait_for_room();
	s->waits_for_room_ = 0;
	s->update_client_events();
}

void
server::defer()
{
	device_has_work_ = true;
	work_.schedule();
}

void
server::on_work(void *self)
{
	auto *s = static_cast<server *>(self);
	turn_share::use turn(s->share_);
	if (!turn)
		return s->work_.schedule();
	if (s->batch_)
		s->finish_batch();
	if (std::exchange(s->device_has_work_, false) && s->ops_.work != nullptr)
		s->ops_.work(s->ctx_);
}

void
server::receive_commands(transport &from, bool is_main)
{
	for (int i = 0; i < commands_per_turn && from && from.pending() == 0 && !batch_; i++) {
		message m;
		switch (from.receive(m, share_)) {
		case transport::event::again:
			return;
		case transport::event::closed:
			return disconnect("client closed");
		case transport::event::broken:
			stats_.protocol_errors++;
			return disconnect("message size is not valid");
		case transport::event::flooded:
			return wait_for_room();
		case transport::event::message:
			nb_received_++;
		}
		bool is_reply = wire::header_flags::type::get(m.header.flags) ==
				wire::header_flags::type_reply;
		bool expected = is_reply ? (!is_main || !twin_) && handle_reply(m) : is_main;
		if (!expected) {
			stats_.protocol_errors++;
			return disconnect(is_reply ? "a reply that nobody waits for"
						   : "a command on the twin socket");
		}
		if (!is_reply)
			handle(std::move(m));
		if (close_reason_ != nullptr) {
			stats_.protocol_errors++;
			return disconnect(close_reason_);
		}
	}
}

void
server::on_memory_fault(void *self, uint32_t)
{
	auto *s = static_cast<server *>(self);
	drain(s->fault_event_.get());
	if (!s->client_)
		return;
	s->stats_.memory_faults++;
	VFIO_USER_LOG_LIMITED(s->log_, ERR, "%s: the client has truncated memory that it shares",
			      s->path_.c_str());
	s->disconnect("memory fault");
}

guard::status
server::set_poll(uint32_t interval_us)
{
	return poll_timer_.repeat(std::chrono::microseconds(interval_us));
}

void
server::on_poll_timer(void *self)
{
	auto *s = static_cast<server *>(self);
	/* If there is nothing left of this turn, the next call is soon enough. */
	if (turn_share::use turn(s->share_); turn && s->ops_.poll != nullptr)
		s->ops_.poll(s->ctx_);
}

void
server::on_dma_timer(void *self)
{
	auto *s = static_cast<server *>(self);
	if (!s->transfers_.empty()) {
		s->stats_.protocol_errors++;
		s->disconnect("no answer to a DMA access");
	}
}

rte_vfio_user_server_stats
server::stats() const
{
	rte_vfio_user_server_stats out = stats_;
	out.dma_regions = dma_.current().nb_regions;
	out.dma_files = dma_.files();
	out.interrupts = irqs_->fired();
	return out;
}

} // namespace vfio_user
