/* SPDX-License-Identifier: BSD-3-Clause */
#include "server/socket_rights.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.hpp"
#include "owner.hpp"

namespace vfio_user {

guard::status
socket_rights::check(const rte_vfio_user_socket_rights *wanted)
{
	if (wanted == nullptr || wanted->mode == RTE_VFIO_USER_KEEP || wanted->mode <= 0777)
		return {};
	VFIO_USER_LOG(ERR, "server: mode %#o of the socket is not valid, allowed: 0 to 0777",
		      wanted->mode);
	return guard::failure{EINVAL};
}

/* By a descriptor of the file, not by its path: who may write to the folder could put a link there
 * meanwhile. The mode first: the new owner has the path in hand. */
guard::status
socket_rights::apply(const std::string &path) const
{
	guard::unique_fd file(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
	struct stat st;

	if (!file || ::fstat(file.get(), &st) != 0)
		return guard::last_error();
	if (!S_ISSOCK(st.st_mode))
		return guard::failure{EADDRINUSE};
	if (wanted_.mode != RTE_VFIO_USER_KEEP) {
		std::string link = "/proc/self/fd/" + std::to_string(file.get());
		if (::chmod(link.c_str(), wanted_.mode) != 0)
			return guard::last_error();
	}
	if ((wanted_.owner != RTE_VFIO_USER_KEEP || wanted_.group != RTE_VFIO_USER_KEEP) &&
	    ::fchownat(file.get(), "", wanted_.owner, wanted_.group, AT_EMPTY_PATH) != 0) {
		guard::failure why = guard::last_error();
		VFIO_USER_LOG(ERR, "%s: cannot give the socket to owner %d, group %d (-1: kept)",
			      path.c_str(), static_cast<int>(wanted_.owner),
			      static_cast<int>(wanted_.group));
		return why;
	}
	return {};
}

} // namespace vfio_user
