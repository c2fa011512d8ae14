#!/bin/bash
# Builds everything from the Go module proxy and the distribution's archive into $K8S_BASE/bin, root and images.
# Installs nothing: the .deb files are unpacked. What is there already, from exactly these sources, is kept.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/env.sh"
mkdir -p "$K8S_BASE"/{bin,debs,root,images}
exec 9>"$K8S_BASE/build.lock"
flock 9
export CGO_ENABLED=0 GOFLAGS="-buildvcs=false -trimpath"
bin=$K8S_BASE/bin

# What is built depends on these files and this Go alone; the key names it.
key() { (cd "$here" && find "$1" -type f | LC_ALL=C sort | xargs cat; go version) | sha256sum | cut -c1-16; }

# have MODULE KEY PROGRAM...: built already, or taken from the folder of ready-made ones.
have() {
	local module=$1 key=$2 program
	shift 2
	[ "$(cat "$bin/.$module.key" 2>/dev/null)" = "$key" ] && return 0
	[ -n "$K8S_PREBUILT" ] && [ "$(cat "$K8S_PREBUILT/$module.key" 2>/dev/null)" = "$key" ] || return 1
	for program in "$@"; do
		xz -dc "$K8S_PREBUILT/$program.xz" >"$bin/$program.new"
		chmod +x "$bin/$program.new"
	done
	put "$module" "$key" "$@"
}

# put MODULE KEY PROGRAM...: the new programs take their places; a cluster that runs keeps the old files.
put() {
	local module=$1 key=$2 program
	shift 2
	for program in "$@"; do mv "$bin/$program.new" "$bin/$program"; done
	echo "$key" >"$bin/.$module.key"
}

# compile MODULE PROGRAM PACKAGE [FLAGS...]
compile() {
	local module=$1 program=$2 package=$3
	shift 3
	(cd "$here/$module" && nice -n 5 go build -ldflags "-s -w" "$@" -o "$bin/$program.new" "$package")
}

kubernetes() {
	local k version=v1.34.4 package=k8s.io/component-base/version
	k=$(key cluster)
	have cluster "$k" kubeall kubetool pause && return
	echo "building Kubernetes: 10 to 15 minutes the first time, seconds afterwards" >&2
	compile cluster kubeall ./cmd/kubeall -ldflags "-s -w -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=34"
	compile cluster kubetool ./cmd/kubetool
	compile cluster pause ./cmd/pause
	put cluster "$k" kubeall kubetool pause
}

# Names of Services: a module of its own because its Kubernetes client is newer.
dns() {
	local k
	[ "$K8S_DNS" = 1 ] || return 0
	k=$(key dns)
	have dns "$k" clusterdns && return
	compile dns clusterdns .
	put dns "$k" clusterdns
}

registry() {
	local k
	k=$(key registry)
	have registry "$k" registry && return
	compile registry registry .
	put registry "$k" registry
}

builder() {
	local k program
	k=$(key builder)
	have builder "$k" buildkitd buildctl && return
	for program in buildkitd buildctl; do
		compile builder "$program" "github.com/moby/buildkit/cmd/$program" -tags "no_containerd_worker osusergo netgo"
	done
	put builder "$k" buildkitd buildctl
}

# containerd 2 with a static runc: user namespaces for pods.
runtime() {
	local k d program
	k=$(key runtime)
	have runtime "$k" containerd containerd-shim-runc-v2 ctr runc && return
	for program in containerd containerd-shim-runc-v2 ctr; do
		compile runtime "$program" "github.com/containerd/containerd/v2/cmd/$program" -tags "no_btrfs no_devmapper no_zfs no_aufs"
	done
	d=$(mktemp -d)
	(cd "$d" && fetch libseccomp-dev && dpkg -x libseccomp-dev*.deb r && mkdir lib && cp "r/usr/lib/$K8S_TRIPLE/libseccomp.a" lib/)
	# PKG_CONFIG=true: -lseccomp is given by hand, from a folder with the static archive alone, else the shared library is taken.
	CGO_ENABLED=1 PKG_CONFIG=true CGO_CFLAGS="-I$d/r/usr/include" CGO_LDFLAGS="-L$d/lib -lseccomp" \
		compile runtime runc github.com/opencontainers/runc -tags "seccomp netgo osusergo" -ldflags "-s -w -extldflags -static -X main.version=1.3.4"
	rm -rf "$d"
	put runtime "$k" containerd containerd-shim-runc-v2 ctr runc
}

fetch() { apt-get download -q "$@" || { apt-get update -q && apt-get download -q "$@"; }; }

# CNI plugins, nft and a shell, from the distribution.
debs() {
	local deb
	[ ! -x "$K8S_BASE/root/bin/busybox" ] || return 0
	cd "$K8S_BASE/debs"
	fetch containernetworking-plugins busybox-static iptables libxtables12 libip4tc2 libip6tc2 libmnl0 libnftnl11 nftables libnftables1 \
		libjansson4 libgmp10 libedit2 libbsd0 libmd0 conntrack libnetfilter-conntrack3 libnfnetlink0 ipset libipset13
	for deb in *.deb; do dpkg -x "$deb" "$K8S_BASE/root"; done
}

# image NAME ARGUMENTS...: an archive that `up.sh` imports, made again when a program or this script is another.
images() {
	local k shell
	k=$(cat "$bin"/.*.key "$here/build.sh" "$here/builder-image/build-image" | sha256sum | cut -c1-16)
	[ "$(cat "$K8S_BASE/images/.key" 2>/dev/null)" != "$k" ] || return 0
	cd "$K8S_BASE"
	mapfile -t shell < <(root/bin/busybox --list | grep -vx busybox | sed 's,.*,bin/&->/bin/busybox,')
	shell+=(bin/busybox=root/bin/busybox tmp/ proc/ dev/ sys/ etc/)
	bin/kubetool image images/pause.new localhost/pause:1 /pause pause=bin/pause
	bin/kubetool image images/busybox.new localhost/busybox:1 "" "${shell[@]}"
	# The builder: BuildKit that lives as long as its Job; see builder-image/build-image.
	printf 'root:x:0:0:root:/root:/bin/sh\n' >images/passwd
	bin/kubetool image images/builder.new localhost/builder:1 "" "${shell[@]}" run/ root/ var/lib/ etc/passwd=images/passwd \
		usr/bin/buildkitd=bin/buildkitd usr/bin/buildctl=bin/buildctl usr/bin/buildkit-runc=bin/runc usr/bin/build-image="$here/builder-image/build-image"
	for name in pause busybox builder; do mv "images/$name.new" "images/$name.tar"; done
	echo "$k" >images/.key
}

# The maker of images alone, for clusters that run elsewhere.
if [ "${1:-}" = kubetool ]; then
	compile cluster kubetool ./cmd/kubetool
	mv "$bin/kubetool.new" "$bin/kubetool"
	exit
fi
# The builder of images alone, with the runc that it runs commands in.
if [ "${1:-}" = builder ]; then
	builder
	runtime
	exit
fi
kubernetes
dns
registry
builder
runtime
for name in etcd kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet kubectl netpol; do ln -sfn kubeall "$bin/$name"; done
debs
images
echo "ready in $K8S_BASE"
