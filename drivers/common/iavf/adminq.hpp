/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>

#include <bytes.hpp>
#include <field.hpp>

/**
 * The admin queues: how a virtual function and its physical function exchange messages.
 *
 * The driver of the VF sends on the ATQ and receives on the ARQ. Source: [AVF HAS], section on the
 * VF mailbox, and the Intel Ethernet Controller E810 datasheet, section on admin queues.
 */
namespace iavf {

/** An element of either admin queue. */
struct adminq_desc {
	uint16_t flags;
	uint16_t opcode;
	uint16_t datalen; /**< Bytes in the buffer. */
	uint16_t retval;
	uint32_t cookie_high; /**< A virtchnl message: its operation. */
	uint32_t cookie_low;  /**< A virtchnl message: its status. */
	uint32_t param0;
	uint32_t param1;
	uint32_t addr_high;
	uint32_t addr_low;
};
static_assert(sizeof(adminq_desc) == 32 && guard::wire<adminq_desc>);

/** Flags of a descriptor. */
struct adminq_flag {
	using dd = guard::flag<uint16_t, 0>;  /**< Descriptor done. */
	using cmp = guard::flag<uint16_t, 1>; /**< Command complete. */
	using err = guard::flag<uint16_t, 2>; /**< retval holds an error. */
	using vfe = guard::flag<uint16_t, 3>;
	using lb = guard::flag<uint16_t, 9>;  /**< Large buffer: more than 512 bytes. */
	using rd = guard::flag<uint16_t, 10>; /**< The device reads the buffer. */
	using vfc = guard::flag<uint16_t, 11>;
	using buf = guard::flag<uint16_t, 12>; /**< There is a buffer. */
	using si = guard::flag<uint16_t, 13>;  /**< No interrupt at completion. */
	using ei = guard::flag<uint16_t, 14>;
	using fe = guard::flag<uint16_t, 15>;
};

/** Commands. */
enum class adminq_op : uint16_t {
	queue_shutdown = 0x0003,
	send_msg_to_pf = 0x0801,
	send_msg_to_vf = 0x0802,
};

/** Values of retval. */
enum class adminq_rc : uint16_t {
	ok = 0,
	bad_opcode = 3,
	too_big = 7,
	bad_address = 20,
};

/** Largest buffer of a message, in bytes. */
constexpr uint16_t adminq_max_buffer = 4096;

} // namespace iavf
