/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <linux/serial_reg.h>

#include "uart.h"

#define IER_BITS (UART_IER_RDI | UART_IER_THRI | UART_IER_RLSI | UART_IER_MSI)
#define MCR_BITS (UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT1 | UART_MCR_OUT2 | UART_MCR_LOOP)
#define IIR_FIFO 0xc0 /* The FIFOs are on. */

void
uart_init(struct uart *uart, void (*transmit)(void *ctx, uint8_t byte), void *ctx)
{
	memset(uart, 0, sizeof(*uart));
	uart->transmit = transmit;
	uart->ctx = ctx;
}

void
uart_reset(struct uart *uart)
{
	uart_init(uart, uart->transmit, uart->ctx);
}

static unsigned int
fifo_size(const struct uart *uart)
{
	return uart->has_fifo ? UART_FIFO_SIZE : 1;
}

unsigned int
uart_room(const struct uart *uart)
{
	/* In a loop the line is cut. */
	return uart->mcr & UART_MCR_LOOP ? 0 : fifo_size(uart) - uart->count;
}

static void
enter(struct uart *uart, uint8_t byte)
{
	if (uart->count == fifo_size(uart)) {
		uart->errors |= UART_LSR_OE;
		return;
	}
	uart->fifo[(uart->head + uart->count) % UART_FIFO_SIZE] = byte;
	uart->count++;
}

void
uart_receive(struct uart *uart, uint8_t byte)
{
	if ((uart->mcr & UART_MCR_LOOP) == 0)
		enter(uart, byte);
}

static uint8_t
take(struct uart *uart)
{
	const uint8_t byte = uart->fifo[uart->head];

	if (uart->count == 0)
		return 0;
	uart->head = (uart->head + 1) % UART_FIFO_SIZE;
	uart->count--;
	return byte;
}

/* What interrupts, the most urgent first. */
static uint8_t
cause(const struct uart *uart)
{
	if ((uart->ier & UART_IER_RLSI) && uart->errors != 0)
		return UART_IIR_RLSI;
	/* As if the driver had set the trigger level to one byte. */
	if ((uart->ier & UART_IER_RDI) && uart->count != 0)
		return UART_IIR_RDI;
	if ((uart->ier & UART_IER_THRI) && uart->transmitter_is_empty)
		return UART_IIR_THRI;
	return UART_IIR_NO_INT;
}

bool
uart_interrupts(const struct uart *uart)
{
	return cause(uart) != UART_IIR_NO_INT;
}

static uint8_t
read_cause(struct uart *uart)
{
	const uint8_t now = cause(uart);

	if (now == UART_IIR_THRI)
		uart->transmitter_is_empty = false;
	return now | (uart->has_fifo ? IIR_FIFO : 0);
}

static uint8_t
read_line_status(struct uart *uart)
{
	const uint8_t errors = uart->errors;

	uart->errors = 0;
	return errors | UART_LSR_THRE | UART_LSR_TEMT | (uart->count != 0 ? UART_LSR_DR : 0);
}

/* At the other end of the line somebody is always ready; in a loop it is the driver. */
static uint8_t
read_modem_status(const struct uart *uart)
{
	const uint8_t out = uart->mcr;

	if ((out & UART_MCR_LOOP) == 0)
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	return (out & UART_MCR_RTS ? UART_MSR_CTS : 0) | (out & UART_MCR_DTR ? UART_MSR_DSR : 0) |
	       (out & UART_MCR_OUT1 ? UART_MSR_RI : 0) | (out & UART_MCR_OUT2 ? UART_MSR_DCD : 0);
}

/* The first two registers are the divisor of the bit rate while this is set. */
static bool
shows_divisor(const struct uart *uart, unsigned int reg)
{
	return reg <= UART_DLM && (uart->lcr & UART_LCR_DLAB) != 0;
}

uint8_t
uart_read(struct uart *uart, unsigned int reg)
{
	if (shows_divisor(uart, reg))
		return uart->divisor[reg];
	switch (reg) {
	case UART_RX:
		return take(uart);
	case UART_IER:
		return uart->ier;
	case UART_IIR:
		return read_cause(uart);
	case UART_LCR:
		return uart->lcr;
	case UART_MCR:
		return uart->mcr;
	case UART_LSR:
		return read_line_status(uart);
	case UART_MSR:
		return read_modem_status(uart);
	default:
		return uart->scr;
	}
}

static void
send(struct uart *uart, uint8_t byte)
{
	if (uart->mcr & UART_MCR_LOOP)
		enter(uart, byte);
	else
		uart->transmit(uart->ctx, byte);
	uart->transmitter_is_empty = true; /* already again */
}

static void
write_ier(struct uart *uart, uint8_t value)
{
	if ((value & UART_IER_THRI) && (uart->ier & UART_IER_THRI) == 0)
		uart->transmitter_is_empty = true;
	uart->ier = value & IER_BITS;
}

static void
write_fcr(struct uart *uart, uint8_t value)
{
	const bool has_fifo = (value & UART_FCR_ENABLE_FIFO) != 0;

	if (has_fifo != uart->has_fifo || (value & UART_FCR_CLEAR_RCVR))
		uart->count = 0;
	uart->has_fifo = has_fifo;
}

void
uart_write(struct uart *uart, unsigned int reg, uint8_t value)
{
	if (shows_divisor(uart, reg)) {
		uart->divisor[reg] = value;
		return;
	}
	switch (reg) {
	case UART_TX:
		send(uart, value);
		break;
	case UART_IER:
		write_ier(uart, value);
		break;
	case UART_FCR:
		write_fcr(uart, value);
		break;
	case UART_LCR:
		uart->lcr = value;
		break;
	case UART_MCR:
		uart->mcr = value & MCR_BITS;
		break;
	case UART_SCR:
		uart->scr = value;
		break;
	default: /* The others are read only. */
		break;
	}
}
