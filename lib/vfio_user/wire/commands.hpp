/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <iterator>

#include "rte_vfio_user.h"
#include "wire/protocol.hpp"

/** The commands, one row each, for both sides and for logs [spec: Commands]. */
namespace vfio_user::wire {

/** Descriptors in one message that we take. QEMU wants a server to ask for 16 at most. */
constexpr uint32_t max_msg_fds = 16;

/** Most descriptors in one message: the kernel's limit, SCM_MAX_FD. */
constexpr uint32_t scm_max_fd = 253;

/** Most bytes in one DMA access that we take and ask for. QEMU cuts off an answer that its socket
 * does not take at once. */
constexpr uint32_t max_dma_data = 65536;

/** Longest payload in bytes of what is no access to a region: nobody needs as much, and some of it
 * is parsed. */
constexpr uint32_t max_control = sizeof(dma_access) + max_dma_data;

/** Longest payload that we take, in bytes: a full data transfer. */
constexpr uint32_t max_payload = sizeof(dma_access) + RTE_VFIO_USER_MAX_DATA_XFER;

/** Longest message that we take, in bytes. */
constexpr uint32_t max_message = sizeof(header) + max_payload;

enum class sender : uint8_t { client, server };

/** When a command is allowed. */
enum class phase : uint8_t { negotiation, session };

/** What one message of a command may be. */
struct message_limits {
	uint32_t min_payload; /* bytes */
	uint32_t max_payload;
	uint32_t max_fds;

	constexpr bool allow(size_t payload, size_t fds) const
	{
		return payload >= min_payload && payload <= max_payload && fds <= max_fds;
	}
};

struct command_row {
	command number;
	const char *name; /* in the specification, less its prefix */
	sender from;
	phase when;
	message_limits request;
	/** Of a reply that is no error. Where nothing in it is used, what some peers add or omit
	 * does no harm. */
	message_limits reply;
};

/** A payload of this one structure. */
template <class T, uint32_t fds = 0> constexpr message_limits only{sizeof(T), sizeof(T), fds};
/** A payload that begins with it. @p more: bytes that have to follow. */
template <class T, uint32_t fds = 0, uint32_t more = 0, uint32_t most = max_control>
constexpr message_limits begins{sizeof(T) + more, most, fds};
/** A payload of this structure or of less, which nobody reads. */
template <class T> constexpr message_limits unread{0, sizeof(T), 0};
constexpr message_limits nothing{0, 0, 0};
constexpr message_limits anything{0, max_control, 0};

inline constexpr command_row commands[] = {
	{command::version, "VERSION", sender::client, phase::negotiation, begins<version>,
	 begins<version, max_msg_fds>},
	{command::dma_map, "DMA_MAP", sender::client, phase::session, only<dma_map, 1>,
	 unread<dma_map>},
	/* SPDK sends a descriptor, of nothing. */
	{command::dma_unmap, "DMA_UNMAP", sender::client, phase::session, only<dma_unmap, 1>,
	 unread<dma_unmap>},
	{command::device_get_info, "DEVICE_GET_INFO", sender::client, phase::session,
	 begins<device_info>, only<device_info>},
	{command::device_get_region_info, "DEVICE_GET_REGION_INFO", sender::client, phase::session,
	 begins<region_info>, begins<region_info, max_msg_fds>},
	{command::device_get_region_io_fds, "DEVICE_GET_REGION_IO_FDS", sender::client,
	 phase::session, begins<region_io_fds>, begins<region_io_fds, max_msg_fds>},
	{command::device_get_irq_info, "DEVICE_GET_IRQ_INFO", sender::client, phase::session,
	 begins<irq_info>, only<irq_info>},
	{command::device_set_irqs, "DEVICE_SET_IRQS", sender::client, phase::session,
	 begins<irq_set, max_msg_fds>, unread<irq_set>},
	{command::region_read, "REGION_READ", sender::client, phase::session, only<region_access>,
	 begins<region_access, 0, 0, max_payload>},
	{command::region_write, "REGION_WRITE", sender::client, phase::session,
	 begins<region_access, 0, 1, max_payload>, only<region_access>},
	{command::dma_read, "DMA_READ", sender::server, phase::session, only<dma_access>,
	 begins<dma_access, max_msg_fds>},
	{command::dma_write,
	 "DMA_WRITE",
	 sender::server,
	 phase::session,
	 begins<dma_access, 0, 1>,
	 {0, max_control, max_msg_fds}},
	{command::device_reset, "DEVICE_RESET", sender::client, phase::session, nothing, nothing},
	{command::region_write_multi, "REGION_WRITE_MULTI", sender::client, phase::session,
	 begins<write_multi, 0, 0, max_payload>, only<write_multi>},
	{command::device_feature, "DEVICE_FEATURE", sender::client, phase::session,
	 begins<device_feature>, begins<device_feature>},
	{command::mig_data_read, "MIG_DATA_READ", sender::client, phase::session, anything,
	 anything},
	{command::mig_data_write, "MIG_DATA_WRITE", sender::client, phase::session, anything,
	 anything},
};

static_assert(std::adjacent_find(std::begin(commands), std::end(commands),
				 [](const auto &a, const auto &b) {
					 return a.number >= b.number;
				 }) == std::end(commands),
	      "ascending, none twice");
static_assert(std::all_of(std::begin(commands), std::end(commands), [](const command_row &row) {
	return row.request.min_payload <= row.request.max_payload &&
	       row.request.max_payload <= max_payload && row.request.max_fds <= max_msg_fds &&
	       row.reply.min_payload <= row.reply.max_payload &&
	       row.reply.max_payload <= max_payload && row.reply.max_fds <= max_msg_fds &&
	       (row.when == phase::negotiation) == (row.number == command::version);
}));

/** The row of a command by its number on the wire; null: there is no such command. */
constexpr const command_row *
find_command(uint16_t number)
{
	auto found = std::find_if(std::begin(commands), std::end(commands), [=](const auto &row) {
		return static_cast<uint16_t>(row.number) == number;
	});
	return found == std::end(commands) ? nullptr : &*found;
}

/** The row of a command; each has one. */
constexpr const command_row &
row_of(command number)
{
	return *find_command(static_cast<uint16_t>(number));
}
static_assert(row_of(command::version).number == command::version &&
	      row_of(command::mig_data_write).number == command::mig_data_write);

/** A command's name, for logs. */
constexpr const char *
name_of(uint16_t number)
{
	const command_row *row = find_command(number);
	return row == nullptr ? "?" : row->name;
}

} // namespace vfio_user::wire
