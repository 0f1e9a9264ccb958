/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SPOOLER_H
#define SPOOLER_H

/* Registers the back-end of printers, which prints to standard output. */
int spooler_register(void);
void spooler_unregister(void);

#endif /* SPOOLER_H */
