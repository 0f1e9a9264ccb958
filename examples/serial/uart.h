/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef UART_H
#define UART_H

/*
 * A 16550A: eight registers of one byte. Knows neither PCI nor vfio-user. Bits are those of
 * <linux/serial_reg.h>.
 */

#include <stdbool.h>
#include <stdint.h>

#define UART_REGISTERS 8
#define UART_FIFO_SIZE 16

struct uart {
	uint8_t ier, lcr, mcr, scr;
	uint8_t divisor[2];           /* Kept for the driver: bytes take no time here. */
	uint8_t errors;               /* Bits of the line status that a read clears. */
	bool has_fifo;                /* The driver has switched the FIFOs on. */
	bool transmitter_is_empty;    /* An interrupt that is due. */
	uint8_t fifo[UART_FIFO_SIZE]; /* Received, not read yet. */
	unsigned int head, count;
	/* A byte leaves by the line. */
	void (*transmit)(void *ctx, uint8_t byte);
	void *ctx;
};

void uart_init(struct uart *uart, void (*transmit)(void *ctx, uint8_t byte), void *ctx);
void uart_reset(struct uart *uart);
uint8_t uart_read(struct uart *uart, unsigned int reg);
void uart_write(struct uart *uart, unsigned int reg, uint8_t value);

/* How many bytes can be received before the driver has to read. */
unsigned int uart_room(const struct uart *uart);
/* A byte comes by the line; without room it is lost, and the driver is told. */
void uart_receive(struct uart *uart, uint8_t byte);
/* Whether it interrupts. */
bool uart_interrupts(const struct uart *uart);

#endif /* UART_H */
