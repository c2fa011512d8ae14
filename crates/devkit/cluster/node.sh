#!/bin/bash
# The process below which everything runs; started by up.sh.
set -euo pipefail
. "$(dirname "$0")/env.sh"
mode=$1
pki=$K8S_RUN/pki
r=$K8S_RUN/containerd
t0=$(date +%s%N)
say() { printf '%6d ms  %s\n' $((($(date +%s%N) - t0) / 1000000)) "$*"; }
kubectl=$K8S_BASE/bin/kubectl
ctr=("$K8S_BASE/bin/ctr" -a "$r/containerd.sock" -n k8s.io)
start() {
	local name=$1; shift
	PATH=$K8S_PATH LD_LIBRARY_PATH=$K8S_LIB "$@" >"$K8S_RUN/logs/$name.log" 2>&1 </dev/null &
	eval "pid_${name//-/_}=$!"
}
# Starts a program again whenever it ends, as a node's init does.
keep() { while :; do "$@" || true; sleep 1; done; }
# wait_for SECONDS PROGRAM WHAT COMMAND...
wait_for() {
	local n=$1 p=pid_${2//-/_} what=$3; shift 3
	local end=$((SECONDS + n))
	while [ $SECONDS -lt $end ]; do
		timeout 10 "$@" >/dev/null 2>&1 && { say "$what"; return; }
		kill -0 "${!p}" || break
		sleep 0.1
	done
	say "FAILED: $what (${p#pid_})"; exit 1
}
# Without a pid namespace (control) the children are ended here.
finish() {
	local children
	mapfile -t children < <(jobs -p)
	[ ${#children[@]} -gt 0 ] || return 0
	kill "${children[@]}"
	for ((i = 0; i < 50; i++)); do kill -0 "${children[@]}" || break; sleep 0.1; done
	kill -9 "${children[@]}"
	wait
} 2>/dev/null
trap finish EXIT
trap 'exit 0' TERM INT

if [ "$mode" = node ]; then
	# The programs' fixed paths, hidden behind this mount namespace's own empty directories.
	mount -t tmpfs -o mode=755 tmpfs /run
	mkdir -p /run/lock
	for d in /var/lib/kubelet /var/lib/cni /var/log/containers /var/log/pods; do
		if [ -d $d ]; then mount -t tmpfs -o mode=755 tmpfs $d; continue; fi
		# The directory is not there and must not be made on the host: put an overlay's upper layer over its parent.
		p=$(dirname $d)
		if ! mountpoint -q "$p"; then
			mkdir -p "$K8S_RUN/over$p"/{u,w}
			mount -t overlay overlay -o "lowerdir=$p,upperdir=$K8S_RUN/over$p/u,workdir=$K8S_RUN/over$p/w" "$p"
		fi
		mkdir -p $d; mount -t tmpfs -o mode=755 tmpfs $d
	done
	# Sysctls that kubelet insists on writing: it is shown files instead, and the host keeps its own values.
	while read -r k v; do
		echo "$v" >"$K8S_RUN/sysctl.${k//\//.}"
		mount --bind "$K8S_RUN/sysctl.${k//\//.}" "/proc/sys/$k"
	done <<-C
		vm/overcommit_memory 1
		vm/panic_on_oom 0
		kernel/panic 10
		kernel/panic_on_oops 1
		kernel/keys/root_maxkeys 1000000
		kernel/keys/root_maxbytes 25000000
	C
	# Pods with hostUsers: false may mount /proc only if one whole /proc is visible here; the one above has files bound over it.
	mkdir -p "$K8S_RUN/proc"; mount -t proc proc "$K8S_RUN/proc"
	mkdir -p "$r/cni-conf"
	cat >"$r/config.toml" <<-C
		version = 2
		root = "$r/root"
		state = "$r/state"
		disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]
		[grpc]
		  address = "$r/containerd.sock"
		[plugins."io.containerd.internal.v1.opt"]
		  path = "$r/opt"
		[plugins."io.containerd.grpc.v1.cri"]
		  sandbox_image = "localhost/pause:1"
		  restrict_oom_score_adj = true
		  disable_apparmor = true
		  disable_hugetlb_controller = true
		  tolerate_missing_hugetlb_controller = true
		  netns_mounts_under_state_dir = true
		  stream_server_address = "127.0.0.1"
		  stream_server_port = "0"
		  [plugins."io.containerd.grpc.v1.cri".registry]
		    config_path = "$r/certs.d"
		  [plugins."io.containerd.grpc.v1.cri".containerd]
		    snapshotter = "overlayfs"
		    default_runtime_name = "runc"
		    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
		      runtime_type = "io.containerd.runc.v2"
		      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
		        BinaryName = "$K8S_BASE/bin/runc"
		        SystemdCgroup = false
		  [plugins."io.containerd.grpc.v1.cri".cni]
		    bin_dir = "$K8S_BASE/root/usr/lib/cni"
		    conf_dir = "$r/cni-conf"
	C
	# No isGateway and no ipMasq: the bridge already has its address, so the plugin
	# neither turns on the host's ip_forward nor touches iptables; pods reach the host and each other, nothing else.
	cat >"$r/cni-conf/10-bridge.conflist" <<-C
		{"cniVersion": "0.4.0", "name": "test", "plugins": [
		  {"type": "bridge", "bridge": "$K8S_BRIDGE", "isGateway": false, "ipMasq": false, "hairpinMode": true,
		   "ipam": {"type": "host-local", "dataDir": "$r/ipam", "ranges": [[{"subnet": "$K8S_SUBNET", "gateway": "$K8S_NODE_IP"}]],
		            "routes": [{"dst": "0.0.0.0/0", "gw": "$K8S_NODE_IP"}]}}
		]}
	C
	if [ "$K8S_REGISTRY" = 1 ]; then
		# TLS with the cluster's CA, and the same store over plain HTTP. containerd reads these files at every pull. `server` needs the
		# same `ca` (it is asked after [host]; without it a missing image is reported as "x509: certificate signed by unknown authority").
		# registry.test is a name that containerd need not resolve: the reference says registry.test, the bytes come from the address.
		mkdir -p "$K8S_RUN/registry"
		for h in "$K8S_NODE_IP:$K8S_REG_PORT https $K8S_REG_PORT" "registry.test:$K8S_REG_PORT https $K8S_REG_PORT" "$K8S_NODE_IP:$K8S_REG_HTTP_PORT http $K8S_REG_HTTP_PORT"; do
			read -r name scheme port <<<"$h"
			mkdir -p "$r/certs.d/$name"
			ca=; [ "$scheme" = http ] || ca="ca = \"$pki/ca.crt\""
			cat >"$r/certs.d/$name/hosts.toml" <<-C
				server = "$scheme://$K8S_NODE_IP:$port"
				$ca
				[host."$scheme://$K8S_NODE_IP:$port"]
				  capabilities = ["pull", "resolve"]
				  $ca
			C
		done
		cat >"$K8S_RUN/registry.yaml" <<-C
			version: 0.1
			log: {level: warn, accesslog: {disabled: true}}
			storage: {filesystem: {rootdirectory: $K8S_RUN/registry}, delete: {enabled: true}, maintenance: {uploadpurging: {enabled: false}}}
			http: {addr: "$K8S_NODE_IP:$K8S_REG_PORT", secret: test, tls: {certificate: $pki/registry.crt, key: $pki/registry.key}}
		C
		sed "s/:$K8S_REG_PORT\"/:$K8S_REG_HTTP_PORT\"/; s/, tls: {.*}}/}/" "$K8S_RUN/registry.yaml" >"$K8S_RUN/registry-http.yaml"
		start registry "$K8S_BASE/bin/registry" serve "$K8S_RUN/registry.yaml"
		start registry-http "$K8S_BASE/bin/registry" serve "$K8S_RUN/registry-http.yaml"
	fi
	start containerd "$K8S_BASE/bin/containerd" --config "$r/config.toml"
fi
start etcd "$K8S_BASE/bin/etcd" --name test --data-dir "$K8S_RUN/etcd" --unsafe-no-fsync --log-level warn \
	--listen-client-urls "http://127.0.0.1:$K8S_ETCD_PORT" --advertise-client-urls "http://127.0.0.1:$K8S_ETCD_PORT" \
	--listen-peer-urls "http://127.0.0.1:$K8S_ETCD_PEER_PORT" --initial-advertise-peer-urls "http://127.0.0.1:$K8S_ETCD_PEER_PORT" \
	--initial-cluster "test=http://127.0.0.1:$K8S_ETCD_PEER_PORT"
start kube-apiserver "$K8S_BASE/bin/kube-apiserver" --etcd-servers "http://127.0.0.1:$K8S_ETCD_PORT" \
	--bind-address "$([ "$mode" = node ] && echo 0.0.0.0 || echo 127.0.0.1)" --secure-port "$K8S_API_PORT" --advertise-address "$K8S_NODE_IP" \
	--endpoint-reconciler-type "$([ "$mode" = node ] && echo master-count || echo none)" \
	--client-ca-file "$pki/ca.crt" --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
	--kubelet-certificate-authority "$pki/ca.crt" --kubelet-client-certificate "$pki/apiserver-kubelet-client.crt" \
	--kubelet-client-key "$pki/apiserver-kubelet-client.key" --kubelet-preferred-address-types InternalIP \
	--service-account-issuer https://kubernetes.default.svc --service-account-key-file "$pki/sa.pub" \
	--service-account-signing-key-file "$pki/sa.key" --service-cluster-ip-range 10.96.0.0/16 \
	--authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged=true --profiling=false
if [ "$mode" = node ]; then
	wait_for 30 containerd "containerd answers" "${ctr[@]}" version
	for i in "$K8S_BASE"/images/*.tar $K8S_MORE_IMAGES; do "${ctr[@]}" images import "$i" >/dev/null; done
	say "images imported"
	if [ "$K8S_REGISTRY" = 1 ]; then wait_for 20 registry "registry answers" bash -c "exec 3<>/dev/tcp/$K8S_NODE_IP/$K8S_REG_PORT"; fi
fi
wait_for 90 kube-apiserver "API server is ready" "$kubectl" get --raw /readyz
start kube-controller-manager "$K8S_BASE/bin/kube-controller-manager" --kubeconfig "$pki/controller-manager.kubeconfig" \
	--authentication-kubeconfig "$pki/controller-manager.kubeconfig" --authorization-kubeconfig "$pki/controller-manager.kubeconfig" \
	--bind-address 127.0.0.1 --secure-port "$K8S_KCM_PORT" --leader-elect=false --use-service-account-credentials \
	--service-account-private-key-file "$pki/sa.key" --root-ca-file "$pki/ca.crt" --client-ca-file "$pki/ca.crt" \
	--cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key" --profiling=false \
	--kube-api-qps 300 --kube-api-burst 600 --cert-dir "$K8S_RUN/kcm-certs" --flex-volume-plugin-dir "$K8S_RUN/volume-plugins"
cat >"$K8S_RUN/scheduler.yaml" <<-C
	apiVersion: kubescheduler.config.k8s.io/v1
	kind: KubeSchedulerConfiguration
	leaderElection: {leaderElect: false}
	clientConnection: {kubeconfig: $pki/scheduler.kubeconfig, qps: 300, burst: 600}
	enableProfiling: false
C
start kube-scheduler "$K8S_BASE/bin/kube-scheduler" --config "$K8S_RUN/scheduler.yaml" --bind-address 127.0.0.1 --secure-port "$K8S_SCHED_PORT" \
	--authentication-kubeconfig "$pki/scheduler.kubeconfig" --authorization-kubeconfig "$pki/scheduler.kubeconfig"
if [ "$mode" = node ]; then
	echo "nameserver $K8S_NODE_IP" >"$K8S_RUN/resolv.conf" # an empty file would make containerd copy the host's
	cat >"$K8S_RUN/kubelet.yaml" <<-C
		apiVersion: kubelet.config.k8s.io/v1beta1
		kind: KubeletConfiguration
		address: $K8S_NODE_IP
		port: $K8S_KUBELET_PORT
		healthzPort: 0
		containerRuntimeEndpoint: unix://$r/containerd.sock
		cgroupDriver: cgroupfs
		cgroupRoot: /$K8S_CGROUP
		failCgroupV1: false
		failSwapOn: false
		oomScoreAdj: 0
		authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
		authorization: {mode: Webhook}
		tlsCertFile: $pki/kubelet.crt
		tlsPrivateKeyFile: $pki/kubelet.key
		podLogsDir: $K8S_RUN/pod-logs
		volumePluginDir: $K8S_RUN/volume-plugins
		staticPodPath: ""
		resolvConf: $K8S_RUN/resolv.conf
		clusterDNS: [$K8S_NODE_IP]
		clusterDomain: cluster.local
		imageGCHighThresholdPercent: 100
		imageGCLowThresholdPercent: 99
		evictionHard: {memory.available: 50Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
		makeIPTablesUtilChains: false
		volumeStatsAggPeriod: 10s
	C
	start kubelet keep "$K8S_BASE/bin/kubelet" --config "$K8S_RUN/kubelet.yaml" --kubeconfig "$pki/kubelet.kubeconfig" \
		--root-dir "$K8S_RUN/kubelet" --cert-dir "$K8S_RUN/kubelet-pki" --hostname-override "$K8S_NODE" --node-ip "$K8S_NODE_IP"
	if [ "$K8S_PROXY" = 1 ]; then
		cat >"$K8S_RUN/proxy.yaml" <<-C
			apiVersion: kubeproxy.config.k8s.io/v1alpha1
			kind: KubeProxyConfiguration
			mode: nftables
			bindAddress: $K8S_NODE_IP
			healthzBindAddress: ""
			metricsBindAddress: 127.0.0.1:$K8S_PROXY_PORT
			clusterCIDR: $K8S_SUBNET
			hostnameOverride: $K8S_NODE
			clientConnection: {kubeconfig: $pki/proxy.kubeconfig, qps: 300, burst: 600}
			conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
		C
		start kube-proxy "$K8S_BASE/bin/kube-proxy" --config "$K8S_RUN/proxy.yaml"
	fi
	if [ "$K8S_DNS" = 1 ]; then
		cat >"$K8S_RUN/Corefile" <<-C
			.:53 {
			  bind $K8S_NODE_IP
			  errors
			  hosts {
			    $K8S_NODE_IP host.test registry.test
			    fallthrough
			  }
			  kubernetes cluster.local {
			    kubeconfig $pki/admin.kubeconfig
			  }
			}
		C
		start clusterdns "$K8S_BASE/bin/clusterdns" -conf "$K8S_RUN/Corefile"
	fi
	if [ "$K8S_NETPOL" = 1 ]; then start netpol "$K8S_BASE/bin/netpol" --kubeconfig "$pki/admin.kubeconfig" --bridge "$K8S_BRIDGE"; fi
	wait_for 60 kubelet "node is registered" "$kubectl" get node "$K8S_NODE"
	wait_for 60 kubelet "node is Ready" "$kubectl" wait --for=condition=Ready --timeout=8s "node/$K8S_NODE"
fi
wait_for 60 kube-controller-manager "default service account exists" "$kubectl" -n default get serviceaccount default
touch "$K8S_RUN/ready"
while :; do wait -n || true; [ -n "$(jobs -pr)" ] || break; done
