#!/bin/sh
# bundle.sh BINARY CODEX OUT: makes OUT, the content of /opt/codex-k8s in the runner image.
#
# A Job's pod copies it into a volume and runs it from there in the project's own image, of which nothing but /bin/sh is assumed: so each
# program brings its libraries and its loader. Programs are reached through shell scripts, which find the rest by their own place.
#
#   BINARY          the platform's binary, linked against this system's libraries
#   CODEX           the Codex binary, linked statically
#   RUNNER_COMMAND  the words that make BINARY the runner ("runner")
#
# Needs git, ldd and CA certificates. With strip, symbols for debuggers are left out.
set -eu

[ $# = 3 ] || { echo "usage: bundle.sh BINARY CODEX OUT" >&2; exit 2; }
binary=$1 codex=$2 out=$3
words=${RUNNER_COMMAND:-runner}
authorities=/etc/ssl/certs/ca-certificates.crt
core=$(git --exec-path)

refuse() { echo "bundle.sh: $*" >&2; exit 1; }
[ ! -e "$out" ] || refuse "$out exists"
[ -e "$authorities" ] || refuse "$authorities is missing; install the package ca-certificates"
if ldd "$codex" 2>/dev/null | grep -q '=>'; then refuse "$codex is not linked statically"; fi
loader=$(ldd "$binary" | sed -n 's/^[[:space:]]*[^ ]*\/\(ld-linux[^ ]*\) .*/\1/p')
[ -n "$loader" ] || refuse "$binary is not linked against this system's libraries"

mkdir -p "$out/bin" "$out/lib" "$out/libexec/git" "$out/libexec/git-core" "$out/share"

# libraries PROGRAM: everything that the loader would load for it, and the loader itself.
libraries() {
	ldd "$1" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*ld-linux[^ ]*\) .*/\1/p' | while read -r library; do
		[ -e "$out/lib/${library##*/}" ] || cp -L "$library" "$out/lib/"
	done
}

# script FILE UP NAME PROGRAM [WORDS]: FILE runs PROGRAM of libexec under NAME, with WORDS before what it is given.
# UP leads from its folder to the bundle's.
script() {
	cat >"$1" <<-END
		#!/bin/sh
		case \$0 in */*) here=\${0%/*} ;; *) here=. ;; esac
		root=\$(cd "\$here/$2" && pwd) || exit 127
	END
	if [ "${4%/*}" = git ]; then
		cat >>"$1" <<-'END'
			export GIT_EXEC_PATH="$root/libexec/git-core" GIT_TEMPLATE_DIR="$root/share/git-templates"
			export GIT_SSL_CAINFO="${GIT_SSL_CAINFO:-$root/share/ca-certificates.crt}"
		END
	fi
	echo "exec \"\$root/lib/$loader\" --argv0 $3 --library-path \"\$root/lib\" \"\$root/libexec/$4\"${5:+ $5} \"\$@\"" >>"$1"
	chmod 755 "$1"
}

cp "$binary" "$out/libexec/codex-k8s"
if command -v strip >/dev/null; then strip --strip-debug "$out/libexec/codex-k8s"; fi
libraries "$binary"
script "$out/bin/runner" .. codex-k8s codex-k8s "$words"

cp "$codex" "$out/bin/codex"
cp "$authorities" "$out/share/ca-certificates.crt"

# git runs itself and its parts anew by their names in libexec/git-core: each is a script there too. Releases differ in which parts there are.
for program in git git-remote-http git-sh-i18n--envsubst; do
	[ -e "$core/$program" ] || continue
	cp "$core/$program" "$out/libexec/git/"
	libraries "$core/$program"
	script "$out/libexec/git-core/$program" ../.. "$program" "git/$program"
done
script "$out/bin/git" .. git git/git
for name in git-upload-pack git-receive-pack git-upload-archive; do script "$out/libexec/git-core/$name" ../.. "$name" git/git; done
script "$out/libexec/git-core/git-remote-https" ../.. git-remote-https git/git-remote-http
for name in git-merge-octopus git-merge-one-file git-merge-resolve git-sh-i18n git-sh-setup git-submodule; do
	[ ! -e "$core/$name" ] || cp "$core/$name" "$out/libexec/git-core/"
done
cp -r /usr/share/git-core/templates "$out/share/git-templates"
rm -f "$out/share/git-templates/hooks/"*.sample
chmod -R u+rwX,go+rX,go-w "$out"
