#!/bin/bash
# Takes the cluster of up.sh at $K8S_RUN down: one kill ends all processes, containers and mounts; then cgroups, bridge and files.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/env.sh"
[ -d "$K8S_RUN" ] || { echo "down.sh: nothing at $K8S_RUN"; exit 0; }
mode=$(cat "$K8S_RUN/mode")
# The bridge and kube-proxy's tables (one name per network namespace!) are deleted below: only ever those of the namespace up.sh ran in.
[ "$(readlink /proc/self/ns/net)" = "$(cat "$K8S_RUN/netns")" ] || { echo "down.sh: run it in the network namespace of up.sh" >&2; exit 1; }
pid=$(cat "$K8S_RUN/pid" 2>/dev/null)
ours() { [ -n "$pid" ] && [ -r "/proc/$pid/cmdline" ] && tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -q -- "/node.sh $mode"; }
if ours; then
	# unshare --kill-child: ending it ends the namespace's init; without a namespace (control) TERM lets node.sh end its children.
	if [ "$mode" = node ]; then kill -9 "$pid"; else kill "$pid"; fi
	for ((i = 0; i < 100; i++)); do ours || break; sleep 0.1; done
fi
if [ "$mode" = node ]; then
	for ((i = 0; i < 100; i++)); do # the killed processes leave their cgroups one by one
		left=0
		for c in /sys/fs/cgroup/*/"$K8S_CGROUP" /sys/fs/cgroup/"$K8S_CGROUP"; do
			[ -d "$c" ] || continue
			find "$c" -depth -type d -exec rmdir {} \; 2>/dev/null
			[ -d "$c" ] && left=1
		done
		[ "$left" = 0 ] && break
		sleep 0.1
	done
	[ "$left" = 0 ] || echo "down.sh: cgroups $K8S_CGROUP not gone" >&2
	nft() { LD_LIBRARY_PATH=$K8S_LIB "$K8S_BASE/root/usr/sbin/nft" "$@" 2>/dev/null; }
	nft delete table inet "netpol_$K8S_BRIDGE"
	nft delete table inet "api_$K8S_BRIDGE"
	if [ "$K8S_PROXY" = 1 ]; then nft delete table ip kube-proxy; nft delete table ip6 kube-proxy; fi
	ip link del "$K8S_BRIDGE" 2>/dev/null
fi
for ((i = 0; i < 50; i++)); do rm -rf --one-file-system "$K8S_RUN" 2>/dev/null && break; sleep 0.1; done
[ -e "$K8S_RUN" ] && { echo "down.sh: $K8S_RUN not gone" >&2; exit 1; }
echo down
