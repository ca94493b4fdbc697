"""One run of several processes, whoever started them: torchrun, accelerate, SLURM's srun or an MPI launcher.

Torch asks for torchrun's variables; without them, each of srun's processes would take itself for the only one and
train a run of its own into the same folder. Known before torch is imported.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from wavllm_cli.errors import UsageError, WavLLMError

T = TypeVar("T")

PORT = 29_500  # torchrun's; a job's number is added, so that two jobs on a machine do not meet
PORTS = 2_000  # of different jobs


@dataclass(frozen=True)
class Launcher:
    """The variables in which a launcher tells a process its place."""

    name: str
    rank: str
    world: tuple[str, ...]  # the first that is set counts
    local_rank: str


TORCHRUN = Launcher("torchrun", "RANK", ("WORLD_SIZE",), "LOCAL_RANK")
OTHERS = (
    Launcher("srun", "SLURM_PROCID", ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"), "SLURM_LOCALID"),
    Launcher("mpirun", "OMPI_COMM_WORLD_RANK", ("OMPI_COMM_WORLD_SIZE",), "OMPI_COMM_WORLD_LOCAL_RANK"),
    Launcher("mpiexec", "PMI_RANK", ("PMI_SIZE",), "MPI_LOCALRANKID"),
)


def is_first_process() -> bool:
    """Of this run; right once `join` has been called."""
    return os.environ.get(TORCHRUN.rank, "0") == "0"


def join() -> str | None:
    """State the launcher's variables as torchrun's. The launcher, if it has started more than one process.

    Raises:
        UsageError: the variables contradict each other, or do not tell where the processes meet.
    """
    if TORCHRUN.rank in os.environ:
        return TORCHRUN.name
    for launcher in OTHERS:
        world = next((os.environ[name] for name in launcher.world if name in os.environ), "1")
        if launcher.rank in os.environ and world != "1":
            os.environ.update(_as_torchrun(launcher, world, os.environ))
            return launcher.name
    return None


def _as_torchrun(launcher: Launcher, world: str, given: Mapping[str, str]) -> dict[str, str]:
    rank = given[launcher.rank]
    if not (rank.isdigit() and world.isdigit() and int(rank) < int(world)):
        raise UsageError(
            f"{launcher.name} says that this is process {rank} of {world} ({launcher.rank}, {launcher.world[-1]}): "
            "start the processes with its own command, or unset these variables to train with one process."
        )
    job = re.sub(r"\D", "", given.get("SLURM_JOB_ID", "")) or "0"
    return {
        "RANK": rank,
        "WORLD_SIZE": world,
        "LOCAL_RANK": given.get(launcher.local_rank, rank),
        "MASTER_ADDR": given.get("MASTER_ADDR") or _first_machine(launcher, given),
        "MASTER_PORT": given.get("MASTER_PORT") or str(PORT + int(job) % PORTS),
    }


def _first_machine(launcher: Launcher, given: Mapping[str, str]) -> str:
    """The name of the machine with process 0."""
    machines = given.get("SLURM_STEP_NODELIST") or given.get("SLURM_JOB_NODELIST")
    if launcher.rank == "SLURM_PROCID" and machines:
        first = re.match(r"([^,\[]+)(?:\[(\d+))?", machines)  # node[07-09,12],gpu3 -> node07
        if first:
            return first[1] + (first[2] or "")
    if given.get(launcher.local_rank) == given[launcher.rank]:
        return "127.0.0.1"
    raise UsageError(
        f"{launcher.name} does not say on which machine process 0 runs: set MASTER_ADDR to its name for all processes."
    )


def decided_by_first(decide: Callable[[], T]) -> T:
    """Let the first process find something out for all; where it fails, all end, and it alone says why.

    Raises:
        SystemExit: in the other processes, when the first one failed.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return decide()
    import torch
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    PartialState(cpu=not torch.cuda.is_available())  # the processes find each other, as the Trainer's would
    if not is_first_process():
        found, code = broadcast_object_list([None, None])
        if code is not None:
            raise SystemExit(code)
        return found
    try:
        found = decide()
    except BaseException as error:
        code = error.exit_code if isinstance(error, WavLLMError) else 1
        broadcast_object_list([None, 130 if isinstance(error, KeyboardInterrupt) else code])
        raise
    broadcast_object_list([found, None])
    return found
