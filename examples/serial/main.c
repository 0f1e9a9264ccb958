/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * A PCI serial port: a 16550A behind an I/O BAR and INTA#, whose line is a pseudo-terminal of the
 * host. To a guest it is QEMU's pci-serial (its docs/specs/pci-serial.rst): 8250_pci drives it.
 *
 * usage: serial SOCKET
 *
 * Prints the terminal's path; ends at SIGINT or SIGTERM. Needs no EAL.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include <rte_vfio_user.h>

#include "../common/pci_config.h"
#include "uart.h"

#define VENDOR_REDHAT     0x1b36
#define DEVICE_PCI_SERIAL 0x0002
#define CLASS_16550       0x070002

/* All but the descriptors belongs to the control thread once the server has started. */
struct serial {
	struct uart uart;
	struct pci_config config;
	struct rte_vfio_user_server *server;
	bool level;      /* of INTA# */
	bool line_waits; /* Bytes have come that the driver has no room for. */
	int line;        /* Our end of the terminal. */
	int far_end;     /* The other one, kept open so that it can be closed and opened there. */
	int room;        /* An eventfd: there is room again. */
};

/* Bytes on their way from the line to the driver. */
struct chunk {
	struct serial *serial;
	uint8_t bytes[256];
	size_t next, end;
};

static int
fail(const char *what, int error)
{
	fprintf(stderr, "serial: %s: %s\n", what, strerror(error));
	return -1;
}

/* Interrupt 8< */
/* Tells the client, which masks the interrupt until its driver has been there. */
static void
interrupt_if_asserted(struct serial *serial)
{
	if (serial->level && !pci_config_intx_disabled(&serial->config))
		rte_vfio_user_server_irq_trigger(serial->server, RTE_VFIO_USER_IRQ_INTX, 0);
}

/* After whatever may have changed the UART. */
static void
update(struct serial *serial)
{
	const bool was_asserted = serial->level;

	serial->level = uart_interrupts(&serial->uart);
	pci_config_set_intx(&serial->config, serial->level);
	if (!was_asserted)
		interrupt_if_asserted(serial);
	if (serial->line_waits && uart_room(&serial->uart) != 0) {
		serial->line_waits = false;
		eventfd_write(serial->room, 1);
	}
}

/* The level lasts: where the client unmasks the interrupt and it is still there, it fires again. */
static void
update_device(void *ctx, uint32_t what)
{
	if (what & RTE_VFIO_USER_UPDATE_IRQ)
		interrupt_if_asserted(ctx);
}
/* >8 End of interrupt. */

/* Access 8< */
/* The library has checked that the range is inside the region. */
static int
region_read(void *ctx, uint32_t region, uint64_t offset, void *data, uint32_t count)
{
	struct serial *const serial = ctx;
	uint8_t *const to = data;

	if (region == RTE_VFIO_USER_REGION_CONFIG) {
		pci_config_read(&serial->config, offset, data, count);
		return 0;
	}
	for (uint32_t i = 0; i < count; i++)
		to[i] = uart_read(&serial->uart, offset + i);
	update(serial);
	return 0;
}

static int
region_write(void *ctx, uint32_t region, uint64_t offset, const void *data, uint32_t count)
{
	struct serial *const serial = ctx;
	const uint8_t *const from = data;

	if (region == RTE_VFIO_USER_REGION_CONFIG) {
		pci_config_write(&serial->config, offset, data, count);
		interrupt_if_asserted(serial); /* Perhaps it was disabled. */
		return 0;
	}
	for (uint32_t i = 0; i < count; i++)
		uart_write(&serial->uart, offset + i, from[i]);
	update(serial);
	return 0;
}
/* >8 End of access. */

static int
reset_device(void *ctx)
{
	struct serial *const serial = ctx;

	uart_reset(&serial->uart);
	pci_config_reset(&serial->config);
	update(serial);
	return 0;
}

/* The next client finds a device that nobody has touched. */
static void
destroy_device(void *ctx)
{
	reset_device(ctx);
}

/* The control thread never waits: what the terminal does not take is lost, as on any line without
 * flow control. */
static void
transmit(void *ctx, uint8_t byte)
{
	const struct serial *const serial = ctx;

	if (write(serial->line, &byte, 1) != 1)
		return;
}

/* Control thread: gives the driver as much as it has room for. */
static int
receive(void *arg)
{
	struct chunk *const chunk = arg;
	struct serial *const serial = chunk->serial;

	while (chunk->next < chunk->end && uart_room(&serial->uart) != 0)
		uart_receive(&serial->uart, chunk->bytes[chunk->next++]);
	serial->line_waits = chunk->next < chunk->end;
	update(serial);
	return 0;
}

/* Describe 8< */
static int
start_server(struct serial *serial, const char *path)
{
	static const struct rte_vfio_user_server_ops ops = {
		.region_read = region_read,
		.region_write = region_write,
		.destroy_device = destroy_device,
		.update_device = update_device,
		.reset_device = reset_device,
	};
	static const struct rte_vfio_user_region regions[RTE_VFIO_USER_PCI_REGIONS] = {
		[RTE_VFIO_USER_REGION_BAR0] =
			{
				.size = UART_REGISTERS,
				.flags = RTE_VFIO_USER_REGION_READ | RTE_VFIO_USER_REGION_WRITE,
				.fd = -1,
			},
		[RTE_VFIO_USER_REGION_CONFIG] =
			{
				.size = PCI_CONFIG_SIZE,
				.flags = RTE_VFIO_USER_REGION_READ | RTE_VFIO_USER_REGION_WRITE,
				.fd = -1,
			},
	};
	static const struct rte_vfio_user_irq irqs[RTE_VFIO_USER_PCI_IRQS] = {
		[RTE_VFIO_USER_IRQ_INTX] =
			{
				.count = 1,
				.flags = RTE_VFIO_USER_IRQ_EVENTFD | RTE_VFIO_USER_IRQ_MASKABLE |
					 RTE_VFIO_USER_IRQ_AUTOMASKED,
			},
	};
	struct rte_vfio_user_server_conf conf;
	int error;

	rte_vfio_user_server_conf_init(&conf);
	conf.path = path;
	conf.ops = &ops;
	conf.ctx = serial;
	conf.flags = RTE_VFIO_USER_DEVICE_PCI | RTE_VFIO_USER_DEVICE_RESET;
	conf.nb_regions = RTE_VFIO_USER_PCI_REGIONS;
	conf.regions = regions;
	conf.nb_irqs = RTE_VFIO_USER_PCI_IRQS;
	conf.irqs = irqs;
	error = rte_vfio_user_server_register(&conf, &serial->server);
	if (error == 0)
		error = rte_vfio_user_server_start(serial->server);
	return error == 0 ? 0 : fail(path, -error);
}

static void
init_device(struct serial *serial)
{
	uart_init(&serial->uart, transmit, serial);
	pci_config_init(&serial->config, VENDOR_REDHAT, DEVICE_PCI_SERIAL, CLASS_16550);
	pci_config_add_bar(&serial->config, 0, UART_REGISTERS, PCI_BASE_ADDRESS_SPACE_IO);
	pci_config_add_pin(&serial->config);
}
/* >8 End of describe. */

static int
open_line(struct serial *serial)
{
	char name[64];
	struct termios settings;

	serial->line = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (serial->line < 0 || grantpt(serial->line) != 0 || unlockpt(serial->line) != 0 ||
	    ptsname_r(serial->line, name, sizeof(name)) != 0)
		return fail("pseudo-terminal", errno);
	serial->far_end = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (serial->far_end < 0 || tcgetattr(serial->far_end, &settings) != 0)
		return fail(name, errno);
	cfmakeraw(&settings);
	if (tcsetattr(serial->far_end, TCSANOW, &settings) != 0)
		return fail(name, errno);
	serial->room = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (serial->room < 0)
		return fail("eventfd", errno);
	puts(name);
	fflush(stdout);
	return 0;
}

/* Before there are other threads: they are not to take the signals. */
static int
catch_signals(void)
{
	sigset_t wanted;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
	return signalfd(-1, &wanted, SFD_CLOEXEC);
}

/* Line 8< */
/* Carries bytes from the line to the driver until a signal comes. */
static void
serve_line(struct serial *serial, int signals)
{
	struct chunk chunk = {.serial = serial};
	eventfd_t count;

	for (;;) {
		const bool idle = chunk.next == chunk.end;
		struct pollfd wait[] = {
			{.fd = signals, .events = POLLIN},
			{.fd = serial->room, .events = POLLIN},
			/* What the driver has no room for waits in the terminal. */
			{.fd = idle ? serial->line : -1, .events = POLLIN},
		};

		if (poll(wait, 3, -1) < 0 || wait[0].revents != 0)
			return;
		eventfd_read(serial->room, &count);
		if (wait[2].revents != 0) {
			const ssize_t got = read(serial->line, chunk.bytes, sizeof(chunk.bytes));

			chunk.next = 0;
			chunk.end = got > 0 ? got : 0;
		}
		rte_vfio_user_control_call(receive, &chunk);
	}
}
/* >8 End of line. */

int
main(int argc, char **argv)
{
	struct serial serial = {.line = -1, .far_end = -1, .room = -1};
	const int signals = catch_signals();
	int error = signals < 0 ? fail("signalfd", errno) : 0;

	if (argc != 2) {
		fprintf(stderr, "usage: serial SOCKET\n");
		return 2;
	}
	init_device(&serial);
	if (error == 0)
		error = open_line(&serial);
	if (error == 0)
		error = start_server(&serial, argv[1]);
	if (error == 0)
		serve_line(&serial, signals);
	if (serial.server != NULL)
		rte_vfio_user_server_unregister(serial.server);
	close(serial.room);
	close(serial.far_end);
	close(serial.line);
	close(signals);
	return error == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
