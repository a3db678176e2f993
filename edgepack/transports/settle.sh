# shellcheck shell=sh
# Gives a file its name, now that all of it has come. $1: the file, $2: its name, $3: its mode, $4: its sha256, or
# nothing where the other side has compared it. Status 65: it is another file, and is gone now.
[ -f "$1" ] || [ ! -f "$2" ] || exit 0
if [ "$4" ]; then
    found=$(sha256sum <"$1") || exit
    [ "${found%% *}" = "$4" ] || { rm -f "$1"; exit 65; }
fi
chmod "$3" "$1" || exit
# On the disk before it has its name: a power cut must not leave a name without the bytes.
sync "$1" 2>/dev/null || sync
mv -f "$1" "$2"
