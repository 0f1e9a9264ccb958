# SPDX-License-Identifier: BSD-3-Clause
"""Kernels that other tests use little: one boot of each, with what the guest decides."""

import pytest

import guest as guests
from control import QUEUES, decides
from guest import KERNELS, OLDEST


# The driver of the oldest has only the first version of the messages for VLANs.
@pytest.mark.parametrize("kernel", [KERNELS[1], OLDEST])
def test_older_kernel(boot, testpmd, kernel):
	if reason := guests.why_missing(kernel):
		pytest.skip(reason)
	# Of a busy machine the oldest thinks that its timer does not work.
	guest = boot(kernel=kernel, cpus=QUEUES, append="no_timer_check")
	guest.load()
	decides(guest, testpmd)
	assert not guest.complaints()
	assert not any(testpmd.errors().values()), testpmd.errors()
