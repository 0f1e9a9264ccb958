# SPDX-License-Identifier: BSD-3-Clause
"""What DPDK's telemetry exporter shows of emulated devices: an endpoint of its own."""

GAUGES = {
	"connected": "1: a client is there",
	"link_up": "1: the port of the device has a link",
	"queue_pairs_enabled": "Queue pairs that the guest has enabled",
	"mac_filters": "Addresses that the guest has added",
	"flows": "Flow rules that the guest has added",
	"vfio_user_dma_regions": "Regions of memory that the client has mapped",
}
COUNTERS = {
	"clients": "Clients that have come",
	"resets": "Resets of all kinds",
	"resets_by_host": "Resets by the host",
	"virtchnl_errors": "virtchnl messages that were refused",
	"refused_addresses": "Messages with an address that the guest may not have",
	"refused_limits": "Messages with more addresses than the guest may add",
	"ignored_promiscuous": "Messages with promiscuous modes of a guest that is not trusted",
	"adminq_errors": "Mailbox commands that could not be carried out",
	"vfio_user_messages": "Messages of the client",
	"vfio_user_errors": "Messages of the client that were answered with an error",
	"vfio_user_protocol_errors": "Clients that were disconnected for what they sent",
	"vfio_user_interrupts": "Interrupts signalled",
}
OF_RING = {
	"packets": ("Packets", "counter"),
	"bytes": ("Bytes of packets, without CRC", "counter"),
	"dropped": ("Packets that were dropped, whatever the reason", "counter"),
	"waiting": ("Descriptors that the guest has handed over", "gauge"),
}


def info():
	return {
		**{name: (text, "gauge") for name, text in GAUGES.items()},
		**{name: (text, "counter") for name, text in COUNTERS.items()},
		**{f"ring_{name}": row for name, row in OF_RING.items()},
		"virtchnl_received": ("virtchnl messages", "counter"),
		"virtchnl_refused": ("virtchnl messages that were refused", "counter"),
	}


def of_device(sock, name, port):
	labels = {"device": name}
	told = sock.cmd("/emu_iavf/info", name)
	if port:
		told["link_up"] = port["link_up"]
	for key in (*GAUGES, *COUNTERS):
		yield key, told[key], labels
	for kind in ("received", "refused"):
		for op, count in sock.cmd("/emu_iavf/virtchnl", name)[kind].items():
			yield f"virtchnl_{kind}", count, {**labels, "op": op}
	for index in range(told["queue_pairs_enabled"] if port else 0):
		pair = sock.cmd("/net_iavf_be/queue", f"{port['number']},{index}")
		for way in ("from_guest", "to_guest"):
			for key in OF_RING:
				yield (f"ring_{key}", pair[way].get(key, 0),
					{**labels, "queue": index, "way": way})


def metrics(sock):
	ports = [{**sock.cmd("/net_iavf_be/info", number), "number": number}
		for number in sock.cmd("/net_iavf_be/list")]
	return [metric for name in sock.cmd("/emu_iavf/list") for metric in of_device(sock, name,
		next((port for port in ports if port["device"] == name), None))]
