# shellcheck shell=bash
# Sourced by the scripts in this directory: how they speak, become root and get packages.
# Messages go to standard error; standard output is for what a caller reads.

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# Everything the scripts make or remember lives here. The variable is for trying them out in isolation.
scratch=${CAPSTAN_SETUP_DIR:-$root/target/setup}

say() {
	printf '%s\n' "${0##*/}: $*" >&2
}

# The environment is not fit: says what is wrong, and below it what to do. Exit code 3 as in `capstan`.
unfit() {
	say "$1"
	shift
	[ $# -eq 0 ] || printf '%s\n' "$@" | sed 's/^/    /' >&2
	exit 3
}

has() {
	command -v "$1" >/dev/null 2>&1
}

can_be_root() {
	[ "$(id -u)" -eq 0 ] || { has sudo && sudo -n true 2>/dev/null; }
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

apt_update() {
	say "refreshing the package lists"
	as_root apt-get update -q >>"$scratch/apt.log" 2>&1
}

# Installs packages, refreshing the lists only if the first attempt fails.
apt_install() {
	mkdir -p "$scratch"
	say "installing $*"
	local -a install=(env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@")
	as_root "${install[@]}" >>"$scratch/apt.log" 2>&1 ||
		{ apt_update && as_root "${install[@]}" >>"$scratch/apt.log" 2>&1; } ||
		unfit "could not install $*" "The last lines of $scratch/apt.log:" "$(tail -n 5 "$scratch/apt.log")"
}

# Unpacks a package into a directory without installing it: no root needed, and no service is started.
apt_unpack() {
	local package=$1 into=$2 download
	download=$(mktemp -d)
	has apt-get || unfit "needs the program from the Debian package $package" "Install it, then try again."
	mkdir -p "$scratch" "$into"
	say "fetching $package"
	(
		cd "$download"
		# As root, apt fetches as its own user, who must be able to write here.
		[ "$(id -u)" -ne 0 ] || chmod 777 .
		apt-get download -q "$package" >>"$scratch/apt.log" 2>&1 ||
			{ can_be_root && apt_update && apt-get download -q "$package" >>"$scratch/apt.log" 2>&1; }
	) || unfit "could not fetch the package $package" "See $scratch/apt.log, or install $package yourself."
	dpkg -x "$download"/*.deb "$into"
	rm -rf "$download"
}

# Whether the process in a pid file is alive and is the named program.
runs() {
	local pidfile=$1 program=$2 pid
	[ -s "$pidfile" ] && pid=$(cat "$pidfile") && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$program" ]
}

# Stops the program of a pid file, if it runs, and forgets it. `$3`: seconds to wait before killing it.
stop_program() {
	local pidfile=$1 program=$2 patience=$3 pid
	if runs "$pidfile" "$program"; then
		pid=$(cat "$pidfile")
		as_root kill "$pid" 2>/dev/null || true
		for ((i = 0; i < patience * 10; i++)); do
			runs "$pidfile" "$program" || break
			sleep 0.1
		done
		! runs "$pidfile" "$program" || as_root kill -9 "$pid" 2>/dev/null || true
	fi
	rm -f "$pidfile"
}
