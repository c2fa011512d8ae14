#!/bin/bash
# Checks the way of a staging deploy: build Job -> registry -> Deployment by digest -> rollout. About 30 s.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/env.sh"
k=$K8S_BASE/bin/kubectl
$k create namespace build >/dev/null; $k create namespace staging >/dev/null
printf '[registry."registry.test:%s"]\n  ca = ["/etc/buildkit/ca.crt"]\n' "$K8S_REG_PORT" >"$K8S_RUN/buildkitd.toml"
$k -n build create configmap buildkit --from-file=buildkitd.toml="$K8S_RUN/buildkitd.toml" --from-file=ca.crt="$K8S_RUN/pki/ca.crt" >/dev/null
build() { # build VERSION: a Job that makes the context itself, builds it in a user namespace and pushes it
	$k apply -f - >/dev/null <<C
{apiVersion: batch/v1, kind: Job, metadata: {name: build-$1, namespace: build}, spec: {backoffLimit: 0, activeDeadlineSeconds: 240, template: {spec: {
  restartPolicy: Never, automountServiceAccountToken: false, hostUsers: false,
  initContainers: [{name: context, image: "localhost/busybox:1", imagePullPolicy: Never, command: [sh, -c, "mkdir -p /workspace/bin && cp /bin/busybox /workspace/bin/ && printf 'FROM scratch\\nCOPY bin /bin\\nENV VERSION=$1\\nUSER 10001\\nENTRYPOINT [\"/bin/busybox\", \"sh\", \"-c\", \"$2\"]\\n' > /workspace/Dockerfile"], volumeMounts: [{name: ws, mountPath: /workspace}]}],
  containers: [{name: build, image: "localhost/builder:1", imagePullPolicy: Never, securityContext: {privileged: true},
    env: [{name: BUILDKITD_FLAGS, value: "--config /etc/buildkit/buildkitd.toml"}, {name: SOURCE_DATE_EPOCH, value: "0"}],
    command: [build-image, "registry.test:$K8S_REG_PORT/hello:$1", /workspace],
    volumeMounts: [{name: ws, mountPath: /workspace}, {name: state, mountPath: /var/lib/buildkit}, {name: tmp, mountPath: /tmp}, {name: cfg, mountPath: /etc/buildkit}]}],
  volumes: [{name: ws, emptyDir: {}}, {name: state, emptyDir: {}}, {name: tmp, emptyDir: {}}, {name: cfg, configMap: {name: buildkit}}]}}}}
C
	$k -n build wait --for=condition=complete --timeout=120s "job/build-$1" >/dev/null || { $k -n build logs "job/build-$1" --tail=40; $k -n build describe pod -l "job-name=build-$1" | tail -12; return 1; }
	$k -n build get pod -l "job-name=build-$1" -o jsonpath='{.items[0].status.containerStatuses[0].state.terminated.message}'
}
roll() { # roll DIGEST
	$k apply --server-side --field-manager smoke -f - >/dev/null <<C
{apiVersion: apps/v1, kind: Deployment, metadata: {name: hello, namespace: staging}, spec: {replicas: 2, progressDeadlineSeconds: 15, minReadySeconds: 1, selector: {matchLabels: {app: hello}}, strategy: {rollingUpdate: {maxUnavailable: 0}},
  template: {metadata: {labels: {app: hello}}, spec: {terminationGracePeriodSeconds: 0, containers: [{name: hello, image: "registry.test:$K8S_REG_PORT/hello@$1"}]}}}}
C
	$k -n staging rollout status deployment/hello --timeout=60s 2>&1 | tail -1
}
fail=0
ok() { if [[ $3 == *"$2"* ]]; then echo "ok    $1"; else echo "FAIL  $1: want '$2' in '$3'"; fail=1; fi; }
t=$SECONDS; d1=$(build v1 "sleep 9999"); ok "build in a user namespace, push, digest ($((SECONDS-t)) s)" "sha256:" "$d1"
d2=$(build v2 "sleep 8888"); ok "second build" "sha256:" "$d2"
d3=$(build bad "exit 3"); ok "third build (will crash)" "sha256:" "$d3"
t=$SECONDS; ok "first rollout by digest" "successfully rolled out" "$(roll "$d1")"; echo "      $((SECONDS-t)) s"
ok "second rollout" "successfully rolled out" "$(roll "$d2")"
ok "a crashing digest is seen" "exceeded its progress deadline" "$(roll "$d3")"
ok "the old pods still serve" "2" "$($k -n staging get deployment hello -o jsonpath='{.status.availableReplicas}')"
ok "back to the earlier digest" "successfully rolled out" "$(roll "$d2")"
exit $fail
