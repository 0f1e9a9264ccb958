/* SPDX-License-Identifier: BSD-3-Clause */
#include "server/connection.hpp"

#include <sys/epoll.h>

#include "loop/heap_reserve.hpp"
#include "server/service.hpp"

namespace vfio_user {

namespace {

/* Commands of one client that are handled before the others get their turn. */
constexpr int commands_per_turn = 64;

/* What a client has for VERSION, and for the rest of a message, as nobody else is served meanwhile.
 */
constexpr std::chrono::seconds patience{3};

/* How often it is looked whether what a client has brought was closed meanwhile, before more is
 * taken from it; and how often at most, for as long as the patience lasts. */
constexpr std::chrono::milliseconds room_interval{2};
constexpr unsigned int max_waits_for_room = patience / room_interval;

} // namespace

channel::~channel()
{
	control::running()->unwatch(watch_);
	if (link_)
		link_.close();
}

guard::status
channel::open(foreign_fd socket, control::handler fn, void *ctx)
{
	transport fresh(std::move(socket));
	auto watch = control::running()->watch(fresh.fd(), EPOLLIN, fn, ctx);

	if (!watch) {
		fresh.close();
		return watch.error();
	}
	watch_ = *watch;
	link_ = std::move(fresh);
	return {};
}

/* --- its life --- */

connection::use::use(connection &of) : turn_(of.of_.share), of_(of)
{
	of_.uses_++;
}

connection::use::~use()
{
	if (--of_.uses_ > 0 || !of_.is_ending())
		return;
	{
		/* What is called meanwhile finds no client any more. */
		std::unique_ptr<connection> last = std::move(of_.of_.client);
	}
	/* What it held is free again: nobody else pays for it in this turn. */
	heap_reserve::refill();
}

connection::connection(service &of)
    : of_(of), tenancy_(of), transfers_(of, *this), batch_job_(on_batch, this),
      patience_timer_(of.patience_timer, on_patience_timer, this),
      room_timer_(of.room_timer, on_room_timer, this)
{
}

guard::result<std::unique_ptr<connection>>
connection::accept(service &of, foreign_fd socket)
{
	std::unique_ptr<connection> fresh(new connection(of));

	TRY(fresh->main_.open(std::move(socket), on_main, fresh.get()));
	TRY(fresh->tenancy_.open());
	fresh->update_patience();
	of.stats.connections++;
	VFIO_USER_LOG_LIMITED(of.life_log, NOTICE, "%s: client connected", of.path.c_str());
	return fresh;
}

connection::~connection()
{
	if (is_ending())
		VFIO_USER_LOG_LIMITED(of_.life_log, NOTICE, "%s: client disconnected: %s",
				      of_.path.c_str(), ending_);
}

void
connection::end(const char *why)
{
	if (!is_ending())
		ending_ = why;
}

void
connection::break_off(const char *why)
{
	if (is_ending())
		return;
	of_.stats.protocol_errors++;
	end(why);
}

/* --- what to wait for --- */

/* While replies wait because the client does not read them, no more commands are taken from it; nor
 * while its last one is not done, or too much of it waits to be closed. */
uint32_t
connection::wanted_events(const channel &of) const
{
	uint32_t in = waits_for_room_ == 0 ? EPOLLIN : 0u, out = of->pending() > 0 ? EPOLLOUT : 0u;

	if (&of == &main_ && (out != 0 || batch_))
		return out;
	return in | out;
}

void
connection::update_events()
{
	if (is_ending())
		return;
	main_.want(wanted_events(main_));
	if (twin_)
		twin_.want(wanted_events(twin_));
	update_patience();
}

/* Each message that comes sets the clock anew. While we do not read, the client owes nothing. */
void
connection::update_patience()
{
	bool owes = main_->pending() == 0 && !batch_ && waits_for_room_ == 0 &&
		    (!tenancy_.has_begun() || main_->is_receiving() || twin_->is_receiving());
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
connection::on_patience_timer(void *self)
{
	auto *c = static_cast<connection *>(self);
	use now(*c);
	uint64_t late = c->awaited_;

	/* It may have come while we were busy. */
	c->receive_from(c->main_);
	c->receive_from(c->twin_);
	c->update_events();
	if (c->awaited_ != 0 && c->awaited_ == late)
		c->break_off(c->tenancy_.has_begun() ? "the rest of a message does not come"
						     : "it does not send VERSION");
}

/* One after the other, without an end: the peer is one that does it on purpose. */
void
connection::wait_for_room()
{
	if (waits_for_room_++ == max_waits_for_room) {
		VFIO_USER_LOG_LIMITED(of_.log, ERR,
				      "%s: too many descriptors of the client wait to be closed",
				      of_.path.c_str());
		return break_off("too many descriptors");
	}
	(void)room_timer_.start(room_interval);
}

void
connection::on_room_timer(void *self)
{
	auto *c = static_cast<connection *>(self);
	use now(*c);

	if (c->of_.foreign->is_full())
		return c->wait_for_room();
	c->waits_for_room_ = 0;
	c->update_events();
}

/* --- what comes --- */

void
connection::on_main(void *self, uint32_t events)
{
	auto *c = static_cast<connection *>(self);
	use now(*c);
	bool reads = (c->wanted_events(c->main_) & EPOLLIN) != 0;

	/* Also if its share is used up, by a batch that nobody waits for any more. */
	if (!reads && (events & (EPOLLHUP | EPOLLERR)) != 0)
		return c->end("client closed");
	if (!now)
		return;
	if ((events & EPOLLOUT) != 0 && !c->main_->flush())
		return c->end("cannot send");
	if ((c->wanted_events(c->main_) & EPOLLIN) != 0)
		c->receive_from(c->main_);
	c->update_events();
}

void
connection::on_twin(void *self, uint32_t events)
{
	auto *c = static_cast<connection *>(self);
	use now(*c);

	if (!now)
		return;
	if ((events & EPOLLOUT) != 0 && !c->twin_->flush())
		return c->end("cannot send");
	c->receive_from(c->twin_);
	c->update_events();
}

void
connection::receive_from(channel &from)
{
	for (int i = 0;
	     i < commands_per_turn && !is_ending() && from && from->pending() == 0 && !batch_;
	     i++) {
		message m;
		switch (from->receive(m, of_.share)) {
		case transport::event::again:
			return;
		case transport::event::closed:
			return end("client closed");
		case transport::event::broken:
			return break_off("message size is not valid");
		case transport::event::flooded:
			return wait_for_room();
		case transport::event::message:
			nb_received_++;
			take(from, std::move(m));
			if (heap_reserve::is_used())
				end("no memory is left");
		}
	}
}

/* Replies come over the twin socket, if there is one, and nothing else does. */
void
connection::take(const channel &from, message &&m)
{
	bool is_main = &from == &main_;

	if (wire::header_flags::type::get(m.header.flags) == wire::header_flags::type_reply) {
		if ((is_main && twin_) || !transfers_.take_reply(m))
			break_off("a reply that nobody waits for");
	} else if (is_main) {
		handle(std::move(m));
	} else {
		break_off("a command on the twin socket");
	}
}

void
connection::on_batch(void *self)
{
	auto *c = static_cast<connection *>(self);
	use now(*c);

	if (!now)
		return c->batch_job_.schedule();
	c->finish_batch();
}

/* --- what the device asks for --- */

guard::status
connection::start_transfer(const dma_transfers::access &wanted)
{
	if (!tenancy_.has_begun() || is_ending())
		return guard::failure{ENOTCONN};
	use now(*this);
	return transfers_.start(wanted);
}

guard::status
connection::send_command(const wire::header &header, guard::bytes payload)
{
	TRY((twin_ ? twin_ : main_)->send(header, payload));
	update_events();
	return {};
}

} // namespace vfio_user
