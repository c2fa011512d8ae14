#!/bin/bash
# Starts a one-node Kubernetes and returns once it is ready.
#   up.sh           the whole node: needs root, and a kernel with bridge, veth and overlay
#   up.sh control   etcd, API server, controllers, scheduler: no root, no node, pods stay Pending
# Everything runs below one process (K8S_RUN/pid). With a node that process is the
# init of its own pid and mount namespaces: when it ends, so does everything it started,
# containers included, and all mounts go with it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/env.sh"
mode=${1:-node}
[ -e "$K8S_RUN" ] && { echo "up.sh: $K8S_RUN exists; run down.sh first" >&2; exit 1; }
mkdir -p "$K8S_RUN/logs"
for name in $K8S_SETTINGS; do printf '%s=%q\n' "$name" "${!name}"; done >"$K8S_RUN/settings"
echo "$mode" >"$K8S_RUN/mode"
readlink /proc/self/ns/net >"$K8S_RUN/netns"
# Programs on the host use loopback. Pods reach the API server by the bridge, so with a node it listens everywhere, and
# a rule drops what comes from any other interface.
K8S_API_HOST=127.0.0.1
"$K8S_BASE/bin/kubetool" pki "$K8S_RUN/pki" "$K8S_NODE" "$K8S_NODE_IP" "$K8S_API_HOST:$K8S_API_PORT"
export K8S_API_HOST
own=()
if [ "$mode" = node ]; then
	own=(unshare --mount --propagation private --pid --fork --kill-child --mount-proc)
	ip link add "$K8S_BRIDGE" type bridge
	ip addr add "$K8S_NODE_IP/${K8S_SUBNET#*/}" dev "$K8S_BRIDGE"
	ip link set "$K8S_BRIDGE" up
	LD_LIBRARY_PATH=$K8S_LIB "$K8S_BASE/root/usr/sbin/nft" -f - <<-C
		table inet api_$K8S_BRIDGE {
		  chain input {
		    type filter hook input priority filter; policy accept;
		    tcp dport $K8S_API_PORT iifname != { "lo", "$K8S_BRIDGE" } drop
		  }
		}
	C
	# A Service's address is routed by the host: forwarding from this bridge only, gone with the bridge.
	if [ "$K8S_PROXY" = 1 ]; then echo 1 >"/proc/sys/net/ipv4/conf/$K8S_BRIDGE/forwarding"; fi
	if [ -e /sys/fs/cgroup/cgroup.controllers ]; then # cgroup v2: kubelet turns on the controllers it needs below
		mkdir -p "/sys/fs/cgroup/$K8S_CGROUP"
	else # cgroup v1: the parent must exist in every hierarchy
		for c in /sys/fs/cgroup/*/; do
			case $c in */unified/) continue ;; esac
			[ -e "$c/cgroup.procs" ] || continue
			mkdir -p "$c$K8S_CGROUP"
			if [ -e "$c/cpuset.cpus" ]; then for f in cpuset.cpus cpuset.mems; do cat "$c/$f" >"$c$K8S_CGROUP/$f"; done; fi
		done
	fi
fi
setsid "${own[@]}" /bin/bash "$here/node.sh" "$mode" >"$K8S_RUN/logs/up.log" 2>&1 </dev/null &
pid=$!
echo $pid >"$K8S_RUN/pid"
until [ -e "$K8S_RUN/ready" ]; do
	kill -0 $pid 2>/dev/null || { echo "up.sh: failed; see $K8S_RUN/logs" >&2; cat "$K8S_RUN/logs/up.log" >&2; exit 1; }
	sleep 0.1
done
cat "$K8S_RUN/logs/up.log"
echo "export KUBECONFIG=$KUBECONFIG"
