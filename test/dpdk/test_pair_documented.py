# SPDX-License-Identifier: BSD-3-Clause
"""What the guides list is what there is: keys of telemetry, statistics, log types."""

import re

from stock import ROOT, wait_for

# Those of any ethdev.
COMMON = re.compile(r"[rt]x_(q\d+_.*|good_packets|good_bytes|missed_errors|errors"
	r"|mbuf_allocation_errors)")


def documented(guide, after):
	"""First words of the rows of the table that follows a text of a guide."""
	text = (ROOT / "doc" / "guides" / guide).read_text(encoding="utf-8")
	_, _, rows, *_ = re.split(r"^=+  =+$", text.split(after, 1)[1], flags=re.MULTILINE)
	return set(re.findall(r"^``([\w.]+)``", rows, re.MULTILINE))


def test_telemetry(running):
	host, user = running.provider.telemetry, running.consumer.telemetry
	queue = f"/net_iavf_be/queue,{running.provider.port()},0"
	wait_for(lambda: host(queue)["from_guest"]["served"], "rings that are served")
	# Also while a thread is in the middle of a burst.
	assert all(host(queue)["from_guest"]["served"] for _ in range(200))
	for guide, ask, command in (
			("prog_guide/vfio_user_lib.rst", host,
				f"/vfio_user/stats,{running.socket}"),
			("prog_guide/vfio_user_lib.rst", user,
				f"/vfio_user/client/stats,{running.socket}"),
			("prog_guide/emudev_lib.rst", host, "/emudev/info,emu_iavf0"),
			("emudevs/iavf.rst", host, "/emu_iavf/info,emu_iavf0"),
			("emudevs/iavf.rst", host, "/emu_iavf/queue,emu_iavf0,0"),
			("emudevs/iavf.rst", host, "/emu_iavf/virtchnl,emu_iavf0"),
			("emudevs/iavf.rst", host, "/emu_iavf/rss,emu_iavf0"),
			("emudevs/iavf.rst", host, "/emu_iavf/filters,emu_iavf0"),
			("nics/iavf_be.rst", host, f"/net_iavf_be/info,{running.provider.port()}"),
			("nics/iavf_be.rst", host, queue)):
		answer = ask(command)
		shown = set(answer)
		for part in ("from_guest", "to_guest"):
			shown |= set(answer.get(part, ()))
		if "/net_iavf_be/queue" in command:
			shown -= set(host(f"/ethdev/xstats,{running.provider.port()}"))
			assert answer["from_guest"]["served"] and answer["from_guest"]["size"]
		listed = documented(guide, f"{command.split(',')[0]},")
		# Of RSS, which is off with one queue, there is no more to be seen here.
		assert listed >= shown if "/rss" in command else listed == shown, command


def test_statistics(running):
	end = running.provider
	shown = end.telemetry(f"/ethdev/xstats,{end.port()}")
	assert documented("nics/iavf_be.rst", "Statistics") == {
		name for name in shown if not COMMON.fullmatch(name)}


def test_log_types(running):
	"""Also none is called like the macro that should have been its name."""
	shown = running.provider.dump("log_types")
	names = re.findall(r"^id \d+: (\S+), level", shown, re.MULTILINE)
	ours = {name for name in names if re.search(r"vfio_user|emu|iavf_be|LOGTYPE", name)}
	assert documented("howto/look_inside.rst", "Log\n---") == ours
