/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PROVIDER_H
#define PROVIDER_H

struct provider;

/* Makes the device, with the back-end that is registered for its rings, and lets drivers come.
 * Returns 0 or a negative errno. */
int provider_create(const char *path, struct provider **provider);
/* NULL is none. */
void provider_destroy(struct provider *provider);

#endif /* PROVIDER_H */
