# shellcheck shell=sh
# Runs a command, and says on lines that begin with "#" what the device's clocks counted meanwhile, for timed.py.

ep_clocks() {
    if IFS= read -r ep_line </proc/uptime; then echo "#$1 uptime $ep_line"; fi
    while IFS= read -r ep_line; do
        case $ep_line in cpu[0-9]*) echo "#$1 $ep_line" ;; esac
    done </proc/stat
} 2>/dev/null

ep_clocks before
"$@"
ep_status=$?
echo
ep_clocks after
# Two lines: the shell's own user and system time, and the command's.
echo "#times"
times
exit "$ep_status"
