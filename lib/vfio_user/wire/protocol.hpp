/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstddef>
#include <cstdint>

#include "field.hpp"

/**
 * The vfio-user protocol as it stands on the wire: QEMU docs/interop/vfio-user.rst. All fields are
 * in host byte order. The structures are our own, so that no kernel header is needed; a unit test
 * compares them with <linux/vfio.h>.
 */
namespace vfio_user::wire {

/** [spec: Commands] */
enum class command : uint16_t {
	version = 1,
	dma_map = 2,
	dma_unmap = 3,
	device_get_info = 4,
	device_get_region_info = 5,
	device_get_region_io_fds = 6,
	device_get_irq_info = 7,
	device_set_irqs = 8,
	region_read = 9,
	region_write = 10,
	dma_read = 11,
	dma_write = 12,
	device_reset = 13,
	region_write_multi = 15,
	device_feature = 16,
	mig_data_read = 17,
	mig_data_write = 18,
};

/** [spec: Header] */
struct header {
	uint16_t id;
	uint16_t command;
	uint32_t size; /* of the whole message, header included */
	uint32_t flags;
	uint32_t error; /* errno, valid with header_flags::error */
};
static_assert(sizeof(header) == 16);

namespace header_flags {
using type = guard::field<uint32_t, 0, 4>;
using no_reply = guard::flag<uint32_t, 4>;
using error = guard::flag<uint32_t, 5>;
constexpr uint32_t type_command = 0;
constexpr uint32_t type_reply = 1;
} // namespace header_flags

/** [spec: VFIO_USER_VERSION]; followed by JSON with its NUL. */
struct version {
	uint16_t major;
	uint16_t minor;
};
static_assert(sizeof(version) == 4);

/** [spec: VFIO_USER_DMA_MAP] */
struct dma_map {
	uint32_t argsz;
	uint32_t flags;
	uint64_t offset;
	uint64_t address;
	uint64_t size;
};
static_assert(sizeof(dma_map) == 32);

/** [spec: VFIO_USER_DMA_UNMAP] */
struct dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t address;
	uint64_t size;
};
static_assert(sizeof(dma_unmap) == 24);

/** Flags of DMA_UNMAP, as VFIO's [linux/vfio.h: VFIO_IOMMU_UNMAP_DMA]. */
namespace dma_unmap_flags {
constexpr uint32_t get_dirty_bitmap = 0x1;
constexpr uint32_t all = 0x2; /* address and size are 0 */
} // namespace dma_unmap_flags

/** [spec: VFIO_USER_DEVICE_GET_INFO] */
struct device_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t num_regions;
	uint32_t num_irqs;
};
static_assert(sizeof(device_info) == 16);

/** [spec: VFIO_USER_DEVICE_GET_REGION_INFO] */
struct region_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t cap_offset; /* from the start of this structure, 0: none */
	uint64_t size;
	uint64_t offset; /* for mmap() of the region's file descriptor */
};
static_assert(sizeof(region_info) == 32);

/** [spec: VFIO cap header format] */
struct cap_header {
	uint16_t id;
	uint16_t version;
	uint32_t next; /* from the start of region_info, 0: last */
};
static_assert(sizeof(cap_header) == 8);

constexpr uint16_t cap_sparse_mmap = 1; /* VFIO_REGION_INFO_CAP_SPARSE_MMAP */

/** [spec: VFIO region info cap sparse mmap]; followed by nr_areas areas. */
struct sparse_mmap {
	cap_header header;
	uint32_t nr_areas;
	uint32_t reserved;
};
static_assert(sizeof(sparse_mmap) == 16);

struct sparse_area {
	uint64_t offset;
	uint64_t size;
};
static_assert(sizeof(sparse_area) == 16);

/** [spec: VFIO_USER_DEVICE_GET_REGION_IO_FDS] */
struct region_io_fds {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};
static_assert(sizeof(region_io_fds) == 16);

/** [spec: Sub-Region IO FD info format]; both formats have this shape. */
struct io_fd {
	uint64_t offset;
	uint64_t size;
	uint32_t fd_index;
	uint32_t type;
	uint32_t flags;
	uint32_t padding;
	uint64_t datamatch;
};
static_assert(sizeof(io_fd) == 40);

/** [spec: VFIO_USER_DEVICE_GET_IRQ_INFO] */
struct irq_info {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t count;
};
static_assert(sizeof(irq_info) == 16);

/** [spec: VFIO_USER_DEVICE_SET_IRQS]; followed by count bytes with data_bool. */
struct irq_set {
	uint32_t argsz;
	uint32_t flags;
	uint32_t index;
	uint32_t start;
	uint32_t count;
};
static_assert(sizeof(irq_set) == 20);

namespace irq_set_flags {
constexpr uint32_t data_none = 1u << 0;
constexpr uint32_t data_bool = 1u << 1;
constexpr uint32_t data_eventfd = 1u << 2;
constexpr uint32_t action_mask = 1u << 3;
constexpr uint32_t action_unmask = 1u << 4;
constexpr uint32_t action_trigger = 1u << 5;
constexpr uint32_t data = data_none | data_bool | data_eventfd;
constexpr uint32_t action = action_mask | action_unmask | action_trigger;
} // namespace irq_set_flags

/** [spec: VFIO_USER_REGION_READ, VFIO_USER_REGION_WRITE]; followed by count bytes of data. */
struct region_access {
	uint64_t offset;
	uint32_t region;
	uint32_t count;
};
static_assert(sizeof(region_access) == 16);

/** [spec: VFIO_USER_DMA_READ, VFIO_USER_DMA_WRITE]; followed by count bytes of data. */
struct dma_access {
	uint64_t address;
	uint64_t count;
};
static_assert(sizeof(dma_access) == 16);

/** [spec: VFIO_USER_REGION_WRITE_MULTI]; followed by count writes. */
struct write_multi {
	uint64_t count;
};
static_assert(sizeof(write_multi) == 8);

struct single_write {
	uint64_t offset;
	uint32_t region;
	uint32_t count; /* 8 at most */
	uint8_t data[8];
};
static_assert(sizeof(single_write) == 24);

/** [spec: VFIO_USER_DEVICE_FEATURE] */
struct device_feature {
	uint32_t argsz;
	uint32_t flags;
};
static_assert(sizeof(device_feature) == 8);

/** The version that we speak [spec: Versioning]. */
constexpr uint16_t major_version = 0;
constexpr uint16_t minor_version = 1;

/** Smallest page that DMA regions and mappable areas are made of. */
constexpr uint64_t page_size = 4096;
/** Most vectors of one type: of MSI-X, PCI Local Bus Specification 3.0, 6.8.2. */
constexpr uint32_t max_vectors = 2048;

} // namespace vfio_user::wire
