/* SPDX-License-Identifier: BSD-3-Clause */
#include "late_event.hpp"

#include <poll.h>
#include <sys/eventfd.h>

namespace vfio_user_pci {

guard::status
late_event::start()
{
	from_ = TRY(guard::make_eventfd());
	end_ = TRY(guard::make_eventfd());
	int error = pthread_create(&thread_, nullptr, main, this);

	if (error != 0)
		return guard::failure{error};
	running_ = true;
	return {};
}

late_event::~late_event()
{
	if (!running_)
		return;
	eventfd_write(end_.get(), 1);
	pthread_join(thread_, nullptr);
	eventfd_write(to_, 1);
}

void *
late_event::main(void *self)
{
	static_cast<const late_event *>(self)->run();
	return nullptr;
}

bool
late_event::ends_within(int ms) const
{
	pollfd end{end_.get(), POLLIN, 0};

	return ::poll(&end, 1, ms) > 0;
}

void
late_event::run() const
{
	for (;;) {
		pollfd both[] = {{end_.get(), POLLIN, 0}, {from_.get(), POLLIN, 0}};
		eventfd_t ignored;

		if (::poll(both, 2, -1) < 0)
			continue;
		if (both[0].revents != 0 || ends_within(delay_ms))
			return;
		/* What comes after this read gets its own delay. */
		eventfd_read(from_.get(), &ignored);
		eventfd_write(to_, 1);
	}
}

} // namespace vfio_user_pci
