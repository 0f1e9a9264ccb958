/* SPDX-License-Identifier: BSD-3-Clause */

/* The printer's registers: what its driver sets up, and nothing of what is printed. */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include <rte_emudev_driver.h>
#include <rte_vfio_user.h>

#include "../common/pci_config.h"
#include "printer.h"
#include "provider.h"

/* Belongs to the control thread once the server has started; but for irq_fire(), see there. */
struct provider {
	struct pci_config config;
	struct printer_registers registers;
	uint8_t msix[PRINTER_MSIX_SIZE]; /* The table, kept for the driver. */
	struct printer_doorbell *doorbell;
	int doorbell_fd;
	size_t page;
	bool connected;
	struct rte_vfio_user_server *server;
	struct rte_emudev *emudev; /* NULL: released. */
};

/* Tell 8< */
static void
tell(struct provider *provider, const struct rte_emudev_event *event)
{
	if (provider->emudev != NULL)
		rte_emudev_notify(provider->emudev, event);
}

/* The whole context of the one queue, whatever has changed. */
static void
tell_queue(struct provider *provider)
{
	const struct rte_emudev_queue queue = {
		.struct_size = sizeof(queue),
		.index = 0,
		.dir = RTE_EMUDEV_FROM_GUEST,
		.enabled = provider->registers.enable != 0,
		.size = provider->registers.size,
		.desc_size = sizeof(struct printer_descriptor),
		.ring_iova = provider->registers.ring,
		.tail = &provider->doorbell->tail,
		.vector = {.control = &provider->doorbell->control,
			   .enable_mask = PRINTER_CONTROL_ENABLE},
	};
	const struct rte_emudev_event event = {.type = RTE_EMUDEV_EVENT_QUEUE, .queue = &queue};

	tell(provider, &event);
}

static void
tell_link(struct provider *provider)
{
	const struct rte_emudev_link link = {
		.struct_size = sizeof(link),
		.connected = provider->connected,
		.numa_node = -1,
	};
	const struct rte_emudev_event event = {.type = RTE_EMUDEV_EVENT_LINK, .link = &link};

	tell(provider, &event);
}
/* >8 End of tell. */

/* The driver has switched the ring on or off. What the back-end is told of can be served. */
static void
enable(struct provider *provider)
{
	struct printer_registers *const wanted = &provider->registers;

	if (wanted->size < 2 || wanted->size > PRINTER_MAX_SIZE ||
	    wanted->ring % sizeof(struct printer_descriptor) != 0 ||
	    wanted->ring > UINT64_MAX - wanted->size * sizeof(struct printer_descriptor))
		wanted->enable = 0;
	tell_queue(provider);
}

/* --- the provider's side of emudev --- */

/* Ops 8< */
static int
info_get(void *priv, struct rte_emudev_info *info)
{
	const struct provider *const provider = priv;

	info->driver = "example_printer";
	info->type = PRINTER_RING_TYPE;
	info->connected = provider->connected;
	info->max_queue_pairs = 1;
	info->queue_pairs = 1;
	return 0;
}

static void
push(void *priv)
{
	tell_link(priv);
	tell_queue(priv);
}

static const struct rte_guest_mem_table *const *
mem_table(void *priv)
{
	return rte_vfio_user_server_dma_table(((struct provider *)priv)->server);
}

/* On a data thread. The driver's bit is taken first, as it sets it again when it wants the next
 * interrupt, and given back where that could not be told. */
static enum rte_emudev_irq_result
irq_fire(void *priv, uint16_t vector, uint8_t timer, enum rte_emudev_irq_cause cause)
{
	struct provider *const provider = priv;
	uint32_t *const control = &provider->doorbell->control;

	(void)timer; /* There is none, */
	(void)cause; /* so nothing can wait. */
	if ((__atomic_fetch_and(control, ~PRINTER_CONTROL_ENABLE, __ATOMIC_SEQ_CST) &
	     PRINTER_CONTROL_ENABLE) == 0)
		return RTE_EMUDEV_IRQ_LATER;
	if (rte_vfio_user_server_irq_trigger(provider->server, RTE_VFIO_USER_IRQ_MSIX, vector) >= 0)
		return RTE_EMUDEV_IRQ_FIRED;
	__atomic_fetch_or(control, PRINTER_CONTROL_ENABLE, __ATOMIC_SEQ_CST);
	return RTE_EMUDEV_IRQ_LATER;
}

static const struct rte_emudev_ops emudev_ops = {
	.struct_size = sizeof(emudev_ops),
	.info_get = info_get,
	.control_call = rte_vfio_user_control_call,
	.push = push,
	.mem_table = mem_table,
	.irq_fire = irq_fire,
};
/* >8 End of ops. */

/* --- the device's side of vfio-user --- */

static uint8_t *
find(struct provider *provider, uint32_t region, uint64_t offset, uint32_t count)
{
	uint8_t *start = NULL;
	size_t size = 0;

	switch (region) {
	case RTE_VFIO_USER_REGION_BAR0:
		start = (uint8_t *)&provider->registers;
		size = sizeof(provider->registers);
		break;
	case RTE_VFIO_USER_REGION_BAR2:
		start = (uint8_t *)provider->doorbell;
		size = provider->page;
		break;
	case RTE_VFIO_USER_REGION_BAR4:
		start = provider->msix;
		size = sizeof(provider->msix);
		break;
	}
	return offset <= size && count <= size - offset ? start + offset : NULL;
}

static int
region_read(void *ctx, uint32_t region, uint64_t offset, void *data, uint32_t count)
{
	struct provider *const provider = ctx;
	const uint8_t *from;

	if (region == RTE_VFIO_USER_REGION_CONFIG) {
		pci_config_read(&provider->config, offset, data, count);
		return 0;
	}
	from = find(provider, region, offset, count);
	if (from != NULL)
		memcpy(data, from, count);
	else
		memset(data, 0, count);
	return 0;
}

static int
region_write(void *ctx, uint32_t region, uint64_t offset, const void *data, uint32_t count)
{
	struct provider *const provider = ctx;
	const bool was_enabled = provider->registers.enable != 0;
	uint8_t *to;

	if (region == RTE_VFIO_USER_REGION_CONFIG) {
		pci_config_write(&provider->config, offset, data, count);
		return 0;
	}
	to = find(provider, region, offset, count);
	if (to == NULL)
		return 0;
	/* A ring does not change while it is used. */
	if (region == RTE_VFIO_USER_REGION_BAR0 && offset < PRINTER_ENABLE && was_enabled)
		return 0;
	memcpy(to, data, count);
	if ((provider->registers.enable != 0) != was_enabled)
		enable(provider);
	return 0;
}

static int
reset_device(void *ctx)
{
	struct provider *const provider = ctx;

	memset(&provider->registers, 0, sizeof(provider->registers));
	memset(provider->msix, 0, sizeof(provider->msix));
	pci_config_reset(&provider->config);
	tell_queue(provider); /* Nobody uses it any more when this returns. */
	memset(provider->doorbell, 0, provider->page);
	return 0;
}

/* Memory 8< */
/* What memory comes and goes is passed on. The answer waits until the back-end has let go of it. */
static void
memory_removed(void *ctx, uint64_t first, uint64_t last)
{
	const struct rte_emudev_event event = {
		.type = RTE_EMUDEV_EVENT_MEMORY_GONE,
		.gone = {first, last},
	};

	tell(ctx, &event);
}

static void
update_device(void *ctx, uint32_t what)
{
	const struct rte_emudev_event event = {.type = RTE_EMUDEV_EVENT_MEMORY};

	if (what & RTE_VFIO_USER_UPDATE_DMA)
		tell(ctx, &event);
}
/* >8 End of memory. */

static int
new_device(void *ctx, const struct rte_vfio_user_session *session)
{
	struct provider *const provider = ctx;

	(void)session;
	provider->connected = true;
	tell_link(provider);
	return 0;
}

static void
destroy_device(void *ctx)
{
	struct provider *const provider = ctx;

	provider->connected = false;
	reset_device(provider);
	tell_link(provider);
}

static int
make_doorbell(struct provider *provider)
{
	void *at;

	provider->page = sysconf(_SC_PAGESIZE);
	provider->doorbell_fd = memfd_create("printer-bar2", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (provider->doorbell_fd < 0 || ftruncate(provider->doorbell_fd, provider->page) != 0 ||
	    fcntl(provider->doorbell_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) !=
		    0)
		return -errno;
	at = mmap(NULL, provider->page, PROT_READ | PROT_WRITE, MAP_SHARED, provider->doorbell_fd,
		  0);
	if (at == MAP_FAILED)
		return -errno;
	provider->doorbell = at;
	return 0;
}

static void
init_config(struct provider *provider)
{
	struct pci_config *const config = &provider->config;

	pci_config_init(config, PRINTER_VENDOR, PRINTER_DEVICE, PRINTER_CLASS);
	pci_config_add_bar(config, 0, PRINTER_BAR_SIZE, 0);
	pci_config_add_bar(config, 2, provider->page, 0);
	pci_config_add_bar(config, 4, PRINTER_BAR_SIZE, 0);
	pci_config_add_msix(config, 1, 4, PRINTER_PBA_OFFSET);
}

static int
register_server(struct provider *provider, const char *path)
{
	static const struct rte_vfio_user_server_ops ops = {
		.region_read = region_read,
		.region_write = region_write,
		.new_device = new_device,
		.destroy_device = destroy_device,
		.update_device = update_device,
		.reset_device = reset_device,
		.memory_removed = memory_removed,
	};
	static const struct rte_vfio_user_irq irqs[RTE_VFIO_USER_PCI_IRQS] = {
		[RTE_VFIO_USER_IRQ_MSIX] = {1, RTE_VFIO_USER_IRQ_EVENTFD},
	};
	const uint32_t rw = RTE_VFIO_USER_REGION_READ | RTE_VFIO_USER_REGION_WRITE;
	const struct rte_vfio_user_region regions[RTE_VFIO_USER_PCI_REGIONS] = {
		[RTE_VFIO_USER_REGION_BAR0] = {.size = PRINTER_BAR_SIZE, .flags = rw, .fd = -1},
		[RTE_VFIO_USER_REGION_BAR2] = {.size = provider->page,
					       .flags = rw | RTE_VFIO_USER_REGION_MMAP,
					       .fd = provider->doorbell_fd},
		[RTE_VFIO_USER_REGION_BAR4] = {.size = PRINTER_BAR_SIZE, .flags = rw, .fd = -1},
		[RTE_VFIO_USER_REGION_CONFIG] = {.size = PCI_CONFIG_SIZE, .flags = rw, .fd = -1},
	};
	struct rte_vfio_user_server_conf conf;

	rte_vfio_user_server_conf_init(&conf);
	conf.path = path;
	conf.ops = &ops;
	conf.ctx = provider;
	conf.flags = RTE_VFIO_USER_DEVICE_PCI | RTE_VFIO_USER_DEVICE_RESET;
	conf.nb_regions = RTE_VFIO_USER_PCI_REGIONS;
	conf.regions = regions;
	conf.nb_irqs = RTE_VFIO_USER_PCI_IRQS;
	conf.irqs = irqs;
	return rte_vfio_user_server_register(&conf, &provider->server);
}

/* Life 8< */
/* The back-end is there before the first driver can be. */
static int
bring_up(struct provider *provider, const char *path)
{
	int error = make_doorbell(provider);

	if (error != 0)
		return error;
	init_config(provider);
	error = register_server(provider, path);
	if (error == 0)
		error = rte_emudev_allocate("printer0", NULL, &emudev_ops, provider,
					    &provider->emudev);
	if (error == 0)
		error = rte_emudev_backend_attach(provider->emudev);
	if (error == 0)
		error = rte_vfio_user_server_start(provider->server);
	return error;
}

int
provider_create(const char *path, struct provider **out)
{
	struct provider *const provider = calloc(1, sizeof(*provider));
	int error;

	if (provider == NULL)
		return -ENOMEM;
	provider->doorbell_fd = -1;
	error = bring_up(provider, path);
	if (error != 0) {
		provider_destroy(provider);
		return error;
	}
	*out = provider;
	return 0;
}

/* On the control thread, so that no message comes between the two. */
static int
release(void *arg)
{
	struct provider *const provider = arg;

	rte_emudev_release(provider->emudev);
	provider->emudev = NULL;
	return 0;
}

/* First whoever uses the device, then the device, then whom it talks to. */
void
provider_destroy(struct provider *provider)
{
	if (provider == NULL)
		return;
	if (provider->emudev != NULL) {
		rte_emudev_backend_detach(provider->emudev);
		rte_vfio_user_control_call(release, provider);
	}
	if (provider->server != NULL)
		rte_vfio_user_server_unregister(provider->server);
	if (provider->doorbell != NULL)
		munmap(provider->doorbell, provider->page);
	if (provider->doorbell_fd >= 0)
		close(provider->doorbell_fd);
	free(provider);
}
/* >8 End of life. */
