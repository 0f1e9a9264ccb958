/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <string>

#include "result.hpp"
#include "rte_vfio_user.h"

namespace vfio_user {

/**
 * Who may connect to a socket.
 *
 * The rights are in force before the first connection: what is bound can be connected to only once
 * somebody listens. The umask is left alone, since all threads share it.
 */
class socket_rights {
public:
	/** Null: what the umask leaves. */
	explicit socket_rights(const rte_vfio_user_socket_rights *wanted)
	{
		if (wanted != nullptr)
			wanted_ = *wanted;
	}

	/** EINVAL: more than permission bits. */
	static guard::status check(const rte_vfio_user_socket_rights *wanted);

	/** Gives them to the socket that was bound to @p path. */
	guard::status apply(const std::string &path) const;

private:
	rte_vfio_user_socket_rights wanted_ = {RTE_VFIO_USER_KEEP, RTE_VFIO_USER_KEEP,
					       RTE_VFIO_USER_KEEP};
};

} // namespace vfio_user
