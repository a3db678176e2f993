# shellcheck shell=sh
# Releases of bundles in one directory of a device, and which of them is the current one.
# $1: what to do, $2 the directory, $3 where what was pushed lies, then what that needs. On stdin, where files are
#   asked for: a line for each, `sha256 mode path`.
# DIR/releases/NUMBER-DIGEST is a whole release; it has its name only when it is whole. DIR/current is a symlink to
# the current one, replaced by one rename. Where mv cannot rename over a symlink to a directory (toybox), DIR/current
# is a directory of small scripts that read the release's name in DIR/current/release, which is replaced likewise.
# Status 65: DIR holds something else; 66: no such release.

number='[0-9][0-9][0-9][0-9][0-9][0-9]-*'

names() {
    for path in "$dir"/releases/$number; do
        [ ! -d "$path" ] || echo "${path##*/}"
    done
}

current() {
    if [ -L "$dir/current" ]; then
        name=$(readlink "$dir/current")
        echo "${name##*/}"
    elif [ -f "$dir/current/release" ]; then
        cat "$dir/current/release"
    fi
}

# What the digest of no release that stands needs any more.
forget() {
    while read -r digest _; do
        grep -qs "^$digest " "$dir"/releases/*/SHA256SUMS || rm -f "$files/$digest"
    done
}

drop() {
    sums=$(cat "$dir/releases/$1/SHA256SUMS")
    # Under a name that no release has: what is cut here is no release.
    mv "$dir/releases/$1" "$dir/releases/.old.$1" && rm -rf "$dir/releases/.old.$1"
    echo "$sums" | forget
}

# The disk that a directory is on, and its free KiB.
disk() {
    df -Pk "$1" | { read -r _; read -r name _ _ free _; echo "$free $name"; }
}

prepare() {
    mkdir -p "$dir/releases" || exit
    if [ -e "$dir/current" ] && [ ! -L "$dir/current" ] && [ ! -f "$dir/current/release" ]; then exit 65; fi
    # What the deploys before left: what was begun, and what was never switched to, or back from.
    rm -rf "$dir"/releases/.[on]* "$dir"/.current.*
    now=$(current)
    after=
    for name in $(names); do
        if [ -z "$now" ] || [ "$after" ]; then drop "$name"; fi
        [ "$name" != "$now" ] || after=1
    done
    probe=$dir/.current.probe
    : >"$files/probe.$$" && ln "$files/probe.$$" "$probe" 2>/dev/null && echo links || echo copies
    rm -f "$files/probe.$$" "$probe"
    echo "$now"
    disk "$files"
    disk "$dir"
    while read -r digest _; do
        [ -f "$files/$digest" ] || echo "$digest"
    done
}

assemble() {
    new=$dir/releases/.new.$$
    mkdir -p "$new" || exit
    chmod 755 "$dir" "$dir/releases" "$new" 2>/dev/null
    while read -r digest mode path; do
        case $path in
            */*)
                mkdir -p "$new/${path%/*}" || exit
                chmod 755 "$new/${path%/*}"
                ;;
        esac
        ln "$files/$digest" "$new/$path" 2>/dev/null || cp "$files/$digest" "$new/$path" || { rm -rf "$new"; exit 1; }
        chmod "$mode" "$new/$path" || exit
    done
    sync
    last=$(names | tail -n 1)
    last=${last%%-*}
    # Leading zeros would make it octal.
    while [ "${last#0}" != "$last" ]; do last=${last#0}; done
    name=$(printf %06d $((${last:-0} + 1)))-$1
    mv "$new" "$dir/releases/$name" || exit
    sync
    echo "$name"
}

# Whether mv renames over a symlink to a directory.
renames() {
    rm -rf "$dir/.current.d"
    mkdir -p "$dir/.current.d/a" "$dir/.current.d/b" && ln -sf a "$dir/.current.d/l" && ln -sf b "$dir/.current.d/n"
    mv -fT "$dir/.current.d/n" "$dir/.current.d/l" 2>/dev/null
    found=$(readlink "$dir/.current.d/l")
    rm -rf "$dir/.current.d"
    [ "$found" = b ]
}

# A directory that stands for the current release: it is made once, before there is one.
stand_in() {
    mkdir -p "$dir/.current.w" || exit
    for word in run bench selftest; do
        cat >"$dir/.current.w/$word" <<'END' || exit
#!/bin/sh
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) && read -r name <"$here/release" || exit 6
exec "${here%/*}/releases/$name/${0##*/}" "$@"
END
        chmod 755 "$dir/.current.w/$word"
    done
    echo "$1" >"$dir/.current.w/release"
    chmod 755 "$dir/.current.w"
    chmod 644 "$dir/.current.w/release"
    sync
    mv "$dir/.current.w" "$dir/current"
}

switch() {
    [ -d "$dir/releases/$1" ] || exit 66
    if [ -f "$dir/current/release" ] && [ ! -L "$dir/current" ]; then
        echo "$1" >"$dir/.current.$$" && chmod 644 "$dir/.current.$$" && sync || exit
        mv -f "$dir/.current.$$" "$dir/current/release" || exit
    elif renames; then
        ln -s "releases/$1" "$dir/.current.$$" && mv -fT "$dir/.current.$$" "$dir/current" || exit
    elif [ ! -L "$dir/current" ]; then
        stand_in "$1" || exit
    fi
    sync
    [ "$(current)" = "$1" ]
}

# Prints what is current now, and what it was.
rollback() {
    now=$(current)
    before=
    for name in $(names); do
        [ "$name" != "$now" ] || break
        before=$name
    done
    [ "$now" ] && [ "$before" ] || exit 66
    switch "$before" || exit
    echo "$before"
    echo "$now"
}

# Keeps so many of those before the current one.
prune() {
    now=$(current)
    old=
    for name in $(names); do
        [ "$name" != "$now" ] || break
        old="$name $old"
    done
    kept=0
    for name in $old; do
        kept=$((kept + 1))
        [ "$kept" -le "$1" ] || drop "$name"
    done
}

# Whether the holder of a lock, PID.WORD, lives: a process with that number and that word in its command line.
alive() {
    if [ -d /proc/self ]; then
        # Not every grep looks behind a NUL.
        { tr '\0' '\n' <"/proc/${1%%.*}/cmdline"; } 2>/dev/null | grep -q "${1#*.}"
    else
        kill -0 "${1%%.*}" 2>/dev/null
    fi
}

# Holds the directory until it is ended. Whoever finds another living holder steps back, so that two that come at
# once may both do so, and never both hold it.
hold() {
    mkdir -p "$dir/.locks" || exit
    [ -w "$dir/.locks" ] || exit
    mine=$dir/.locks/$$.$1
    trap 'rm -f "$mine"; exit 0' TERM INT HUP
    : >"$mine" || exit
    for other in "$dir"/.locks/*; do
        [ "$other" != "$mine" ] || continue
        ! alive "${other##*/}" || { rm -f "$mine"; echo busy; exit 0; }
        rm -f "$other"
    done
    echo held
    while :; do
        sleep 3600 &
        wait $!
    done
}

what=$1 dir=$2 files=$3
shift 3
"$what" "$@"
