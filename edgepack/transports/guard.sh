# shellcheck shell=sh disable=SC2154,SC2013,SC2015
# Runs one command on the device, and sees to it that nothing of it outlives the connection.
#
# It comes over the connection's input, which goes on with the command's own input and then, as long as the
# other side lives, with a line now and then. Set before: ep_word (names this run), ep_root (where edgepack's
# files lie), ep_period (seconds between two looks for a sign of life), ep_bytes (of input to come), ep_into
# (the file that takes it, or nothing), ep_seek (64 KiB blocks that it has already), ep_total (its size then),
# ep_merged (1: what goes to stderr goes to stdout).
#
# Its last line is: word, kind (c: the command has ended, i: the input did not come in full, p: no place to
# work in), status, size of the stderr that stands before.

ep_size() {
    # POSIX has no stat.
    # shellcheck disable=SC2012,SC2046
    set -- $(ls -ln "$1" 2>/dev/null)
    echo "${5:-0}"
}

# What the run started, wherever it moved to: its environment tells, where there is a /proc.
ep_strays() {
    for ep_found in $(grep -ls "EDGEPACK_RUN=$ep_word" /proc/[0-9]*/environ); do
        ep_found=${ep_found#/proc/}
        echo "${ep_found%/environ}"
    done
}

ep_signal() {
    [ -z "$ep_child" ] || kill "-$1" "-$ep_child" || kill "-$1" "$ep_child"
    for ep_stray in $(ep_strays); do
        kill "-$1" "$ep_stray"
    done
}

# Asks the command to end, and ends it after two seconds.
ep_stop() {
    ep_signal TERM
    ep_tries=20
    while [ "$ep_tries" -gt 0 ] && { kill -0 "-$ep_child" || [ "$(ep_strays)" ]; }; do
        ep_tries=$((ep_tries - 1))
        sleep 0.1 || { sleep 1; ep_tries=$((ep_tries - 9)); }
    done
    ep_signal KILL
}

# Ends what watches over the run. A signal that can be caught is lost on a shell that was just forked, so the
# watcher, which has a sleep to end, says when it is ready; the others can be killed.
ep_unwatch() {
    # shellcheck disable=SC2086
    kill -KILL $ep_listener $ep_filler
    ep_tries=10
    until [ -e "$ep_work/watched" ] || [ "$ep_tries" = 0 ]; do
        sleep 0.1 || sleep 1
        ep_tries=$((ep_tries - 1))
    done
    kill -TERM "$ep_watcher"
}

# The end without a word: the connection is gone.
ep_leave() {
    trap '' HUP INT TERM PIPE
    ep_unwatch
    ep_signal KILL
    rm -rf "$ep_work" || { sleep 1; rm -rf "$ep_work"; }
}

# Whether the guard lives; a dead one that nobody has waited for yet can still be signalled.
ep_lives() {
    if [ -d /proc/self ]; then
        grep -q "$ep_word" /proc/$$/cmdline
    else
        kill -0 $$
    fi
}

# Has the guard leave; where it was killed itself, leaves in its place.
ep_lost() {
    ep_tries=5
    while [ "$ep_tries" -gt 0 ] && ep_lives; do
        kill -TERM $$
        sleep 1
        ep_tries=$((ep_tries - 1))
    done
    ep_signal KILL
    rm -rf "$ep_work"
}

# Sees what nobody says: a connection without life, a guard that was killed.
ep_watch() {
    exec >/dev/null
    # A terminal whose guard was killed hangs up on all that shares it.
    trap '' HUP
    trap 'kill -KILL $!; wait $!; exit' TERM
    : >"$ep_work/watched"
    ep_seen=
    while :; do
        sleep "$ep_period" &
        wait $!
        ep_now=$(cat "$ep_work/beat"; ls -ln "$ep_into")
        [ "$ep_now" != "$ep_seen" ] && ep_lives || break
        ep_seen=$ep_now
    done
    ep_lost
}

ep_listen() {
    exec >/dev/null
    trap '' HUP
    while read -r ep_beat <&3; do
        case $ep_beat in
            stop) ep_stop ;;
            *) echo "$ep_beat" >"$ep_work/beat" ;;
        esac
    done
    ep_lost
}

# Writes at its place, not at the end: what a dead connection's remains still bring lands where it belongs.
ep_take() {
    {
        dd bs=65536 seek="$ep_seek" conv=notrunc </dev/null
        exec head -c "$ep_bytes" <&3
    } 1<>"$ep_into" &
    ep_filler=$!
    wait "$ep_filler"
    ep_filler=
    [ "$(ep_size "$ep_into")" = "$ep_total" ]
}

ep_tell() {
    ep_unwatch
    wait
    [ -z "$3" ] || tail -c 1048576 "$3" >"$ep_work/tail"
    ep_length=$(ep_size "$ep_work/tail")
    [ "$ep_length" = 0 ] || cat "$ep_work/tail"
    rm -rf "$ep_work"
    trap - EXIT
    printf '%s %s %03d %010d\n' "$ep_word" "$1" "$2" "$ep_length"
    exit 0
}

ep_guard() {
    ep_child='' ep_watcher='' ep_listener='' ep_filler=''
    ep_work=$ep_root/runs/$(uname -n)/$$.$ep_word
    exec 3<&0 </dev/null 2>/dev/null
    ep_umask=$(umask)
    umask 077
    mkdir -p "$ep_work/scratch" || { printf '%s p 000 0000000000\n' "$ep_word"; exit 0; }
    trap ep_leave EXIT
    trap 'exit 1' HUP INT TERM PIPE
    ep_input=/dev/null
    [ "$ep_into" ] || ep_into=$ep_work/input ep_input=$ep_into
    ep_watch &
    ep_watcher=$!
    : >>"$ep_into"
    [ "$ep_bytes" = 0 ] || ep_take || ep_tell i 0 ''
    # A group of its own, so that one signal reaches all of it.
    ep_apart=setsid
    command -v setsid >/dev/null || { ep_apart=''; set -m; }
    ep_errors=$ep_work/errors
    cd "$ep_work/scratch" || exit
    umask "$ep_umask"
    if [ "$ep_merged" ]; then
        EDGEPACK_RUN=$ep_word TMPDIR=$PWD $ep_apart "$@" <"$ep_input" 2>&1 3<&- &
    else
        EDGEPACK_RUN=$ep_word TMPDIR=$PWD $ep_apart "$@" <"$ep_input" 2>"$ep_errors" 3<&- &
    fi
    ep_child=$!
    ep_listen &
    ep_listener=$!
    wait "$ep_child"
    ep_status=$?
    ep_signal KILL
    [ ! "$ep_merged" ] || ep_errors=''
    ep_tell c "$ep_status" "$ep_errors"
}
