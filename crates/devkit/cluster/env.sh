# shellcheck shell=bash
# Settings of the test cluster; each may be set beforehand. `up.sh` writes them down, so that `down.sh` needs K8S_RUN alone.
[ -n "${K8S_BASE:-}" ] || K8S_BASE="${XDG_CACHE_HOME:-$HOME/.cache}/codex-k8s/cluster" # programs and images, kept between runs
: "${K8S_RUN:=$K8S_BASE/run}" # one cluster's state, deleted by down.sh; at most 60 bytes, not below /run
# shellcheck disable=SC1091 # written by up.sh
[ ! -e "$K8S_RUN/settings" ] || . "$K8S_RUN/settings"
: "${K8S_PREBUILT:=}"                   # a folder of programs that were built from exactly these sources
: "${K8S_NODE:=testnode}"
: "${K8S_BRIDGE:=k8sbr0}"
: "${K8S_SUBNET:=10.244.77.0/24}"
: "${K8S_NODE_IP:=10.244.77.1}"         # the bridge's address: node, gateway and kubelet address
: "${K8S_API_PORT:=16443}"
: "${K8S_ETCD_PORT:=12379}"
: "${K8S_ETCD_PEER_PORT:=12380}"
: "${K8S_KCM_PORT:=16257}"
: "${K8S_SCHED_PORT:=16259}"
: "${K8S_KUBELET_PORT:=16250}"
: "${K8S_NETPOL:=1}"                    # 1: NetworkPolicies are enforced (netpol, nftables)
: "${K8S_PROXY:=1}"                     # 1: Services work (kube-proxy, nftables); one cluster in a network namespace
: "${K8S_PROXY_PORT:=16249}"
: "${K8S_DNS:=1}"                       # 1: names of Services (CoreDNS)
: "${K8S_CGROUP:=k8s-$K8S_NODE}"        # parent of all pods' cgroups, so that clusters do not clean up each other's
: "${K8S_REGISTRY:=1}"                  # 1: an OCI registry on the bridge, also by the name registry.test
: "${K8S_REG_PORT:=5443}"               # TLS, certificate from the cluster's CA
: "${K8S_REG_HTTP_PORT:=5000}"          # the same store, plain HTTP
: "${K8S_MORE_IMAGES:=}"                # more docker-archive tars to import
K8S_SETTINGS="K8S_NODE K8S_BRIDGE K8S_SUBNET K8S_NODE_IP K8S_API_PORT K8S_ETCD_PORT K8S_ETCD_PEER_PORT K8S_KCM_PORT K8S_SCHED_PORT
	K8S_KUBELET_PORT K8S_NETPOL K8S_PROXY K8S_PROXY_PORT K8S_DNS K8S_CGROUP K8S_REGISTRY K8S_REG_PORT K8S_REG_HTTP_PORT"
# shellcheck disable=SC2086,SC2163 # a list of names
export K8S_BASE K8S_RUN K8S_PREBUILT K8S_MORE_IMAGES $K8S_SETTINGS
export KUBECONFIG="$K8S_RUN/pki/admin.kubeconfig"
K8S_TRIPLE=$(uname -m)-linux-gnu
# shellcheck disable=SC2034 # used by those that read this file
K8S_LIB="$K8S_BASE/root/usr/lib/$K8S_TRIPLE:$K8S_BASE/root/lib/$K8S_TRIPLE"
# shellcheck disable=SC2034 # used by those that read this file
K8S_PATH="$K8S_BASE/bin:$K8S_BASE/root/usr/bin:$K8S_BASE/root/usr/sbin:$K8S_BASE/root/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
