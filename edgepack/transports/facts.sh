# shellcheck shell=sh
# Prints what the device's kernel says of its processors, memory, heat and load, for facts.py.
#
# A line "=name" begins a file, named from / on; each of its lines follows with a "|" before it. What is absent or
# closed to this user is left out. Arguments: none, or "load" for what changes only.

# Files of one line, by the shell alone: a phone has hundreds of them.
ep_line() {
    for ep_file; do
        ep_value=
        [ -r "$ep_file" ] && [ -f "$ep_file" ] && IFS= read -r ep_value 2>/dev/null <"$ep_file"
        [ -z "$ep_value" ] || printf '=%s\n|%s\n' "${ep_file#/}" "$ep_value"
    done
}

ep_text() {
    for ep_file; do
        if [ ! -r "$ep_file" ] || [ ! -f "$ep_file" ]; then continue; fi
        printf '=%s\n' "${ep_file#/}"
        head -c 1048576 "$ep_file" | sed 's/^/|/'
        echo
    done
}

ep_groups() {
    ep_group=
    while IFS= read -r ep_value; do
        case $ep_value in 0::/*) ep_group=${ep_value#0::} ;; esac
    done </proc/self/cgroup
    while :; do
        ep_line "/sys/fs/cgroup$ep_group/memory.max" "/sys/fs/cgroup$ep_group/memory.current"
        ep_line "/sys/fs/cgroup$ep_group/cpu.max"
        ep_text "/sys/fs/cgroup$ep_group/memory.stat"
        case $ep_group in */*) ep_group=${ep_group%/*} ;; *) break ;; esac
    done
}

{
    ep_text /proc/stat /proc/meminfo
    ep_line /proc/uptime /sys/class/thermal/thermal_zone*/temp /sys/class/thermal/thermal_zone*/type
    ep_line /sys/class/thermal/cooling_device*/type /sys/class/thermal/cooling_device*/cur_state
    ep_line /sys/class/hwmon/hwmon*/name /sys/class/hwmon/hwmon*/temp1_input
    ep_line /sys/devices/platform/soc/soc:firmware/get_throttled
    for ep_cpu in /sys/devices/system/cpu/cpu[0-9]*; do
        ep_line "$ep_cpu/cpufreq/scaling_cur_freq" "$ep_cpu/cpufreq/scaling_governor"
        ep_line "$ep_cpu/thermal_throttle/core_throttle_count" "$ep_cpu/cpufreq/cpuinfo_max_freq"
        [ "$1" = load ] && continue
        ep_line "$ep_cpu/topology/thread_siblings_list" "$ep_cpu/cpu_capacity"
        ep_line "$ep_cpu"/cache/index[23]/size "$ep_cpu"/cache/index[23]/shared_cpu_list
    done
    ep_text /proc/self/cgroup
    ep_groups
    [ "$1" = load ] && exit 0
    ep_text /proc/cpuinfo /proc/device-tree/model
    ep_text /proc/self/status
    ep_line /sys/class/dmi/id/chassis_type /sys/devices/system/cpu/online
    # What it is called, and nothing else of it: it holds serial numbers on some.
    if [ -e /system/build.prop ]; then
        printf '=system/build.prop\n|%s\n' "$(getprop ro.product.model)"
        printf '=system/soc\n|%s %s\n' "$(getprop ro.soc.manufacturer)" "$(getprop ro.soc.model)"
    fi
    printf '=uname\n|%s\n' "$(uname -s -r -m)"
} 2>/dev/null
exit 0
