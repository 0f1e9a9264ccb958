/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A driver, in user space, of the device of ../dma: reads its configuration space, maps a BAR,
 * wires an interrupt, and has the device copy a text into its memory and back.
 *
 * usage: client SOCKET
 *
 * Needs no EAL. The exit status is 0 if all was as it should be.
 */

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include <rte_vfio_user_client.h>

#include "../dma/device.h"

#define MEMORY_SIZE 65536u
#define IOVA        0x10000000u /* Where the device finds our memory. */
#define PATIENCE_MS 5000

struct driver {
	struct rte_vfio_user_client *device;
	uint8_t *bar2;   /* The device's memory. */
	uint8_t *memory; /* Ours. */
	int memory_fd;
	int interrupt; /* An eventfd. */
};

static int
fail(const char *what, int error)
{
	fprintf(stderr, "client: %s: %s\n", what, strerror(error));
	return -1;
}

/* What the functions of the library return. */
static int
check(const char *what, int error)
{
	return error < 0 ? fail(what, -error) : 0;
}

/* Config 8< */
/* Little-endian bytes of configuration space. */
static int
read_config(struct driver *driver, unsigned int offset, uint16_t *value)
{
	uint8_t bytes[2];
	int error = rte_vfio_user_client_region_read(driver->device, RTE_VFIO_USER_REGION_CONFIG,
						     offset, bytes, sizeof(bytes));

	*value = bytes[0] | bytes[1] << 8;
	return check("configuration space", error);
}

/* Is it the device that we drive? Then it may read and write memory. */
static int
identify(struct driver *driver)
{
	const uint8_t command[2] = {PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0};
	uint16_t vendor, id;

	if (read_config(driver, PCI_VENDOR_ID, &vendor) != 0 ||
	    read_config(driver, PCI_DEVICE_ID, &id) != 0)
		return -1;
	printf("device %04x:%04x\n", vendor, id);
	if (vendor != DMA_VENDOR || id != DMA_DEVICE)
		return fail("not the device of the example", ENODEV);
	return check("command register",
		     rte_vfio_user_client_region_write(driver->device, RTE_VFIO_USER_REGION_CONFIG,
						       PCI_COMMAND, command, sizeof(command)));
}
/* >8 End of config. */

/* Bar 8< */
/* The library maps what the server really offers: its size is to be looked at. */
static int
map_bar(struct driver *driver)
{
	struct rte_vfio_user_client_region bar2;
	void *at;
	int error = rte_vfio_user_client_region_info_get(driver->device, RTE_VFIO_USER_REGION_BAR2,
							 &bar2);

	if (error == 0 && (bar2.nb_areas == 0 || bar2.areas[0].offset != 0 ||
			   bar2.areas[0].size < DMA_MEMORY_SIZE))
		error = -ENXIO;
	if (error == 0)
		error = rte_vfio_user_client_region_map(driver->device, RTE_VFIO_USER_REGION_BAR2,
							0, &at);
	if (error == 0)
		driver->bar2 = at;
	return check("BAR2", error);
}
/* >8 End of bar. */

/* Dma 8< */
/* Memory that the device may use: a file, which the server maps. */
static int
open_memory(struct driver *driver)
{
	driver->memory_fd = memfd_create("client-memory", MFD_CLOEXEC);
	if (driver->memory_fd < 0 || ftruncate(driver->memory_fd, MEMORY_SIZE) != 0)
		return fail("memory", errno);
	driver->memory =
		mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, driver->memory_fd, 0);
	if (driver->memory == MAP_FAILED)
		return fail("memory", errno);
	return check("DMA_MAP",
		     rte_vfio_user_client_dma_map(driver->device, IOVA, MEMORY_SIZE,
						  RTE_GUEST_MEM_READ | RTE_GUEST_MEM_WRITE,
						  driver->memory_fd, 0, NULL));
}
/* >8 End of dma. */

/* Interrupt 8< */
static int
wire_interrupt(struct driver *driver)
{
	driver->interrupt = eventfd(0, EFD_CLOEXEC);
	if (driver->interrupt < 0)
		return fail("eventfd", errno);
	return check("interrupt",
		     rte_vfio_user_client_irq_wire(driver->device, RTE_VFIO_USER_IRQ_MSIX, 0, 1,
						   &driver->interrupt));
}

static int
await_interrupt(struct driver *driver)
{
	struct pollfd wait = {.fd = driver->interrupt, .events = POLLIN};
	eventfd_t count;

	if (poll(&wait, 1, PATIENCE_MS) != 1)
		return fail("interrupt", ETIMEDOUT);
	return eventfd_read(driver->interrupt, &count);
}
/* >8 End of interrupt. */

/* Copy 8< */
/* Has the device copy between the start of its memory and a place in ours. */
static int
copy(struct driver *driver, uint32_t command, uint32_t at, uint32_t length)
{
	const struct dma_registers what = {
		.address = IOVA + at,
		.offset = 0,
		.length = length,
	};
	uint32_t status;
	int error = rte_vfio_user_client_region_write(driver->device, RTE_VFIO_USER_REGION_BAR0, 0,
						      &what, DMA_COMMAND);

	if (error == 0)
		error = rte_vfio_user_client_region_write(driver->device, RTE_VFIO_USER_REGION_BAR0,
							  DMA_COMMAND, &command, sizeof(command));
	if (check("start of a copy", error) != 0 || await_interrupt(driver) != 0)
		return -1;
	error = rte_vfio_user_client_region_read(driver->device, RTE_VFIO_USER_REGION_BAR0,
						 offsetof(struct dma_registers, status), &status,
						 sizeof(status));
	if (error == 0 && status != DMA_STATUS_DONE)
		error = -EIO;
	return check("copy", error);
}
/* >8 End of copy. */

/* A text goes from our memory to the device's, where we see it, and back to another place. */
static int
drive(struct driver *driver)
{
	static const char text[] = "by DMA";
	const uint32_t size = sizeof(text), back = MEMORY_SIZE / 2;

	memcpy(driver->memory, text, size);
	if (copy(driver, DMA_COMMAND_FETCH, 0, size) != 0)
		return -1;
	printf("in BAR2: %.*s\n", (int)size, (const char *)driver->bar2);
	if (copy(driver, DMA_COMMAND_STORE, back, size) != 0)
		return -1;
	printf("back in memory: %.*s\n", (int)size, (const char *)driver->memory + back);
	if (memcmp(driver->bar2, text, size) != 0 || memcmp(driver->memory + back, text, size) != 0)
		return fail("the text is another one", EIO);
	return 0;
}

/* Attach 8< */
static int
attach(struct driver *driver, const char *path)
{
	struct rte_vfio_user_client_conf conf;

	rte_vfio_user_client_conf_init(&conf);
	conf.path = path;
	conf.wait_ms = PATIENCE_MS; /* for the server to come up */
	return check(path, rte_vfio_user_client_attach(&conf, -1, &driver->device));
}
/* >8 End of attach. */

int
main(int argc, char **argv)
{
	struct driver driver = {.memory = MAP_FAILED, .memory_fd = -1, .interrupt = -1};
	bool good;

	if (argc != 2) {
		fprintf(stderr, "usage: client SOCKET\n");
		return 2;
	}
	good = attach(&driver, argv[1]) == 0 && identify(&driver) == 0 && map_bar(&driver) == 0 &&
	       open_memory(&driver) == 0 && wire_interrupt(&driver) == 0 && drive(&driver) == 0;
	/* First: the device may use all of it until then. */
	if (driver.device != NULL)
		rte_vfio_user_client_detach(driver.device);
	if (driver.memory != MAP_FAILED)
		munmap(driver.memory, MEMORY_SIZE);
	close(driver.memory_fd);
	close(driver.interrupt);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
