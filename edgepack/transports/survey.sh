# shellcheck shell=sh disable=SC2012,SC2046
# Prints the sizes of $1 and $2 in bytes, -1 for what is no file, and the free KiB of the disk that $3 is on.
size() {
    [ -f "$1" ] || { echo -1; return; }
    set -- $(ls -ln "$1")
    echo "$5"
}
size "$1"
size "$2"
df -Pk "$3" | { read -r _; read -r _ _ _ free _; echo "$free"; }
