# shellcheck shell=bash
# Shared by every tool in this folder: progress, retries, and a cache of
# built things. Sourced, never run.
#
# The cache: DIR = $CACHE/KIND-RECIPE-VERSIONS, complete if it exists.
#   RECIPE    hash of the files that say how to build it
#   VERSIONS  hash of the package versions this machine's apt would choose
# A directory is built under a temporary name and renamed, so nobody ever
# sees half of one; builders of one kind take turns on a lock file.

# The Debian release that the emulated host and the sysroot are made of.
SUITE=bookworm
# Callers print nothing of their own on stdout but a path: talk on stderr.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/armvmd
# SC2034: these are for the scripts that source this file.
# shellcheck disable=SC2034
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034
SRC=$(cd "$HERE/../.." && pwd)
# Tools like sgdisk and mke2fs live in sbin, which is not in everyone's PATH.
PATH=$PATH:/usr/sbin:/sbin
# SC2034: as above. The system's python: PATH may hold another one, without
# Debian's modules.
# shellcheck disable=SC2034
PYTHON=/usr/bin/python3

ME=$(basename "$0")

say() { printf '%s: %s\n' "$ME" "$*" >&2; }

die() { say "$*"; exit 1; }

need() {
	local tool missing=()
	for tool; do
		command -v "$tool" >/dev/null || missing+=("$tool")
	done
	[ ${#missing[@]} -eq 0 ] ||
		die "missing: ${missing[*]}. Install what is needed with: tests/host/deps"
}

# try COMMAND…: runs it with -e in force and leaves its status in RC. Under
# "if" or "||" bash would ignore -e in all that the command calls; so neither
# this nor step, retry and cached may be called there: look at RC instead.
try() {
	set +e
	(set -e; "$@")
	RC=$?
	set -e
}

# step TEXT COMMAND…: runs it quietly, one line per step with the time taken,
# a line every 5 s while it goes on, the end of its output if it fails.
step() {
	local text=$1 log began=$SECONDS ticker
	shift
	log=$(mktemp)
	(
		# TERM must end this at once, so the sleep cannot be in the foreground.
		trap 'kill $! 2>/dev/null; exit' TERM
		while sleep 5 & wait $!; do
			say "… $text, $((SECONDS - began)) s so far"
		done
	) >/dev/null &
	ticker=$!
	try "$@" </dev/null >"$log" 2>&1
	kill "$ticker" 2>/dev/null
	wait "$ticker" 2>/dev/null || true
	if [ $RC -eq 0 ]; then
		say "$text ($((SECONDS - began)) s)"
	else
		say "failed: $text (status $RC). Its last output:"
		tail -n 20 "$log" | sed 's/^/    /' >&2
	fi
	rm -f "$log"
	return $RC
}

# retry TIMES COMMAND…: a mirror's indexes are now and then out of step with
# its packages for some minutes (hash or size mismatch).
retry() {
	local times=$1 i
	shift
	for ((i = 1; i <= times; i++)); do
		try "$@"
		[ $RC -ne 0 ] || return 0
		[ "$i" -lt "$times" ] || return 1
		say "attempt $i of $times failed; again in $((i * 5)) s"
		sleep $((i * 5))
	done
}

hash_files() { cat "$@" | sha256sum | cut -c1-12; }

# The words of a package list, without its comments.
package_list() { sed 's/#.*//' "$@" | tr -s ' \t\n' '\n' | sed '/^$/d'; }

# versions_of LIST…: a hash of the candidate versions of the listed packages,
# or "none" where apt's lists are not there to ask. linux-libc-dev stands for
# the kernel, whose packages are named after the architecture. Asking takes
# half a second, so the answer is kept for as long as apt's lists are the same.
versions_of() {
	local names versions answer
	mapfile -t names < <(package_list "$@")
	answer=$CACHE/versions-$({ echo "${names[@]}"
		stat -c '%n %Y' /var/lib/apt/lists /var/lib/apt/lists/*_Packages* \
			/etc/apt/preferences* 2>/dev/null; } | sha256sum | cut -c1-12)
	if [ -s "$answer" ]; then cat "$answer"; return; fi
	versions=$(apt-cache policy "${names[@]}" linux-libc-dev 2>/dev/null | awk '
		/^[^ ]/ { name = $1 }
		/Candidate:/ && $2 != "(none)" { print name, $2 }' | sort)
	[ -n "$versions" ] || { echo none; return; }
	mkdir -p "$CACHE"
	find "$CACHE" -maxdepth 1 -name 'versions-*' -mtime +7 -delete
	printf '%s' "$versions" | sha256sum | cut -c1-12 | tee "$answer.$$"
	mv "$answer.$$" "$answer"
}

newest_of() { # KIND-RECIPE: a finished build of it with any versions
	local dir
	# SC2012: names are ours: letters, digits, dashes.
	# shellcheck disable=SC2012
	dir=$(ls -1dt "$CACHE/$1"-* 2>/dev/null | sed '/\.tmp$/d' | head -n 1)
	[ -n "$dir" ] && echo "$dir"
}

# Under the kind's lock nobody else builds it: temporary leftovers are dead.
# Finished ones go when unused for six hours and not among the newest three.
prune() {
	local kind=$1 dir
	rm -rf "$CACHE/$kind"-*.tmp
	# shellcheck disable=SC2012
	ls -1dt "$CACHE/$kind"-*/ 2>/dev/null | tail -n +4 | while read -r dir; do
		if [ -n "$(find "$dir" -maxdepth 0 -mmin +360)" ]; then
			rm -rf "$dir"
		fi
	done
}

lock() { # KIND: held on fd 9 until unlock or exit
	mkdir -p "$CACHE"
	exec 9>"$CACHE/$1.lock"
	flock -n 9 && return
	say "someone else is building $1: waiting for that"
	until flock -w 10 9; do say "… still waiting for $1"; done
}

unlock() { exec 9>&-; }

# cached KIND RECIPE VERSIONS BUILDER: sets REPLY to the directory, which
# BUILDER TMPDIR fills when it is missing. With the mirror out of reach, the
# same recipe with other versions is better than nothing.
cached() {
	local kind=$1 recipe=$2 versions=$3 builder=$4 dir=$CACHE/$1-$2-$3
	REPLY=
	[ "$versions" != none ] || REPLY=$(newest_of "$kind-$recipe") || true
	[ -n "$REPLY" ] || REPLY=$dir
	if [ -d "$REPLY" ]; then touch "$REPLY"; return; fi
	lock "$kind"
	if [ ! -d "$dir" ]; then
		prune "$kind"
		mkdir "$dir.tmp"
		try "$builder" "$dir.tmp"
		if [ $RC -eq 0 ]; then
			mv -T "$dir.tmp" "$dir"
		else
			rm -rf "$dir.tmp"
			REPLY=$(newest_of "$kind-$recipe") ||
				die "cannot build $kind"
			say "using the earlier $REPLY instead"
		fi
	fi
	unlock
}

# apt_sources: the machine's own mirrors, whatever format they are written in,
# as one-line sources: Debian's own suites of this release and nothing else.
apt_sources() {
	# apt itself expands the parentheses.
	# shellcheck disable=SC2016
	apt-get indextargets --format \
		'$(REPO_URI) $(RELEASE) $(COMPONENT) $(CREATED_BY)' 2>/dev/null |
		awk -v suite="$SUITE" -v keys=/usr/share/keyrings/debian-archive-keyring.gpg '
		$4 != "Packages" || $3 != "main" { next }
		$2 !~ "^" suite "(-updates|-security)?$" || seen[$1 $2]++ { next }
		{ print "deb [signed-by=" keys "] " $1, $2, $3 }' | grep . ||
		die "apt on this machine has no source for Debian $SUITE main"
}

# Proxies the machine's apt uses, as options for mmdebstrap.
apt_options() {
	echo '--aptopt=Acquire::Retries "3"'
	apt-config dump | sed -n 's/^\(Acquire::http.*::Proxy.* ".*"\);$/--aptopt=\1/p'
}

# extract LIST DIR: unpacks arm64 packages and all they depend on, running
# none of their scripts: no emulator is needed and it takes seconds.
extract() {
	local list=$1 dir=$2 options sources
	mapfile -t options < <(apt_options)
	sources=$(mktemp)
	apt_sources >"$sources" || { rm -f "$sources"; return 1; }
	rm -rf "$dir"
	mmdebstrap --variant=extract --architectures=arm64 "${options[@]}" \
		--include="$(package_list "$list" | paste -sd,)" \
		"$SUITE" "$dir" "$sources" || { rm -f "$sources"; return 1; }
	rm -f "$sources"
	merge_usr "$dir"
}

# Debian roots have /bin, /sbin and /lib as links into /usr. Packages that
# ship files under those names leave real directories when only unpacked.
merge_usr() {
	local root=$1 d
	for d in bin sbin lib; do
		if [ -d "$root/$d" ] && [ ! -L "$root/$d" ]; then
			mkdir -p "$root/usr/$d"
			cp -al "$root/$d/." "$root/usr/$d/" && rm -rf "${root:?}/$d"
		fi
		ln -sfnT "usr/$d" "$root/$d"
	done
}

# Absolute links in a tree point out of it, at this machine's own files.
relative_links() {
	local root=$1 link target
	find "$root" -type l -lname '/*' | while read -r link; do
		target=$(readlink "$link")
		ln -sfnT "$(realpath -m -s --relative-to="$(dirname "$link")" "$root$target")" "$link"
	done
}

# as_root COMMAND…: files in a root belong to root; without being root,
# fakeroot remembers that for the length of one command.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else fakeroot "$@"; fi
}

# as_root_lib FUNCTION ARGS…: the same for a function of the calling script.
as_root_lib() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; return; fi
	export HERE SUITE
	# All functions travel, and exported variables; fakeroot starts a new shell.
	fakeroot bash -c "$(declare -f)"'; set -e; "$@"' "$ME" "$@"
}

# module_set ROOT KERNEL DIR MODULE…: copies kernel modules and what they need
# into DIR, with DIR/order naming them in the order to load them.
module_set() {
	local root=$1 kernel=$2 dir=$3 file loads
	shift 3
	mkdir -p "$dir"
	# By itself, for its status: a module that is missing must be noticed.
	loads=$(modprobe -d "$root" -S "$kernel" -C /dev/null -a --show-depends "$@")
	echo "$loads" |
		sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' |
		while read -r file; do
			cp "$file" "$dir/"
			basename "$file"
		done >"$dir/order"
}
