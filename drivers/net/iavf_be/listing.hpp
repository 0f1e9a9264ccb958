/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

namespace iavf_be {

class port;

/** A port is among those that telemetry shows, as long as this exists. */
class listing {
public:
	explicit listing(port &of);
	/** Waits for whoever is looking at the port. */
	~listing();
	listing(const listing &) = delete;
	listing &operator=(const listing &) = delete;

private:
	port &of_;
};

} // namespace iavf_be
