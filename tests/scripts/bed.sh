# shellcheck shell=bash
# Sourced by what needs an engine: after `bed_up`, DOCKER_HOST is set; `images` puts what is run there.
# What was started is stopped again when the shell ends, also after Ctrl-C.

# shellcheck source=tests/scripts/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

scripts=$root/tests/scripts

bed_down() {
	local status=$?
	trap - EXIT
	"$scripts/registry" stop || true
	"$scripts/podman" stop || true
	"$scripts/reflink" stop || true
	"$scripts/docker-engine" stop || true
	exit "$status"
}

bed_up() {
	has cargo || unfit "cargo is missing" "Install Rust with rustup: https://rustup.rs"
	has git || { can_be_root && has apt-get && apt_install git; } || unfit "git is missing" "Run: sudo apt-get install git"
	has cc || { can_be_root && has apt-get && apt_install gcc libc6-dev; } ||
		unfit "there is no C compiler to link with" "Run: sudo apt-get install gcc libc6-dev"
	trap bed_down EXIT
	trap 'exit 130' INT TERM
	DOCKER_HOST=$("$scripts/docker-engine" start)
	export DOCKER_HOST
}
