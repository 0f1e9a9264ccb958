/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A PCI device that copies: between 64 KiB of memory of its own, BAR2, and the memory of whoever
 * drives it. It tells by MSI-X when that is done.
 *
 * usage: dma SOCKET
 *
 * Ends at SIGINT or SIGTERM. Needs no EAL. ../client drives it.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include <rte_vfio_user.h>

#include "../common/pci_config.h"
#include "device.h"

/* All of it belongs to the control thread once the server has started. */
struct dma_device {
	struct pci_config config;
	struct rte_vfio_user_server *server;
	struct dma_registers registers;
	uint8_t msix[DMA_MSIX_SIZE]; /* The table, kept for the driver. */
	int memory_fd;
	uint8_t *memory;
	bool copies;          /* A copy is under way: the memory is its until it ends. */
	bool forgets;         /* A reset came meanwhile. */
	bool has_interrupted; /* It could not be told yet. */
};

static int
fail(const char *what, int error)
{
	fprintf(stderr, "dma: %s: %s\n", what, strerror(error));
	return -1;
}

/* Interrupt 8< */
/* What the client cannot be told now it is told when it has wired the vector. */
static void
interrupt(struct dma_device *device)
{
	device->has_interrupted =
		rte_vfio_user_server_irq_trigger(device->server, RTE_VFIO_USER_IRQ_MSIX, 0) < 0;
}

static void
update_device(void *ctx, uint32_t what)
{
	struct dma_device *const device = ctx;

	if ((what & RTE_VFIO_USER_UPDATE_IRQ) != 0 && device->has_interrupted)
		interrupt(device);
}
/* >8 End of interrupt. */

static void
finish(struct dma_device *device, uint32_t status)
{
	device->registers.status = status;
	interrupt(device);
}

/* Copy 8< */
/* The copy has ended: at once, or later, and perhaps because the client is gone. */
static void
copied(void *ctx, int error)
{
	struct dma_device *const device = ctx;

	device->copies = false;
	if (device->forgets)
		device->forgets = false;
	else
		finish(device, error == 0 ? DMA_STATUS_DONE : DMA_STATUS_FAILED);
}

/* The driver has asked for a copy. It is not trusted: what it has written is checked here, and its
 * address by the library. */
static void
start_copy(struct dma_device *device)
{
	const struct dma_registers what = device->registers;
	int error = -EINVAL;

	if (device->copies) /* Its driver should have waited. */
		return;
	device->registers.status = DMA_STATUS_BUSY;
	device->copies = true;
	if (!pci_config_is_bus_master(&device->config))
		error = -EACCES;
	else if (what.offset > DMA_MEMORY_SIZE || what.length > DMA_MEMORY_SIZE - what.offset)
		error = -ERANGE;
	else if (what.command == DMA_COMMAND_FETCH)
		error = rte_vfio_user_server_dma_read(device->server, what.address,
						      device->memory + what.offset, what.length,
						      copied, device);
	else if (what.command == DMA_COMMAND_STORE)
		error = rte_vfio_user_server_dma_write(device->server, what.address,
						       device->memory + what.offset, what.length,
						       copied, device);
	if (error != 0) /* copied() will not be called. */
		copied(device, error);
}
/* >8 End of copy. */

/* A block of memory that reads and writes are carried out on; NULL: there is nothing. */
static uint8_t *
find(struct dma_device *device, uint32_t region, uint64_t offset, uint32_t count)
{
	struct block {
		uint8_t *start;
		size_t size;
	} block = {NULL, 0};

	switch (region) {
	case RTE_VFIO_USER_REGION_BAR0:
		block = (struct block){(uint8_t *)&device->registers, sizeof(device->registers)};
		break;
	case RTE_VFIO_USER_REGION_BAR2:
		block = (struct block){device->memory, DMA_MEMORY_SIZE};
		break;
	case RTE_VFIO_USER_REGION_BAR4:
		block = (struct block){device->msix, sizeof(device->msix)};
		break;
	}
	return offset <= block.size && count <= block.size - offset ? block.start + offset : NULL;
}

static int
region_read(void *ctx, uint32_t region, uint64_t offset, void *data, uint32_t count)
{
	struct dma_device *const device = ctx;
	const uint8_t *from;

	if (region == RTE_VFIO_USER_REGION_CONFIG) {
		pci_config_read(&device->config, offset, data, count);
		return 0;
	}
	from = find(device, region, offset, count);
	if (from != NULL)
		memcpy(data, from, count);
	else
		memset(data, 0, count);
	return 0;
}

static int
region_write(void *ctx, uint32_t region, uint64_t offset, const void *data, uint32_t count)
{
	struct dma_device *const device = ctx;
	const uint32_t status = device->registers.status;
	uint8_t *to;

	if (region == RTE_VFIO_USER_REGION_CONFIG) {
		pci_config_write(&device->config, offset, data, count);
		return 0;
	}
	to = find(device, region, offset, count);
	if (to != NULL)
		memcpy(to, data, count);
	device->registers.status = status; /* read only */
	if (region == RTE_VFIO_USER_REGION_BAR0 && offset == DMA_COMMAND)
		start_copy(device);
	return 0;
}

static int
reset_device(void *ctx)
{
	struct dma_device *const device = ctx;

	memset(&device->registers, 0, sizeof(device->registers));
	memset(device->msix, 0, sizeof(device->msix));
	pci_config_reset(&device->config);
	device->has_interrupted = false;
	device->forgets = device->copies;
	return 0;
}

/* The next client must not find what this one has left. */
static void
destroy_device(void *ctx)
{
	struct dma_device *const device = ctx;

	reset_device(device);
	memset(device->memory, 0, DMA_MEMORY_SIZE);
}

/* Memory 8< */
/* Memory that the client may map: a file that nobody can make shorter. */
static int
make_memory(struct dma_device *device)
{
	device->memory_fd = memfd_create("dma-bar2", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (device->memory_fd < 0 || ftruncate(device->memory_fd, DMA_MEMORY_SIZE) != 0 ||
	    fcntl(device->memory_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return fail("memory of the BAR", errno);
	device->memory = mmap(NULL, DMA_MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			      device->memory_fd, 0);
	return device->memory == MAP_FAILED ? fail("mapping of the BAR", errno) : 0;
}
/* >8 End of memory. */

static void
init_config(struct pci_config *config)
{
	pci_config_init(config, DMA_VENDOR, DMA_DEVICE, DMA_CLASS);
	pci_config_add_bar(config, 0, DMA_BAR_SIZE, 0);
	pci_config_add_bar(config, 2, DMA_MEMORY_SIZE, 0);
	pci_config_add_bar(config, 4, DMA_BAR_SIZE, 0);
	pci_config_add_msix(config, 1, 4, DMA_PBA_OFFSET);
}

static int
start_server(struct dma_device *device, const char *path)
{
	static const struct rte_vfio_user_server_ops ops = {
		.region_read = region_read,
		.region_write = region_write,
		.destroy_device = destroy_device,
		.update_device = update_device,
		.reset_device = reset_device,
	};
	static const struct rte_vfio_user_irq irqs[RTE_VFIO_USER_PCI_IRQS] = {
		[RTE_VFIO_USER_IRQ_MSIX] = {1, RTE_VFIO_USER_IRQ_EVENTFD},
	};
	const uint32_t rw = RTE_VFIO_USER_REGION_READ | RTE_VFIO_USER_REGION_WRITE;
	/* Regions 8< */
	const struct rte_vfio_user_region regions[RTE_VFIO_USER_PCI_REGIONS] = {
		[RTE_VFIO_USER_REGION_BAR0] = {.size = DMA_BAR_SIZE, .flags = rw, .fd = -1},
		[RTE_VFIO_USER_REGION_BAR2] = {.size = DMA_MEMORY_SIZE,
					       .flags = rw | RTE_VFIO_USER_REGION_MMAP,
					       .fd = device->memory_fd},
		[RTE_VFIO_USER_REGION_BAR4] = {.size = DMA_BAR_SIZE, .flags = rw, .fd = -1},
		[RTE_VFIO_USER_REGION_CONFIG] = {.size = PCI_CONFIG_SIZE, .flags = rw, .fd = -1},
	};
	/* >8 End of regions. */
	struct rte_vfio_user_server_conf conf;
	int error;

	rte_vfio_user_server_conf_init(&conf);
	conf.path = path;
	conf.ops = &ops;
	conf.ctx = device;
	conf.flags = RTE_VFIO_USER_DEVICE_PCI | RTE_VFIO_USER_DEVICE_RESET;
	conf.nb_regions = RTE_VFIO_USER_PCI_REGIONS;
	conf.regions = regions;
	conf.nb_irqs = RTE_VFIO_USER_PCI_IRQS;
	conf.irqs = irqs;
	error = rte_vfio_user_server_register(&conf, &device->server);
	if (error == 0)
		error = rte_vfio_user_server_start(device->server);
	return error == 0 ? 0 : fail(path, -error);
}

int
main(int argc, char **argv)
{
	struct dma_device device = {.memory_fd = -1, .memory = MAP_FAILED};
	sigset_t wanted;
	int error, signal;

	if (argc != 2) {
		fprintf(stderr, "usage: dma SOCKET\n");
		return 2;
	}
	/* Before there are other threads: they are not to take the signals. */
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigprocmask(SIG_BLOCK, &wanted, NULL);

	init_config(&device.config);
	error = make_memory(&device);
	if (error == 0)
		error = start_server(&device, argv[1]);
	if (error == 0) {
		puts("ready");
		fflush(stdout);
		sigwait(&wanted, &signal);
	}
	if (device.server != NULL)
		rte_vfio_user_server_unregister(device.server);
	if (device.memory != MAP_FAILED)
		munmap(device.memory, DMA_MEMORY_SIZE);
	close(device.memory_fd);
	return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
