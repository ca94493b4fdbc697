"""Whoever starts the processes, they are one run."""

import os

import pytest

from wavllm_cli.errors import UsageError
from wavllm_cli.training import launch

SRUN = {"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1", "SLURM_JOB_ID": "77001"}


@pytest.fixture
def environment(monkeypatch):
    """Function: these variables and no launcher's others -> what `join` says and leaves."""
    known = [launch.TORCHRUN, *launch.OTHERS]
    names = {name for known_launcher in known for name in (known_launcher.rank, *known_launcher.world)}

    def make(**variables: str) -> tuple[str | None, dict[str, str]]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "MASTER_"))}
        with monkeypatch.context() as patch:
            patch.setattr(os, "environ", {name: kept[name] for name in kept.keys() - names} | variables)
            return launch.join(), dict(os.environ)

    return make


def test_a_process_alone_is_the_first(environment, monkeypatch):
    launcher, variables = environment()
    assert launcher is None
    assert "RANK" not in variables
    assert environment(SLURM_PROCID="0", SLURM_NTASKS="1")[0] is None
    monkeypatch.delenv("RANK", raising=False)
    assert launch.is_first_process()
    monkeypatch.setenv("RANK", "1")
    assert not launch.is_first_process()


@pytest.mark.parametrize(
    ("nodes", "address"), [("node[07-09,12],gpu3", "node07"), ("gpu3,gpu4", "gpu3"), ("gpu[4,6]", "gpu4")]
)
def test_sruns_processes_are_one_run(environment, nodes, address):
    launcher, variables = environment(**SRUN, SLURM_STEP_NODELIST=nodes)
    assert launcher == "srun"
    found = {name: variables[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")}
    assert found == {
        "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": address, "MASTER_PORT": "30501",
    }  # fmt: skip


def test_a_step_of_fewer_tasks_than_the_job(environment):
    assert environment(SLURM_PROCID="0", SLURM_NTASKS="8", SLURM_STEP_NUM_TASKS="1")[0] is None


def test_mpi_on_one_machine(environment):
    mpi = {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1"}
    launcher, variables = environment(**mpi)
    assert (launcher, variables["MASTER_ADDR"], variables["LOCAL_RANK"]) == ("mpirun", "127.0.0.1", "1")


def test_torchruns_own_variables_stand(environment):
    launcher, variables = environment(RANK="1", WORLD_SIZE="2", **SRUN)
    assert (launcher, variables["WORLD_SIZE"]) == ("torchrun", "2")


def test_variables_that_cannot_be(environment):
    with pytest.raises(UsageError, match=r"srun says that this is process 9 of 8 \(SLURM_PROCID, SLURM_NTASKS\)"):
        environment(**(SRUN | {"SLURM_PROCID": "9"}), SLURM_STEP_NODELIST="a")
    with pytest.raises(UsageError, match="on which machine process 0 runs: set MASTER_ADDR"):
        environment(OMPI_COMM_WORLD_RANK="9", OMPI_COMM_WORLD_SIZE="16", OMPI_COMM_WORLD_LOCAL_RANK="1")
