/* SPDX-License-Identifier: BSD-3-Clause */
#include "server/service.hpp"

namespace vfio_user {

guard::status
service::open()
{
	fault_event = TRY(guard::make_eventfd());
	for (timer *t : {&patience_timer, &room_timer, &answer_timer})
		TRY(t->open());
	return {};
}

void
service::disconnect(const char *why)
{
	if (!client)
		return;
	connection::use now(*client);
	client->end(why);
}

} // namespace vfio_user
