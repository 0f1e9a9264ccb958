/* SPDX-License-Identifier: BSD-3-Clause */

/* Serves the ring of a printer with a thread. Knows no register and no socket. */

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_emudev.h>
#include <rte_guest_mem.h>

#include "printer.h"
#include "spooler.h"

#define PAUSE_US 1000

struct spooler {
	struct rte_emudev *dev;
	const struct rte_guest_mem_table *const *memory;
	pthread_t thread;
	bool ends; /* atomic */
	/* What follows is used under the lock, which the thread holds for a burst: so the control
	 * thread waits for a burst at most. A data path that must be quick needs something better
	 * than a lock. */
	pthread_mutex_t lock;
	struct rte_emudev_queue queue;
	bool started;
	bool interrupt_is_due;
	uint16_t head; /* The descriptor that is printed next. */
	struct rte_guest_mem_cache ring_cache, text_cache;
};

/* What was printed by a burst, on its way out. */
struct page {
	uint8_t text[PRINTER_MAX_TEXT];
	size_t length;
};

/* Burst 8< */
/* Copies the text of a descriptor, of which we have a copy: nobody changes what was checked. */
static uint32_t
take_text(struct spooler *spooler, const struct rte_guest_mem_table *table,
	  const struct printer_descriptor *what, struct page *page)
{
	const uint8_t *text = NULL;

	if (what->length <= PRINTER_MAX_TEXT)
		text = rte_guest_mem_translate(table, &spooler->text_cache, what->text,
					       what->length, RTE_GUEST_MEM_READ);
	if (text == NULL)
		return PRINTER_STATUS_FAILED;
	memcpy(page->text + page->length, text, what->length);
	page->length += what->length;
	return PRINTER_STATUS_PRINTED;
}

/* Takes one descriptor; false: it has to wait. */
static bool
take_descriptor(struct spooler *spooler, const struct rte_guest_mem_table *table, struct page *page)
{
	const uint64_t iova =
		spooler->queue.ring_iova + spooler->head * sizeof(struct printer_descriptor);
	struct printer_descriptor *const shared =
		(void *)rte_guest_mem_translate(table, &spooler->ring_cache, iova, sizeof(*shared),
						RTE_GUEST_MEM_READ | RTE_GUEST_MEM_WRITE);
	struct printer_descriptor what;

	if (shared == NULL) /* The driver has taken the memory away; it may come back. */
		return false;
	what.text = __atomic_load_n(&shared->text, __ATOMIC_RELAXED);
	what.length = __atomic_load_n(&shared->length, __ATOMIC_RELAXED);
	if (what.length <= PRINTER_MAX_TEXT && what.length > PRINTER_MAX_TEXT - page->length)
		return false; /* It is the next page's first. */
	what.status = take_text(spooler, table, &what, page);
	/* Release: the driver may reuse the text when it sees the status. */
	__atomic_store_n(&shared->status, what.status, __ATOMIC_RELEASE);
	return true;
}

/* Under the lock. */
static void
burst(struct spooler *spooler, struct page *page)
{
	const struct rte_guest_mem_table *const table = rte_guest_mem_get(spooler->memory);
	const uint16_t size = spooler->queue.size;
	/* Acquire: what the driver wrote before it moved the tail is seen. */
	const uint32_t tail = __atomic_load_n(spooler->queue.tail, __ATOMIC_ACQUIRE);
	const uint16_t head = spooler->head;

	if (tail >= size) /* The driver's mistake. */
		return;
	while (spooler->head != tail && take_descriptor(spooler, table, page))
		spooler->head = (spooler->head + 1) % size;
	if (spooler->head != head)
		spooler->interrupt_is_due = true;
}

/* Also when nothing was printed: the driver may have enabled it since. */
static void
interrupt_if_due(struct spooler *spooler)
{
	const struct rte_emudev_vector *const vector = &spooler->queue.vector;

	if (spooler->interrupt_is_due &&
	    (__atomic_load_n(vector->control, __ATOMIC_SEQ_CST) & vector->enable_mask) != 0 &&
	    rte_emudev_irq_fire(spooler->dev, vector->index, vector->timer, RTE_EMUDEV_IRQ_EVENT) ==
		    RTE_EMUDEV_IRQ_FIRED)
		spooler->interrupt_is_due = false;
}
/* >8 End of burst. */

/* Waits for whoever reads it, without the lock: nobody else waits for him. */
static void
put_out(const struct page *page)
{
	size_t done = 0;

	while (done < page->length) {
		const ssize_t put = write(STDOUT_FILENO, page->text + done, page->length - done);

		if (put < 0 && errno != EINTR)
			return;
		done += put > 0 ? put : 0;
	}
}

static void *
run(void *arg)
{
	struct spooler *const spooler = arg;
	struct page page;

	while (!__atomic_load_n(&spooler->ends, __ATOMIC_RELAXED)) {
		page.length = 0;
		pthread_mutex_lock(&spooler->lock);
		if (spooler->started && spooler->queue.enabled) {
			burst(spooler, &page);
			interrupt_if_due(spooler);
		}
		pthread_mutex_unlock(&spooler->lock);
		put_out(&page);
		if (page.length == 0)
			usleep(PAUSE_US);
	}
	return NULL;
}

/* Event 8< */
/* Control thread. Under the lock no burst is under way; and the next one will find what is new. */
static void
event(void *ctx, const struct rte_emudev_event *event)
{
	struct spooler *const spooler = ctx;

	pthread_mutex_lock(&spooler->lock);
	switch (event->type) {
	case RTE_EMUDEV_EVENT_QUEUE:
		spooler->queue = *event->queue;
		spooler->head = event->queue->head;
		spooler->interrupt_is_due = false;
		break;
	case RTE_EMUDEV_EVENT_STATE:
		spooler->started = event->state == RTE_EMUDEV_STARTED;
		break;
	case RTE_EMUDEV_EVENT_REMOVE:
		spooler->started = false;
		break;
	case RTE_EMUDEV_EVENT_MEMORY_GONE: /* That we are here is enough: see burst(). */
	case RTE_EMUDEV_EVENT_MEMORY:      /* Each burst looks for itself. */
	default:
		break;
	}
	pthread_mutex_unlock(&spooler->lock);
}

static const struct rte_emudev_backend_ops backend_ops = {
	.struct_size = sizeof(backend_ops),
	.event = event,
};
/* >8 End of event. */

/* The example has one device. */
static struct spooler *only;

static int
start(struct spooler *spooler)
{
	const struct rte_emudev_conf conf = {.struct_size = sizeof(conf), .queue_pairs = 1};
	int error = rte_emudev_configure(spooler->dev, &conf);

	if (error == 0)
		error = rte_emudev_start(spooler->dev);
	if (error == 0)
		error = -pthread_create(&spooler->thread, NULL, run, spooler);
	return error;
}

/* Create 8< */
static int
create(struct rte_emudev *dev, struct rte_device *owner)
{
	struct spooler *const spooler = calloc(1, sizeof(*spooler));
	int error;

	(void)owner; /* NULL: there is no DPDK device. */
	if (spooler == NULL)
		return -ENOMEM;
	pthread_mutex_init(&spooler->lock, NULL);
	spooler->dev = dev;
	spooler->memory = rte_emudev_mem_table(dev);
	error = rte_emudev_subscribe(dev, &backend_ops, spooler);
	if (error == 0) {
		error = start(spooler);
		if (error != 0)
			rte_emudev_unsubscribe(dev);
	}
	if (error != 0) {
		pthread_mutex_destroy(&spooler->lock);
		free(spooler);
		return error;
	}
	only = spooler;
	return 0;
}

static int
destroy(struct rte_device *owner)
{
	struct spooler *const spooler = only;

	(void)owner;
	__atomic_store_n(&spooler->ends, true, __ATOMIC_RELAXED);
	pthread_join(spooler->thread, NULL);
	rte_emudev_close(spooler->dev);
	rte_emudev_unsubscribe(spooler->dev);
	pthread_mutex_destroy(&spooler->lock);
	free(spooler);
	only = NULL;
	return 0;
}

static const struct rte_emudev_backend_driver driver = {
	.struct_size = sizeof(driver),
	.name = "example_spooler",
	.type = PRINTER_RING_TYPE,
	.create = create,
	.destroy = destroy,
};
/* >8 End of create. */

int
spooler_register(void)
{
	return rte_emudev_backend_register(&driver);
}

void
spooler_unregister(void)
{
	rte_emudev_backend_unregister(&driver);
}
