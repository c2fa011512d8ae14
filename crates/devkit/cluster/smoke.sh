#!/bin/bash
# Checks a running cluster: what Jobs may and may not do, and how they end. About 40 s.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/env.sh"
k=$K8S_BASE/bin/kubectl
fail=0
ok() { # ok WHAT EXPECTED GOT
	if [[ $3 == *"$2"* ]]; then echo "ok    $1"; else echo "FAIL  $1: want '$2' in '$3'"; fail=1; fi
}
www=$(mktemp -d); echo "hello from the host" >"$www/index.html"
"$K8S_BASE/root/bin/busybox" httpd -f -p "$K8S_NODE_IP:18080" -h "$www" & h1=$!
"$K8S_BASE/root/bin/busybox" httpd -f -p "$K8S_NODE_IP:18081" -h "$www" & h2=$!
trap 'kill $h1 $h2; rm -rf "$www"' EXIT
for f in smoke policy; do sed "s/10\.244\.77\.1/$K8S_NODE_IP/g" "$here/$f.yaml" | $k apply -f - >/dev/null; done
state() { $k get pod -l job-name="$1" -o jsonpath='{.items[0].status.phase} {.items[0].status.containerStatuses[0].state}'; }
why() { $k get job "$1" -o jsonpath='{.status.conditions[*].reason}'; }
$k -n locked wait --for=condition=complete --timeout=60s job/locked >/dev/null
log=$($k -n locked logs job/locked)
ok "runs as the given user" "uid=10001 gid=10001" "$log"
ok "no capabilities" "CapEff:	0000000000000000" "$log"
ok "no new privileges" "NoNewPrivs:	1" "$log"
ok "seccomp filter on" "Seccomp:	2" "$log"
ok "root file system read-only" "/x: Read-only file system" "$log"
ok "emptyDir writable" "/tmp writable" "$log"
ok "no user namespaces under seccomp" "unshare(0x10000000): Operation not permitted" "$log"
ok "memory limit set" "33554432" "$log"
ok "pod reaches the node" "hello from the host" "$log"
for j in oom oom1 failing deadline; do $k wait --for=condition=failed --timeout=60s job/$j >/dev/null; done
ok "OOM seen (child process)" '"reason":"OOMKilled"' "$(state oom)"
ok "OOM seen (first process)" '"reason":"OOMKilled"' "$(state oom1)"
ok "exit code seen" '"exitCode":7' "$(state failing)"
ok "backoffLimit" "BackoffLimitExceeded" "$(why failing)"
ok "activeDeadlineSeconds" "DeadlineExceeded" "$(why deadline)"
ok "runAsNonRoot refuses root" "CreateContainerConfigError" "$(state nonroot-refused)"
ok "missing image" "ErrImageNeverPull" "$(state noimage)"
$k wait --for=condition=Ready --timeout=60s pod -l job-name=running >/dev/null
p=$($k get pod -l job-name=running -o name)
ok "logs of a running job" "tick" "$($k logs $p)"
ok "exec" "in exec 0" "$($k exec $p -- sh -c 'echo in exec $(id -u)')"
ok "exec, stdin" "hi there" "$(echo hi there | $k exec -i $p -- cat)"
$k delete job running --wait >/dev/null
$k wait --for=delete --timeout=20s $p >/dev/null 2>&1
ok "deleted job leaves no pod" "" "$($k get pod -l job-name=running -o name)"
[ -z "$($k get pod -l job-name=running -o name)" ] || { echo "FAIL  pod left"; fail=1; }
bad=$($k -n locked create -f - 2>&1 <<C
{apiVersion: v1, kind: Pod, metadata: {name: bad}, spec: {containers: [{name: c, image: "localhost/busybox:1", securityContext: {privileged: true}}]}}
C
)
ok "pod security admission (restricted)" "violates PodSecurity" "$bad"
$k wait --for=condition=Ready --timeout=60s pod/server pod/free >/dev/null; $k -n np wait --for=condition=Ready --timeout=60s pod/denied pod/allowed >/dev/null
s=$($k get pod server -o jsonpath='{.status.podIP}'); d=$($k -n np get pod denied -o jsonpath='{.status.podIP}')
get() { $k -n $1 exec $2 -- sh -c "printf 'GET / HTTP/1.0\r\n\r\n' | timeout 3 nc -w 2 $3 $4 | tail -1" 2>&1; }
ok "free pod -> node" "hello from the host" "$(get default free $K8S_NODE_IP 18080)"
ok "free pod -> pod" "from-pod-server" "$(get default free $s 9000)"
if [ "$K8S_NETPOL" = 1 ]; then
	sleep 1
	ok "default deny: -> node" "timed out" "$(get np denied $K8S_NODE_IP 18080)"
	ok "default deny: -> pod" "timed out" "$(get np denied $s 9000)"
	ok "default deny: ingress" "timed out" "$(get default free $d 9000)"
	ok "allowed: the named port" "hello from the host" "$(get np allowed $K8S_NODE_IP 18080)"
	ok "allowed: no other port" "timed out" "$(get np allowed $K8S_NODE_IP 18081)"
fi
if [ "$K8S_PROXY" = 1 ]; then
	$k expose pod server --port 80 --target-port 9000 >/dev/null
	c=$($k get svc server -o jsonpath='{.spec.clusterIP}'); sleep 1
	ok "Service address" "from-pod-server" "$(get default free $c 80)"
	if [ "$K8S_DNS" = 1 ]; then ok "Service name" "from-pod-server" "$(get default free server 80)"; fi
fi
exit $fail
