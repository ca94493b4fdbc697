"""The memory of this machine: what there is, and what host, container and ulimit leave of it."""

import os
import resource
from pathlib import Path

CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
USED = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")


def installed_memory() -> int:
    """Bytes of the machine, or of the container that limits them."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [int(most) for limit in CGROUPS if (most := _read(limit).strip()).isdigit()]
    return min([installed, *limits])


def free_memory() -> int:
    """Bytes that may still be allocated without swapping: the least that host, container and ulimit leave."""
    limits = [room for find in (_host_room, _cgroup_room, _address_room) if (room := find()) is not None]
    return max(0, min(limits)) if limits else 2**63


def _host_room() -> int | None:
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _cgroup_room() -> int | None:
    """What a container's limit leaves; page cache counts as used there, though the kernel would give it back."""
    rooms = []
    for limit, used in zip(CGROUPS, USED, strict=True):
        most, now = _read(limit).strip(), _read(used).strip()
        if most.isdigit() and now.isdigit():
            cached = sum(int(line.split()[1]) for line in _cgroup_stat(limit) if line.startswith("inactive_file "))
            rooms.append(int(most) - int(now) + cached)
    return min(rooms, default=None)


def _cgroup_stat(limit: str) -> list[str]:
    return _read(str(Path(limit).with_name("memory.stat"))).splitlines()


def _address_room() -> int | None:
    """What `ulimit -v` leaves."""
    limit, _hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = _read("/proc/self/statm").split()
    if limit == resource.RLIM_INFINITY or not pages:
        return None
    return limit - int(pages[0]) * os.sysconf("SC_PAGE_SIZE")


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
