/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>

/* How long frames may be. */

namespace iavf {

/** Largest frame in bytes, without CRC: what the receive context of the hardware can hold. */
inline constexpr uint16_t max_frame = 9728;
/** What a frame has besides an MTU: the Ethernet header and two VLAN tags. */
inline constexpr uint32_t frame_overhead = 14 + 2 * 4;
inline constexpr uint16_t max_mtu = max_frame - frame_overhead;
/** Drivers count it as a part of the frame, though it never reaches memory. */
inline constexpr uint16_t crc_length = 4;

} // namespace iavf
