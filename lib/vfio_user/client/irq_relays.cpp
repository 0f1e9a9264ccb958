/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/irq_relays.hpp"

#include <sys/epoll.h>

#include "peer/event_signal.hpp"

namespace vfio_user {

guard::result<std::vector<client_irqs::relay>>
client_irqs::make(borrowed_fds targets)
{
	std::vector<relay> out(targets.size());

	for (size_t i = 0; i < targets.size(); i++) {
		out[i].target = guard::unique_fd(::fcntl(targets[i], F_DUPFD_CLOEXEC, 0));
		if (!out[i].target)
			return guard::last_error();
		if (!is_eventfd(targets[i]))
			return guard::failure{EINVAL};
		out[i].source = TRY(guard::make_eventfd());
	}
	return out;
}

guard::status
client_irqs::adopt(uint32_t index, uint32_t start, std::vector<relay> fresh)
{
	drop(index, start, static_cast<uint32_t>(fresh.size()));
	for (relay &next : fresh) {
		relay &at = relays_[{index, start++}] = std::move(next);
		nb_fds_ += 2;
		/* Tells at once of what has come since the server knows it. */
		at.watch = TRY(control::running()->watch(at.source.get(), EPOLLIN | EPOLLET,
							 on_event, &at));
	}
	return {};
}

void
client_irqs::drop(uint32_t index, uint32_t start, uint32_t count)
{
	auto at = relays_.lower_bound({index, start});

	while (at != relays_.end() && at->first.first == index &&
	       at->first.second - start < count) {
		control::running()->unwatch(at->second.watch);
		nb_fds_ -= 2;
		at = relays_.erase(at);
	}
}

void
client_irqs::stop()
{
	for (auto &[id, at] : relays_)
		control::running()->unwatch(at.watch);
	relays_.clear();
	nb_fds_ = 0;
}

void
client_irqs::on_event(void *self, uint32_t)
{
	eventfd_write(static_cast<relay *>(self)->target.get(), 1);
}

} // namespace vfio_user
