/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include <field.hpp>

#include "limits.hpp"

/**
 * The registers of an adaptive virtual function, all in BAR0, 32 bits each.
 *
 * Source: Intel Ethernet Adaptive Virtual Function Hardware Architecture Specification [AVF HAS],
 * section on VF registers; names are the specification's.
 */
namespace iavf {

static_assert(std::endian::native == std::endian::little,
	      "registers and wire structures are little-endian and are used as they are");

constexpr uint16_t pci_vendor_intel = 0x8086;
constexpr uint16_t pci_device_adaptive_vf = 0x1889;

constexpr uint32_t bar0_size = 64 * 1024;
/** The registers of the packet path, 0x0000-0x3fff, are shared memory; the others are trapped. */
constexpr uint32_t shared_size = 16 * 1024;

namespace reg {

/** How the guest's driver may access a register. */
enum class access : uint8_t {
	read_write,
	read_only,
	read_clear, /**< A read clears it, a write does nothing. */
};

/** A register, or an array of @p count of them, four bytes apart. */
struct row {
	std::string_view name;
	uint32_t offset;
	uint32_t count;
	enum access access;

	constexpr uint32_t end() const { return offset + count * 4; }
	constexpr bool shared() const { return end() <= shared_size; }
};

constexpr uint32_t qtx_tail1 = 0x0000;
constexpr uint32_t qrx_tail1 = 0x2000;
constexpr uint32_t vfint_itrn1 = 0x2800;
constexpr uint32_t vfint_dyn_ctln1 = 0x3800;
constexpr uint32_t vfint_icr01 = 0x4800;
constexpr uint32_t vfint_itr01 = 0x4c00;
constexpr uint32_t vfint_icr0_ena1 = 0x5000;
constexpr uint32_t vfint_stat_ctl01 = 0x5400;
constexpr uint32_t vfint_dyn_ctl01 = 0x5c00;
constexpr uint32_t vf_arqbah1 = 0x6000;
constexpr uint32_t vf_atqh1 = 0x6400;
constexpr uint32_t vf_atqlen1 = 0x6800;
constexpr uint32_t vf_arqbal1 = 0x6c00;
constexpr uint32_t vf_arqt1 = 0x7000;
constexpr uint32_t vf_arqh1 = 0x7400;
constexpr uint32_t vf_atqbah1 = 0x7800;
constexpr uint32_t vf_atqbal1 = 0x7c00;
constexpr uint32_t vf_arqlen1 = 0x8000;
constexpr uint32_t vf_atqt1 = 0x8400;
constexpr uint32_t vfgen_rstat = 0x8800;
constexpr uint32_t vfqf_hena = 0xc400;
constexpr uint32_t vfqf_hkey = 0xcc00;
constexpr uint32_t vfqf_hlut = 0xd000;

inline constexpr std::array rows{
	row{"QTX_TAIL1", qtx_tail1, max_queue_pairs, access::read_write},
	row{"QRX_TAIL1", qrx_tail1, max_queue_pairs, access::read_write},
	row{"VFINT_ITRN1", vfint_itrn1, 48, access::read_write}, /* 3 timers of 16 vectors */
	row{"VFINT_DYN_CTLN1", vfint_dyn_ctln1, max_vectors - 1, access::read_write},
	row{"VFINT_ICR01", vfint_icr01, 1, access::read_clear},
	row{"VFINT_ITR01", vfint_itr01, 3, access::read_write},
	row{"VFINT_ICR0_ENA1", vfint_icr0_ena1, 1, access::read_write},
	row{"VFINT_STAT_CTL01", vfint_stat_ctl01, 1, access::read_write},
	row{"VFINT_DYN_CTL01", vfint_dyn_ctl01, 1, access::read_write},
	row{"VF_ARQBAH1", vf_arqbah1, 1, access::read_write},
	row{"VF_ATQH1", vf_atqh1, 1, access::read_write},
	row{"VF_ATQLEN1", vf_atqlen1, 1, access::read_write},
	row{"VF_ARQBAL1", vf_arqbal1, 1, access::read_write},
	row{"VF_ARQT1", vf_arqt1, 1, access::read_write},
	row{"VF_ARQH1", vf_arqh1, 1, access::read_write},
	row{"VF_ATQBAH1", vf_atqbah1, 1, access::read_write},
	row{"VF_ATQBAL1", vf_atqbal1, 1, access::read_write},
	row{"VF_ARQLEN1", vf_arqlen1, 1, access::read_write},
	row{"VF_ATQT1", vf_atqt1, 1, access::read_write},
	row{"VFGEN_RSTAT", vfgen_rstat, 1, access::read_only},
	/* Storage only: a driver without VIRTCHNL_VF_OFFLOAD_RSS_PF sets up RSS here. */
	row{"VFQF_HENA", vfqf_hena, 2, access::read_write},
	row{"VFQF_HKEY", vfqf_hkey, 13, access::read_write},
	row{"VFQF_HLUT", vfqf_hlut, 16, access::read_write},
};

consteval bool
is_sorted_without_overlap()
{
	for (size_t i = 1; i < rows.size(); i++)
		if (rows[i].offset < rows[i - 1].end())
			return false;
	return rows.back().end() <= bar0_size;
}
static_assert(is_sorted_without_overlap());

consteval bool
is_aligned_and_on_one_side()
{
	for (const row &r : rows)
		if (r.offset % 4 != 0 || (r.offset < shared_size) != r.shared())
			return false;
	return true;
}
static_assert(is_aligned_and_on_one_side());

/** Index of the row that @p offset belongs to, or -1: there is no register. */
constexpr int
find(uint32_t offset)
{
	for (size_t i = 0; i < rows.size(); i++)
		if (offset >= rows[i].offset && offset < rows[i].end() && offset % 4 == 0)
			return static_cast<int>(i);
	return -1;
}

/** Queue doorbells. */
constexpr uint32_t
qtx_tail(uint16_t queue)
{
	return qtx_tail1 + 4u * queue;
}
constexpr uint32_t
qrx_tail(uint16_t queue)
{
	return qrx_tail1 + 4u * queue;
}

/** The control register of a vector; vector 0 has its own. */
constexpr uint32_t
dyn_ctl(uint16_t vector)
{
	return vector == 0 ? vfint_dyn_ctl01 : vfint_dyn_ctln1 + 4u * (vector - 1u);
}

/** The interval register of timer 0, 1 or 2 of a vector. */
constexpr uint32_t
itr(uint16_t vector, uint8_t timer)
{
	return vector == 0 ? vfint_itr01 + 4u * timer
			   : vfint_itrn1 + 64u * timer + 4u * (vector - 1u);
}
static_assert(find(qtx_tail(max_queue_pairs - 1)) == find(qtx_tail1) &&
	      find(qrx_tail(max_queue_pairs - 1)) == find(qrx_tail1));
static_assert(find(dyn_ctl(max_vectors - 1)) >= 0);
static_assert(find(itr(max_vectors - 1, 2)) >= 0);

} // namespace reg

/** VFGEN_RSTAT: how far a reset is. */
struct rstat {
	using vfr_state = guard::field<uint32_t, 0, 2>;

	static constexpr uint32_t in_progress = 0;
	static constexpr uint32_t completed = 1;
	static constexpr uint32_t vf_active = 2;
};

/** VF_ATQLEN1 and VF_ARQLEN1. */
struct aqlen {
	using len = guard::field<uint32_t, 0, 10>;
	using vf_error = guard::flag<uint32_t, 28>;
	using overflow = guard::flag<uint32_t, 29>;
	using critical = guard::flag<uint32_t, 30>;
	using enable = guard::flag<uint32_t, 31>;
};

/** Heads and tails of the admin queues. */
using aq_index = guard::field<uint32_t, 0, 10>;

/** VFINT_DYN_CTL01 and VFINT_DYN_CTLN1. */
struct dyn_ctl {
	using intena = guard::flag<uint32_t, 0>;
	using clearpba = guard::flag<uint32_t, 1>;
	using swint_trig = guard::flag<uint32_t, 2>;
	using itr_indx = guard::field<uint32_t, 3, 2>;
	using interval = guard::field<uint32_t, 5, 12>;
	using sw_itr_indx_ena = guard::flag<uint32_t, 24>;
	using sw_itr_indx = guard::field<uint32_t, 25, 2>;
	using wb_on_itr = guard::flag<uint32_t, 30>;

	/** Value of the index fields that names no timer. */
	static constexpr uint8_t no_itr = 3;
};

/** VFINT_ITR01 and VFINT_ITRN1. */
struct itr {
	using interval = guard::field<uint32_t, 0, 12>;

	static constexpr uint32_t unit_us = 2;
};

/** VFINT_ICR01; VFINT_ICR0_ENA1 has the same bits from 25 on. */
struct icr0 {
	using intevent = guard::flag<uint32_t, 0>;
	using queue_0 = guard::flag<uint32_t, 1>;
	using link_stat_change = guard::flag<uint32_t, 25>;
	using adminq = guard::flag<uint32_t, 30>;
	using swint = guard::flag<uint32_t, 31>;
};

} // namespace iavf
